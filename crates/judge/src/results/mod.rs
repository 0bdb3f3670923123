//! What a test runner said, made into cases.

use std::{collections::BTreeMap, path::Path};

use booty_policy::config::CommandSpec;
use booty_policy::detect::Runner;
use booty_sandbox::RunResult;

use crate::{
    case::Results,
    report::{Finding, Rule},
};

/// How a test command is run so that its results can be read.
pub struct Instrumented {
    /// env
    pub env: BTreeMap<String, String>,
    /// script
    pub script: String,
    /// bytes
    pub output_bytes: usize,
}

/// stub
pub fn instrument(_runner: Runner, command: &CommandSpec, _folder: &str) -> Instrumented {
    Instrumented {
        env: command.env.clone(),
        script: command.command.clone(),
        output_bytes: 1 << 20,
    }
}

/// stub
pub fn read(_runner: Runner, _i: &Instrumented, _output: &str, _folder: &Path) -> Results {
    Results::default()
}

/// stub
pub fn failures(_results: &Results, run: &RunResult) -> Vec<Finding> {
    vec![
        Finding::failure(Rule::TestsFailed, format!("{}", run.end)).with_detail(run.output.clone()),
    ]
}
