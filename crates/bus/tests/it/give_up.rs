//! Five failures, and what is left of a message then.

use std::{sync::atomic::Ordering, time::Duration};

use async_nats::jetstream::stream::Config;
use booty_bus::{Bus, Stored, Verdict};
use booty_events::{header, stream};
use futures_util::StreamExt as _;

use crate::{
    child,
    support::{Running, World, eventually, inbox, is_settled, outgoing, settings},
};

async fn spooled(bus: &Bus) -> Vec<Stored> {
    let handle = bus.jetstream().get_stream(stream::SPOOL.name).await.unwrap();
    let info = handle.info_with_subjects(">").await.unwrap();
    let subjects: Vec<String> = info.map(|subject| subject.unwrap().0).collect().await;
    let mut found = Vec::new();
    for subject in subjects {
        found.extend(bus.last_message(stream::SPOOL.name, &subject).await.unwrap());
    }
    assert_eq!(found.len() as u64, handle.cached_info().state.messages);
    found
}

fn failing() -> Verdict {
    Verdict::Retry { after: Duration::from_millis(10), why: "no\nluck".to_owned() }
}

#[tokio::test]
async fn five_failures_end_in_one_spool_entry() {
    let world = World::new().await;
    let settings = settings("w");
    let mut message = outgoing(&inbox("a"), "the payload");
    message.headers.insert("ce-id", "a");
    message.headers.insert(header::DELIVERY_ID, "a");
    world.bus.publish(message).await.unwrap();
    let mut running = Running::start(&world.bus, &settings, async |_| failing()).await;
    for failures in 0..5 {
        assert_eq!(running.next().await.failures, failures);
    }
    eventually("it is gone from the durable", async || is_settled(&world.bus, &settings).await)
        .await;
    assert_eq!(running.runs(), 5);
    assert_eq!(*running.script.told.lock().await, ["no\nluck"]);

    let entries = spooled(&world.bus).await;
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(entry.subject, "booty.spool.builder.failed_too_often.BOOTY_INBOX-1");
    assert_eq!(&entry.payload[..], b"the payload");
    let header = |name| entry.headers.get(name).unwrap_or_else(|| panic!("{name} is missing"));
    assert_eq!((header("ce-id"), header(header::DELIVERY_ID)), ("a", "a"));
    assert_eq!(header(header::SPOOL_SUBJECT), inbox("a"));
    assert_eq!(header(header::SPOOL_ORIGIN), "BOOTY_INBOX-1");
    assert_eq!(header(header::SPOOL_ATTEMPTS), "5");
    assert_eq!(header(header::SPOOL_ERROR), "no luck");
    assert!(header(header::SPOOL_TIME).ends_with('Z'));
    let replay = format!("booty.replay.builder.BOOTY_INBOX-1.{}", entry.sequence);
    assert_eq!(header(header::SPOOL_REPLAY_SUBJECT), replay);
    assert_eq!(entry.headers.get("Nats-Msg-Id"), Some(entry.subject.as_str()), "not the inbox's");

    // By hand: what was stored, on the subject that it names.
    let mut by_hand = outgoing(&replay, "the payload");
    by_hand.headers = entry.headers.without_broker_headers();
    world.bus.publish(by_hand).await.unwrap();
    let replayed = running.next().await;
    assert_eq!((replayed.replay_of, replayed.failures), (Some(entry.sequence), 0));
    assert_eq!(replayed.subject, inbox("a"));
    for _ in 0..4 {
        running.next().await;
    }
    eventually("it fails again", async || is_settled(&world.bus, &settings).await).await;
    let entries = spooled(&world.bus).await;
    assert_eq!(entries.len(), 2, "a replay that fails is an entry of its own");
    let again = entries.iter().find(|entry| entry.subject.ends_with("BOOTY_INBOX-2")).unwrap();
    assert_eq!(again.headers.get(header::SPOOL_SUBJECT), Some(inbox("a").as_str()));
    assert_eq!(again.headers.get(header::REPLAY_OF), None);
    running.stop().await;
}

#[tokio::test]
async fn many_that_fail_together_each_name_their_own_replay() {
    let world = World::new().await;
    let mut settings = settings("w");
    settings.permits = 16;
    settings.max_failures = 1;
    for n in 0..16 {
        world.publish(&format!("m{n}")).await;
    }
    let running = Running::start(&world.bus, &settings, async |_| failing()).await;
    eventually("all are gone", async || is_settled(&world.bus, &settings).await).await;
    let entries = spooled(&world.bus).await;
    assert_eq!(entries.len(), 16);
    for entry in entries {
        let named = entry.headers.get(header::SPOOL_REPLAY_SUBJECT).unwrap();
        assert!(named.ends_with(&format!(".{}", entry.sequence)), "{named} {}", entry.sequence);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_rejected_message_is_spooled_at_once_under_its_reason() {
    let world = World::new().await;
    let settings = settings("w");
    world.publish("a").await;
    let running = Running::start(&world.bus, &settings, async |_| Verdict::Reject {
        reason: "not a.token >".to_owned(),
        why: "line 1 column 1".to_owned(),
    })
    .await;
    eventually("it is gone", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!(running.runs(), 1);
    assert!(running.script.told.lock().await.is_empty());
    let entries = spooled(&world.bus).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].subject.split('.').count(), 5, "{}", entries[0].subject);
    assert_eq!(entries[0].headers.get(header::SPOOL_ERROR), Some("line 1 column 1"));
    running.stop().await;
}

#[tokio::test]
async fn a_panic_is_a_failure_with_its_text() {
    let world = World::new().await;
    let mut settings = settings("w");
    settings.max_failures = 2;
    world.publish("a").await;
    let running =
        Running::start(&world.bus, &settings, async |_| panic!("index out of luck")).await;
    eventually("it is gone", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!(running.runs(), 2);
    let entries = spooled(&world.bus).await;
    assert_eq!(
        entries[0].headers.get(header::SPOOL_ERROR),
        Some("the handler panicked: index out of luck")
    );
    running.stop().await;
}

#[tokio::test]
async fn a_message_that_kills_its_worker_five_times_is_spooled_before_the_sixth() {
    let world = World::new().await;
    let settings = settings("killed");
    world.publish("killer").await;
    for _ in 0..5 {
        let mut worker =
            child::spawn("child::worker_that_is_killed_by_its_message", &world.server.url());
        assert_eq!(child::killed_by(&mut worker).await, Some(9));
    }
    let running = Running::start(&world.bus, &settings, async |_| Verdict::Done).await;
    eventually("it is gone", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!(running.runs(), 0, "it is not run again");
    let entries = spooled(&world.bus).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(&entries[0].payload[..], b"killer");
    assert_eq!(entries[0].headers.get(header::SPOOL_ATTEMPTS), Some("5"));
    let why = "killed died while it held the lease";
    assert_eq!(entries[0].headers.get(header::SPOOL_ERROR), Some(why));
    assert_eq!(*running.script.told.lock().await, [why]);
    running.stop().await;
}

#[tokio::test]
async fn an_outcome_that_could_not_be_said_is_said_later() {
    let world = World::new().await;
    let mut settings = settings("w");
    settings.max_failures = 1;
    let running = Running::start(&world.bus, &settings, async |_| failing()).await;
    running.script.untold.store(2, Ordering::SeqCst);
    world.publish("a").await;
    eventually("the first failure", async || running.script.untold.load(Ordering::SeqCst) < 2)
        .await;
    assert_eq!(world.bus.backlog(&settings).await.unwrap().unsettled, 1, "it is not let go");
    eventually("it is gone", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!(running.script.untold.load(Ordering::SeqCst), 0);
    assert_eq!(*running.script.told.lock().await, ["no\nluck"]);
    assert_eq!(running.runs(), 1);
    assert_eq!(spooled(&world.bus).await.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_full_spool_loses_nothing() {
    let world = World::new().await;
    let mut settings = settings("w");
    settings.max_failures = 1;
    let handle = world.bus.jetstream().get_stream(stream::SPOOL.name).await.unwrap();
    let config = handle.cached_info().config.clone();
    let tiny = Config { max_bytes: 100, ..config.clone() };
    world.bus.jetstream().update_stream(tiny).await.unwrap();
    world.publish("a").await;
    let mut running = Running::start(&world.bus, &settings, async |_| failing()).await;
    running.next().await;
    eventually("it is handed back", async || {
        let state = world.bus.leases().state("builder.BOOTY_INBOX-1").await.unwrap();
        state.is_some_and(|state| state.ended)
    })
    .await;
    assert!(spooled(&world.bus).await.is_empty());
    assert_eq!(world.bus.backlog(&settings).await.unwrap().unsettled, 1);
    world.bus.jetstream().update_stream(config).await.unwrap();
    eventually("it is spooled", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!(spooled(&world.bus).await.len(), 1);
    assert_eq!(running.runs(), 1, "it was not run again for that");
    running.stop().await;
}
