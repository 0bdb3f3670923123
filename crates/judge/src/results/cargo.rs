//! `cargo test`: what libtest prints, of several binaries and of documentation tests.
//!
//! Captured output of failing tests is printed among it, and can look like it. So a line counts only
//! where libtest would print it, and nothing that a test prints can end or add a list of failures
//! before libtest's own.

pub(super) mod panic;

use std::{collections::HashMap, sync::LazyLock};

use regex::Regex;

use super::text;
use crate::case::{Outcome, Results, Source, TestCase, Totals};

/// Reads all of it.
pub(super) fn printed(output: &str, directory: &str) -> Results {
    let mut reader = Reader { directory: directory.to_owned(), ..Reader::default() };
    for line in output.lines() {
        reader.line(line);
    }
    reader.finish()
}

/// Where in the output of one test binary we are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Between binaries.
    #[default]
    Outside,
    /// `test a ... ok`
    Tests,
    /// `---- a stdout ----` and what `a` printed.
    Failures,
    /// The names of what failed.
    Names,
}

#[derive(Debug, Default)]
struct Reader {
    directory: String,
    at: At,
    binary: Binary,
    /// How often a binary of this name was run.
    binaries: HashMap<String, usize>,
    cases: text::Cases,
    /// The cases of the group that is being read.
    group: Vec<TestCase>,
    known: HashMap<String, usize>,
    expected: u64,
    /// A test whose result has not come yet.
    waiting: Option<String>,
    /// The failed test that printed what is being read.
    block: Option<(usize, String)>,
    totals: Option<Totals>,
    /// The last line that ends the group: a test can print one, libtest's own comes after it.
    result: Option<Totals>,
    is_broken: bool,
    /// The next line that is not empty says why a process ended.
    wants_cause: bool,
}

/// One test binary.
#[derive(Debug, Default, Clone)]
struct Binary {
    /// Put before the names of its tests.
    prefix: String,
    /// The crate's root file, where that is a file of tests.
    file: Option<String>,
    is_documentation: bool,
}

impl Reader {
    fn line(&mut self, line: &str) {
        if self.starts_binary(line) {
            return;
        }
        match self.at {
            At::Outside => self.outside(line),
            At::Tests => self.test(line),
            At::Failures => self.failure(line),
            At::Names => self.name(line),
        }
    }

    fn starts_binary(&mut self, line: &str) -> bool {
        static RUNNING: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r"^ +Running (?:unittests )?(?:(\S+) \((\S+)\)|(\S+/deps/\S+))$").ok()
        });
        // A test can print such a line, which then only ends its own text.
        let binary = if let Some(found) = RUNNING.as_ref().and_then(|regex| regex.captures(line)) {
            let program = found.get(2).or_else(|| found.get(3)).map_or("", |path| path.as_str());
            let source = found.get(1).map_or("", |path| path.as_str());
            self.binary(program, source)
        } else if let Some(name) = line.trim_start().strip_prefix("Doc-tests ") {
            if !line.starts_with(' ') {
                return false;
            }
            Binary { prefix: format!("{name} "), file: None, is_documentation: true }
        } else {
            return false;
        };
        self.end_group();
        self.binary = binary;
        true
    }

    fn binary(&mut self, program: &str, source: &str) -> Binary {
        let name = program.rsplit('/').next().unwrap_or(program);
        // The hash of its build.
        let name = match name.rsplit_once('-') {
            Some((name, hash)) if hash.chars().all(|c| c.is_ascii_hexdigit()) => name,
            _ => name,
        };
        let is_library = source.is_empty() || source.ends_with("lib.rs");
        let is_test = source.starts_with("tests/") || source.contains("/tests/");
        let name =
            if is_library || is_test { name.to_owned() } else { format!("{name}({source})") };
        let count = self.binaries.entry(name.clone()).or_default();
        *count += 1;
        let prefix = if *count > 1 { format!("{name}#{count}::") } else { format!("{name}::") };
        let file = is_test.then(|| text::tree_path(source, &self.directory)).flatten();
        Binary { prefix, file, is_documentation: false }
    }

    fn outside(&mut self, line: &str) {
        if let Some(count) = group_start(line) {
            self.start_group(count);
        } else if line.starts_with("error: could not compile") {
            self.is_broken = true;
        }
    }

    fn start_group(&mut self, count: u64) {
        self.end_group();
        self.at = At::Tests;
        self.expected = count;
    }

    fn test(&mut self, line: &str) {
        if let Some(totals) = group_end(line) {
            self.result = Some(totals);
            return;
        }
        // Documentation tests come in several groups.
        if let (Some(count), true) = (group_start(line), self.result.is_some()) {
            return self.start_group(count);
        }
        match line {
            "failures:" | "successes:" => {
                self.at = At::Failures;
                return;
            }
            _ if self.is_crash(line) => return,
            _ => {}
        }
        if let Some((name, rest)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "))
        {
            match result(rest) {
                Some((outcome, why)) => {
                    self.add(name, outcome, why);
                    self.waiting = None;
                }
                None => {
                    self.waiting = Some(name.to_owned());
                    self.is_crash(rest);
                }
            }
        } else if let Some(name) = line.strip_suffix(" --- FAILED") {
            self.add(name, Outcome::Failed, None);
        } else if let (Some((outcome, why)), Some(name)) = (result(line), self.waiting.clone()) {
            self.add(&name, outcome, why);
            self.waiting = None;
        }
    }

    /// A binary that ends in the middle: cargo says so where the next test would be.
    fn is_crash(&mut self, line: &str) -> bool {
        static CAUSE: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r"^ +process didn't exit successfully: `.*` (\(.*\))$").ok()
        });
        if line.starts_with("error: test failed, to rerun pass")
            || line.starts_with("error: doctest failed, to rerun pass")
        {
            self.wants_cause = true;
            return true;
        }
        if !self.wants_cause {
            return false;
        }
        let Some(cause) = CAUSE.as_ref().and_then(|regex| regex.captures(line)) else {
            return true;
        };
        let why = format!("the test process ended early {}", &cause[1]);
        let binary = self.binary.prefix.trim_end_matches(':').trim().to_owned();
        match self.waiting.take() {
            Some(name) => self.add(&name, Outcome::Errored, Some(&why)),
            None => self.group.push(TestCase {
                name: text::name(&binary),
                id: text::name(&binary),
                file: self.binary.file.clone(),
                line: None,
                outcome: Outcome::Errored,
                message: text::message(&why),
                detail: None,
            }),
        }
        self.result = None;
        self.end_group();
        true
    }

    fn failure(&mut self, line: &str) {
        let header = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" ----"));
        let header = header
            .and_then(|name| name.strip_suffix(" stdout").or_else(|| name.strip_suffix(" stderr")));
        if let Some(at) = header.and_then(|name| self.known.get(bare(name)).copied()) {
            self.end_block();
            self.block = Some((at, String::new()));
        } else if line == "failures:" || line == "successes:" {
            self.end_block();
            self.at = At::Names;
        } else if let Some((_, text)) = &mut self.block {
            const MAX_BLOCK_BYTES: usize = 256 * 1024;
            if text.len() + line.len() < MAX_BLOCK_BYTES {
                text.push_str(line);
                text.push('\n');
            }
        } else if let Some(name) = line.strip_prefix("    ") {
            // Nothing was captured: the names come at once.
            self.at = At::Names;
            self.failed(name);
        }
    }

    fn name(&mut self, line: &str) {
        if let Some(totals) = group_end(line) {
            self.result = Some(totals);
        } else if let (Some(count), true) = (group_start(line), self.result.is_some()) {
            self.start_group(count);
        } else if let Some(name) = line.strip_prefix("    ").filter(|_| self.result.is_none()) {
            self.failed(name);
        } else if line.starts_with("---- ") {
            // No list of names: a test printed the line before.
            self.at = At::Failures;
            self.failure(line);
        }
    }

    /// A name of the last list: of what libtest's line was torn by other output.
    fn failed(&mut self, name: &str) {
        if !self.known.contains_key(bare(name)) {
            self.add(name, Outcome::Failed, None);
        }
    }

    fn add(&mut self, name: &str, outcome: Outcome, why: Option<&str>) {
        let name = bare(name);
        if name.is_empty() || self.group.len() >= text::Cases::MAX {
            self.is_broken = true;
            return;
        }
        let mut case = TestCase {
            id: text::name(&format!("{}{name}", self.binary.prefix)),
            name: text::name(name.rsplit("::").next().unwrap_or(name)),
            file: self.binary.file.clone(),
            line: None,
            outcome,
            message: why.and_then(text::message),
            detail: None,
        };
        if let Some((path, item, line)) = documentation(name) {
            case.name = text::name(item);
            case.file = text::tree_path(path, &self.directory);
            case.line = case.file.as_ref().and(Some(line));
        }
        match self.known.get(name).copied().and_then(|at| self.group.get_mut(at)) {
            Some(known) => *known = case,
            None => {
                self.known.insert(name.to_owned(), self.group.len());
                self.group.push(case);
            }
        }
    }

    fn end_block(&mut self) {
        let Some((at, text)) = self.block.take() else { return };
        let directory = self.directory.clone();
        let Some(case) = self.group.get_mut(at) else { return };
        let test =
            self.known.iter().find(|(_, known)| **known == at).map(|(name, _)| name.as_str());
        let panic = panic::find(&text, test.unwrap_or_default(), &directory);
        if let Some((file, line)) = panic.place {
            // A documentation test's place is where it is written.
            if !self.binary.is_documentation {
                (case.file, case.line) = (Some(file), Some(line));
            }
        }
        case.message = text::message(&panic.message);
        case.detail = text::detail(&text);
    }

    fn end_group(&mut self) {
        self.end_block();
        let totals = self.result.take();
        if self.at != At::Outside {
            let cases = std::mem::take(&mut self.group);
            let fits = totals.is_some_and(|totals| totals == Totals::of(&cases));
            self.is_broken |= !fits || self.expected != cases.len() as u64;
            let counted = totals.unwrap_or_else(|| Totals::of(&cases));
            self.totals = Some(self.totals.unwrap_or_default().plus(counted));
            cases.into_iter().for_each(|case| self.cases.push(case));
        }
        self.known.clear();
        self.waiting = None;
        self.wants_cause = false;
        self.at = At::Outside;
    }

    fn finish(mut self) -> Results {
        self.end_group();
        Results {
            source: if self.totals.is_some() { Source::Printed } else { Source::ExitCode },
            is_whole: self.totals.is_some() && !self.is_broken && !self.cases.is_cut,
            cases: number_documentation(self.cases.list),
            totals: self.totals,
        }
    }
}

/// `running 3 tests`
fn group_start(line: &str) -> Option<u64> {
    let (count, word) = line.strip_prefix("running ")?.split_once(' ')?;
    matches!(word, "test" | "tests").then(|| count.parse().ok()).flatten()
}

/// `test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`
fn group_end(line: &str) -> Option<Totals> {
    static RESULT: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored; (\d+) measured;").ok()
    });
    let found = RESULT.as_ref()?.captures(line)?;
    let number = |at: usize| found[at].parse::<u64>().ok();
    Some(Totals {
        passed: number(1)?.checked_add(number(4)?)?,
        failed: number(2)?,
        errored: 0,
        skipped: number(3)?,
    })
}

/// What comes behind the dots. Output of the test may come before it in the same line.
fn result(text: &str) -> Option<(Outcome, Option<&str>)> {
    let text = text.trim_end();
    // `ok <0.001s>` with --report-time
    let bare = text.split_once(" <").map_or(text, |(bare, _)| bare);
    match bare {
        "ok" => return Some((Outcome::Passed, None)),
        "FAILED" => return Some((Outcome::Failed, None)),
        "ignored" => return Some((Outcome::Skipped, None)),
        _ => {}
    }
    if let Some(why) = text.strip_prefix("ignored, ") {
        return Some((Outcome::Skipped, Some(why)));
    }
    text.strip_prefix("bench: ").map(|_| (Outcome::Passed, None))
}

/// Without what libtest says about how a test is run.
fn bare(name: &str) -> &str {
    const MODES: [&str; 4] =
        [" - should panic", " - compile fail", " - compile", " - should panic - compile"];
    MODES.into_iter().find_map(|mode| name.strip_suffix(mode)).unwrap_or(name)
}

/// `src/lib.rs - add (line 9)`
fn documentation(name: &str) -> Option<(&str, &str, u32)> {
    let (path, rest) = name.split_once(" - ")?;
    let (item, line) = rest.rsplit_once("(line ")?;
    let item = item.trim();
    let item = if item.is_empty() { path } else { item };
    Some((path, item, line.strip_suffix(')')?.parse().ok()?))
}

/// A documentation test is called by its line, which moves with every edit above it. Its number among
/// those of its item does not.
fn number_documentation(mut cases: Vec<TestCase>) -> Vec<TestCase> {
    let mut items: HashMap<String, Vec<(u32, usize)>> = HashMap::new();
    for (at, case) in cases.iter().enumerate() {
        if let (Some((id, _)), Some(line)) = (case.id.rsplit_once(" (line "), case.line) {
            items.entry(id.to_owned()).or_default().push((line, at));
        }
    }
    for (id, mut places) in items {
        places.sort_unstable();
        for (number, (_, at)) in places.into_iter().enumerate() {
            cases[at].id = if number == 0 { id.clone() } else { format!("{id} #{}", number + 1) };
        }
    }
    cases
}
