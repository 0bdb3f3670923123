//! The labels that say on an issue how its job ended. Exactly one of them is on it.

/// A pull request was opened.
pub const OPENED: &str = "booty:opened";
/// Booty tried and could not.
pub const GAVE_UP: &str = "booty:gave-up";
/// A person has to decide or repair something.
pub const NEEDS_HUMAN: &str = "booty:needs-human";

/// All of them.
pub const ALL: [&str; 3] = [OPENED, GAVE_UP, NEEDS_HUMAN];
