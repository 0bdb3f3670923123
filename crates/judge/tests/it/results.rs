//! What runners say, as cases: recorded outputs of real ones, and hostile input.

mod hostile;
mod real;

use std::{fmt::Write, path::Path};

use booty_judge::{
    case::Results,
    results::{Runner, instrument, read},
};
use booty_policy::config::CommandSpec;
use rstest::rstest;

/// Every recording, read as the runner that made it.
#[rstest]
fn recorded_outputs(
    #[files("tests/it/recorded/*/*/output.txt")]
    #[mode = path]
    path: std::path::PathBuf,
) {
    let folder = path.parent().unwrap();
    let results = read_recorded(folder);
    let tool = folder.parent().unwrap().file_name().unwrap().to_str().unwrap();
    let name = format!("{tool}_{}", folder.file_name().unwrap().to_str().unwrap());
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("recorded/cases");
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, listed(&results)));
}

fn read_recorded(folder: &Path) -> Results {
    let runner = match folder.parent().unwrap().file_name().unwrap().to_str().unwrap() {
        "pytest" => Runner::Pytest,
        "unittest" => Runner::Unittest,
        "cargo" => Runner::CargoTest,
        "nextest" => Runner::Nextest,
        "jest" => Runner::Jest,
        "vitest" => Runner::Vitest,
        "node" => Runner::NodeTest,
        "mocha" => Runner::Mocha,
        "go" => Runner::GoTest,
        _ => Runner::Other,
    };
    let output = std::fs::read_to_string(folder.join("output.txt")).unwrap();
    let instrumented = instrument(runner, &CommandSpec::new("a command of theirs"), "/reports");
    read(runner, &instrumented, &output, &folder.join("reports"))
}

/// Results as people would write them down.
fn listed(results: &Results) -> String {
    let mut text = format!("{:?}, {}\n", results.source, whole(results));
    if let Some(totals) = results.totals {
        writeln!(text, "counted {totals:?}").unwrap();
    }
    for case in &results.cases {
        write!(text, "{:?} {}", case.outcome, case.id).unwrap();
        write!(text, " ({})", case.name).unwrap();
        if let Some(file) = &case.file {
            write!(text, " at {file}:{}", case.line.unwrap_or(0)).unwrap();
        }
        if let Some(message) = &case.message {
            write!(text, ": {message}").unwrap();
        }
        if let Some(detail) = &case.detail {
            write!(text, " [{} lines]", detail.lines().count()).unwrap();
        }
        text.push('\n');
    }
    text
}

fn whole(results: &Results) -> &'static str {
    if results.is_whole { "whole" } else { "not whole" }
}
