//! Mocha's text: the tests of the `spec` reporter, and the failures that all reporters end with.

use std::sync::LazyLock;

use regex::Regex;

use super::Said;
use crate::{
    case::{Outcome, Results, Totals},
    results::text,
};

/// Reads it.
pub(in crate::results) fn printed(output: &str, directory: &str) -> Results {
    static TEST: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^( +)(✔|✓|-|\d+\)) (.*?)(?: \(\d+ms\))?$").ok());
    static PASSING: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^  (\d+) passing(?: \(.*\))?$").ok());
    static COUNT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^  (\d+) (pending|failing)$").ok());
    // A test can print such a line too: the last one is Mocha's.
    let is_end = |line: &str| PASSING.as_ref().is_some_and(|regex| regex.is_match(line));
    let lines: Vec<&str> = output.lines().collect();
    let end = lines.iter().rposition(|line| is_end(line)).unwrap_or(lines.len());
    let (before, after) = lines.split_at(end);
    let mut listed = text::Cases::default();
    let mut groups: Vec<(usize, &str)> = Vec::new();
    for line in before {
        let depth = line.len() - line.trim_start().len();
        if let Some(found) = TEST.as_ref().and_then(|regex| regex.captures(line)) {
            groups.retain(|(other, _)| *other < depth);
            let (Some(mark), Some(title)) = (found.get(2), found.get(3)) else { continue };
            let outcome = match mark.as_str() {
                "✔" | "✓" => Outcome::Passed,
                "-" => Outcome::Skipped,
                _ => Outcome::Failed,
            };
            let mut titles: Vec<&str> = groups.iter().map(|(_, title)| *title).collect();
            titles.push(title.as_str());
            listed.push(Said { titles, outcome: Some(outcome), ..Said::default() }.case(directory));
        } else if depth >= 2 && !line.trim().is_empty() {
            groups.retain(|(other, _)| *other < depth);
            groups.push((depth, line.trim()));
        }
    }
    let mut totals = None;
    let mut failed = text::Cases::default();
    let mut block: Option<(Vec<&str>, String, bool)> = None;
    let mut finish = |block: &mut Option<(Vec<&str>, String, bool)>| {
        let Some((titles, said, _)) = block.take() else { return };
        let is_hook = titles.last().is_some_and(|title| title.starts_with('"'));
        let outcome = if is_hook { Outcome::Errored } else { Outcome::Failed };
        failed.push(
            Said { titles, outcome: Some(outcome), text: &said, ..Said::default() }.case(directory),
        );
    };
    for line in after {
        if let Some(found) = PASSING.as_ref().and_then(|regex| regex.captures(line)) {
            let passed = found[1].parse().unwrap_or(0);
            totals = Some(Totals { passed, ..Totals::default() });
        } else if let (Some(found), Some(totals)) =
            (COUNT.as_ref().and_then(|regex| regex.captures(line)), &mut totals)
        {
            let count = found[1].parse().unwrap_or(0);
            if &found[2] == "pending" { totals.skipped = count } else { totals.failed = count }
        } else if let Some(title) = starts_block(line) {
            finish(&mut block);
            let is_titled = title.ends_with(':');
            block = Some((vec![title.trim_end_matches(':')], String::new(), is_titled));
        } else if let Some((titles, said, is_titled)) = &mut block {
            if *is_titled {
                if said.len() < 64 * 1024 {
                    said.push_str(line.strip_prefix("     ").unwrap_or(line));
                    said.push('\n');
                }
            } else {
                *is_titled = line.ends_with(':');
                titles.push(line.trim().trim_end_matches(':'));
            }
        }
    }
    finish(&mut block);
    if let Some(totals) = &mut totals {
        totals.errored =
            failed.list.iter().filter(|case| case.outcome == Outcome::Errored).count() as u64;
        totals.failed = totals.failed.saturating_sub(totals.errored);
    }
    super::told(listed, failed, totals)
}

/// `  2) group`
fn starts_block(line: &str) -> Option<&str> {
    let (number, title) = line.strip_prefix("  ")?.split_once(") ")?;
    (!number.is_empty() && number.chars().all(|c| c.is_ascii_digit())).then_some(title)
}
