//! Vitest's text: what failed, and with the verbose reporter every test.

use std::sync::LazyLock;

use regex::Regex;

use super::Said;
use crate::{
    case::{Outcome, Results},
    results::text,
};

/// Reads it.
pub(in crate::results) fn printed(output: &str, directory: &str) -> Results {
    static FAILED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^ FAIL +(?:\|.*?\| +)?(\S+\.[cm]?[jt]sx?)(?: > (.*)| \[ .* \])?$").ok()
    });
    static TEST: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^ +(✓|×|↓|□) (?:\|.*?\| +)?(\S+\.[cm]?[jt]sx?) > (.*?)(?: \d+ms)?$").ok()
    });
    static TOTALS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?m)^ +Tests +((?:\d+ [a-z]+ ?\|? ?)+)\(\d+\)$").ok());
    let mut listed = text::Cases::default();
    let mut failed = text::Cases::default();
    let mut block: Option<(Vec<(String, String)>, String)> = None;
    let mut end = |block: &mut Option<(Vec<(String, String)>, String)>| {
        let Some((tests, said)) = block.take() else { return };
        for (path, titles) in tests {
            let outcome = if titles.is_empty() { Outcome::Errored } else { Outcome::Failed };
            let titles = titles.split(" > ").filter(|title| !title.is_empty()).collect();
            let file = text::tree_path(&path, directory);
            failed.push(
                Said { file, titles, outcome: Some(outcome), text: &said, ..Said::default() }
                    .case(directory),
            );
        }
    };
    for line in output.lines() {
        if let Some(found) = FAILED.as_ref().and_then(|regex| regex.captures(line)) {
            let test = (found[1].to_owned(), found.get(2).map_or("", |t| t.as_str()).to_owned());
            match &mut block {
                // Tests that failed of the same are told together.
                Some((tests, said)) if said.is_empty() => tests.push(test),
                _ => {
                    end(&mut block);
                    block = Some((vec![test], String::new()));
                }
            }
        } else if line.starts_with("⎯⎯⎯") {
            end(&mut block);
        } else if let Some((_, said)) = &mut block {
            if said.len() < 64 * 1024 {
                said.push_str(line);
                said.push('\n');
            }
        } else if let Some(found) = TEST.as_ref().and_then(|regex| regex.captures(line)) {
            let outcome = match &found[1] {
                "✓" => Outcome::Passed,
                "×" => Outcome::Failed,
                _ => Outcome::Skipped,
            };
            let titles = found[3].split(" > ").collect();
            let file = text::tree_path(&found[2], directory);
            listed.push(
                Said { file, titles, outcome: Some(outcome), ..Said::default() }.case(directory),
            );
        }
    }
    end(&mut block);
    let totals = TOTALS.as_ref().and_then(|regex| regex.captures_iter(output).last());
    let totals = totals.map(|found| {
        let mut totals = super::counted(&found[1], " | ");
        totals.errored =
            failed.list.iter().filter(|case| case.outcome == Outcome::Errored).count() as u64;
        totals
    });
    super::told(listed, failed, totals)
}
