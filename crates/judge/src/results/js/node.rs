//! `node --test`: its JUnit reporter, and the text of `spec` and `tap`.

use std::sync::LazyLock;

use regex::Regex;

use super::Said;
use crate::{
    case::{Outcome, Results, Source, TestCase, Totals},
    results::{junit, text},
};

/// A case of its JUnit reporter: no file, groups are suites.
pub(in crate::results) fn case(case: &junit::Case, directory: &str) -> TestCase {
    // Node 20 escapes quotes twice.
    let titles: Vec<String> = case
        .suites
        .iter()
        .chain([&case.name])
        .map(|title| title.replace("&quot;", "\"").replace("&amp;", "&"))
        .collect();
    let outcome = case.outcome.unwrap_or(Outcome::Passed);
    let message = case.message.as_str();
    if let Some(file) = a_file(&titles, directory) {
        return of_file(file, outcome, &case.text, directory);
    }
    // The error that it caught comes before the one that it made of it.
    let said = case.text.split_once("cause: ").map_or(case.text.as_str(), |(_, cause)| cause);
    Said {
        file: text::tree_path(&case.file, directory),
        titles: titles.iter().map(String::as_str).collect(),
        outcome: Some(outcome),
        message,
        text: said,
        line: case.line,
    }
    .case(directory)
}

/// A test file that could not be run is a test by its path.
fn a_file(titles: &[String], directory: &str) -> Option<String> {
    let [title] = titles else { return None };
    let (_, end) = title.rsplit_once('.')?;
    let is_script = matches!(end, "js" | "mjs" | "cjs" | "ts" | "mts" | "cts");
    (is_script && !title.contains(' ')).then(|| text::tree_path(title, directory)).flatten()
}

fn of_file(file: String, outcome: Outcome, said: &str, directory: &str) -> TestCase {
    static CODE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"exitCode: (\d+)|signal: '(\w+)'").ok());
    let found = CODE.as_ref().and_then(|regex| regex.captures(said));
    let message = match found.as_ref().map(|found| (found.get(1), found.get(2))) {
        Some((Some(code), _)) => format!("the test file ended with exit code {}", code.as_str()),
        Some((_, Some(signal))) => format!("the test file was ended by {}", signal.as_str()),
        _ => String::new(),
    };
    let outcome = if outcome.is_bad() { Outcome::Errored } else { outcome };
    Said {
        file: Some(file),
        outcome: Some(outcome),
        message: &message,
        text: said,
        ..Said::default()
    }
    .case(directory)
}

/// What its JUnit reporter says at the end, in comments.
pub(in crate::results) fn totals(text: &str) -> Option<Totals> {
    static COUNT: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?m)^\s*(?:<!--|ℹ|#) (tests|pass|fail|cancelled|skipped|todo) (\d+)(?: -->)?$")
            .ok()
    });
    let mut totals = None;
    for found in COUNT.iter().flat_map(|regex| regex.captures_iter(text)) {
        let count: u64 = found[2].parse().unwrap_or(0);
        if &found[1] == "tests" {
            // Of several sessions, and of what tests print, the last counts.
            totals = Some(Totals::default());
            continue;
        }
        let Some(totals) = &mut totals else { continue };
        let of = match &found[1] {
            "pass" => &mut totals.passed,
            "fail" => &mut totals.failed,
            "cancelled" => &mut totals.errored,
            _ => &mut totals.skipped,
        };
        *of = of.saturating_add(count);
    }
    totals
}

/// Whether cases can be all that was counted: a test that has tests is one more.
pub(in crate::results) fn fits(totals: Totals, cases: &[TestCase]) -> bool {
    let counted = Totals::of(cases);
    // After a file that ended early nobody knows what it would have had.
    let is_file = |case: &TestCase| Some(&case.id) == case.file.as_ref() && case.outcome.is_bad();
    totals.passed >= counted.passed
        && totals.bad() >= counted.bad()
        && totals.skipped == counted.skipped
        && !cases.iter().any(is_file)
}

/// Its text.
pub(in crate::results) fn printed(output: &str, directory: &str) -> Results {
    let (cases, is_cut) = if output.contains("TAP version 1") {
        tap(output, directory)
    } else {
        spec(output, directory)
    };
    let totals = totals(output);
    Results {
        source: match () {
            () if cases.is_empty() => Source::ExitCode,
            () if output.contains("TAP version 1") => Source::Machine,
            () => Source::Printed,
        },
        is_whole: !is_cut && totals.is_some_and(|totals| fits(totals, &cases)),
        cases,
        totals,
    }
}

/// `✔ title (1.2ms)` and so on, indented by two for each group.
fn spec(output: &str, directory: &str) -> (Vec<TestCase>, bool) {
    static TEST: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^( *)(✔|✖|﹣|⚠|▶) (.*?)(?: \(\d[\d.]*ms\))?(?: # ?(.*))?$").ok()
    });
    let mut cases = text::Cases::default();
    let mut groups: Vec<String> = Vec::new();
    let mut last: Option<(Vec<String>, Outcome, String, String)> = None;
    let mut end = |last: &mut Option<(Vec<String>, Outcome, String, String)>| {
        let Some((titles, outcome, why, said)) = last.take() else { return };
        if let Some(file) = a_file(&titles, directory) {
            cases.push(of_file(file, outcome, &said, directory));
            return;
        }
        let titles = titles.iter().map(String::as_str).collect();
        let outcome = Some(outcome);
        cases.push(
            Said { titles, outcome, message: &why, text: &said, ..Said::default() }.case(directory),
        );
    };
    for line in output.lines() {
        // The failures are told again below the totals.
        if line == "✖ failing tests:" {
            break;
        }
        if let Some(found) = TEST.as_ref().and_then(|regex| regex.captures(line)) {
            end(&mut last);
            let depth = found[1].len() / 2;
            let title = found[3].to_owned();
            if &found[2] == "▶" {
                groups.truncate(depth);
                groups.push(title);
                continue;
            }
            // A group's own line comes behind its tests.
            if groups.get(depth) == Some(&title) && groups.len() > depth {
                groups.truncate(depth);
                continue;
            }
            groups.truncate(depth);
            let why = found.get(4).map_or("", |why| why.as_str());
            let outcome = match &found[2] {
                _ if found.get(4).is_some() => Outcome::Skipped,
                "✔" => Outcome::Passed,
                "﹣" | "⚠" => Outcome::Skipped,
                _ => Outcome::Failed,
            };
            let mut titles = groups.clone();
            titles.push(title);
            let why = why.trim_start_matches("SKIP").trim_start_matches("TODO").trim();
            last = Some((titles, outcome, why.to_owned(), String::new()));
        } else if line.starts_with("ℹ ") {
            end(&mut last);
        } else if let Some((.., said)) = last.as_mut().filter(|(.., said)| said.len() < 64 * 1024) {
            said.push_str(line);
            said.push('\n');
        }
    }
    end(&mut last);
    (super::numbered(cases.list), cases.is_cut)
}

/// TAP with its YAML blocks, indented by four for each group.
fn tap(output: &str, directory: &str) -> (Vec<TestCase>, bool) {
    static POINT: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^( *)(not ok|ok) \d+(?: - (.*?))?(?: # (SKIP|TODO|skip|todo)\b ?(.*))?$").ok()
    });
    let mut cases = text::Cases::default();
    let mut groups: Vec<String> = Vec::new();
    let mut lines = output.lines().peekable();
    let mut deepest = 0;
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        if let Some(title) = line.trim_start().strip_prefix("# Subtest: ") {
            groups.truncate(indent / 4);
            groups.push(unescaped(title));
            continue;
        }
        let Some(found) = POINT.as_ref().and_then(|regex| regex.captures(line)) else { continue };
        let depth = found[1].len() / 4;
        // It comes behind the tests that are in it.
        let has_tests = deepest > depth;
        deepest = depth;
        let mut yaml = String::new();
        if lines.peek().is_some_and(|next| next.trim() == "---") {
            lines.next();
            for next in lines.by_ref() {
                if next.trim() == "..." {
                    break;
                }
                if yaml.len() < 64 * 1024 {
                    yaml.push_str(next.get(indent + 2..).unwrap_or(next));
                    yaml.push('\n');
                }
            }
        }
        groups.truncate(depth);
        if has_tests || yaml.lines().any(|line| line == "type: 'suite'") {
            continue;
        }
        let mut titles = groups.clone();
        titles.push(unescaped(found.get(3).map_or("", |title| title.as_str())));
        let outcome = match (found.get(4).is_some(), &found[2]) {
            (true, _) => Outcome::Skipped,
            (false, "ok") => Outcome::Passed,
            (false, _) => Outcome::Failed,
        };
        if let Some(file) = a_file(&titles, directory) {
            cases.push(of_file(file, outcome, &yaml, directory));
            continue;
        }
        let why = match found.get(5).map(|why| why.as_str()).filter(|why| !why.is_empty()) {
            Some(why) => why.to_owned(),
            None => yaml_error(&yaml),
        };
        cases.push(
            Said {
                file: None,
                titles: titles.iter().map(String::as_str).collect(),
                outcome: Some(outcome),
                message: &why,
                text: &yaml,
                line: None,
            }
            .case(directory),
        );
    }
    (super::numbered(cases.list), cases.is_cut)
}

/// `error: 'text'`, or a block of lines below `error: |-`.
fn yaml_error(yaml: &str) -> String {
    let mut lines = yaml.lines();
    let Some(said) = lines.find_map(|line| line.strip_prefix("error: ")) else {
        return String::new();
    };
    if !said.starts_with('|') {
        return said.trim_matches('\'').replace("\\'", "'");
    }
    lines
        .take_while(|line| line.starts_with("  ") || line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

fn unescaped(title: &str) -> String {
    title.replace("\\#", "#").replace("\\\\", "\\")
}
