//! Names of facts that say what became of a delivery of which no job came.

/// The builder: nothing comes of what somebody said or did.
pub const IGNORED: &str = "words_ignored";
/// The builder: somebody stopped something.
pub const STOP: &str = "stop_asked";

/// Both, each with the step that the builder says it under.
pub const WITHOUT_A_JOB: [(&str, &str); 2] = [(IGNORED, "ignored"), (STOP, "stop")];
