//! What the JavaScript runners have in common.

pub(super) mod jest;
pub(super) mod mocha;
pub(super) mod node;
pub(super) mod vitest;

use std::collections::HashMap;

use super::{junit, text};
use crate::case::{Outcome, Results, Source, TestCase, Totals};

/// One test as any of them says it.
#[derive(Debug, Default)]
pub(super) struct Said<'a> {
    /// As far as it is known.
    pub(super) file: Option<String>,
    /// The titles of its groups and its own.
    pub(super) titles: Vec<&'a str>,
    pub(super) outcome: Option<Outcome>,
    pub(super) message: &'a str,
    pub(super) text: &'a str,
    pub(super) line: Option<u32>,
}

impl Said<'_> {
    pub(super) fn case(self, directory: &str) -> TestCase {
        let outcome = self.outcome.unwrap_or(Outcome::Passed);
        let place = outcome.is_bad().then(|| place(self.text, self.file.as_deref(), directory));
        let place = place.flatten();
        let mut parts: Vec<&str> = self.file.as_deref().into_iter().collect();
        parts.extend(&self.titles);
        let id = text::name(&parts.join(" > "));
        let name =
            text::name(self.titles.last().copied().unwrap_or(parts[0..].last().map_or("", |p| p)));
        let (file, line) = match (self.file, place) {
            (Some(file), place) => (Some(file), place.map(|(_, line)| line).or(self.line)),
            (None, Some((file, line))) => (Some(file), Some(line)),
            (None, None) => (None, None),
        };
        let first = || self.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let message = if self.message.is_empty() { first() } else { self.message };
        TestCase {
            id,
            name,
            file,
            line,
            outcome,
            message: text::message(message).filter(|_| outcome != Outcome::Passed),
            detail: text::detail(self.text).filter(|_| outcome.is_bad()),
        }
    }
}

/// Where in the test's own file it failed. Frames go from the innermost to the test itself.
fn place(said: &str, file: Option<&str>, directory: &str) -> Option<(String, u32)> {
    let own: Vec<_> = text::places(said, directory)
        .filter(|(path, _)| !path.split('/').any(|part| part == "node_modules"))
        .collect();
    let file = match file {
        Some(file) => file.to_owned(),
        None => own.last()?.0.clone(),
    };
    own.into_iter().find(|(path, _)| text::is_same(path, &file))
}

/// A case of jest-junit or vitest: both name the test by all its titles.
pub(super) fn case(case: &junit::Case, directory: &str) -> TestCase {
    let class = case.class.trim();
    let is_path = class.contains('.') && !class.contains(' ');
    let said = match (case.file.as_str(), case.suite_file.as_str()) {
        ("", "") if is_path => class,
        ("", file) => file,
        (file, _) => file,
    };
    let file = text::tree_path(said, directory);
    let name = case.name.trim();
    let titles = match name {
        // A file that could not be loaded.
        name if name == said => Vec::new(),
        name if class.is_empty() || name.starts_with(class) || is_path => {
            name.split(" > ").collect()
        }
        name => vec![class, name],
    };
    let outcome = case.outcome.unwrap_or(Outcome::Passed);
    let outcome = if titles.is_empty() && outcome.is_bad() { Outcome::Errored } else { outcome };
    Said {
        file,
        titles,
        outcome: Some(outcome),
        message: &case.message,
        text: &case.text,
        line: case.line.filter(|line| *line > 0),
    }
    .case(directory)
}

/// `3 failed, 1 skipped, 1 todo, 3 passed`
fn counted(text: &str, between: &str) -> Totals {
    let mut totals = Totals::default();
    for part in text.split(between) {
        let Some((count, word)) = part.trim().trim_end_matches(',').split_once(' ') else {
            continue;
        };
        let outcome = match word {
            "passed" => Outcome::Passed,
            "failed" => Outcome::Failed,
            "skipped" | "todo" | "pending" => Outcome::Skipped,
            _ => continue,
        };
        let total = totals.of_outcome(outcome);
        *total = total.saturating_add(count.parse().unwrap_or(0));
    }
    totals
}

/// The tests that were listed, with what is said of those that failed.
fn told(listed: text::Cases, failed: text::Cases, totals: Option<Totals>) -> Results {
    let is_cut = listed.is_cut || failed.is_cut;
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut cases = text::Cases::default();
    let list = numbered(listed.list);
    for (index, case) in list.into_iter().enumerate() {
        at.insert(case.id.clone(), index);
        cases.push(case);
    }
    for case in failed.list {
        match at.get(&case.id).copied().and_then(|index| cases.list.get_mut(index)) {
            Some(known) => *known = case,
            None => {
                at.insert(case.id.clone(), cases.list.len());
                cases.push(case);
            }
        }
    }
    let counted = Totals::of(&cases.list);
    Results {
        source: if totals.is_some() || !cases.list.is_empty() {
            Source::Printed
        } else {
            Source::ExitCode
        },
        is_whole: !is_cut && !cases.is_cut && totals.is_some_and(|totals| totals == counted),
        cases: cases.list,
        totals,
    }
}

/// Titles need not be unique: the second of a name has a number, the same on every run.
pub(super) fn numbered(mut cases: Vec<TestCase>) -> Vec<TestCase> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    for case in &mut cases {
        let count = seen.entry(case.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            case.id = text::name(&format!("#{count} {}", case.id));
        }
    }
    cases
}
