//! `cargo nextest run`: what it prints, and its JUnit file where a profile writes one into the report
//! folder.

use std::{collections::HashMap, sync::LazyLock};

use regex::Regex;

use super::{cargo, junit, text};
use crate::case::{Outcome, Results, Source, TestCase, Totals};

/// A case of its JUnit file.
pub(super) fn case(case: &junit::Case, directory: &str) -> TestCase {
    let outcome = case.outcome.unwrap_or(Outcome::Passed);
    made(&case.class, &case.name, outcome, &case.text, directory)
}

fn made(binary: &str, test: &str, outcome: Outcome, said: &str, directory: &str) -> TestCase {
    let panic = cargo::panic::find(said, test, directory);
    let (file, line) = panic.place.map_or((None, None), |(file, line)| (Some(file), Some(line)));
    TestCase {
        id: text::name(&format!("{binary} {test}")),
        name: text::name(test.rsplit("::").next().unwrap_or(test)),
        file: file.filter(|_| outcome.is_bad()),
        line: line.filter(|_| outcome.is_bad()),
        outcome,
        message: text::message(&panic.message).filter(|_| outcome.is_bad()),
        detail: text::detail(said).filter(|_| outcome.is_bad()),
    }
}

/// Its status lines; what a test printed is indented by four below its own.
pub(super) fn printed(output: &str, directory: &str) -> Results {
    static STATUS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^ {0,12}(?:TRY (\d+) )?([A-Z][A-Z-]*)(?: \d+/\d+)? \[ *(?:>?\d+\.\d+s)? *\] (?:\( *\d+/\d+\) )?(\S+) (\S.*)$").ok()
    });
    static SUMMARY: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^ +Summary \[ *\d+\.\d+s\] (\d+)(?:/\d+)? tests? run: (.*)$").ok()
    });
    let mut entries: Vec<(String, String, Outcome, String)> = Vec::new();
    let mut at: HashMap<(String, String), usize> = HashMap::new();
    let mut current = None;
    let mut totals = None;
    let mut is_cut = false;
    for line in output.lines() {
        if let Some(found) = STATUS.as_ref().and_then(|status| status.captures(line)) {
            let outcome = match &found[2] {
                "PASS" | "LEAK" | "FLAKY" => Outcome::Passed,
                "SKIP" => Outcome::Skipped,
                "FAIL" | "LEAK-FAIL" => Outcome::Failed,
                "TIMEOUT" | "ABORT" => Outcome::Errored,
                word if word.starts_with("SIG") => Outcome::Errored,
                _ => continue,
            };
            let key = (found[3].to_owned(), found[4].to_owned());
            if entries.len() >= text::Cases::MAX {
                is_cut = true;
                continue;
            }
            let index = *at.entry(key.clone()).or_insert_with(|| {
                entries.push((key.0, key.1, outcome, String::new()));
                entries.len() - 1
            });
            // A later try counts.
            entries[index].2 = outcome;
            current = totals.is_none().then_some(index);
        } else if let Some(found) = SUMMARY.as_ref().and_then(|summary| summary.captures(line)) {
            totals = Some(summed(&found[2]));
            current = None;
        } else if let Some(entry) = current.and_then(|index| entries.get_mut(index)) {
            let said = line.strip_prefix("    ").unwrap_or(line);
            if entry.3.len() < 64 * 1024 {
                entry.3.push_str(said);
                entry.3.push('\n');
            }
        }
    }
    let mut cases = text::Cases::default();
    for (binary, test, outcome, said) in entries {
        cases.push(made(&binary, &test, outcome, &said, directory));
    }
    let counted = Totals::of(&cases.list);
    // Its words for what failed: `failed`, `timed out`, `exec failed`. Skipped ones need not be listed.
    let fits = totals.is_some_and(|totals| {
        totals.passed == counted.passed
            && totals.bad() == counted.bad()
            && totals.skipped >= counted.skipped
    });
    Results {
        source: if totals.is_some() || !cases.list.is_empty() {
            Source::Printed
        } else {
            Source::ExitCode
        },
        is_whole: fits && !is_cut,
        cases: cases.list,
        totals,
    }
}

/// `7 passed (1 flaky), 6 failed, 1 timed out, 2 skipped`
fn summed(text: &str) -> Totals {
    static PART: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(\d+) (passed|failed|timed out|exec failed|skipped)").ok());
    let mut totals = Totals::default();
    for found in PART.iter().flat_map(|part| part.captures_iter(text)) {
        let outcome = match &found[2] {
            "passed" => Outcome::Passed,
            "failed" => Outcome::Failed,
            "skipped" => Outcome::Skipped,
            _ => Outcome::Errored,
        };
        let count = totals.of_outcome(outcome);
        *count = count.saturating_add(found[1].parse().unwrap_or(0));
    }
    totals
}
