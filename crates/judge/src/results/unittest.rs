//! Python's unittest: it prints for people only, with `-v` a line for each test.
//!
//! A test may print between its name and its result, so a result can stand alone on a later line.

use std::{collections::HashMap, sync::LazyLock};

use regex::Regex;

use super::text;
use crate::case::{Outcome, Results, Source, TestCase, Totals};

const RULE: &str = "======================================================================";
const LINE: &str = "----------------------------------------------------------------------";

#[derive(Debug, Default)]
struct Reader {
    directory: String,
    cases: text::Cases,
    at: HashMap<String, usize>,
    waiting: Option<(String, String)>,
    /// What failed and its text so far; the text starts behind the line.
    block: Option<(Outcome, String, String, Option<String>)>,
    totals: Option<Totals>,
    ran: u64,
    /// Errors that are no test: a class or module that could not be set up.
    fixtures: u64,
    is_broken: bool,
}

/// Reads all sessions of it.
pub(super) fn printed(output: &str, directory: &str) -> Results {
    let mut reader = Reader { directory: directory.to_owned(), ..Reader::default() };
    let mut lines = output.lines().peekable();
    while let Some(line) = lines.next() {
        if line == RULE && lines.peek().is_some_and(|next| header(next).is_some()) {
            reader.end_block();
            let found = lines.next().and_then(header);
            reader.block = found.map(|(outcome, name, class)| (outcome, name, class, None));
        } else {
            reader.line(line);
        }
    }
    reader.finish()
}

/// `FAIL: test_x (module.Class.test_x) (i=1)`
fn header(line: &str) -> Option<(Outcome, String, String)> {
    let (word, rest) = line.split_once(": ")?;
    let outcome = match word {
        "FAIL" | "UNEXPECTED SUCCESS" => Outcome::Failed,
        "ERROR" => Outcome::Errored,
        _ => return None,
    };
    let (name, class) = subject(rest)?;
    Some((outcome, name, class))
}

/// `test_x (module.Class.test_x)`: since Python 3.11 the class is followed by the name.
fn subject(text: &str) -> Option<(String, String)> {
    static SUBJECT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^(\w\S*) \((\S+?)\)").ok());
    let found = SUBJECT.as_ref()?.captures(text)?;
    let (name, class) = (&found[1], &found[2]);
    let class = class.strip_suffix(name).and_then(|class| class.strip_suffix('.')).unwrap_or(class);
    Some((name.to_owned(), class.to_owned()))
}

fn result(text: &str) -> Option<(Outcome, Option<&str>)> {
    let text = text.trim();
    Some(match text {
        "ok" => (Outcome::Passed, None),
        "FAIL" | "unexpected success" => (Outcome::Failed, None),
        "ERROR" => (Outcome::Errored, None),
        "expected failure" => (Outcome::Skipped, None),
        _ => (Outcome::Skipped, Some(text.strip_prefix("skipped ")?.trim_matches(['\'', '"']))),
    })
}

impl Reader {
    fn line(&mut self, line: &str) {
        if line.starts_with("Ran ") && self.ends(line) {
            return;
        }
        if let Some((.., text)) = &mut self.block {
            match text {
                None if line == LINE => *text = Some(String::new()),
                // The test's own description.
                None => {}
                // The last line before the summary.
                Some(_) if line == LINE => {}
                Some(text) if text.len() < 64 * 1024 => {
                    text.push_str(line);
                    text.push('\n');
                }
                Some(_) => {}
            }
            return;
        }
        if let Some(rest) = line.strip_prefix("FAILED (").or_else(|| line.strip_prefix("OK (")) {
            return self.summary(rest.trim_end_matches(')'));
        }
        if matches!(line, "OK" | "NO TESTS RAN") {
            return self.summary("");
        }
        // A subtest is told below its test, whose own result it is then.
        let is_subtest = line.starts_with("  ");
        match line.rsplit_once(" ... ") {
            Some((head, rest)) => {
                if let Some(subject) = subject(head.trim_start()) {
                    self.waiting = Some(subject);
                }
                if let Some((outcome, why)) = result(rest) {
                    self.end_waiting(outcome, why);
                }
            }
            None => match (subject(line), result(line)) {
                // The description follows on the next line.
                (Some(subject), _) if !is_subtest => self.waiting = Some(subject),
                (_, Some((outcome, why))) => self.end_waiting(outcome, why),
                _ => {}
            },
        }
    }

    fn end_waiting(&mut self, outcome: Outcome, why: Option<&str>) {
        if let Some((name, class)) = self.waiting.take() {
            self.add(&name, &class, outcome, why, None);
        }
    }

    fn end_block(&mut self) {
        let Some((outcome, name, class, text)) = self.block.take() else { return };
        let text = text.unwrap_or_default();
        let why = text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned);
        // An exception's own words may go over lines; its first line begins at the margin.
        let first = text.lines().rev().find(|line| {
            !line.starts_with([' ', '\t'])
                && line.split([':', ' ']).next().is_some_and(|word| {
                    word.ends_with("Error") || word.ends_with("Exception") || word.ends_with("Exit")
                })
        });
        let why = first.map(str::to_owned).or(why);
        self.add(&name, &class, outcome, why.as_deref(), Some(&text));
    }

    fn add(
        &mut self,
        name: &str,
        class: &str,
        outcome: Outcome,
        why: Option<&str>,
        detail: Option<&str>,
    ) {
        let class = if class == "unittest.loader._FailedTest" { "" } else { class };
        let id = if class.is_empty() { name.to_owned() } else { format!("{class}.{name}") };
        let module = class.split('.').next().unwrap_or_default();
        let places: Vec<_> =
            detail.map(|text| text::places(text, &self.directory).collect()).unwrap_or_default();
        let is_own = |path: &str| path.rsplit('/').next() == Some(&format!("{module}.py"));
        let place = places.iter().rfind(|(path, _)| is_own(path)).or_else(|| {
            let is_test =
                |path: &str| path.rsplit('/').next().is_some_and(|n| n.starts_with("test"));
            places.iter().rfind(|(path, _)| is_test(path)).or(places.last())
        });
        let case = TestCase {
            id: text::name(&id),
            name: text::name(name),
            file: place.map(|(path, _)| path.clone()),
            line: place.map(|(_, line)| *line),
            outcome,
            message: why.and_then(text::message),
            detail: detail.and_then(text::detail),
        };
        match self.at.get(&id).copied().and_then(|at| self.cases.list.get_mut(at)) {
            // Its block says more than its line; of several subtests the first is kept.
            Some(known) if known.detail.is_none() => *known = case,
            Some(_) => {}
            None => {
                let is_fixture = ["setUpClass", "tearDownClass", "setUpModule", "tearDownModule"];
                self.fixtures += u64::from(is_fixture.contains(&name));
                self.at.insert(id, self.cases.list.len());
                self.cases.push(case);
            }
        }
    }

    /// `Ran 8 tests in 0.002s`
    fn ends(&mut self, line: &str) -> bool {
        let mut words = line.split(' ').skip(1);
        let (Some(count), Some("test" | "tests"), Some("in")) =
            (words.next().and_then(|word| word.parse().ok()), words.next(), words.next())
        else {
            return false;
        };
        self.end_block();
        self.ran = count;
        true
    }

    /// `failures=2, errors=3, skipped=1, expected failures=1, unexpected successes=1`
    fn summary(&mut self, counts: &str) {
        let mut totals = Totals::default();
        for part in counts.split(", ") {
            let Some((word, count)) = part.split_once('=') else { continue };
            let count = count.parse().unwrap_or(0);
            match word {
                "failures" | "unexpected successes" => totals.failed += count,
                "errors" => totals.errored += count,
                "skipped" | "expected failures" => totals.skipped += count,
                _ => {}
            }
        }
        let all = self.ran.saturating_add(std::mem::take(&mut self.fixtures));
        totals.passed = all.saturating_sub(totals.bad().saturating_add(totals.skipped));
        self.totals = Some(self.totals.unwrap_or_default().plus(totals));
        self.ran = 0;
    }

    fn finish(mut self) -> Results {
        self.end_block();
        // The process ended in the middle of a test.
        if let Some((name, class)) = self.waiting.take() {
            self.is_broken = true;
            let why = "the test process ended while it ran";
            self.add(&name, &class, Outcome::Errored, Some(why), None);
        }
        let counted = Totals::of(&self.cases.list);
        // A class that could not be set up is an error and no test, and subtests count each for itself.
        let fits = self.totals.is_some_and(|totals| {
            totals.failed >= counted.failed
                && totals.errored >= counted.errored
                && totals.skipped == counted.skipped
                && totals.passed <= counted.passed
        });
        Results {
            source: if self.totals.is_some() || !self.cases.list.is_empty() {
                Source::Printed
            } else {
                Source::ExitCode
            },
            is_whole: fits && !self.is_broken && !self.cases.is_cut,
            cases: self.cases.list,
            totals: self.totals,
        }
    }
}
