//! Writes that forge gives up on, and what operators replay.

use booty_events::{
    Service,
    v1::{AlertPhase, JobState},
};
use booty_sim::{Rule, Trouble};

use crate::world::{PERSON, REPO, World, alert, fingerprint};

#[tokio::test(flavor = "multi_thread")]
async fn repeats_of_an_issue_in_the_spool_count_and_a_replay_makes_it() {
    let world = World::new().await;
    let (_forge, _running) = (world.forge().await, world.start().await);
    let path = format!("/repos/{REPO}/issues");
    let refuse = Rule::new(Trouble::Fail { status: 410 }).method("POST").path(&path);
    world.sim.add_fault(refuse).unwrap();
    let first = world.deliver(&alert("1", 1)).await;
    let job = world.job(&first.job, |job| job.state() == JobState::Failed).await;
    assert_eq!(job.step, "spooled");
    assert!(!job.reason.is_empty());
    let state = world.until(&first.fingerprint, |s| s.phase() == AlertPhase::Failed).await;
    assert!(state.spooled.starts_with("BOOTY_EFFECTS-"), "{}", state.spooled);
    assert_eq!(world.facts("spooled", 1).await[0].job_id, first.job.as_str());

    let second = world.deliver(&alert("1", 2)).await;
    world.job(&second.job, |job| job.step == "counted").await;
    assert_eq!(world.effects().await.len(), 1);

    world.sim.clear_faults().unwrap();
    world.replay(Service::Forge).await;
    let job = world.job(&first.job, |job| job.state() == JobState::Completed).await;
    let state = world.until(&first.fingerprint, |s| s.phase() == AlertPhase::Open).await;
    assert_eq!((job.step.as_str(), job.issue, job.reason.as_str()), ("created", state.issue, ""));
    assert_eq!((state.count, state.spooled.as_str()), (2, ""));
    assert_eq!(world.issues().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_that_fails_is_replayed_too() {
    let world = World::new().await;
    let (_forge, _running) = (world.forge().await, world.start().await);
    world.deliver(&alert("1", 1)).await;
    let state = world.until(&fingerprint("1"), |s| s.phase() == AlertPhase::Open).await;
    world.sim.close_issue(REPO, state.issue, PERSON).unwrap();
    let path = format!("/repos/{REPO}/issues/{}", state.issue);
    let refuse = Rule::new(Trouble::Fail { status: 403 }).method("PATCH").path(&path);
    world.sim.add_fault(refuse).unwrap();
    let again = world.deliver(&alert("1", 2)).await;
    world.job(&again.job, |job| job.state() == JobState::Failed).await;
    let more = world.deliver(&alert("1", 3)).await;
    world.job(&more.job, |job| job.step == "counted").await;

    world.sim.clear_faults().unwrap();
    world.replay(Service::Forge).await;
    world.job(&again.job, |job| job.step == "reopened").await;
    let state = world.until(&again.fingerprint, |s| s.phase() == AlertPhase::Open).await;
    assert_eq!((state.count, state.generation), (3, 1));
    assert!(world.issues()[0].open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_makes_no_issue_and_leaves_no_alert_waiting() {
    let mut world = World::new().await;
    world.set("OBSV_COOLDOWN_HOURS", "6");
    let _running = world.start().await;
    let first = world.deliver(&alert("1", 1)).await;
    world.facts("decided", 1).await;
    let effect = world.effects().await.remove(0);
    let mut event = booty_events::v1::Event {
        job_id: effect.cause.clone(),
        effect_id: effect.id.clone(),
        ..booty_events::v1::Event::default()
    };
    event.attributes.insert("slot".to_owned(), effect.slot.clone());
    let forge = booty_service::Outbox::new(world.bus.clone(), Service::Forge);
    forge.event("dry_run", &effect.id, event).await.unwrap();
    world.job(&first.job, |job| job.step == "dry_run").await;
    world.until(&first.fingerprint, |s| s.phase() == AlertPhase::Unspecified).await;
    let second = world.deliver(&alert("1", 2)).await;
    let job = world.job(&second.job, |job| job.step == "suppressed").await;
    assert_eq!(job.reason, "cooldown");
}
