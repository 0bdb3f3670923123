//! TAP, which tape, tap and others print: a line for each assertion, and YAML below what failed.
//!
//! tape's assertions are mostly called "should be equal": its tests are the comments above them. What
//! the old `tap` runner prints for each file is a case of its own, with the file's TAP below.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    js::{self, Said},
    text,
};
use crate::case::{Outcome, Results, Source, Totals};

/// What is kept of what a failing assertion says.
const MAX_TEXT_BYTES: usize = 32 * 1024;

/// One case as it is put together.
#[derive(Default)]
struct Open<'a> {
    title: &'a str,
    /// The `tap` runner's.
    file: Option<String>,
    outcome: Option<Outcome>,
    message: &'a str,
    text: String,
    /// Whether lines below belong to an assertion that failed.
    is_told: bool,
}

/// Reads it.
pub(super) fn printed(output: &str, directory: &str) -> Results {
    static POINT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^(not ok|ok)(?: +(\d+))?(?: +(?:- )?(.+))?$").ok());
    static FILE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^(\S+) \.{2,} (\d+)/(\d+)$").ok());
    let mut reading = Reading { directory, ..Reading::default() };
    for line in output.lines() {
        let inner = line.trim_start();
        let point = POINT.as_ref().and_then(|regex| regex.captures(inner));
        let is_top = inner.len() == line.len();
        let Some(point) = point.filter(|_| is_top || inner.starts_with("not ok")) else {
            reading.other(line, is_top);
            continue;
        };
        let is_bad = &point[1] == "not ok";
        let (number, said) = (point.get(2), point.get(3).map_or("", |said| said.as_str()));
        let file = FILE.as_ref().and_then(|regex| regex.captures(said));
        match file {
            Some(file) if is_top => {
                reading.files += 1;
                let path = file.get(1).map_or("", |path| path.as_str());
                reading.begin(path, text::tree_path(path, directory));
                reading.point(is_bad, "");
            }
            _ if is_top && number.is_none() && said.is_empty() => {}
            _ => {
                reading.points += u64::from(is_top);
                if is_top && reading.group.is_none() {
                    reading.begin(said.split(" # ").next().unwrap_or_default(), None);
                }
                reading.point(is_bad, said);
            }
        }
    }
    reading.finish()
}

#[derive(Default)]
struct Reading<'a> {
    directory: &'a str,
    cases: text::Cases,
    open: Option<Open<'a>>,
    /// The comment that the next assertions are of.
    group: Option<&'a str>,
    says_tap: bool,
    points: u64,
    planned: Option<u64>,
    files: u64,
}

impl<'a> Reading<'a> {
    fn begin(&mut self, title: &'a str, file: Option<String>) {
        self.close();
        self.open = Some(Open { title, file, ..Open::default() });
    }

    fn point(&mut self, is_bad: bool, said: &'a str) {
        let Some(open) = &mut self.open else { return };
        let (said, directive) = said.rsplit_once(" # ").unwrap_or((said, ""));
        let directive = directive.to_ascii_lowercase();
        let outcome = match directive {
            // What is still to be done may fail.
            word if word.starts_with("skip") || word.starts_with("todo") => Outcome::Skipped,
            _ if is_bad => Outcome::Failed,
            _ => Outcome::Passed,
        };
        open.is_told = outcome.is_bad();
        if outcome.is_bad() && open.message.is_empty() {
            open.message = said;
        }
        let weight = |outcome: Outcome| match outcome {
            Outcome::Skipped => 0,
            Outcome::Passed => 1,
            _ => 2,
        };
        if open.outcome.is_none_or(|was| weight(was) < weight(outcome)) {
            open.outcome = Some(outcome);
        }
        if open.is_told && open.text.len() < MAX_TEXT_BYTES {
            open.text.push_str(said);
            open.text.push('\n');
        }
    }

    /// A line that is no assertion.
    fn other(&mut self, line: &'a str, is_top: bool) {
        if !is_top {
            if let Some(open) = self.open.as_mut().filter(|open| open.is_told)
                && open.text.len() < MAX_TEXT_BYTES
            {
                // An assertion that held ends what the one before it said.
                open.is_told = !line.trim_start().starts_with("ok ");
                if open.is_told {
                    open.text.push_str(line);
                    open.text.push('\n');
                }
            }
            return;
        }
        if line.starts_with("TAP version ") {
            self.says_tap = true;
        } else if let Some(plan) = line.strip_prefix("1..") {
            let count = plan.split(' ').next().unwrap_or_default().parse();
            self.planned = count.ok().or(self.planned);
        } else if let Some(title) = line.strip_prefix("# ") {
            let skipped = title.strip_prefix("SKIP ");
            let title = skipped.unwrap_or(title).trim();
            // After the plan come counts.
            self.group = (self.planned.is_none() && !title.is_empty()).then_some(title);
            self.close();
            if self.group.is_some() {
                self.begin(title, None);
                if let (Some(_), Some(open)) = (skipped, &mut self.open) {
                    open.outcome = Some(Outcome::Skipped);
                }
            }
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let Some(outcome) = open.outcome.filter(|_| !open.title.is_empty()) else { return };
        let is_file = open.file.is_some();
        let said = Said {
            file: open.file,
            titles: if is_file { Vec::new() } else { vec![open.title] },
            outcome: Some(outcome),
            message: open.message,
            text: &open.text,
            line: None,
        };
        self.cases.push(said.case(self.directory));
    }

    fn finish(mut self) -> Results {
        self.close();
        if self.cases.list.is_empty() || !(self.says_tap || self.files > 0) {
            return Results::default();
        }
        let is_whole = match self.files {
            0 => self.planned == Some(self.points),
            // The runner names every file.
            _ => true,
        };
        let is_whole = is_whole && !self.cases.is_cut;
        let cases = js::numbered(self.cases.list);
        let totals = Some(Totals::of(&cases));
        Results { source: Source::Printed, cases, is_whole, totals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(output: &str) -> Vec<String> {
        let place = |case: &crate::case::TestCase| {
            let file = case.file.clone().unwrap_or_default();
            format!("{file}:{}", case.line.unwrap_or_default())
        };
        let results = printed(output, "");
        let told = results.cases.iter().map(|case| {
            let message = case.message.clone().unwrap_or_default();
            format!("{:?} {} {} {message}", case.outcome, case.id, place(case))
        });
        told.chain([format!("whole: {}", results.is_whole)]).collect()
    }

    #[test]
    fn tape_names_its_tests_in_comments() {
        let output = "TAP version 13\n# adds up\nok 1 should be strictly equal\nnot ok 2 should be strictly equal\n  ---\n    operator: equal\n    expected: 3\n    actual:   2\n    at: Test.<anonymous> (/workspace/test/a.js:2:48)\n    stack: |-\n      Error: should be strictly equal\n          at Test.assert [as _assert] (/workspace/node_modules/tape/lib/test.js:548:48)\n          at Test.<anonymous> (/workspace/test/a.js:2:48)\n  ...\n# is fine\nok 3 should be truthy\n# SKIP later\n\n1..3\n# tests 3\n# pass  2\n# fail  1\n";
        assert_eq!(
            told(output),
            [
                "Failed adds up test/a.js:2 should be strictly equal",
                "Passed is fine :0 ",
                "Skipped later :0 ",
                "whole: true",
            ]
        );
        let cut = output.replace("ok 3 should be truthy\n", "");
        assert_eq!(told(&cut).last().unwrap(), "whole: false");
    }

    #[test]
    fn the_old_runner_names_files() {
        let output = "ok test/b.js ....... 24/24\nnot ok test/a.js ........ 2/4\n    Command: \"/usr/bin/node a.js\"\n    TAP version 13\n    ok 1 should be equal\n    not ok 2 should be strictly equal\n      ---\n        at:       |\n          Test.<anonymous> (/workspace/test/a.js:2:48)\n        stack:    \n            \"at Test.assert (/workspace/node_modules/tape/lib/test.js\":  |\n      ...\n    ok 3 should be truthy\n    not ok 4 test/a.js\n      ---\n        exit:    1\n      ...\n    1..4\n\ntotal ........ 2/4\n\nnot ok\n";
        assert_eq!(
            told(output),
            [
                "Passed test/b.js test/b.js:0 ",
                "Failed test/a.js test/a.js:2 should be strictly equal",
                "whole: true",
            ]
        );
    }

    #[test]
    fn assertions_without_a_title_are_the_tests() {
        let output = "TAP version 14\n1..3\nok 1 - adds\nnot ok 2 - subtracts # TODO later\nnot ok 3 - divides\n  ---\n  at: lib/x.js:7:1\n  ...\n";
        assert_eq!(
            told(output),
            [
                "Passed adds :0 ",
                "Skipped subtracts :0 ",
                "Failed divides lib/x.js:7 divides",
                "whole: true",
            ]
        );
    }

    #[test]
    fn what_is_no_tap_is_not_read() {
        for output in ["ok then\nnot ok at all\n", "ok  \tpkg\t0.1s\n", "not ok\n", ""] {
            assert_eq!(printed(output, ""), Results::default(), "{output:?}");
        }
    }
}
