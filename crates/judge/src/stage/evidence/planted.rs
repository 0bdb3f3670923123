//! The run that must fail: the head with tests that can't pass.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
};

use booty_policy::{TreeView as _, config::CommandSpec};
use booty_sandbox::End;
use booty_workspace::Side;

use super::{Budget, Material, run, run_of};
use crate::{
    case::{Outcome, TestCase},
    error::Error,
    evidence::{self, Plant},
    report::{Finding, Rule, Section},
    stand::{Stand, TestRun, Wanted},
    view::SideView,
};

const WHERE_NOTHING_RAN: &str = "a planted test where nothing had run";

/// Plants tests in the head, and in the base too when they did not all fail.
pub(super) async fn judge(
    material: &Material<'_>,
    head: &TestRun,
    command: &CommandSpec,
    budget: &mut Budget,
    section: &mut Section,
) -> Result<(), Error> {
    let Some(plant) = find(material, head).await? else { return Ok(()) };
    let (base, merged) = material.views;
    if !budget.allows("a planted test on the change") {
        return Ok(());
    }
    let text = planted(merged, &plant);
    material.stand.overlay(material.judge, &text).await?;
    let stand = Some(material.stand);
    let Some(mut ran) = on(material, stand, Side::Merged, &text, command, budget, section).await?
    else {
        return Ok(());
    };
    if unsteady(&plant, head, &ran).next().is_some() && budget.allows(WHERE_NOTHING_RAN) {
        // What the first run left may be in its way, or tell it that it is not the first.
        let again = on(material, None, Side::Merged, &text, command, budget, section).await?;
        let Some(again) = again else { return Ok(()) };
        ran = again;
    }
    for case in unsteady(&plant, head, &ran).take(super::LISTED) {
        let text = format!("{} passed, and failed when it was run again", case.id);
        section.findings.push(Finding::warning(Rule::FlakyTest, text));
    }
    if plant.all_failed(&run_of(&ran)) || !matches!(ran.run.end, End::Exited(_)) {
        return Ok(());
    }
    if budget.allows("a planted test on the base") {
        let text = planted(base, &plant);
        let control = on(material, None, Side::Base, &text, command, budget, section).await?;
        if let Some(control) = control {
            section.findings.extend(evidence::weigh(&plant, &run_of(&control), &run_of(&ran)));
        }
    }
    Ok(())
}

/// Reading both trees blocks.
async fn find(material: &Material<'_>, head: &TestRun) -> Result<Option<Plant>, Error> {
    let Some(language) = material.rules.language else { return Ok(None) };
    let (base, merged) = (material.views.0.clone(), material.views.1.clone());
    let (results, succeeded) = (head.results.clone(), head.succeeded());
    // Not known before: the hasher's keys are random.
    let mark = format!("planted{:016x}", RandomState::new().hash_one(()));
    let found = tokio::task::spawn_blocking(move || {
        let run = evidence::RunOf { results: &results, succeeded };
        evidence::plant(language, &base, &merged, &run, &mark)
    });
    found.await.map_err(|error| Error::Broken(error.to_string()))
}

/// In a stand that is there, or in one of its own.
async fn on(
    material: &Material<'_>,
    stand: Option<&Stand>,
    side: Side,
    overlay: &[(String, Option<String>)],
    command: &CommandSpec,
    budget: &Budget,
    section: &mut Section,
) -> Result<Option<TestRun>, Error> {
    let (name, commands, folder) = match side {
        Side::Merged => ("a planted test on the change", &material.rules.merged, "plant"),
        Side::Base => ("a planted test on the base", &material.rules.base, "plant-base"),
    };
    if let Some(stand) = stand {
        return run(material, stand, name, command, budget, section).await;
    }
    let wanted = Wanted {
        proposal: material.order.proposal,
        side,
        name: format!("{}-{folder}", material.order.name),
        overlay,
        commands,
    };
    let stand = Stand::prepare(material.judge, material.order, material.rules, wanted).await?;
    let ran = match stand.is_installed {
        true => run(material, &stand, name, command, budget, section).await,
        false => Ok(None),
    };
    stand.close().await;
    ran
}

/// The file with its planted tests.
fn planted(view: &SideView, plant: &Plant) -> Vec<(String, Option<String>)> {
    let own = view.read(&plant.path).unwrap_or_default();
    vec![(plant.path.clone(), Some(format!("{}\n{}", own.trim_end(), plant.text)))]
}

/// What passed and fails now.
fn unsteady<'a>(
    plant: &'a Plant,
    head: &TestRun,
    again: &'a TestRun,
) -> impl Iterator<Item = &'a TestCase> {
    let passed = head.results.cases.iter().filter(|case| case.outcome == Outcome::Passed);
    let passed: HashSet<String> = passed.map(|case| case.id.clone()).collect();
    let failed = again.results.bad().filter(|case| !case.name.contains(&plant.mark));
    failed.filter(move |case| passed.contains(&case.id))
}
