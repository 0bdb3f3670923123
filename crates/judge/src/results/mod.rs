//! What a test runner said, made into cases.
//!
//! Three steps: [`instrument`] asks the runner for a report without touching what its owner wrote
//! where that is possible, [`read`] takes what is there, the most trustworthy first, and [`failures`]
//! says what it means. All that is read here was written by code under test. It can name what failed
//! and where; whether the run failed is said by its exit code alone.

mod cargo;
mod failures;
mod folder;
mod instrument;
mod junit;
mod pytest;
mod text;

use std::path::Path;

use crate::case::{Outcome, Results, Source, TestCase, Totals};

pub use failures::failures;
pub use instrument::{Expected, Instrumented, instrument};
pub use booty_policy::Runner;
pub use text::{MAX_DETAIL_BYTES, MAX_ID_CHARS, MAX_MESSAGE_CHARS};

use text::Cases;

/// The most cases of one run that are kept.
pub const MAX_CASES: usize = Cases::MAX;

/// Reads what a run left, as hostile input: bounded, no links followed, nothing expanded.
/// `folder` is the host's path of the report folder, `output` what the sandbox kept of the output.
pub fn read(runner: Runner, instrumented: &Instrumented, output: &str, folder: &Path) -> Results {
    let directory = instrumented.directory.as_str();
    let output = text::clean(output);
    let files = folder::read(folder);
    let is_missing = |expected: &&Expected| {
        expected.is_certain && !files.iter().any(|file| file.name == expected.file)
    };
    let some_missing = instrumented.reports.iter().any(|expected| is_missing(&expected));
    let mut results = from_junit(runner, &files, directory);
    if results.cases.is_empty() && results.totals.is_none_or(|totals| totals.all() == 0) {
        let printed = from_output(runner, &output, directory);
        if printed.source != Source::ExitCode {
            results = printed;
        }
    } else if runner == Runner::Pytest {
        pytest::add_other_sessions(&mut results, &output, directory);
    }
    results.is_whole &= !some_missing;
    results
}

/// The cases of all JUnit files together.
fn from_junit(runner: Runner, files: &[folder::Left], directory: &str) -> Results {
    let mut cases = Cases::default();
    let mut totals: Option<Totals> = None;
    let mut results = Results { is_whole: true, ..Results::default() };
    for file in files.iter().filter(|file| file.name.ends_with(".xml")) {
        let report = junit::Report::parse(&file.bytes, MAX_CASES);
        if report.cases.is_empty() && report.totals.is_none() {
            // No JUnit, or nothing of it was written.
            results.is_whole = false;
            continue;
        }
        results.source = Source::JUnit;
        let written = Totals::of_outcomes(report.cases.iter().map(case_outcome));
        let fits = match report.totals {
            None => true,
            // pytest counts subtests and what failed twice, its cases are the tests.
            Some(own) if runner == Runner::Pytest => {
                own.failed == written.failed
                    && own.errored == written.errored
                    && own.skipped == written.skipped
                    && own.passed >= written.passed
            }
            Some(own) => own == written,
        };
        results.is_whole &= report.is_complete && !report.is_cut && !file.is_cut && fits;
        if let Some(own) = report.totals {
            totals = Some(totals.unwrap_or_default().plus(own));
        }
        for case in &report.cases {
            let case = match runner {
                Runner::Pytest => pytest::case(case, directory),
                _ => plain_case(case, directory),
            };
            cases.push(case);
        }
    }
    results.is_whole &= results.source == Source::JUnit && !cases.is_cut;
    results.cases = merged(cases.list);
    results.totals = totals;
    results
}

fn case_outcome(case: &junit::Case) -> Outcome {
    case.outcome.unwrap_or(Outcome::Passed)
}

/// A case of a dialect that nothing more is known of.
fn plain_case(case: &junit::Case, directory: &str) -> TestCase {
    let outcome = case_outcome(case);
    let said = if case.file.is_empty() { &case.suite_file } else { &case.file };
    let file = text::tree_path(said, directory);
    let failing = file
        .as_deref()
        .filter(|_| outcome.is_bad())
        .and_then(|file| text::last_line_in(&case.text, file, directory));
    let id = match case.class.as_str() {
        "" => case.name.clone(),
        class => format!("{class} {}", case.name),
    };
    TestCase {
        id: text::name(&id),
        name: text::name(&case.name),
        line: file.as_ref().and(failing.or(case.line.filter(|line| *line > 0))),
        file,
        outcome,
        message: text::message(if case.message.is_empty() { &case.text } else { &case.message }),
        detail: text::detail(&case.text).filter(|_| outcome.is_bad()),
    }
}

/// One case for each test: what failed and then went wrong in its clean-up is reported twice.
fn merged(cases: Vec<TestCase>) -> Vec<TestCase> {
    let mut seen = std::collections::HashMap::new();
    let mut kept: Vec<TestCase> = Vec::with_capacity(cases.len());
    for case in cases {
        match seen.get(&case.id) {
            None => {
                seen.insert(case.id.clone(), kept.len());
                kept.push(case);
            }
            Some(at) => {
                if case.outcome.is_bad() && !kept[*at].outcome.is_bad() {
                    kept[*at] = case;
                }
            }
        }
    }
    kept
}

/// What was printed, for machines or for people.
fn from_output(runner: Runner, output: &str, directory: &str) -> Results {
    match runner {
        Runner::Pytest => pytest::printed(output, directory),
        Runner::CargoTest => cargo::printed(output, directory),
        _ => [pytest::printed, cargo::printed]
            .into_iter()
            .map(|reader| reader(output, directory))
            .max_by_key(|results| (results.cases.len(), results.source != Source::ExitCode))
            .unwrap_or_default(),
    }
}
