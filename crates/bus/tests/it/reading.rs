//! Reading streams and buckets whole, many messages at a time.

use booty_bus::{Bus, Content, Error, Outcome, Progress, Reading, Stored, Verdict};
use booty_events::{bucket, stream, subject};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::support::{Running, World, eventually, inbox, is_settled, outgoing, settings, soon};

async fn read(bus: &Bus, reading: Reading) -> Vec<Stored> {
    bus.read(stream::INBOX.name, reading).try_collect().await.unwrap()
}

#[tokio::test]
async fn a_reading_has_each_message_once_in_order_and_ends() {
    const MESSAGES: usize = 5_000;
    let world = World::new().await;
    assert!(read(&world.bus, Reading::default()).await.is_empty(), "an empty stream ends, too");
    let mut sent = futures_util::stream::iter(0..MESSAGES)
        .map(|n| {
            let bus = world.bus.clone();
            async move { bus.publish(outgoing(&inbox(&format!("m{n}")), "payload")).await }
        })
        .buffer_unordered(64);
    while let Some(sent) = sent.next().await {
        sent.unwrap();
    }
    let all = read(&world.bus, Reading::default()).await;
    let sequences: Vec<u64> = all.iter().map(|message| message.sequence).collect();
    assert_eq!(sequences, (1..=MESSAGES as u64).collect::<Vec<_>>());
    assert!(all.iter().all(|message| message.payload.is_empty()), "headers alone");
    assert_eq!(all[0].headers.get("Nats-Msg-Size"), Some("7"));

    let one = inbox("m7");
    let reading = Reading { content: Content::Whole, ..Reading::headers(&[&one]) };
    let found = read(&world.bus, reading).await;
    assert_eq!((found.len(), found[0].subject.as_str()), (1, one.as_str()));
    assert_eq!(found[0].payload, Bytes::from_static(b"payload"));
    let at = world.bus.message_at(stream::INBOX.name, found[0].sequence).await.unwrap().unwrap();
    assert_eq!((at.subject, at.time), (found[0].subject.clone(), found[0].time));

    let late = Reading { from: 4_990, ..Reading::default() };
    assert_eq!(read(&world.bus, late).await.len(), 11);

    // Nothing is left on the server.
    assert!(world.bus.durables(stream::INBOX.name).await.unwrap().is_empty());
    let stream = world.bus.jetstream().get_stream(stream::INBOX.name).await.unwrap();
    assert_eq!(stream.cached_info().state.consumer_count, 0);
}

#[tokio::test]
async fn a_reading_without_a_broker_ends_with_an_error() {
    let mut world = World::new().await;
    let bus = world.impatient_bus().await;
    world.server.stop().await.unwrap();
    let items: Vec<_> = bus.read(stream::INBOX.name, Reading::default()).collect().await;
    assert!(matches!(items[..], [Err(Error::Unavailable { .. })]), "{items:?}");
}

#[tokio::test]
async fn a_bucket_is_read_whole_and_watched() {
    let world = World::new().await;
    let bucket = world.bus.bucket(&bucket::JOBS);
    let gone = bucket.create("gone", "x".into()).await.unwrap();
    bucket.create("a", "1".into()).await.unwrap();
    bucket.delete("gone", gone).await.unwrap();
    let entries: Vec<_> = bucket.entries(&[">".to_owned()]).try_collect().await.unwrap();
    assert_eq!(entries.len(), 1, "a deleted key is none");
    assert_eq!((entries[0].0.as_str(), &entries[0].1.value[..]), ("a", &b"1"[..]));

    let mut watch = std::pin::pin!(bucket.watch(">").await.unwrap());
    let mut next = async || soon("a change", watch.next()).await.unwrap().unwrap();
    assert_eq!(next().await.0, "a");
    let revision = entries[0].1.revision;
    let newer = bucket.update("a", "2".into(), revision).await.unwrap();
    let (key, entry) = next().await;
    assert_eq!((key.as_str(), &entry.value[..], entry.revision), ("a", &b"2"[..], newer));
}

#[tokio::test]
async fn a_lease_says_how_its_message_ended_and_a_durable_how_far_it_is() {
    let world = World::new().await;
    let settings = settings("w");
    let running =
        Running::start(&world.bus, &settings, async |delivery| match &delivery.payload[..] {
            b"ignored" => Verdict::Ignore { reason: "not_ours".to_owned() },
            b"spooled" => Verdict::Reject { reason: "broken".to_owned(), why: "x".to_owned() },
            _ => Verdict::Done,
        })
        .await;
    for name in ["done", "ignored", "spooled"] {
        world.publish(name).await;
    }
    eventually("all are settled", async || is_settled(&world.bus, &settings).await).await;
    let messages = world.bus.leases().messages(None).await.unwrap();
    let outcome = |sequence: u64| {
        let state = &messages[&format!("builder.{}-{sequence}", stream::INBOX.name)];
        state.progress.clone()
    };
    assert_eq!(outcome(1), Progress::Ended(Some(Outcome::Done)));
    let ignored = Outcome::Ignored { reason: "not_ours".to_owned() };
    assert_eq!(outcome(2), Progress::Ended(Some(ignored)));
    let spooled = Outcome::Spooled { reason: "broken".to_owned() };
    assert_eq!(outcome(3), Progress::Ended(Some(spooled)));
    let stored = world.bus.message_at(stream::INBOX.name, 1).await.unwrap().unwrap();
    let first = &messages[&format!("builder.{}-1", stream::INBOX.name)];
    assert_eq!(first.published, stored.time, "to the nanosecond");
    let of = [format!("{}-2", stream::INBOX.name)];
    assert_eq!(world.bus.leases().messages(Some(&of)).await.unwrap().len(), 1);

    let durables = world.bus.durables(stream::INBOX.name).await.unwrap();
    let [durable] = &durables[..] else { panic!("{durables:?}") };
    assert_eq!((durable.name.as_str(), durable.settled_to, durable.waiting), ("builder", 3, 0));
    assert!(durable.wants(&inbox("any")) && durable.wants("booty.replay.builder.x.1"));
    assert!(!durable.wants(&subject::inbox_github("push", None, &"d".parse().unwrap())));
    running.stop().await;
}
