//! `go test`: the events of `-json`, or the text that they are made of.
//!
//! Without `-v` the text names only what failed.

use std::{collections::HashMap, sync::LazyLock};

use regex::Regex;
use serde::Deserialize;

use super::text;
use crate::case::{Outcome, Results, Source, TestCase, Totals};

/// Of what one test printed this much is kept, the first of it.
const MAX_OUTPUT_BYTES: usize = 32 * 1024;

/// One event of test2json or of the build.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Event {
    action: String,
    package: String,
    import_path: String,
    test: String,
    output: String,
    failed_build: String,
}

/// A test, or a package as a whole.
#[derive(Debug, Default)]
struct Entry {
    package: String,
    /// Empty for the package.
    test: String,
    outcome: Option<Outcome>,
    output: String,
    failed_build: String,
}

#[derive(Debug, Default)]
struct Run {
    entries: Vec<Entry>,
    at: HashMap<(String, String), usize>,
    builds: HashMap<String, String>,
    is_cut: bool,
}

/// Reads either form.
pub(super) fn printed(output: &str, directory: &str) -> Results {
    let mut run = Run::default();
    let mut rest = String::with_capacity(output.len());
    for line in output.lines() {
        let event = line.starts_with("{\"").then(|| serde_json::from_str::<Event>(line).ok());
        match event.flatten() {
            Some(event) => run.event(&event),
            None => {
                rest.push_str(line);
                rest.push('\n');
            }
        }
    }
    let has_events = !run.entries.is_empty();
    let (printed, is_verbose) = of_text(&rest);
    if printed.entries.is_empty() {
        return run.finish(Source::Machine, true, directory);
    }
    // With -json go prints nothing else. Where it did, the events may be what a test has printed: the
    // worse of both counts.
    for entry in printed.entries {
        if let Some(own) = run.entry(&entry.package, &entry.test) {
            own.end(entry.outcome);
            keep(&mut own.output, &entry.output);
            own.failed_build = entry.failed_build;
        }
    }
    run.builds.extend(printed.builds);
    run.finish(Source::Printed, is_verbose && !has_events, directory)
}

/// What people read in a run's output: of events, what they tell.
pub(super) fn readable(output: &str) -> Option<String> {
    let mut text = String::new();
    let mut any = false;
    for line in output.lines() {
        let event = line.starts_with("{\"").then(|| serde_json::from_str::<Event>(line).ok());
        match event.flatten().filter(|event| !event.action.is_empty()) {
            Some(event) => {
                any = true;
                text.push_str(&event.output);
            }
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    any.then_some(text)
}

impl Run {
    fn event(&mut self, event: &Event) {
        let outcome = match event.action.as_str() {
            "pass" | "bench" => Some(Outcome::Passed),
            "fail" => Some(Outcome::Failed),
            "skip" => Some(Outcome::Skipped),
            "start" | "run" | "pause" | "cont" | "output" => None,
            "build-output" | "build-fail" => {
                keep(self.builds.entry(event.import_path.clone()).or_default(), &event.output);
                return;
            }
            _ => return,
        };
        if event.package.is_empty() {
            return;
        }
        let Some(entry) = self.entry(&event.package, &event.test) else { return };
        keep(&mut entry.output, &event.output);
        entry.end(outcome);
        if !event.failed_build.is_empty() {
            entry.failed_build.clone_from(&event.failed_build);
        }
    }

    fn entry(&mut self, package: &str, test: &str) -> Option<&mut Entry> {
        let key = (package.to_owned(), test.to_owned());
        let at = match self.at.get(&key) {
            Some(at) => *at,
            None if self.entries.len() >= text::Cases::MAX * 2 => {
                self.is_cut = true;
                return None;
            }
            None => {
                let (package, test) = key.clone();
                self.entries.push(Entry { package, test, ..Entry::default() });
                self.at.insert(key, self.entries.len() - 1);
                self.entries.len() - 1
            }
        };
        self.entries.get_mut(at)
    }

    fn finish(self, source: Source, names_all: bool, directory: &str) -> Results {
        let mut cases = text::Cases::default();
        let mut is_whole = names_all && !self.is_cut && !self.entries.is_empty();
        let failed: std::collections::HashSet<_> = self
            .entries
            .iter()
            .filter(|entry| !entry.test.is_empty() && entry.outcome != Some(Outcome::Passed))
            .filter(|entry| entry.outcome != Some(Outcome::Skipped))
            .map(|entry| entry.package.as_str())
            .collect();
        for entry in &self.entries {
            is_whole &= entry.outcome.is_some();
            if !entry.test.is_empty() {
                cases.push(case(entry, directory));
            } else if entry.outcome == Some(Outcome::Failed)
                && !failed.contains(entry.package.as_str())
            {
                // It could not be built, or ended without any test having failed.
                let build = self.builds.get(&entry.failed_build);
                cases.push(package_case(entry, build.map_or("", String::as_str), directory));
            }
        }
        Results {
            source: if self.entries.is_empty() { Source::ExitCode } else { source },
            is_whole: is_whole && !cases.is_cut,
            totals: (names_all && !self.entries.is_empty()).then(|| Totals::of(&cases.list)),
            cases: cases.list,
        }
    }
}

impl Entry {
    /// The worst that is said counts: what a test prints can look like its result.
    fn end(&mut self, outcome: Option<Outcome>) {
        if self.outcome != Some(Outcome::Failed) {
            self.outcome = outcome.or(self.outcome);
        }
    }
}

fn keep(kept: &mut String, more: &str) {
    let room = MAX_OUTPUT_BYTES.saturating_sub(kept.len());
    kept.push_str(&more[..more.floor_char_boundary(room)]);
}

fn case(entry: &Entry, directory: &str) -> TestCase {
    static PLACE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?m)^\s*(\S+?\.go):(\d+): (.*(?:\n {8}.*)*)").ok());
    let is_frame =
        |line: &&str| !["=== ", "--- "].iter().any(|start| line.trim_start().starts_with(start));
    let said = entry.output.lines().filter(is_frame).collect::<Vec<_>>().join("\n");
    let outcome = entry.outcome.unwrap_or(Outcome::Errored);
    let found = PLACE.as_ref().and_then(|place| place.captures(&said));
    let panic =
        said.lines().find(|line| line.starts_with("panic: ") || line.starts_with("fatal error: "));
    let mut file = None;
    let mut line = None;
    let mut message = None;
    if let Some(panic) = panic {
        let own = text::places(&said, directory).find(|(path, _)| path.ends_with("_test.go"));
        (file, line) = own.map_or((None, None), |(path, line)| (Some(path), Some(line)));
        message = text::message(panic);
    } else if let Some(found) = &found {
        // Without -fullpath only the name is said, and not in which folder.
        if found[1].starts_with('/') {
            file = text::tree_path(&found[1], directory);
            line = file.as_ref().and(found[2].parse().ok());
        }
        let place = if file.is_some() { "" } else { &format!("{}:{}: ", &found[1], &found[2]) };
        message = text::message(&format!("{place}{}", &found[3]));
    }
    if message.is_none() && entry.outcome.is_none() {
        message = text::message("the test process ended while it ran");
    }
    if message.is_none() && outcome.is_bad() {
        message = text::message(&said);
    }
    TestCase {
        id: text::name(&format!("{}.{}", entry.package, entry.test)),
        name: text::name(entry.test.split('/').next().unwrap_or_default()),
        file,
        line,
        outcome,
        message: message.filter(|_| outcome != Outcome::Passed),
        detail: text::detail(&said).filter(|_| outcome.is_bad()),
    }
}

fn package_case(entry: &Entry, build: &str, directory: &str) -> TestCase {
    let said = if build.is_empty() { &entry.output } else { build };
    let place = text::places(said, directory).find(|(path, _)| path.ends_with(".go"));
    let why = said.lines().find(|line| !line.starts_with('#') && !line.trim().is_empty());
    let (file, line) = place.map_or((None, None), |(path, line)| (Some(path), Some(line)));
    TestCase {
        id: text::name(&entry.package),
        name: text::name(entry.package.rsplit('/').next().unwrap_or_default()),
        file,
        line,
        outcome: Outcome::Errored,
        message: why.and_then(text::message),
        detail: text::detail(said),
    }
}

/// The text, and whether it names what passed too.
fn of_text(output: &str) -> (Run, bool) {
    static RESULT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^ *--- (PASS|FAIL|SKIP): (\S+) \(\d+\.\d+s\)$").ok());
    static PACKAGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^(?:(ok  |FAIL)\t(\S+)\t(?:\(cached\)|\d+\.\d+s).*|FAIL\t(\S+) \[(?:build|setup) failed\]|\?   \t(\S+)\t\[no test files\])$").ok()
    });
    let mut run = Run::default();
    let mut tests: Vec<Entry> = Vec::new();
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut current: Option<usize> = None;
    let mut build: Option<String> = None;
    let mut is_verbose = false;
    let find = |tests: &mut Vec<Entry>, at: &mut HashMap<String, usize>, name: &str| {
        if tests.len() >= text::Cases::MAX {
            return None;
        }
        Some(*at.entry(name.to_owned()).or_insert_with(|| {
            tests.push(Entry { test: name.to_owned(), ..Entry::default() });
            tests.len() - 1
        }))
    };
    for line in output.lines() {
        if let Some(name) = ["=== RUN   ", "=== CONT  ", "=== NAME  "]
            .iter()
            .find_map(|start| line.strip_prefix(start))
        {
            is_verbose = true;
            current = find(&mut tests, &mut at, name.trim());
        } else if let Some(found) = RESULT.as_ref().and_then(|regex| regex.captures(line)) {
            current = find(&mut tests, &mut at, &found[2]);
            if let Some(entry) = current.and_then(|at| tests.get_mut(at)) {
                entry.end(Some(match &found[1] {
                    "PASS" => Outcome::Passed,
                    "SKIP" => Outcome::Skipped,
                    _ => Outcome::Failed,
                }));
            }
        } else if let Some(found) = PACKAGE.as_ref().and_then(|regex| regex.captures(line)) {
            let name =
                [2, 3, 4].iter().find_map(|at| found.get(*at)).map_or("", |name| name.as_str());
            let outcome = match (found.get(1).map(|word| word.as_str()), found.get(4)) {
                (Some("ok  "), _) => Outcome::Passed,
                (None, Some(_)) => Outcome::Skipped,
                _ => Outcome::Failed,
            };
            for entry in tests.drain(..) {
                let Some(own) = run.entry(name, &entry.test) else { continue };
                own.end(entry.outcome);
                keep(&mut own.output, &entry.output);
            }
            at.clear();
            current = None;
            if let Some(package) = run.entry(name, "") {
                package.end(Some(outcome));
                package.failed_build = name.to_owned();
            }
        } else if let Some(name) = line.strip_prefix("# ") {
            // `# package [package.test]`, what vet says of it with brackets around.
            let name = name.trim_matches(['[', ']']);
            build = name.split(' ').next().map(str::to_owned);
            current = None;
        } else if let Some(entry) = current.and_then(|at| tests.get_mut(at)) {
            keep(&mut entry.output, line);
            keep(&mut entry.output, "\n");
        } else if let Some(name) = &build {
            let text = run.builds.entry(name.clone()).or_default();
            keep(text, line);
            keep(text, "\n");
        }
    }
    // What was running when everything ended belongs to a package that was never named.
    for entry in tests {
        if let Some(own) = run.entry("", &entry.test) {
            own.end(entry.outcome);
            keep(&mut own.output, &entry.output);
        }
    }
    (run, is_verbose)
}
