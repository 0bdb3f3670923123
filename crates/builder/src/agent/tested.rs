//! What a run of the tests reported: what is kept of it, and what is said of it.

use booty_judge::{
    case::{Results, TestCase, Totals},
    report::Finding,
    results,
};
use booty_sandbox::RunResult;

use super::prompt::shorten;

/// Bytes of one run's report that are kept: it goes into the journal, whose entries are bounded. Some ten
/// thousand tests by name.
const MAX_KEPT_BYTES: usize = 2 * 1024 * 1024;
/// Failing tests whose whole text is kept.
const MAX_DETAILED: usize = 20;
/// What a case takes besides its texts, as JSON.
const CASE_BYTES: usize = 120;
/// Failures that the model is shown one by one, and bytes of each: who breaks more has broken one thing.
const MAX_FIRST: usize = 5;
const MAX_FIRST_BYTES: usize = 800;

/// One run of the tests.
#[derive(Debug, Clone)]
pub(crate) struct Tested {
    /// Whether it is the past's: what it built is in a tree that is gone.
    pub(crate) is_past: bool,
    pub(crate) result: RunResult,
    pub(crate) results: Results,
}

/// A report of bounded size: what failed comes first, and what has no room is left out.
pub(crate) fn kept(results: Results) -> Results {
    let Results { source, cases, mut is_whole, totals } = results;
    let all = Totals::of(&cases);
    let (bad, good): (Vec<TestCase>, Vec<TestCase>) =
        cases.into_iter().partition(|case| case.outcome.is_bad());
    let mut left = MAX_KEPT_BYTES;
    let mut cases = Vec::with_capacity(bad.len() + good.len());
    for (n, mut case) in bad.into_iter().chain(good).enumerate() {
        if n >= MAX_DETAILED {
            case.detail = None;
        }
        let Some(rest) = left.checked_sub(size(&case)) else {
            is_whole = false;
            break;
        };
        left = rest;
        cases.push(case);
    }
    let totals = totals.or_else(|| (!is_whole).then_some(all).filter(|all| all.all() > 0));
    Results { source, cases, is_whole, totals }
}

/// Whether cases may be missing because there was no room for them: within one case of the bound.
fn may_be_cut(results: &Results) -> bool {
    const MAX_CASE_BYTES: usize = 32 * 1024;
    results.cases.iter().map(size).sum::<usize>() > MAX_KEPT_BYTES - MAX_CASE_BYTES
}

fn size(case: &TestCase) -> usize {
    let texts = [&case.file, &case.message, &case.detail];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    CASE_BYTES + case.id.len() + case.name.len() + texts
}

impl Tested {
    /// How many tests failed, where that is known.
    pub(crate) fn failing(&self) -> Option<usize> {
        let named = self.results.bad().count();
        let counted = self.results.totals.map_or(0, |totals| totals.bad());
        let failing = named.max(usize::try_from(counted).unwrap_or(usize::MAX));
        (failing > 0).then_some(failing)
    }

    /// Whether every test that ran is among the results, as far as the runner says.
    pub(crate) fn is_kept_whole(&self) -> bool {
        !may_be_cut(&self.results)
    }

    /// The first failures: name, place, why.
    pub(crate) fn first(&self) -> Vec<String> {
        if self.results.bad().next().is_none() {
            // The output itself says as much.
            return Vec::new();
        }
        let findings = results::failures(&self.results, &self.result);
        findings.iter().take(MAX_FIRST).map(said).collect()
    }
}

/// A finding in one text: place and message, then the text itself.
pub(crate) fn said(finding: &Finding) -> String {
    let place = finding.place.as_ref();
    let place = place.map(|place| format!("{}:{}: ", place.path, place.line)).unwrap_or_default();
    let detail = finding.detail.as_ref().map(|text| format!("\n{text}")).unwrap_or_default();
    let text = format!("{place}{}{detail}", finding.message);
    // The line that says how much is left out is below fifty bytes.
    let most = MAX_FIRST_BYTES - 50;
    if text.len() <= MAX_FIRST_BYTES { text } else { shorten(&text, most / 2, most / 2) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use booty_judge::case::{Outcome, Source};
    use booty_sandbox::End;

    use super::*;

    fn case(n: usize, outcome: Outcome, text: &str) -> TestCase {
        TestCase {
            id: format!("tests/test_{n}.py::test_{n}"),
            name: format!("test_{n}"),
            file: Some(format!("tests/test_{n}.py")),
            line: Some(3),
            outcome,
            message: Some("assert 1 == 2".to_owned()),
            detail: Some(text.to_owned()),
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_failed_comes_first() {
        let mut cases: Vec<TestCase> = (0..30_000).map(|n| case(n, Outcome::Passed, "")).collect();
        cases.extend((0..30).map(|n| case(n + 30_000, Outcome::Failed, &"x".repeat(8_000))));
        let whole = Results { source: Source::JUnit, cases, is_whole: true, totals: None };
        let kept = kept(whole);
        assert!(!kept.is_whole && kept.cases.len() < 30_000, "{}", kept.cases.len());
        assert_eq!(kept.totals.map(|totals| (totals.passed, totals.failed)), Some((30_000, 30)));
        assert!(kept.cases.iter().take(30).all(|case| case.outcome == Outcome::Failed));
        assert!(may_be_cut(&kept));
        let detailed = kept.cases.iter().filter(|case| case.detail.is_some()).count();
        assert_eq!(detailed, MAX_DETAILED);
        assert!(serde_json::to_vec(&kept).unwrap().len() < 4 * 1024 * 1024);
    }

    #[test]
    fn the_first_failures_are_said_compactly() {
        let results = Results {
            source: Source::JUnit,
            cases: (0..9).map(|n| case(n, Outcome::Failed, &"long ".repeat(400))).collect(),
            is_whole: true,
            totals: None,
        };
        let result = RunResult {
            end: End::Exited(1),
            output: String::new(),
            output_bytes: 0,
            duration: Duration::ZERO,
        };
        let tested = Tested { is_past: false, result, results };
        assert!(tested.is_kept_whole());
        assert_eq!(tested.failing(), Some(9));
        let first = tested.first();
        assert_eq!(first.len(), 5);
        assert!(first[0].starts_with(
            "tests/test_0.py:3: tests/test_0.py::test_0 failed: assert 1 == 2\nlong long"
        ));
        assert!(first.iter().all(|text| text.len() <= MAX_FIRST_BYTES), "{first:?}");
        let unknown = Tested { results: Results::default(), ..tested };
        assert_eq!((unknown.failing(), unknown.first()), (None, Vec::new()));
    }
}
