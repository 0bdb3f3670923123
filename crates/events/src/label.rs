//! The labels that say on an issue how its job ended. Exactly one of them is on it.

/// A pull request was opened.
pub const OPENED: &str = "booty:opened";
/// Booty tried and could not.
pub const GAVE_UP: &str = "booty:gave-up";
/// A person has to decide or repair something.
pub const NEEDS_HUMAN: &str = "booty:needs-human";

/// Somebody has to look at an alert's issue. No outcome, and not Booty's own: a person takes it away.
pub const TRIAGE: &str = "triage";

/// All outcomes.
pub const ALL: [&str; 3] = [OPENED, GAVE_UP, NEEDS_HUMAN];
