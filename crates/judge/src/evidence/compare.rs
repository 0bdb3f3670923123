//! What the runs say together.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
};

use super::{
    Comparison, Runs, Study, TestRef,
    cases::{self, Run, Tests, did_run, is_same_file},
};
use crate::{
    case::{Outcome, Source, TestCase},
    report::{Finding, Level, Place, Rule},
};

/// So many tests are named for each rule; the others are counted.
const NAMED: usize = 20;

/// What the runs say together. `head` and `base` are each tree with its own tests.
pub fn compare(study: &Study, runs: &Runs<'_>) -> Comparison {
    let weighing = Weighing {
        study,
        base: runs.base.map(Run::new),
        head: Run::new(runs.head),
        base_tests: runs.base_tests_on_head.map(Run::new),
        head_tests: runs.head_tests_on_base.map(Run::new),
        deleted: Tests::new(&study.deleted),
        changed: Tests::new(&study.changed),
        kept: Tests::new(&study.kept),
        moved: Tests::new(study.moved.iter().map(|(was, _)| was)),
        moved_here: Tests::new(study.moved.iter().map(|(_, is)| is)),
        moved_to: study.moved.iter().map(|(was, is)| (was, is)).collect(),
        moved_from: study.moved.iter().map(|(was, is)| (is, was)).collect(),
    };
    let mut out = Comparison { findings: study.findings.clone(), ..Comparison::default() };
    weighing.split_failures(&mut out);
    weighing.what_did_not_run(&mut out);
    weighing.base_tests_on_head(&mut out);
    weighing.deleted(&mut out);
    weighing.witnesses(&mut out);
    let speaks_against = out.findings.iter().any(|finding| finding.level == Level::Failure);
    let head = &weighing.head;
    let by_exit_code = head.of.results.cases.is_empty()
        && runs.base.is_some_and(|base| !base.succeeded && base.results.cases.is_empty());
    let all_were_bad = !out.pre_existing.is_empty() && head.of.results.is_whole;
    out.only_pre_existing = !head.of.succeeded
        && out.broken.is_empty()
        && !speaks_against
        && (all_were_bad || by_exit_code);
    out.findings.sort_by_key(|finding| Reverse(finding.level));
    out
}

struct Weighing<'a> {
    study: &'a Study,
    base: Option<Run<'a>>,
    head: Run<'a>,
    base_tests: Option<Run<'a>>,
    head_tests: Option<Run<'a>>,
    deleted: Tests<'a>,
    changed: Tests<'a>,
    kept: Tests<'a>,
    moved: Tests<'a>,
    moved_here: Tests<'a>,
    moved_to: HashMap<&'a TestRef, &'a TestRef>,
    moved_from: HashMap<&'a TestRef, &'a TestRef>,
}

impl<'a> Weighing<'a> {
    /// What fails on the head: there before, or new.
    fn split_failures(&self, out: &mut Comparison) {
        let mut named = Named::default();
        for case in self.head.of.results.bad() {
            if self.base.as_ref().is_some_and(|base| self.was_bad(base, case)) {
                let message = format!("`{}` failed before the change too", case.id);
                named.add(out, Finding::notice(Rule::PreExistingFailure, message), case);
                out.pre_existing.push(case.clone());
            } else {
                out.broken.push(case.clone());
            }
        }
        named.rest(
            out,
            Finding::notice(Rule::PreExistingFailure, ""),
            "failed before the change too",
        );
    }

    fn was_bad(&self, base: &Run<'_>, case: &TestCase) -> bool {
        if let Some(was) = base.find(case) {
            return was.outcome.is_bad();
        }
        let was = self.moved_here.find(case).and_then(|is| self.moved_from.get(is));
        was.and_then(|was| base.of_test(was).next()).is_some_and(|was| was.outcome.is_bad())
    }

    /// What ran on the base must run on the head.
    fn what_did_not_run(&self, out: &mut Comparison) {
        let Some(base) = &self.base else { return };
        let failure = |message: String| Finding::failure(Rule::TestsDidNotRun, message);
        let (ran, expected) = (self.head.ran(), base.ran());
        let (head_results, base_results) = (self.head.of.results, base.of.results);
        if expected == 0 {
            return;
        }
        if ran == 0 && (head_results.source == Source::ExitCode || head_results.cases.is_empty()) {
            let message = format!("the base reported {expected} tests, the head reported none");
            out.did_not_run =
                base_results.cases.iter().filter(|case| did_run(case)).cloned().collect();
            // All of them may be gone on purpose.
            let all_deleted = match out.did_not_run.is_empty() {
                true => self.has_deleted(),
                false => out.did_not_run.iter().all(|case| self.is_gone(case)),
            };
            if all_deleted {
                out.did_not_run.clear();
            } else {
                out.findings.push(failure(message));
            }
            return;
        }
        if !head_results.is_whole && base_results.is_whole && !self.names_only_failures(base) {
            out.findings.push(failure("the report of the head's tests is not whole".to_owned()));
        }
        let mut seen: HashSet<&str> = HashSet::new();
        for case in base_results.cases.iter().filter(|case| did_run(case)) {
            if seen.insert(cases::group(case)) {
                out.did_not_run.extend(self.missing(base, case).into_iter().cloned());
            }
        }
        let mut named = Named::default();
        // One file that could not be read stops them all; its own failure is what to look at.
        let is_stopped =
            !self.head.of.succeeded && head_results.cases.iter().all(|case| !did_run(case));
        for case in &out.did_not_run.clone() {
            if is_stopped {
                named.count += 1;
                continue;
            }
            let how = if self.head.find(case).is_some() { "was skipped" } else { "did not run" };
            named.add(
                out,
                failure(format!("`{}` ran on the base and {how} on the head", case.id)),
                case,
            );
        }
        named.rest(out, failure(String::new()), "ran on the base and did not run on the head");
        let is_fewer = ran < expected && !self.has_deleted();
        if out.did_not_run.is_empty() && is_fewer && self.head.of.succeeded {
            out.findings.push(failure(format!(
                "{ran} tests ran where the base ran {expected}, and none was deleted"
            )));
        }
    }

    /// Which runs of a test are missing on the head.
    fn missing(&self, base: &'a Run<'a>, case: &TestCase) -> Vec<&'a TestCase> {
        let ran =
            |run: &[&TestCase]| run.iter().filter(|case| case.outcome != Outcome::Skipped).count();
        let before: Vec<&TestCase> =
            base.group(case).iter().copied().filter(|case| did_run(case)).collect();
        let after = ran(self.head.group(case));
        if after >= before.len() || self.is_gone(case) {
            return Vec::new();
        }
        // Where only what failed is named, the counts tell.
        if after == 0 && self.is_held_unnamed(base, case) {
            return Vec::new();
        }
        let moved = self.moved.find(case).and_then(|was| self.moved_to.get(was));
        let runs_there = |is: &&TestRef| {
            self.head.of_test(is).any(|case| did_run(case) || case.outcome.is_bad())
        };
        if moved.is_some_and(runs_there) {
            return Vec::new();
        }
        let is_changed = self.changed.find(case).is_some();
        if is_changed && after > 0 {
            return Vec::new();
        }
        // A test whose name is made at run time, in a file that changed: one may stand for another.
        let is_dynamic = self.kept.find(case).is_none() && self.moved.find(case).is_none();
        if let Some(file) = case.file.as_deref().filter(|_| is_dynamic) {
            let in_file = |run: &Run<'_>| {
                run.of
                    .results
                    .cases
                    .iter()
                    .filter(|case| did_run(case) && case.file.as_deref() == Some(file))
                    .count()
            };
            let is_touched =
                self.study.changed_files.iter().any(|touched| is_same_file(touched, file));
            if is_touched && in_file(&self.head) >= in_file(base) {
                return Vec::new();
            }
        }
        let missing = before.iter().copied().filter(|case| {
            self.head.find(case).is_none_or(|found| found.outcome == Outcome::Skipped)
        });
        missing.collect()
    }

    /// Whether the head's run and another one of the same command are printed for people, count what
    /// passed, and name none of it.
    fn names_only_failures(&self, other: &Run<'_>) -> bool {
        let results = self.head.of.results;
        let names_passed =
            |run: &Run<'_>| run.of.results.cases.iter().any(|case| case.outcome == Outcome::Passed);
        results.source == Source::Printed
            && results.totals.is_some()
            && !names_passed(&self.head)
            && !names_passed(other)
    }

    /// Whether such a run does not name this one among what failed.
    fn is_held_unnamed(&self, other: &Run<'_>, case: &TestCase) -> bool {
        self.names_only_failures(other) && self.head.find(case).is_none() && self.head.held(case)
    }

    fn has_deleted(&self) -> bool {
        !self.study.deleted.is_empty() || !self.study.deleted_files.is_empty()
    }

    fn is_gone(&self, case: &TestCase) -> bool {
        let in_deleted =
            |file: &str| self.study.deleted_files.iter().any(|gone| is_same_file(gone, file));
        self.deleted.find(case).is_some()
            || self.moved.find(case).is_none() && case.file.as_deref().is_some_and(in_deleted)
    }

    /// The base's tests judge the head's code.
    fn base_tests_on_head(&self, out: &mut Comparison) {
        let Some(run) = &self.base_tests else { return };
        if run.of.results.cases.is_empty() {
            if !run.of.succeeded && self.head.of.succeeded {
                self.broken_by_exit_code(out);
            }
            return;
        }
        let mut named = Named::default();
        for case in run.of.results.bad() {
            if self.base.as_ref().is_none_or(|base| !base.held(case)) {
                continue;
            }
            if self.deleted.find(case).is_some() {
                continue;
            }
            let head = self.head.find(case);
            if self.changed.find(case).is_some() {
                let message = format!(
                    "`{}` expects something else now: the base's version of it fails",
                    case.id
                );
                out.findings.push(placed(Finding::notice(Rule::BaseTestBroken, message), case));
            } else if head.is_some_and(|head| head.outcome == Outcome::Passed) {
                let message =
                    format!("`{}` passes only with the change's own test configuration", case.id);
                named.add(out, Finding::failure(Rule::BaseTestBroken, message), case);
            } else if head.is_none() && self.moved.find(case).is_none() {
                let message =
                    format!("`{}` passed on the base and fails under the change", case.id);
                named.add(out, Finding::failure(Rule::BaseTestBroken, message), case);
            }
        }
        named.rest(
            out,
            Finding::failure(Rule::BaseTestBroken, ""),
            "fail with the base's own test configuration",
        );
        let (ran, expected) = (run.ran(), self.base.as_ref().map_or(0, Run::ran));
        if run.of.succeeded && ran == 0 && expected > 0 {
            let message =
                "under the change, none of the base's tests ran, and the run says it succeeded";
            out.findings.push(Finding::failure(Rule::TestsDidNotRun, message));
        }
    }

    fn broken_by_exit_code(&self, out: &mut Comparison) {
        if self.base.as_ref().is_none_or(|base| !base.of.succeeded) {
            return;
        }
        let message = "the base's tests fail on the head, and which is not known";
        // Tests that changed may expect something else; unchanged ones may not.
        let may_differ = !self.study.changed.is_empty() || !self.study.deleted.is_empty();
        let finding = Finding::failure(Rule::BaseTestBroken, message);
        out.findings.push(if may_differ {
            Finding { level: Level::Warning, ..finding }
        } else {
            finding
        });
    }

    /// A deleted test weighs what its loss hides.
    fn deleted(&self, out: &mut Comparison) {
        let orphaned: HashSet<&TestRef> = self.study.orphaned.iter().collect();
        let mut places: BTreeMap<Place, usize> = BTreeMap::new();
        for (n, finding) in out.findings.iter().enumerate() {
            if let Some(place) = finding
                .place
                .clone()
                .filter(|_| finding.rule == Rule::TestDeleted && finding.level != Level::Failure)
            {
                places.insert(place, n);
            }
        }
        for test in &self.study.deleted {
            let at = Place { path: test.file.clone(), line: test.line.max(1) };
            let Some(finding) = places.get(&at).and_then(|n| out.findings.get_mut(*n)) else {
                continue;
            };
            if orphaned.contains(test) {
                finding.level = Level::Notice;
                finding.message.push_str("; the code that it tested is gone as well");
                continue;
            }
            let Some(run) = &self.base_tests else { continue };
            let mut cases = run.of_test(test).peekable();
            let (level, why) = if run.of.results.cases.is_empty() && run.of.succeeded {
                (Level::Notice, "; the base's tests, this one too, still pass")
            } else if cases.peek().is_none() {
                (Level::Failure, "; the base's version of it could not be run")
            } else if cases.any(|case| case.outcome.is_bad()) {
                (Level::Failure, "; the base's version of it fails under the change")
            } else {
                (Level::Notice, "; it would still pass")
            };
            finding.level = level;
            finding.message.push_str(why);
        }
    }

    /// What fails without the change and holds with it.
    fn witnesses(&self, out: &mut Comparison) {
        let tests: Tests<'_> = Tests::new(self.study.added.iter().chain(&self.study.changed));
        for case in self.head.of.results.cases.iter().filter(|case| case.outcome == Outcome::Passed)
        {
            let was_bad = self.base.as_ref().is_some_and(|base| self.was_bad(base, case));
            let shown = tests.find(case).is_some_and(|test| {
                self.head_tests.as_ref().is_some_and(|run| match run.find(case) {
                    Some(there) => there.outcome.is_bad(),
                    None => run.is_silent_of(test),
                })
            });
            if shown || (was_bad && self.changed.find(case).is_none()) {
                out.witnesses.push(case.clone());
            }
        }
        self.unnamed_witnesses(out);
        let fails = |run: &Option<Run<'_>>| {
            run.as_ref().is_some_and(|run| run.of.results.cases.is_empty() && !run.of.succeeded)
        };
        let by_exit_code =
            self.head.of.results.cases.is_empty() && (fails(&self.head_tests) || fails(&self.base));
        if !self.study.touches_code
            || !self.head.of.succeeded
            || !out.witnesses.is_empty()
            || by_exit_code
        {
            return;
        }
        let has_tests = !self.study.added.is_empty() || !self.study.changed.is_empty();
        if has_tests && self.head_tests.is_some() {
            let message = "no test proves this change: the tests that it adds or changes pass without it as well";
            out.findings.push(Finding::warning(Rule::NoWitness, message));
        } else if !has_tests {
            out.findings.push(Finding::notice(Rule::NoWitness, "no test proves this change"));
        }
    }
}

impl Weighing<'_> {
    /// Witnesses that the head's run counts and does not name: what fails without the change is named
    /// there.
    fn unnamed_witnesses(&self, out: &mut Comparison) {
        let touched = || self.study.added.iter().chain(&self.study.changed);
        let tests: Tests<'_> = Tests::new(touched());
        let is_untouched =
            |case: &TestCase| self.changed.find(case).is_none() && !self.is_gone(case);
        let is_touched = |case: &TestCase| tests.find(case).is_some();
        let mut found = Vec::new();
        if let Some(base) = &self.base {
            found.extend(self.failing_there(base, is_untouched));
        }
        if let Some(run) = &self.head_tests {
            found.extend(self.failing_there(run, is_touched));
            let unread = touched().filter(|test| run.could_not_read(&test.file));
            let unread = unread.filter(|test| self.head.of_test(test).next().is_none());
            found.extend(unread.map(passed).filter(|case| self.is_held_unnamed(run, case)));
        }
        for case in found {
            if out.witnesses.iter().all(|known| known.id != case.id) {
                out.witnesses.push(case);
            }
        }
    }

    fn failing_there(&self, run: &Run<'_>, is_meant: impl Fn(&TestCase) -> bool) -> Vec<TestCase> {
        // A file that can't be read is told of as an error whose whole name is the module's.
        let is_test = |case: &TestCase| case.outcome == Outcome::Failed || case.name != case.id;
        let bad = run.of.results.bad();
        bad.filter(|case| is_test(case) && is_meant(case) && self.is_held_unnamed(run, case))
            .map(|case| TestCase {
                outcome: Outcome::Passed,
                message: None,
                detail: None,
                ..case.clone()
            })
            .collect()
    }
}

/// A test of the source as one that passed.
fn passed(test: &TestRef) -> TestCase {
    let scope = test.scope.as_ref().map(|scope| format!("{}.", scope.replace("::", ".")));
    TestCase {
        id: format!("{}{}", scope.unwrap_or_default(), test.name),
        name: test.name.clone(),
        file: Some(test.file.clone()),
        line: Some(test.line),
        outcome: Outcome::Passed,
        message: None,
        detail: None,
    }
}

/// Names the first, counts the rest.
#[derive(Default)]
struct Named {
    count: usize,
    named: usize,
}

impl Named {
    fn add(&mut self, out: &mut Comparison, finding: Finding, case: &TestCase) {
        self.count += 1;
        if self.named < NAMED {
            self.named += 1;
            out.findings.push(placed(finding, case));
        }
    }

    fn rest(&self, out: &mut Comparison, finding: Finding, what: &str) {
        let left = self.count - self.named;
        if left > 0 {
            let more = if self.named > 0 { " more" } else { "" };
            out.findings.push(Finding { message: format!("{left}{more} tests {what}"), ..finding });
        }
    }
}

fn placed(finding: Finding, case: &TestCase) -> Finding {
    match &case.file {
        Some(file) => finding.at(file, case.line.unwrap_or(1)),
        None => finding,
    }
}
