//! A crash at any point, and the message that comes again: the same writes, and nothing counted twice.

use booty_alert::{Alert, AutoBuild};
use booty_events::{
    Lane, RepoName, Service,
    v1::{AlertPhase, AlertState, Event},
};
use booty_observability::{
    alerts::Alerts,
    decide::{Decision, Seen},
    issue::Context,
    state::{self, Wanted},
    write::{Manner, new_issue},
};
use booty_service::Outbox;
use chrono::Utc;
use serde_json::Value;

use crate::world::{Delivered, LABEL, REPO, World, alert, fingerprint};

/// What a run leaves that is killed right after it has written its decision.
async fn decided(world: &World, delivered: &Delivered, body: &Value) -> AlertState {
    let target: RepoName = REPO.parse().unwrap();
    let alert = Alert::parse(&serde_json::to_vec(body).unwrap()).unwrap();
    let seen = Seen {
        delivery: delivered.id.to_string(),
        event: alert.event_id.clone(),
        severity: alert.severity,
        received: Utc::now(),
        is_replay: false,
    };
    let wanted = Wanted { repository: &target, title: "t", traceparent: "" };
    let fingerprint = &delivered.fingerprint;
    let state = state::taken(None, fingerprint, &seen, Decision::Create, &wanted, Utc::now());
    assert!(Alerts::new(&world.bus).put(fingerprint, &state, None).await.unwrap());
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_decision_the_issue_is_asked_for_by_the_redelivery() {
    let world = World::new().await;
    let body = alert("1", 1);
    let delivered = world.deliver(&body).await;
    let state = decided(&world, &delivered, &body).await;
    let _running = world.start().await;
    let facts = world.facts("decided", 1).await;
    assert_eq!(facts[0].reason, "create");
    let effects = world.effects().await;
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0].id, state.effect_id);
    assert_eq!(world.state(&delivered.fingerprint).await.unwrap(), state);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_asking_the_redelivery_asks_for_nothing_more() {
    let world = World::new().await;
    let body = alert("1", 1);
    let delivered = world.deliver(&body).await;
    let state = decided(&world, &delivered, &body).await;
    let read = Alert::parse(&serde_json::to_vec(&body).unwrap()).unwrap();
    let manner = Manner { trigger_label: LABEL, auto_build: AutoBuild::Restricted };
    let context = Context::default();
    let effect = new_issue(&state, &delivered.fingerprint, &read, &context, manner, Utc::now());
    let outbox = Outbox::new(world.bus.clone(), Service::Observability);
    outbox.effect(Lane::Issue, &effect, None).await.unwrap();
    let _forge = world.forge().await;
    let _running = world.start().await;
    world.until(&delivered.fingerprint, |state| state.phase() == AlertPhase::Open).await;
    world.facts("decided", 1).await;
    world.job(&delivered.job, |job| job.step == "created" && job.issue > 0).await;
    assert_eq!(world.effects().await.len(), 1);
    assert_eq!(world.issues().len(), 1);
    assert_eq!(world.state(&delivered.fingerprint).await.unwrap().count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_forgotten_is_known_by_its_fact() {
    let world = World::new().await;
    let running = world.start().await;
    let first = world.deliver(&alert("1", 0)).await;
    world.facts("decided", 1).await;
    let second = world.deliver(&alert("1", 1)).await;
    world.facts("decided", 2).await;
    let most = u32::try_from(state::REMEMBERED).unwrap();
    for nth in 2..=most + 1 {
        world.deliver(&alert("1", nth)).await;
    }
    let state = world.until(&first.fingerprint, |state| state.count == u64::from(most) + 2).await;
    let remembered = |delivered: &Delivered| {
        state.seen.iter().any(|seen| seen.delivery == delivered.id.as_str())
    };
    assert_eq!(state.seen.len(), state::REMEMBERED);
    assert!(remembered(&first), "forge's report is about the one that asked");
    assert!(!remembered(&second));
    running.stop().await;

    // Given to a durable that does not know that it was settled.
    let mut headers = booty_bus::Headers::new();
    headers.insert(booty_events::header::DELIVERY_ID, second.id.as_str());
    headers.insert(booty_events::header::REPLAY_OF, "1");
    let subject = booty_events::subject::replay(Service::Observability, "BOOTY_INBOX-2", 1);
    let payload = serde_json::to_vec(&alert("1", 1)).unwrap().into();
    world.bus.publish(booty_bus::Outgoing { subject, headers, payload }).await.unwrap();
    let third = world.deliver(&alert("1", 9_999)).await;
    let _running = world.start().await;
    world.facts("decided", most as usize + 3).await;
    let job = world.job(&second.job, |job| job.replay_of == 1).await;
    assert_eq!(job.step, "counted");
    world.job(&third.job, |job| job.step == "counted").await;
    let state = world.state(&first.fingerprint).await.unwrap();
    assert_eq!(state.count, u64::from(most) + 3, "counted again");
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_in_the_middle_lose_and_double_nothing() {
    const ALERTS: u32 = 120;
    let world = World::new().await;
    let _forge = world.forge().await;
    for nth in 0..ALERTS {
        world.deliver(&alert("1", nth)).await;
    }
    for life in 1..=4 {
        let mut settings = world.settings("observability-1");
        settings.permits = 4;
        // What is in hand is cut off, not finished.
        settings.shutdown_grace = std::time::Duration::ZERO;
        let running = world.start_with(settings).await;
        world.facts("decided", life * 15).await;
        running.stop().await;
    }
    let _running = world.start().await;
    let decided = world.facts("decided", ALERTS as usize).await;
    assert_eq!(decided.iter().filter(|event: &&Event| event.reason == "create").count(), 1);
    let fingerprint = fingerprint("1");
    let state = world.until(&fingerprint, |state| state.phase() == AlertPhase::Open).await;
    assert_eq!((state.count, state.generation), (u64::from(ALERTS), 1));
    assert_eq!(world.issues().len(), 1);
}
