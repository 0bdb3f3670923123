//! A problem that comes back after its issue was closed.

use std::time::Duration;

use booty_events::v1::AlertPhase;
use booty_sim::{Rule, Trouble};
use chrono::Utc;

use crate::world::{PERSON, REPO, Running, World, alert, fingerprint};

/// An issue is made of the first alert, and closed.
async fn closed(world: &World) -> (Running, Running, u64) {
    let (forge, running) = (world.forge().await, world.start().await);
    world.deliver(&alert("1", 1)).await;
    let state = world.until(&fingerprint("1"), |state| state.phase() == AlertPhase::Open).await;
    world.sim.close_issue(REPO, state.issue, PERSON).unwrap();
    (forge, running, state.issue)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_opened_again_with_the_count_and_no_other_is_made() {
    let world = World::new().await;
    let _services = closed(&world).await;
    let again = world.deliver(&alert("1", 2)).await;
    let reopened = world.facts("issue_reopened", 1).await;
    assert_eq!(reopened[0].job_id, again.job.as_str());
    let job = world.job(&again.job, |job| job.step == "reopened").await;
    let issues = world.issues();
    assert_eq!(issues.len(), 1);
    assert!(issues[0].open);
    assert_eq!(job.issue, issues[0].number);
    assert_eq!(issues[0].comments.len(), 1);
    assert!(issues[0].comments[0].body.contains('2'), "{}", issues[0].comments[0].body);
    let state = world.until(&again.fingerprint, |state| !state.reopening).await;
    assert_eq!((state.count, state.told, state.closed), (2, 2, false));

    // It is open: the next one only counts.
    let more = world.deliver(&alert("1", 3)).await;
    world.job(&more.job, |job| job.step == "counted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn within_the_cooldown_it_stays_closed_and_counts() {
    let mut world = World::new().await;
    world.set("OBSV_COOLDOWN_HOURS", "6");
    let _services = closed(&world).await;
    let again = world.deliver(&alert("1", 2)).await;
    let job = world.job(&again.job, |job| job.step == "suppressed").await;
    assert_eq!(job.reason, "cooldown");
    assert_eq!(world.state(&again.fingerprint).await.unwrap().count, 2);
    assert!(!world.issues()[0].open);
    assert_eq!(world.effects().await.len(), 1, "nothing is asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_github_is_away_it_counts_and_is_opened_as_soon_as_github_answers() {
    let world = World::new().await;
    let (_forge, _running, issue) = closed(&world).await;
    let path = format!("/repos/{REPO}/issues/{issue}");
    let away = Rule::new(Trouble::Fail { status: 503 }).method("GET").path(&path);
    world.sim.add_fault(away).unwrap();
    let again = world.deliver(&alert("1", 2)).await;
    world.job(&again.job, |job| job.step == "counted").await;
    assert!(!world.issues()[0].open);
    world.sim.clear_faults().unwrap();
    world.job(&again.job, |job| job.step == "reopened").await;
    assert!(world.issues()[0].open);
    assert_eq!(world.issues().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_from_before_the_closing_opens_nothing() {
    let world = World::new().await;
    let (_forge, running, issue) = closed(&world).await;
    running.stop().await;
    world.sim.reopen(REPO, issue, PERSON).unwrap();
    // It waits in the inbox while somebody closes the issue, at least a second later: GitHub's clock
    // knows no fractions.
    let waiting = world.deliver(&alert("1", 2)).await;
    let second = Utc::now().timestamp();
    while Utc::now().timestamp() == second {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.sim.close_issue(REPO, issue, PERSON).unwrap();
    let _running = world.start().await;
    world.job(&waiting.job, |job| job.step == "counted").await;
    let state = world.until(&waiting.fingerprint, |state| state.closed).await;
    assert_eq!((state.count, state.reopening), (2, false));
    assert!(!world.issues()[0].open);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_that_is_gone_is_made_anew() {
    let world = World::new().await;
    let (_forge, _running, issue) = closed(&world).await;
    let path = format!("/repos/{REPO}/issues/{issue}");
    let gone = Rule::new(Trouble::Fail { status: 404 }).method("GET").path(&path);
    world.sim.add_fault(gone).unwrap();
    let again = world.deliver(&alert("1", 2)).await;
    let job = world.job(&again.job, |job| job.step == "created").await;
    assert_ne!(job.issue, issue);
    let state = world.state(&again.fingerprint).await.unwrap();
    assert_eq!((state.generation, state.count), (2, 2));
}
