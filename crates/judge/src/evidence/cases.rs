//! Finds a test of the source among those that ran, and a test of one run in another.

use std::collections::{HashMap, HashSet};

use super::{RunOf, TestRef};
use crate::case::{Outcome, TestCase};

/// One run, to look things up in.
pub(super) struct Run<'a> {
    pub(super) of: RunOf<'a>,
    by_id: HashMap<&'a str, &'a TestCase>,
    by_group: HashMap<&'a str, Vec<&'a TestCase>>,
    by_name: HashMap<&'a str, Vec<&'a TestCase>>,
}

impl<'a> Run<'a> {
    pub(super) fn new(of: RunOf<'a>) -> Self {
        let mut run =
            Self { of, by_id: HashMap::new(), by_group: HashMap::new(), by_name: HashMap::new() };
        for case in &of.results.cases {
            // The worst of one name speaks for it.
            let worst = run.by_id.entry(&case.id).or_insert(case);
            if case.outcome.is_bad() && !worst.outcome.is_bad() {
                *worst = case;
            }
            run.by_group.entry(group(case)).or_default().push(case);
            run.by_name.entry(&case.name).or_default().push(case);
        }
        run
    }

    pub(super) fn find(&self, case: &TestCase) -> Option<&'a TestCase> {
        self.by_id.get(case.id.as_str()).copied()
    }

    /// The runs of one test with all its parameters.
    pub(super) fn group(&self, case: &TestCase) -> &[&'a TestCase] {
        self.by_group.get(group(case)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn of_test(
        &self,
        test: &TestRef,
    ) -> impl Iterator<Item = &'a TestCase> + use<'a, '_> {
        let named = self.by_name.get(test.name.as_str()).map_or(&[][..], Vec::as_slice);
        let test = test.clone();
        named.iter().copied().filter(move |case| refers(&test, case))
    }

    /// Whether the file itself could not be read, so that none of its tests ran.
    pub(super) fn could_not_read(&self, file: &str) -> bool {
        self.errored().any(|case| {
            case.file
                .as_deref()
                .map_or_else(|| speaks_of(&case.id, file), |of| is_same_file(of, file))
        })
    }

    fn errored(&self) -> impl Iterator<Item = &'a TestCase> {
        self.of.results.cases.iter().filter(|case| case.outcome == Outcome::Errored)
    }

    /// Whether what is missing in this run may be missing because its file could not be built: the run
    /// failed, and says nothing at all of the file.
    pub(super) fn is_silent_of(&self, test: &TestRef) -> bool {
        if self.of.succeeded {
            return false;
        }
        let files_known = self.errored().any(|case| case.file.is_some() || case.id.contains(".py"));
        self.could_not_read(&test.file)
            || !files_known
                && !self
                    .of
                    .results
                    .cases
                    .iter()
                    .any(|case| case.file.as_deref().is_some_and(|of| is_same_file(of, &test.file)))
                && self.of_test(test).next().is_none()
    }

    /// How many ran. What is printed for people often names only what failed, and counts the rest.
    pub(super) fn ran(&self) -> usize {
        let named = self.of.results.cases.iter().filter(|case| did_run(case)).count();
        let counted = self.of.results.totals.map_or(0, |totals| totals.passed + totals.failed);
        named.max(usize::try_from(counted).unwrap_or(usize::MAX))
    }

    /// Whether the test held here. A run that succeeded may have named only some of what ran.
    pub(super) fn held(&self, case: &TestCase) -> bool {
        match self.find(case) {
            Some(found) => !found.outcome.is_bad(),
            None => self.of.succeeded && !self.of.results.is_whole,
        }
    }
}

/// A test's name without the parameters of one run of it.
pub(super) fn group(case: &TestCase) -> &str {
    match case.id.rfind('[') {
        Some(at) if at > 0 && case.id.ends_with(']') => &case.id[..at],
        _ => &case.id,
    }
}

pub(super) fn did_run(case: &TestCase) -> bool {
    matches!(case.outcome, Outcome::Passed | Outcome::Failed)
}

/// Tests of the source by name.
pub(super) struct Tests<'a>(HashMap<&'a str, Vec<&'a TestRef>>);

impl<'a> Tests<'a> {
    pub(super) fn new(list: impl IntoIterator<Item = &'a TestRef>) -> Self {
        let mut by_name: HashMap<&str, Vec<&TestRef>> = HashMap::new();
        for test in list {
            by_name.entry(&test.name).or_default().push(test);
        }
        Self(by_name)
    }

    pub(super) fn find(&self, case: &TestCase) -> Option<&'a TestRef> {
        self.0.get(case.name.as_str())?.iter().copied().find(|test| refers(test, case))
    }
}

/// Whether a case is a run of that test.
fn refers(test: &TestRef, case: &TestCase) -> bool {
    let in_file = case.file.as_deref().is_none_or(|file| is_same_file(file, &test.file));
    let in_scope = test.scope.as_deref().is_none_or(|scope| {
        let last = scope.rsplit("::").next().unwrap_or(scope);
        let last = last.rsplit(" > ").next().unwrap_or(last);
        case.id.contains(last)
    });
    test.name == case.name && in_file && in_scope
}

/// Runners name files from the root, from the package, or in full.
pub(super) fn is_same_file(a: &str, b: &str) -> bool {
    let is_end = |long: &str, short: &str| {
        long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    is_end(a, b) || is_end(b, a)
}

/// Whether a name like `tests.test_a` or `tests/test_a.py` is this file's.
fn speaks_of(id: &str, file: &str) -> bool {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let name = stem.rsplit('/').next().unwrap_or(stem);
    let parts: HashSet<&str> =
        id.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).collect();
    !name.is_empty() && parts.contains(name)
}
