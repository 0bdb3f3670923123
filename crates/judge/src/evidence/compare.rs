//! What the runs say together.

use super::{Comparison, Runs, Study};

/// What the runs say together. `head` and `base` are each tree with its own tests.
pub fn compare(study: &Study, runs: &Runs<'_>) -> Comparison {
    let _ = runs;
    Comparison { findings: study.findings.clone(), ..Comparison::default() }
}
