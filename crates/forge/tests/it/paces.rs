//! GitHub's limits, and whose turn it is.

use std::time::Duration;

use booty_events::{Lane, v1::effect::Write};
use booty_github::pace::PaceSettings;
use booty_sim::{Paces, Rule, Trouble};
use rstest::rstest;

use crate::world::{REPO, World, ms};

#[rstest]
#[case::secondary(Trouble::SecondaryLimit { status: 403, seconds: 1 })]
#[case::too_many(Trouble::SecondaryLimit { status: 429, seconds: 1 })]
#[case::primary(Trouble::PrimaryLimit { seconds: 1 })]
#[tokio::test]
async fn nothing_is_asked_before_the_limit_ends(#[case] trouble: Trouble) {
    let world = World::start().await;
    let mut forge = world.forge().await;
    forge.writing().await;
    let rule = Rule::new(trouble).method("POST").path("*/pulls").times(1);
    world.sim.add_fault(rule).unwrap();
    let effect = world.open_pull_request("1-d", world.issue);
    let other = world.comment("2-d", "waits as well");
    world.ask(&effect).await;
    world.ask(&other).await;
    world.applied(&effect).await;
    world.applied(&other).await;
    let requests = world.snapshot().requests;
    let limited = requests.iter().position(|r| matches!(r.status, 403 | 429)).unwrap();
    let next = &requests[limited + 1];
    let gap = (next.at - requests[limited].at).to_std().unwrap();
    // The reset is told in whole seconds.
    assert!(gap >= Duration::from_secs(1), "{gap:?}: {next:?}");
    assert_eq!(requests.iter().filter(|r| matches!(r.status, 403 | 429)).count(), 1);
    assert_eq!(world.count_events("failed"), 0, "waiting is no failure");
}

/// GitHub's limits and ours, all windows 1:100.
#[tokio::test]
async fn a_burst_breaks_no_limit() {
    let world = World::with_paces(Paces::scaled(100.0)).await;
    let mut settings = world.settings();
    settings.pace = PaceSettings::default().scaled(100);
    let _forge = world.forge_with(settings).await;
    let effects: Vec<_> =
        (0..150).map(|n| world.comment(&format!("{n}-d"), &format!("comment {n}"))).collect();
    for effect in &effects {
        world.ask(effect).await;
    }
    for effect in &effects {
        world.applied(effect).await;
    }
    let snapshot = world.snapshot();
    assert_eq!(snapshot.repo(REPO).unwrap().issue(world.issue).unwrap().comments.len(), 150);
    assert!(snapshot.requests.iter().all(|request| request.status < 400));
}

#[tokio::test]
async fn the_more_urgent_lane_goes_first() {
    let world = World::start().await;
    let lanes = [(Lane::Issue, 6), (Lane::Outcome, 3), (Lane::Check, 2)];
    let mut effects = Vec::new();
    for (lane, count) in lanes {
        for n in 0..count {
            let text = format!("{lane} {n}");
            let write = booty_events::v1::Comment { issue: world.issue, body: text };
            let effect = world.effect(&format!("{lane}-{n}"), "comment", Write::Comment(write));
            world.ask_in(lane, &effect, None).await;
            effects.push(effect);
        }
    }
    let _forge = world.forge().await;
    for effect in &effects {
        world.applied(effect).await;
    }
    let snapshot = world.snapshot();
    let comments = &snapshot.repo(REPO).unwrap().issue(world.issue).unwrap().comments;
    let said: Vec<_> = comments.iter().map(|c| c.body.lines().next().unwrap()).collect();
    let wanted = [
        "check 0",
        "check 1",
        "outcome 0",
        "outcome 1",
        "outcome 2",
        "issue 0",
        "issue 1",
        "issue 2",
        "issue 3",
        "issue 4",
        "issue 5",
    ];
    assert_eq!(said, wanted);
}

#[tokio::test]
async fn a_stopped_forge_gives_up_its_wait() {
    let world = World::start().await;
    let mut settings = world.settings();
    settings.pace = PaceSettings { spacing: ms(60_000), burst: 0, content: Vec::new() };
    settings.patience = ms(600_000);
    let mut forge = world.forge_with(settings).await;
    forge.writing().await;
    let effect = world.open_pull_request("1-d", world.issue);
    world.ask(&effect).await;
    world.until(|s| s.writes.values().sum::<u64>() == 1).await;
    forge.stop().await;
    let _next = world.forge().await;
    world.applied(&effect).await;
}
