//! GitHub's limits, and whose turn it is.

use std::time::Duration;

use booty_events::{Lane, v1::effect::Write};
use booty_github::{
    PointLimit,
    pace::{Limit, PaceSettings},
};
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

/// What GitHub creates in an hour is counted by GitHub over a restart of ours.
#[tokio::test]
async fn the_hours_limit_is_kept_over_a_restart() {
    let paces = Paces { content_per_hour: 20, scale: 1200.0, ..Paces::unlimited() };
    let world = World::with_paces(paces).await;
    let mut settings = world.settings();
    settings.pace.content = vec![Limit { count: 16, window: Duration::from_secs(3) }];
    let effects: Vec<_> = (0..40).map(|n| world.comment(&format!("{n}-d"), "x")).collect();
    for effect in &effects {
        world.ask(effect).await;
    }
    let forge = world.forge_with(settings.clone()).await;
    world.count_reaches("applied", 12).await;
    forge.kill();
    let _next = world.forge_with(settings).await;
    world.count_reaches("applied", 40).await;
    let snapshot = world.snapshot();
    assert_eq!(snapshot.repo(REPO).unwrap().issue(world.issue).unwrap().comments.len(), 40);
    assert!(snapshot.requests.iter().all(|request| request.status < 400));
}

/// An App is installed once for each owner, and each has an hour of its own.
#[tokio::test]
async fn each_installation_has_a_pace_of_its_own() {
    let world = World::with_app().await;
    world.sim.create_repo("acme/shop", &[("a", "b", "100644")], "main").unwrap();
    world.sim.install_app(world.app.as_ref().unwrap().id, "acme", &["acme/shop"]).unwrap();
    let issue = world.sim.open_issue("acme/shop", "ann", "x", "y").unwrap();
    let mut settings = world.settings();
    settings.pace.content = vec![Limit { count: 1, window: Duration::from_secs(3600) }];
    let _forge = world.forge_with(settings).await;
    let (first, second) = (world.comment("1-d", "x"), world.comment("2-d", "waits for an hour"));
    let mut other = world.comment("3-d", "x");
    other.repository = "acme/shop".to_owned();
    other.write = Some(Write::Comment(booty_events::v1::Comment { issue, body: "x".to_owned() }));
    for effect in [&first, &second, &other] {
        world.ask(effect).await;
    }
    world.applied(&first).await;
    world.applied(&other).await;
    assert_eq!(world.requests("POST", "/comments"), 2);
}

#[tokio::test]
async fn points_are_never_overdrawn() {
    let paces = Paces { points_per_minute: 60, scale: 30.0, ..Paces::unlimited() };
    let world = World::with_paces(paces).await;
    let mut settings = world.settings();
    settings.points = PointLimit { points: 50, window: Duration::from_secs(2) };
    let _forge = world.forge_with(settings).await;
    let effects: Vec<_> = (0..12).map(|n| world.alert_issue(&format!("alert-{n}"))).collect();
    for effect in &effects {
        world.ask_in(Lane::Issue, effect, None).await;
    }
    for effect in &effects {
        world.applied(effect).await;
    }
    let snapshot = world.snapshot();
    assert!(snapshot.requests.iter().all(|request| !matches!(request.status, 403 | 429)));
    assert_eq!(world.count_events("failed"), 0);
}

/// GitHub asks for a minute at least, and for more each time: no lane sends anything before.
#[rstest]
#[case(403)]
#[case(429)]
#[tokio::test]
async fn a_limit_that_names_no_time_is_waited_out_ever_longer(#[case] status: u16) {
    let world = World::start().await;
    let mut settings = world.settings();
    settings.unnamed_wait = ms(700);
    let rule = Rule::new(Trouble::UnnamedLimit { status }).method("POST").path("*/comments");
    world.sim.add_fault(rule.times(2)).unwrap();
    let _forge = world.forge_with(settings).await;
    for (n, lane) in Lane::ALL.into_iter().enumerate() {
        world.ask_in(lane, &world.comment(&format!("{n}-d"), "x"), None).await;
    }
    world.count_reaches("applied", 3).await;
    let requests = world.snapshot().requests;
    let refused: Vec<_> = (0..requests.len()).filter(|n| requests[*n].status == status).collect();
    assert_eq!(refused.len(), 2);
    for (n, least) in refused.into_iter().zip([ms(700), ms(1400)]) {
        let gap = (requests[n + 1].at - requests[n].at).to_std().unwrap();
        assert!(gap >= least, "{gap:?}: {:?}", requests[n + 1]);
    }
    assert_eq!(world.count_events("failed"), 0);
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
