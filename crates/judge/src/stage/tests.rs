//! The test command on the merged tree: its exit code decides.

use std::collections::BTreeSet;

use booty_sandbox::End;

use crate::{
    case::{Outcome, Results, Totals},
    error::Error,
    judge::Judge,
    report::{Finding, Rule, Section, Stage, State},
    results,
    rules::Rules,
    stage::policy::plural,
    stand::{Stand, TestRun},
};

/// What the tests said.
pub(crate) struct Tested {
    pub(crate) section: Section,
    /// The run that decides: the last one. None when there is no command.
    pub(crate) run: Option<TestRun>,
}

/// Runs the tests; what fails is run again a bounded number of times.
pub(crate) async fn judge(judge: &Judge, rules: &Rules, stand: &Stand) -> Result<Tested, Error> {
    let mut section = Section::new(Stage::Tests);
    let commands = &rules.merged;
    let Some(command) = &commands.test else {
        section.state = State::Neutral;
        section.headline = "no test command is configured, and none was detected".to_owned();
        section
            .findings
            .push(Finding::warning(Rule::NoTests, "name the command in `.booty.yml`: `test: …`"));
        return Ok(Tested { section, run: None });
    };
    let mut last = stand.test(judge, "test", commands, command).await?;
    section.runs.push(last.ran.clone());
    let mut flaky: BTreeSet<String> = BTreeSet::new();
    let mut retries = 0;
    while may_be_flaky(&last) && retries < rules.config.verifier.flaky_retries {
        retries += 1;
        let again =
            stand.test(judge, &format!("test, again ({retries})"), commands, command).await?;
        section.runs.push(again.ran.clone());
        let now = ids(&again.results, Outcome::is_bad);
        // Only what is seen to pass now: a test that did not run has not passed.
        let passed = ids(&again.results, |outcome| outcome == Outcome::Passed);
        flaky.extend(
            last.results
                .bad()
                .map(|case| case.id.clone())
                .filter(|id| !now.contains(id) && passed.contains(id)),
        );
        last = again;
    }
    for id in &flaky {
        section.findings.push(Finding::warning(
            Rule::FlakyTest,
            format!("{id} failed, and passed when it was run again"),
        ));
    }
    verdict(&mut section, &last, &flaky);
    Ok(Tested { section, run: Some(last) })
}

/// Whether running it again may say something else: a run that was cut off would only be cut off
/// again.
fn may_be_flaky(run: &TestRun) -> bool {
    matches!(run.run.end, End::Exited(code) if code != 0) && run.results.bad().next().is_some()
}

fn verdict(section: &mut Section, last: &TestRun, flaky: &BTreeSet<String>) {
    let results = &last.results;
    section.headline = counts(results);
    section.findings.extend(results::failures(results, &last.run));
    if !last.succeeded() {
        section.state = State::Failed;
        section.headline = format!("{}; {}", section.headline, last.run.end);
        return;
    }
    if none_ran(results) {
        let text = "the test command succeeded, and ran no test";
        section.findings.push(Finding::warning(Rule::NoTests, text));
    }
    if !flaky.is_empty() {
        section.headline = format!("{}, {} flaky", section.headline, plural(flaky.len(), "test"));
    }
    if !section.findings.is_empty() {
        section.state = State::Neutral;
    }
}

/// Whether it is known that nothing ran.
fn none_ran(results: &Results) -> bool {
    match totals(results) {
        Some(totals) => totals.passed + totals.bad() == 0,
        None => false,
    }
}

/// How many there were of each; `None` when the exit code is all that is known.
fn totals(results: &Results) -> Option<Totals> {
    let named = Totals::of_outcomes(results.cases.iter().map(|case| case.outcome));
    results.totals.or((!results.cases.is_empty()).then_some(named))
}

/// `12 tests passed, 1 failed, 2 skipped`
pub(crate) fn counts(results: &Results) -> String {
    let Some(totals) = totals(results) else {
        return "no test was named; the exit code decides".to_owned();
    };
    let passed = usize::try_from(totals.passed).unwrap_or(usize::MAX);
    let mut text = format!("{} passed", plural(passed, "test"));
    if totals.bad() > 0 {
        text += &format!(", {} failed", totals.bad());
    }
    if totals.skipped > 0 {
        text += &format!(", {} skipped", totals.skipped);
    }
    text
}

fn ids(results: &Results, which: impl Fn(Outcome) -> bool) -> BTreeSet<String> {
    results.cases.iter().filter(|case| which(case.outcome)).map(|case| case.id.clone()).collect()
}
