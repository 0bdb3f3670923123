//! Whether the tests still mean what they meant, and whether any of them proves the change.

mod planted;

use std::time::{Duration, Instant};

use booty_policy::config::{CommandSpec, Evidence};
use booty_workspace::Side;

use crate::{
    change::ChangedFile,
    error::Error,
    evidence::{self, Comparison, RunOf, Runs, Study},
    judge::{Judge, Order, base_wanted},
    report::{Finding, Level, Rule, Section, Stage, State},
    rules::Rules,
    stage::policy::plural,
    stand::{Stand, TestRun, Wanted},
    view::SideView,
};

/// A run that would have less is not begun.
const LEAST: Duration = Duration::from_secs(1);
/// Tests that are listed one by one.
const LISTED: usize = 10;

/// What is needed for it.
pub(crate) struct Material<'a> {
    pub(crate) judge: &'a Judge,
    pub(crate) order: &'a Order<'a>,
    pub(crate) rules: &'a Rules,
    pub(crate) study: &'a Study,
    /// The merged tree, where its tests have run.
    pub(crate) stand: &'a Stand,
    /// Base and merged.
    pub(crate) views: (&'a SideView, &'a SideView),
    /// The run on the merged tree; none when the tests were not reached.
    pub(crate) head: Option<&'a TestRun>,
}

/// What the evidence is.
pub(crate) struct Evidenced {
    pub(crate) section: Section,
    /// Whether the head fails in nothing but what the base fails in.
    pub(crate) only_pre_existing: bool,
}

/// Reads both trees. Pure, and long for a large change: on a thread where blocking is allowed.
pub(crate) async fn study(
    rules: &Rules,
    base: &SideView,
    merged: &SideView,
    changed: &[ChangedFile],
) -> Result<Option<Study>, Error> {
    let Some(language) = rules.language else { return Ok(None) };
    let (base, merged, changed) = (base.clone(), merged.clone(), changed.to_vec());
    let command = rules.base.test.clone();
    let studied = tokio::task::spawn_blocking(move || {
        evidence::study(language, &base, &merged, &changed, command.as_ref())
    });
    studied.await.map(Some).map_err(|error| Error::Broken(error.to_string()))
}

/// Runs what has to be compared, and compares.
///
/// `base` is the base's stand where there is one already; it may be taken.
pub(crate) async fn judge(
    material: &Material<'_>,
    base: &mut Option<Stand>,
) -> Result<Evidenced, Error> {
    let Material { rules, study, head, .. } = material;
    let mut section = Section::new(Stage::Evidence);
    let wanted = rules.config.verifier.evidence;
    let head_failed = head.is_some_and(|head| !head.succeeded());
    let is_asked = wanted != Evidence::Off && (study.touches_code || study.touches_tests);
    let (mut only_pre_existing, mut is_weighed) = (false, false);
    match (head, &rules.base.test) {
        (Some(head), Some(command)) if head_failed || is_asked => {
            let comparison = compare(material, head, command, base, &mut section).await?;
            say(&comparison, &mut section);
            // They hold what the reading of both trees found, weighed by what ran.
            section.findings.extend(comparison.findings);
            is_weighed = true;
            only_pre_existing = head_failed && comparison.only_pre_existing;
        }
        (Some(_), Some(_)) if wanted == Evidence::Off => {
            section.said.push("`verifier.evidence` is `off`: nothing was compared.".to_owned());
        }
        (Some(_), Some(_)) => {
            section.said.push("The change touches neither code nor tests.".to_owned());
        }
        _ => section.said.push("The tests did not run, so nothing was compared.".to_owned()),
    }
    if !is_weighed {
        section.findings.extend(study.findings.iter().cloned());
    }
    weigh(&mut section, wanted);
    Ok(Evidenced { section, only_pre_existing })
}

/// What of it decides is the repository's to say; that its own tests were bent always does, unless it
/// wants to hear of none of this.
fn weigh(section: &mut Section, wanted: Evidence) {
    for finding in &mut section.findings {
        finding.level = match (wanted, finding.rule) {
            (Evidence::Off, _) => Level::Notice,
            (Evidence::Required, Rule::NoWitness | Rule::CutShort) => Level::Failure,
            _ => finding.level,
        };
    }
    let failures = section.count(Level::Failure);
    let warnings = section.count(Level::Warning);
    section.state = match (failures, warnings) {
        (0, 0) => State::Passed,
        (0, _) => State::Neutral,
        _ => State::Failed,
    };
    if failures > 0 {
        section.headline = format!("{} with the tests themselves", plural(failures, "problem"));
    } else if section.headline.is_empty() {
        section.headline = match warnings {
            0 => "nothing speaks against the tests".to_owned(),
            warnings => format!("{} to look at", plural(warnings, "thing")),
        };
    }
}

/// Everything that is run for the evidence, within its budget.
async fn compare(
    material: &Material<'_>,
    head: &TestRun,
    command: &CommandSpec,
    base_stand: &mut Option<Stand>,
    section: &mut Section,
) -> Result<Comparison, Error> {
    let Material { judge, order, rules, study, .. } = material;
    let mut budget = Budget::new(rules.config.verifier.evidence_budget);
    let mut base = None;
    let mut witness = None;
    let mut swapped = None;
    let mut rewritten = material.stand.rewritten(material.views.1).await?;
    let folder = |suffix: &str| format!("{}-{suffix}", order.name);
    if budget.allows("the base's tests on the base") {
        let stand = match base_stand.take() {
            Some(stand) => stand,
            None => Stand::prepare(judge, order, rules, base_wanted(order, rules)).await?,
        };
        if stand.is_installed {
            base = run(material, &stand, "test on the base", command, &budget, section).await?;
            // What the base does to itself is its way of building.
            let own = stand.rewritten(material.views.0).await?;
            rewritten.retain(|path| !own.contains(path));
            let is_needed = study.touches_code && !study.head_tests_on_base.is_empty();
            if is_needed && budget.allows("the change's tests on the base") {
                stand.overlay(judge, &study.head_tests_on_base).await?;
                let name = "the change's tests on the base";
                witness = run(material, &stand, name, command, &budget, section).await?;
            }
        } else {
            section.said.push("The base's dependencies can't be installed.".to_owned());
        }
        stand.close().await;
    }
    if !study.base_tests_on_head.is_empty() && budget.allows("the base's tests on the change") {
        let wanted = Wanted {
            proposal: order.proposal,
            side: Side::Merged,
            name: folder("swap"),
            overlay: &study.base_tests_on_head,
            commands: &rules.merged,
        };
        let stand = Stand::prepare(judge, order, rules, wanted).await?;
        if stand.is_installed {
            let name = "the base's tests on the change";
            swapped = run(material, &stand, name, command, &budget, section).await?;
        }
        stand.close().await;
    }
    if head.succeeded() {
        planted::judge(material, head, command, &mut budget, section).await?;
    }
    section.findings.extend(rewritten.into_iter().map(|path| {
        let text = format!("{path} was rewritten while the change was built and tested: what ran is not what it brings");
        Finding::failure(Rule::RunnerTampered, text).at(path, 1)
    }));
    for what in &budget.cut {
        let text = format!("cut short: the time for evidence was over before {what}");
        section.findings.push(Finding::warning(Rule::CutShort, text));
    }
    let runs = Runs {
        base: base.as_ref().map(run_of),
        head: run_of(head),
        base_tests_on_head: swapped.as_ref().map(run_of),
        head_tests_on_base: witness.as_ref().map(run_of),
    };
    Ok(evidence::compare(study, &runs))
}

async fn run(
    material: &Material<'_>,
    stand: &Stand,
    name: &str,
    command: &CommandSpec,
    budget: &Budget,
    section: &mut Section,
) -> Result<Option<TestRun>, Error> {
    let mut command = command.clone();
    let left = budget.left();
    let is_bound = command.timeout.unwrap_or(stand.shell.limits.wall) > left;
    if is_bound {
        command.timeout = Some(left);
    }
    let ran = stand.test(material.judge, name, &material.rules.base, &command).await?;
    section.runs.push(ran.ran.clone());
    if is_bound && ran.run.end == booty_sandbox::End::TimedOut {
        let text = format!("cut short: the time for evidence was over during {name}");
        section.findings.push(Finding::warning(Rule::CutShort, text));
        return Ok(None);
    }
    Ok(Some(ran))
}

fn run_of(run: &TestRun) -> RunOf<'_> {
    RunOf { results: &run.results, succeeded: run.succeeded() }
}

fn say(comparison: &Comparison, section: &mut Section) {
    let list = |cases: &[crate::case::TestCase]| {
        let mut names: Vec<&str> = cases.iter().take(LISTED).map(|case| case.id.as_str()).collect();
        let more = format!("… and {} more", cases.len().saturating_sub(LISTED));
        if cases.len() > LISTED {
            names.push(&more);
        }
        names.join(", ")
    };
    if !comparison.witnesses.is_empty() {
        section.headline = format!(
            "{} this change",
            match comparison.witnesses.len() {
                1 => "1 test proves".to_owned(),
                count => format!("{count} tests prove"),
            }
        );
        let witnesses = list(&comparison.witnesses);
        section.said.push(format!("Fail on the base and pass on the change: {witnesses}"));
    }
    if !comparison.pre_existing.is_empty() {
        let failing = list(&comparison.pre_existing);
        section.said.push(format!("Fail on the base already: {failing}"));
    }
}

/// How much time is left, and what it was not enough for.
struct Budget {
    ends: Instant,
    cut: Vec<&'static str>,
}

impl Budget {
    fn new(whole: Duration) -> Self {
        Self { ends: Instant::now() + whole, cut: Vec::new() }
    }

    fn left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    fn allows(&mut self, what: &'static str) -> bool {
        let allows = self.left() >= LEAST;
        if !allows {
            self.cut.push(what);
        }
        allows
    }
}
