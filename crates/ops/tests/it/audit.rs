//! The conservation law, on a running system and with holes made by hand.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{self, consumer::pull};
use booty_bus::{ConsumerSettings, Headers};
use booty_events::{
    Service, bucket, header, stream,
    subject::{self, SpoolPlace},
};
use booty_ops::{
    Filter,
    audit::{ProblemKind, Report, audit},
};
use bytes::Bytes;
use chrono::Utc;
use futures_util::StreamExt as _;

use crate::support::{Running, World, builder, deliver, eventually, soon};

async fn look(world: &World) -> Report {
    audit(&world.bus, Utc::now).await.unwrap()
}

fn found(report: &Report) -> Vec<(ProblemKind, u64)> {
    report.problems.iter().map(|problem| (problem.kind, problem.sequence)).collect()
}

/// Nothing waits and nothing is in hand.
async fn rest(world: &World, durables: &[ConsumerSettings]) {
    for settings in durables {
        eventually("rest", async || {
            let backlog = world.bus.backlog(settings).await.unwrap();
            backlog.waiting + backlog.unsettled == 0
        })
        .await;
    }
}

/// Deletes a lease entry behind everybody's back.
async fn delete_lease(world: &World, key: &str) {
    let leases = world.bus.bucket(&bucket::LEASES);
    let entry = leases.get(key).await.unwrap().expect("a lease");
    leases.delete(key, entry.revision).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_running_system_never_raises_a_false_alarm_and_adds_up_at_rest() {
    const DELIVERIES: usize = 600;
    let world = World::new().await;
    let follow = ConsumerSettings { durable: "builder-second".to_owned(), ..builder() };
    let other = ConsumerSettings {
        service: Service::Verifier,
        durable: "verifier".to_owned(),
        ..builder()
    };
    let durables = [builder(), follow, other];
    let running = Running::start(&world.bus, &durables).await;
    let bus = world.bus.clone();
    let deliveries = tokio::spawn(async move {
        for n in 0..DELIVERIES {
            let body = ["done", "ignore", "reject", "fail", "hand_back", "done"][n % 6];
            deliver(&bus, &format!("d-{n}"), body).await;
        }
    });
    let spool = world.spool.clone();
    let operator = tokio::spawn(async move {
        // An operator replays and purges all the time.
        for n in 0..10 {
            let all = Filter { all: true, ..Filter::default() };
            spool.replay(&all).await.unwrap();
            spool.purge(&all, n % 3 == 2).await.unwrap();
        }
    });
    let mut looks = 0;
    while !(deliveries.is_finished() && operator.is_finished()) {
        let report = look(&world).await;
        assert!(report.ok, "look {looks}: {:#?}", report.problems);
        for row in report.rows.iter().chain(&report.replays) {
            let parts = row.done + row.ignored + row.spooled + row.purged + row.in_flight;
            assert_eq!(parts, row.messages, "{row:?}");
        }
        looks += 1;
    }
    deliveries.await.unwrap();
    operator.await.unwrap();
    running.mend();
    rest(&world, &durables).await;
    let report = look(&world).await;
    assert!(report.ok, "{:#?}", report.problems);
    for row in &report.rows {
        assert_eq!((row.messages, row.in_flight), (DELIVERIES as u64, 0), "{row:?}");
        assert!(row.done >= 200 && row.spooled + row.purged > 0, "{row:?}");
        assert_eq!(row.ignored_for.get("not_ours"), Some(&row.ignored));
    }
    assert!(looks > 2, "{looks} looks");
    running.stop().await;
}

#[tokio::test]
async fn a_settled_message_without_a_proof_is_lost() {
    let world = World::new().await;
    let running = Running::start(&world.bus, &[builder()]).await;
    for n in 1..=3 {
        world.deliver(&format!("d-{n}"), "done").await;
    }
    rest(&world, &[builder()]).await;
    delete_lease(&world, "builder.BOOTY_INBOX-2").await;
    let report = look(&world).await;
    assert_eq!(found(&report), [(ProblemKind::Lost, 2)]);
    let problem = &report.problems[0];
    assert_eq!((problem.service.as_str(), problem.durable.as_str()), ("builder", "builder"));
    assert!(problem.subject.ends_with(".d-2"));
    assert_eq!((report.rows[0].done, report.rows[0].problems), (2, 1));
    running.stop().await;
}

#[tokio::test]
async fn an_entry_that_went_without_a_purge_is_lost() {
    let world = World::new().await;
    let running = Running::start(&world.bus, &[builder()]).await;
    for n in 1..=3 {
        world.deliver(&format!("d-{n}"), "reject").await;
    }
    rest(&world, &[builder()]).await;
    assert!(look(&world).await.ok);
    let entry = world.list().await.into_iter().find(|e| e.origin == "BOOTY_INBOX-2").unwrap();
    assert!(world.bus.delete_message(stream::SPOOL.name, entry.sequence).await.unwrap());
    assert!(!world.bus.delete_message(stream::SPOOL.name, entry.sequence).await.unwrap());
    let report = look(&world).await;
    assert_eq!(found(&report), [(ProblemKind::Lost, 2)]);
    assert!(report.problems[0].why.contains("spool"), "{report:?}");
    running.stop().await;
}

async fn ack_one_by_hand(world: &World) {
    let stream = world.bus.jetstream().get_stream(stream::INBOX.name).await.unwrap();
    let durable: jetstream::consumer::Consumer<pull::Config> =
        stream.get_consumer("builder").await.unwrap();
    let mut batch = durable.fetch().max_messages(1).messages().await.unwrap();
    let message = soon("a message", batch.next()).await.unwrap().unwrap();
    message.double_ack().await.unwrap();
}

#[tokio::test]
async fn a_message_that_was_acknowledged_by_hand_is_lost() {
    let world = World::new().await;
    Running::start(&world.bus, &[builder()]).await.stop().await;
    world.deliver("d-1", "done").await;
    world.deliver("d-2", "done").await;
    assert!(look(&world).await.ok, "nobody was given anything");
    ack_one_by_hand(&world).await;
    let report = look(&world).await;
    assert_eq!(found(&report), [(ProblemKind::Lost, 1)]);
    assert_eq!(report.rows[0].in_flight, 1);
}

#[tokio::test]
async fn a_hole_behind_a_message_that_takes_long_is_seen_at_once() {
    let world = World::new().await;
    Running::start(&world.bus, &[builder()]).await.stop().await;
    world.deliver("d-1", "done").await;
    let stream = world.bus.jetstream().get_stream(stream::INBOX.name).await.unwrap();
    let durable: jetstream::consumer::Consumer<pull::Config> =
        stream.get_consumer("builder").await.unwrap();
    let mut batch = durable.fetch().max_messages(1).messages().await.unwrap();
    // Given to somebody who keeps it: nothing below it is settled for certain.
    let kept = soon("a message", batch.next()).await.unwrap().unwrap();
    world.deliver("d-2", "done").await;
    assert!(look(&world).await.ok, "one is in hand, one waits");
    ack_one_by_hand(&world).await;
    let report = look(&world).await;
    assert_eq!(found(&report), [(ProblemKind::Lost, 1), (ProblemKind::Lost, 2)]);
    assert!(report.problems[0].why.starts_with("1 of these 2"), "{report:?}");
    drop(kept);
}

fn place(sequence: u64, reason: &str) -> SpoolPlace {
    let origin = format!("BOOTY_INBOX-{sequence}");
    SpoolPlace { service: Service::Builder, reason: reason.to_owned(), origin }
}

async fn spool_by_hand(world: &World, sequence: u64, reason: &str) {
    let message = world.bus.message_at(stream::INBOX.name, sequence).await.unwrap().unwrap();
    let headers: Headers = [(header::SPOOL_SUBJECT, &message.subject)].into_iter().collect();
    world.bus.spool(&place(sequence, reason), headers, Bytes::new()).await.unwrap();
}

#[tokio::test]
async fn what_is_done_and_spooled_is_double_and_two_entries_are_one_too_many() {
    let world = World::new().await;
    let running = Running::start(&world.bus, &[builder()]).await;
    for (id, body) in [("d-1", "done"), ("d-2", "reject"), ("d-3", "ignore"), ("d-4", "done")] {
        world.deliver(id, body).await;
    }
    rest(&world, &[builder()]).await;
    spool_by_hand(&world, 1, "by_hand").await;
    spool_by_hand(&world, 2, "by_hand").await;
    spool_by_hand(&world, 3, "by_hand").await;
    // An entry that comes from elsewhere bears a number of ours, but another subject.
    let foreign: Headers =
        [(header::SPOOL_SUBJECT, "booty.inbox.github.issues.labeled.other")].into_iter().collect();
    world.bus.spool(&place(4, "elsewhere"), foreign, Bytes::new()).await.unwrap();
    let report = look(&world).await;
    let expected =
        [(ProblemKind::Double, 1), (ProblemKind::SpooledTwice, 2), (ProblemKind::Double, 3)];
    assert_eq!(found(&report), expected);
    running.stop().await;
}

#[tokio::test]
async fn what_one_durable_spools_another_of_its_service_may_be_done_with() {
    let world = World::new().await;
    let rejects = Running::start(&world.bus, &[builder()]).await;
    world.deliver("d-1", "reject").await;
    rest(&world, &[builder()]).await;
    rejects.stop().await;
    let second = ConsumerSettings { durable: "builder-second".to_owned(), ..builder() };
    let handles = Running::start_as(&world.bus, std::slice::from_ref(&second), true).await;
    rest(&world, &[second]).await;
    let report = look(&world).await;
    assert!(report.ok, "{:#?}", report.problems);
    assert_eq!((report.rows[0].spooled, report.rows[1].done), (1, 1));
    handles.stop().await;
}

#[tokio::test]
async fn effects_and_deliveries_that_nobody_wants_are_counted() {
    let world = World::new().await;
    let settings = ConsumerSettings {
        durable: "forge-issue".to_owned(),
        ..ConsumerSettings::new(
            Service::Forge,
            stream::EFFECTS.name,
            vec![subject::effect_filter(booty_events::Lane::Issue)],
            "forge",
        )
    };
    let running = Running::start(&world.bus, std::slice::from_ref(&settings)).await;
    for (lane, id) in [("issue", "e1"), ("issue", "e2"), ("check", "e3")] {
        let subject = format!("booty.effect.{lane}.comment.{id}");
        let message =
            booty_bus::Outgoing { subject, headers: Headers::new(), payload: Bytes::new() };
        world.bus.publish(message).await.unwrap();
    }
    world.deliver("d-1", "done").await;
    rest(&world, &[settings]).await;
    let report = look(&world).await;
    assert!(report.ok, "{:#?}", report.problems);
    assert_eq!((report.rows[0].durable.as_str(), report.rows[0].done), ("forge-issue", 2));
    let unwanted: Vec<_> = report.unwanted.into_iter().collect();
    let expected = [
        ("booty.effect.check.comment.>".to_owned(), 1),
        ("booty.inbox.github.issues.labeled.>".to_owned(), 1),
    ];
    assert_eq!(unwanted, expected);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_broker_that_is_killed_leaves_no_hole() {
    let mut world = World::new().await;
    let running = Arc::new(Running::start(&world.bus, &[builder()]).await);
    for n in 0..100 {
        world.deliver(&format!("d-{n}"), ["done", "reject", "ignore"][n % 3]).await;
    }
    world.server.kill9().await.unwrap();
    world.server.restart().await.unwrap();
    eventually("it is back", async || audit(&world.bus, Utc::now).await.is_ok()).await;
    assert!(look(&world).await.ok);
    rest(&world, &[builder()]).await;
    let report = look(&world).await;
    assert!(report.ok, "{:#?}", report.problems);
    assert_eq!(report.rows[0].messages, 100);
    tokio::time::timeout(Duration::from_secs(30), Arc::into_inner(running).unwrap().stop())
        .await
        .unwrap();
}
