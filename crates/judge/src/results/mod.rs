//! What a test runner said, made into cases.
//!
//! Three steps: [`instrument`] asks the runner for a report without touching what its owner wrote
//! where that is possible, [`read`] takes what is there, the most trustworthy first, and [`failures`]
//! says what it means. All that is read here was written by code under test. It can name what failed
//! and where; whether the run failed is said by its exit code alone.

mod cargo;
mod failures;
mod folder;
mod go;
mod instrument;
mod js;
mod junit;
mod nextest;
mod npm;
mod pytest;
mod tap;
mod text;
mod unittest;

use std::{borrow::Cow, path::Path};

use crate::case::{Outcome, Results, Source, TestCase, Totals};

pub use booty_policy::detect::Runner;
pub use failures::failures;
pub use instrument::{Expected, Instrumented, instrument, instrument_package};
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
    let own_json = files.iter().find(|file| file.name == instrument::JEST);
    let own_json = own_json.and_then(|file| js::jest::report(&file.bytes, directory));
    let mut results = own_json.unwrap_or_else(|| from_junit(runner, &files, directory));
    if results.cases.is_empty() && results.totals.is_none_or(|totals| totals.all() == 0) {
        let mut printed = from_output(runner, &output, directory);
        if printed.source != Source::ExitCode {
            printed.is_whole &= !is_cut(&output);
            results = printed;
        }
    } else if runner == Runner::Pytest {
        pytest::add_other_sessions(&mut results, &output, directory);
    }
    results.is_whole &= !some_missing;
    results
}

/// The output of a run as people read it: the events of `go test -json` as what they tell.
pub fn readable(output: &str) -> Cow<'_, str> {
    go::readable(output).map_or(Cow::Borrowed(output), Cow::Owned)
}

/// Corrects the files of cases by the tree that ran: a runner says them relative to where it started
/// or to a root of its own. What is nowhere in the tree is no place.
pub fn locate(results: &mut Results, directory: &str, tree: &Path) {
    let is_file =
        |path: &str| tree.join(path).symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    for case in &mut results.cases {
        let Some(file) = &case.file else { continue };
        if is_file(file) {
            continue;
        }
        let below = format!("{}/{file}", directory.trim_end_matches('/'));
        let above = file.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/'));
        case.file = match above {
            _ if !directory.is_empty() && is_file(&below) => Some(below),
            Some(above) if is_file(above) => Some(above.to_owned()),
            _ => None,
        };
        if case.file.is_none() {
            case.line = None;
        }
    }
}

/// Whether the sandbox has left out the middle.
fn is_cut(output: &str) -> bool {
    output.lines().any(|line| line.starts_with("[… ") && line.ends_with(" bytes cut …]"))
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
        let own = match runner {
            Runner::NodeTest => js::node::totals(&String::from_utf8_lossy(&file.bytes)),
            _ => report.totals,
        };
        let fits = match own {
            None => true,
            Some(own) if runner == Runner::NodeTest => {
                let cases: Vec<_> =
                    report.cases.iter().map(|case| js::node::case(case, directory)).collect();
                js::node::fits(own, &cases)
            }
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
        if let Some(own) = own {
            totals = Some(totals.unwrap_or_default().plus(own));
        }
        for case in &report.cases {
            let case = match runner {
                Runner::Pytest => pytest::case(case, directory),
                Runner::Nextest => nextest::case(case, directory),
                Runner::NodeTest => js::node::case(case, directory),
                Runner::Jest | Runner::Vitest | Runner::Mocha => js::case(case, directory),
                _ => plain_case(case, runner == Runner::GoTest, directory),
            };
            cases.push(case);
        }
    }
    results.is_whole &= results.source == Source::JUnit && !cases.is_cut;
    results.cases = match runner {
        Runner::Pytest => merged(cases.list),
        _ => js::numbered(cases.list),
    };
    results.totals = totals;
    results
}

fn case_outcome(case: &junit::Case) -> Outcome {
    case.outcome.unwrap_or(Outcome::Passed)
}

/// A case of a dialect that nothing more is known of.
fn plain_case(case: &junit::Case, is_go: bool, directory: &str) -> TestCase {
    let outcome = case_outcome(case);
    let said = if case.file.is_empty() { &case.suite_file } else { &case.file };
    let file = text::tree_path(said, directory);
    let failing = file
        .as_deref()
        .filter(|_| outcome.is_bad())
        .and_then(|file| text::last_line_in(&case.text, file, directory));
    let id = match case.class.as_str() {
        "" => case.name.clone(),
        // gotestsum
        package if is_go => format!("{package}.{}", case.name),
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
    let own = match runner {
        Runner::Pytest => pytest::printed(output, directory),
        Runner::Unittest => unittest::printed(output, directory),
        Runner::CargoTest => cargo::printed(output, directory),
        Runner::Nextest => nextest::printed(output, directory),
        Runner::Jest => js::jest::printed(output, directory),
        Runner::Vitest => js::vitest::printed(output, directory),
        Runner::NodeTest => js::node::printed(output, directory),
        Runner::Mocha => js::mocha::printed(output, directory),
        Runner::GoTest => go::printed(output, directory),
        Runner::Other => Results::default(),
    };
    if own.source != Source::ExitCode || runner != Runner::Other {
        return own;
    }
    // The most is understood by the one that it is of; of equals the first.
    let readers = [
        pytest::printed,
        cargo::printed,
        nextest::printed,
        go::printed,
        unittest::printed,
        js::jest::printed,
        js::vitest::printed,
        js::node::printed,
        js::mocha::printed,
        tap::printed,
    ];
    let all = readers.map(|reader| reader(output, directory));
    let known = all.into_iter().filter(|results| results.totals.is_some());
    known
        .reduce(|best, next| if next.cases.len() > best.cases.len() { next } else { best })
        .unwrap_or_default()
}
