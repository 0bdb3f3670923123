//! Thousands of effects at once, against GitHub's own limits in shorter hours.

use std::collections::BTreeMap;

use booty_events::{
    Lane,
    v1::{CheckStatus, Effect, effect::Write},
};
use booty_forge::Settings;
use booty_github::{PointLimit, pace::PaceSettings};
use booty_sim::{Paces, Rule, Trouble};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::world::{REPO, World, ms};

/// How many times as fast the clocks of both sides run.
const FASTER: u32 = 500;

async fn start() -> (World, Settings) {
    let world = World::with_paces(Paces::scaled(f64::from(FASTER))).await;
    let usual = PointLimit::default();
    let settings = Settings {
        pace: PaceSettings::default().scaled(FASTER),
        points: PointLimit { window: usual.window / FASTER, ..usual },
        patience: ms(200),
        ..world.settings()
    };
    (world, settings)
}

async fn ask_for_issues(world: &World, count: usize) -> Vec<Effect> {
    let effects: Vec<_> = (0..count)
        .map(|n| {
            let mut effect = world.alert_issue(&format!("alert-{n}"));
            let Some(Write::CreateIssue(write)) = &mut effect.write else { unreachable!() };
            write.labels.truncate(1);
            effect
        })
        .collect();
    let ask = |effect| world.outbox.effect(Lane::Issue, effect, None);
    let asked = stream::iter(&effects).map(ask).buffered(50);
    asked.try_for_each(async |_| Ok(())).await.unwrap();
    effects
}

/// One issue for each, labelled and with its origin known, and nothing that GitHub had to refuse.
async fn assert_all(world: &World, effects: &[Effect]) {
    let snapshot = world.snapshot();
    let mut made: BTreeMap<String, u64> = BTreeMap::new();
    for issue in &snapshot.repo(REPO).unwrap().issues {
        assert!(made.insert(issue.title.clone(), issue.number).is_none(), "twice: {}", issue.title);
        assert!(issue.number == world.issue || issue.labels.len() == 1, "{}", issue.title);
    }
    for effect in effects {
        let Some(Write::CreateIssue(write)) = &effect.write else { unreachable!() };
        let number = made.get(&write.title).unwrap_or_else(|| panic!("lost: {}", write.title));
        assert_eq!(world.origin(*number).await.unwrap().effect_id, effect.id);
    }
    assert_eq!(made.len(), effects.len() + 1);
    let refused = snapshot.requests.iter().find(|r| matches!(r.status, 403 | 429));
    assert!(refused.is_none(), "a limit was broken: {refused:?}");
    assert_eq!(world.count_events("failed"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_issues_over_a_restart_break_no_limit_and_let_a_check_pass() {
    let (world, settings) = start().await;
    let forge = world.forge_with(settings.clone()).await;
    let effects = ask_for_issues(&world, 2000).await;

    world.count_reaches("applied", 300).await;
    let asked_after = world.count_effects("applied");
    let check = world.check(&world.base_sha, 1, CheckStatus::Queued);
    let check = world.ask_check(check).await;
    world.applied(&check).await;
    let before = world.position("applied", &check);
    assert!(
        before <= asked_after + 20,
        "{before} came before it, {asked_after} when it was asked for"
    );

    world.count_reaches("applied", 900).await;
    forge.kill();
    let _next = world.forge_with(settings).await;
    world.count_reaches("applied", 2001).await;
    assert_all(&world, &effects).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_third_of_all_answers_lost_a_burst_breaks_no_limit_either() {
    let (world, settings) = start().await;
    let mut forge = world.forge_with(settings).await;
    forge.writing().await;
    world.sim.add_fault(Rule::new(Trouble::DropAfterCommit).probability(0.3)).unwrap();
    let effects = ask_for_issues(&world, 200).await;
    world.count_reaches("applied", 200).await;
    assert_all(&world, &effects).await;
}
