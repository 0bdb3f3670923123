//! What a failed run means.

use std::collections::BTreeSet;

use booty_sandbox::{End, RunResult};

use super::text;
use crate::{
    case::{Outcome, Results, Source, TestCase},
    report::{Finding, Rule},
};

/// One finding for each failing test, up to here: who breaks more has broken one thing.
const MAX_FINDINGS: usize = 500;
/// pytest, and unittest since Python 3.12, when they found no test.
const NO_TESTS_CODE: i32 = 5;

/// Findings for a run that failed: one for each failing test, and what the exit code says beyond them.
/// A run that succeeded has one at most: a warning when its report says otherwise.
pub fn failures(results: &Results, run: &RunResult) -> Vec<Finding> {
    let bad = results.bad().count();
    let output = || text::tail(&super::readable(&run.output), text::MAX_DETAIL_BYTES);
    if run.succeeded() {
        let said = || {
            let tests = counted(bad as u64, "failing test");
            format!("the test command ended with exit code 0, but its report names {tests}")
        };
        return Vec::from_iter(
            (bad > 0)
                .then(|| Finding::warning(Rule::TestsFailed, said()).with_detail(names(results))),
        );
    }
    let ids: BTreeSet<_> = results.bad().map(|case| case.id.as_str()).collect();
    let told: Vec<_> = results.bad().filter(|case| !is_parent(case, &ids)).collect();
    let mut findings: Vec<_> = told.iter().take(MAX_FINDINGS).map(|case| failed(case)).collect();
    if told.len() > MAX_FINDINGS {
        let more = counted((told.len() - MAX_FINDINGS) as u64, "more failing test");
        findings.push(Finding::failure(Rule::TestsFailed, format!("{more} not listed")));
    }
    match run.end {
        End::TimedOut => {
            let seconds = run.duration.as_secs();
            let said =
                format!("the tests did not end within their time; stopped after {seconds} s");
            let finding = Finding::failure(Rule::TestsTimedOut, said).with_detail(output());
            findings.push(match stuck_at(&run.output) {
                Some((file, line)) => finding.at(file, line),
                None => finding,
            });
        }
        End::Exited(_) if bad > 0 => {}
        End::Exited(NO_TESTS_CODE) if results.cases.is_empty() && totals(results) == 0 => {
            let said = "the test command found no tests (exit code 5)";
            findings.push(Finding::failure(Rule::NoTests, said).with_detail(output()));
        }
        End::Exited(code) => {
            let said = contradiction(results, code);
            findings.push(Finding::failure(Rule::TestsFailed, said).with_detail(output()));
        }
        end => {
            let said = format!("the test command did not come to its end ({end})");
            findings.push(Finding::failure(Rule::TestsFailed, said).with_detail(output()));
        }
    }
    findings
}

/// Where Python's fault handler saw a test that did not end: the tree's own innermost frame.
fn stuck_at(output: &str) -> Option<(String, u32)> {
    let output = text::clean(output);
    let (_, stacks) = output.rsplit_once("Timeout (")?;
    let is_own = |path: &str| {
        !path.split('/').any(|part| matches!(part, ".venv" | "venv" | "env" | "site-packages"))
    };
    text::places(stacks, "").find(|(path, _)| is_own(path))
}

/// Go: a test fails with its subtests. Theirs is said already.
fn is_parent(case: &TestCase, bad: &BTreeSet<&str>) -> bool {
    let below = format!("{}/", case.id);
    let next = || bad.range(below.as_str()..).next();
    case.message.is_none() && next().is_some_and(|id| id.starts_with(&below))
}

fn failed(case: &TestCase) -> Finding {
    let verb = if case.outcome == Outcome::Errored { "could not run" } else { "failed" };
    let said = match &case.message {
        Some(why) => format!("{} {verb}: {why}", case.id),
        None => format!("{} {verb}", case.id),
    };
    let mut finding = Finding::failure(Rule::TestFailed, said);
    if let Some(file) = &case.file {
        finding = finding.at(file.clone(), case.line.unwrap_or(1));
    }
    match &case.detail {
        Some(detail) => finding.with_detail(detail.clone()),
        None => finding,
    }
}

/// No test failed, the exit code says that something did.
fn contradiction(results: &Results, code: i32) -> String {
    let passed = results.count(Outcome::Passed);
    match (results.source, results.totals) {
        (Source::ExitCode, _) => format!("the test command ended with exit code {code}"),
        (source, Some(totals)) if totals.bad() == 0 => {
            let verb = if source == Source::Printed { "printed" } else { "reported" };
            let passed = totals.passed;
            format!(
                "the test command {verb} 0 failed, {passed} passed, and ended with exit code {code}"
            )
        }
        (_, Some(totals)) => {
            let failed = totals.bad();
            format!(
                "the test command counted {failed} failed without naming them, and ended with exit code {code}"
            )
        }
        (_, None) => {
            format!(
                "the test command reported 0 failed, {passed} passed, and ended with exit code {code}"
            )
        }
    }
}

fn totals(results: &Results) -> u64 {
    results.totals.map_or(0, |totals| totals.all())
}

fn names(results: &Results) -> String {
    const MAX_NAMES: usize = 20;
    let names: Vec<_> = results.bad().take(MAX_NAMES).map(|case| case.id.as_str()).collect();
    names.join("\n")
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_never_ends_is_placed_where_it_is() {
        let output = "+++ Timeout +++\nTimeout (0:00:08)!\nThread 0x7f (most recent call first):\n  File \"/workspace/bitcount.py\", line 4 in bitcount\n  File \"/workspace/test_bitcount.py\", line 4 in test_127\n  File \"/workspace/.venv/lib/python3.11/site-packages/_pytest/python.py\", line 194 in call\n";
        assert_eq!(stuck_at(output), Some(("bitcount.py".to_owned(), 4)));
        assert_eq!(stuck_at("File \"/workspace/a.py\", line 4"), None);
    }
}
