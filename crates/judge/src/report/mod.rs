//! What a judgement says.

mod finding;

pub use finding::{Finding, Level, Place, Rule};
