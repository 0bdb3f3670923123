//! The test command on the merged tree: its exit code decides.

use std::collections::BTreeSet;

use booty_sandbox::End;

use crate::{
    case::{Outcome, Results},
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
    if last.succeeded() {
        section.headline = counts(results);
        if results.cases.iter().all(|case| case.outcome == Outcome::Skipped)
            && !results.cases.is_empty()
        {
            section.state = State::Neutral;
            section
                .findings
                .push(Finding::warning(Rule::NoTests, "every test was skipped, none ran"));
        }
        if !flaky.is_empty() {
            section.state = State::Neutral;
            section.headline =
                format!("{}, {} flaky", section.headline, plural(flaky.len(), "test"));
        }
        return;
    }
    section.state = State::Failed;
    section.headline = match last.run.end {
        End::TimedOut | End::OverLimit(_) => {
            section.findings.push(
                Finding::failure(
                    Rule::TestsTimedOut,
                    format!("the test command was {}", last.run.end),
                )
                .with_detail(last.run.output.clone()),
            );
            format!("{}; {}", last.run.end, counts(results))
        }
        end => format!("{}; {end}", counts(results)),
    };
    section.findings.extend(results::failures(results, &last.run));
}

/// `12 tests passed, 1 failed, 2 skipped`
pub(crate) fn counts(results: &Results) -> String {
    let failed = results.bad().count();
    let passed = results.count(Outcome::Passed);
    let skipped = results.count(Outcome::Skipped);
    if results.cases.is_empty() {
        return "no test was named; the exit code decides".to_owned();
    }
    let mut text = format!("{} passed", plural(passed, "test"));
    if failed > 0 {
        text += &format!(", {failed} failed");
    }
    if skipped > 0 {
        text += &format!(", {skipped} skipped");
    }
    text
}

fn ids(results: &Results, which: impl Fn(Outcome) -> bool) -> BTreeSet<String> {
    results.cases.iter().filter(|case| which(case.outcome)).map(|case| case.id.clone()).collect()
}
