//! Jest: the file that `--json --outputFile` writes, or its text.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::Said;
use crate::{
    case::{Outcome, Results, Source, Totals},
    results::text,
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    test_results: Vec<File>,
    #[serde(default)]
    num_passed_tests: u64,
    #[serde(default)]
    num_failed_tests: u64,
    #[serde(default)]
    num_pending_tests: u64,
    #[serde(default)]
    num_todo_tests: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    assertion_results: Vec<Assertion>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assertion {
    #[serde(default)]
    ancestor_titles: Vec<String>,
    title: String,
    status: String,
    #[serde(default)]
    failure_messages: Vec<String>,
    #[serde(default)]
    location: Option<Location>,
}

#[derive(Debug, Deserialize)]
struct Location {
    line: u32,
}

/// The file; `None` when it is none of Jest's.
pub(in crate::results) fn report(bytes: &[u8], directory: &str) -> Option<Results> {
    let report: Report = serde_json::from_slice(bytes).ok()?;
    let mut cases = text::Cases::default();
    for file in &report.test_results {
        let path = text::tree_path(&file.name, directory);
        for test in &file.assertion_results {
            let mut titles: Vec<&str> = test.ancestor_titles.iter().map(String::as_str).collect();
            titles.push(&test.title);
            let outcome = match test.status.as_str() {
                "passed" | "focused" => Outcome::Passed,
                "failed" => Outcome::Failed,
                _ => Outcome::Skipped,
            };
            let why = text::clean(&test.failure_messages.join("\n"));
            let line = test.location.as_ref().map(|location| location.line);
            let said = Said {
                file: path.clone(),
                titles,
                outcome: Some(outcome),
                message: until_stack(&why),
                text: &why,
                line,
            };
            cases.push(said.case(directory));
        }
        if file.status == "failed" && file.assertion_results.is_empty() {
            cases.push(not_run(path, &text::clean(&file.message), directory));
        }
    }
    let totals = Totals {
        passed: report.num_passed_tests,
        failed: report.num_failed_tests,
        errored: Totals::of(&cases.list).errored,
        skipped: report.num_pending_tests.saturating_add(report.num_todo_tests),
    };
    Some(Results {
        source: Source::Machine,
        is_whole: !cases.is_cut && totals == Totals::of(&cases.list),
        cases: cases.list,
        totals: Some(totals),
    })
}

/// A file whose tests could not be found out.
fn not_run(path: Option<String>, why: &str, directory: &str) -> crate::case::TestCase {
    let first = |line: &&str| !line.trim().is_empty() && !line.contains('●');
    let message = why.lines().find(first).unwrap_or_default();
    let outcome = Some(Outcome::Errored);
    Said { file: path, outcome, message, text: why, ..Said::default() }.case(directory)
}

/// What is said before the frames.
fn until_stack(text: &str) -> &str {
    text.find("\n    at ").map_or(text, |at| &text[..at])
}

/// Its text: groups and tests with `--verbose`, else what failed.
pub(in crate::results) fn printed(output: &str, directory: &str) -> Results {
    static FILE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^(PASS|FAIL) (?:\S+ )??(\S+\.[cm]?[jt]sx?)(?: \(.*\))?$").ok()
    });
    static TEST: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^( +)(✓|✕|○|✎) (.*?)(?: \(\d[\d.]* m?s\))?$").ok());
    static TOTALS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?m)^Tests: +((?:\d+ [a-z]+, )*)(\d+) total$").ok());
    let mut cases = text::Cases::default();
    let mut file: Option<String> = None;
    let mut groups: Vec<(usize, String)> = Vec::new();
    let mut block: Option<(Vec<String>, String)> = None;
    let mut is_listing = false;
    let mut end = |block: &mut Option<(Vec<String>, String)>, file: &Option<String>| {
        let Some((titles, said)) = block.take() else { return };
        if titles == ["Test suite failed to run"] {
            cases.push(not_run(file.clone(), &said, directory));
            return;
        }
        let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
        let outcome = Some(Outcome::Failed);
        cases.push(
            Said { file: file.clone(), titles, outcome, text: &said, ..Said::default() }
                .case(directory),
        );
    };
    let mut listed = text::Cases::default();
    for line in output.lines() {
        if let Some(found) = FILE.as_ref().and_then(|regex| regex.captures(line)) {
            end(&mut block, &file);
            file = text::tree_path(&found[2], directory);
            groups.clear();
            is_listing = true;
        } else if let Some(title) = line.strip_prefix("  ● ").filter(|_| file.is_some()) {
            end(&mut block, &file);
            is_listing = false;
            let titles = title.split(" › ").map(str::to_owned).collect();
            block = (title != "Console").then_some((titles, String::new()));
        } else if line.starts_with("Test Suites: ") || line == "Summary of all failing tests" {
            end(&mut block, &file);
            is_listing = false;
        } else if let Some((_, said)) = &mut block {
            if said.len() < 64 * 1024 {
                said.push_str(line);
                said.push('\n');
            }
        } else if is_listing {
            if let Some(found) = TEST.as_ref().and_then(|regex| regex.captures(line)) {
                let depth = found[1].len();
                groups.retain(|(other, _)| *other < depth);
                let title = match &found[2] {
                    "○" => found[3].strip_prefix("skipped ").unwrap_or(&found[3]),
                    "✎" => found[3].strip_prefix("todo ").unwrap_or(&found[3]),
                    _ => &found[3],
                };
                let outcome = match &found[2] {
                    "✓" => Outcome::Passed,
                    "✕" => Outcome::Failed,
                    _ => Outcome::Skipped,
                };
                let mut titles: Vec<&str> =
                    groups.iter().map(|(_, title)| title.as_str()).collect();
                titles.push(title);
                let outcome = Some(outcome);
                listed.push(
                    Said { file: file.clone(), titles, outcome, ..Said::default() }.case(directory),
                );
            } else if !line.trim().is_empty() && line.starts_with("  ") {
                let depth = line.len() - line.trim_start().len();
                groups.retain(|(other, _)| *other < depth);
                groups.push((depth, line.trim().to_owned()));
            }
        }
    }
    end(&mut block, &file);
    let totals = TOTALS.as_ref().and_then(|regex| regex.captures_iter(output).last());
    let totals = totals.map(|found| {
        let mut totals = super::counted(&found[1], ", ");
        totals.errored =
            cases.list.iter().filter(|case| case.outcome == Outcome::Errored).count() as u64;
        totals
    });
    super::told(listed, cases, totals)
}
