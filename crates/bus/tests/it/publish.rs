//! A subject happens once, and nothing else is ever taken for a duplicate.

use std::{collections::HashSet, time::Duration};

use async_nats::HeaderMap;
use booty_bus::{Bus, BusSettings, PublishError, Published, local::LocalServer};
use booty_events::stream;
use bytes::Bytes;
use futures_util::future::join_all;

use crate::support::{World, connect_with, inbox, outgoing, soon};

/// The error code of a publish that bypasses this crate, under a message id never seen; 0: stored.
async fn raw_code(bus: &Bus, subject: &str, id: &str, expects_none: bool) -> u64 {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", id);
    if expects_none {
        headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
    }
    let answer = bus
        .client()
        .request_with_headers(subject.to_owned(), headers, Bytes::from_static(b"raw"))
        .await
        .unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    answer["error"]["err_code"].as_u64().unwrap_or(0)
}

async fn fill(bus: &Bus) -> Vec<String> {
    let payload = "x".repeat(8 << 10);
    let mut subjects = Vec::new();
    loop {
        let subject = inbox(&format!("fill-{}", subjects.len()));
        match bus.publish(outgoing(&subject, &payload)).await {
            Ok(Published::New { .. }) => subjects.push(subject),
            Err(PublishError::Full) => return subjects,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_second_publish_is_a_duplicate() {
    let world = World::new().await;
    let subject = inbox("a");
    let first = world.bus.publish(outgoing(&subject, "one")).await.unwrap();
    assert_eq!(first, Published::New { sequence: 1 });
    for _ in 0..3 {
        let again = world.bus.publish(outgoing(&subject, "other bytes")).await.unwrap();
        assert_eq!(again, Published::Duplicate);
    }
    assert_eq!(raw_code(&world.bus, &subject, "forgotten", true).await, 10071);
    let stored = world.bus.last_message(stream::INBOX.name, &subject).await.unwrap().unwrap();
    assert_eq!((stored.sequence, &stored.payload[..]), (1, &b"one"[..]));
    assert_eq!(stored.headers.get("Nats-Msg-Id"), Some(subject.as_str()));
}

#[tokio::test]
async fn a_full_stream_knows_its_duplicates_and_takes_nothing_new() {
    let world = World::with_max_bytes(64 << 10).await;
    let subjects = fill(&world.bus).await;
    assert!(!subjects.is_empty());
    for (n, subject) in subjects.iter().enumerate() {
        let again = world.bus.publish(outgoing(subject, "x")).await.unwrap();
        assert_eq!(again, Published::Duplicate);
        // Also once the message id is forgotten: the subject itself is the memory.
        assert_eq!(raw_code(&world.bus, subject, &format!("f{n}"), true).await, 10071);
    }
    let novel = inbox("novel");
    let refused = world.bus.publish(outgoing(&novel, &"x".repeat(8 << 10))).await;
    assert!(matches!(refused, Err(PublishError::Full)), "{refused:?}");
    assert!(refused.unwrap_err().is_retryable());
    assert_eq!(world.bus.last_message(stream::INBOX.name, &novel).await.unwrap(), None);
}

#[tokio::test]
async fn the_code_of_a_full_stream_is_the_code_of_an_unguarded_duplicate() {
    // Why 10077 is never read as a duplicate, and why nothing is published without the header.
    let world = World::with_max_bytes(64 << 10).await;
    let subject = world.publish("a").await;
    assert_eq!(raw_code(&world.bus, &subject, "id-1", false).await, 10077);
    fill(&world.bus).await;
    assert_eq!(raw_code(&world.bus, &inbox("novel"), "id-2", true).await, 0, "3 bytes still fit");
    let large = outgoing(&inbox("large"), &"x".repeat(8 << 10));
    assert!(matches!(world.bus.publish(large).await, Err(PublishError::Full)));
}

#[tokio::test]
async fn a_duplicate_is_one_after_the_server_was_killed() {
    let mut world = World::new().await;
    let subject = world.publish("a").await;
    world.server.restart().await.unwrap();
    let again = world.bus.publish(outgoing(&subject, "x")).await.unwrap();
    assert_eq!(again, Published::Duplicate);
    assert_eq!(raw_code(&world.bus, &subject, "forgotten", true).await, 10071);
}

#[tokio::test]
async fn of_64_racers_one_wins() {
    let world = World::new().await;
    let mut buses = Vec::new();
    for _ in 0..4 {
        buses.push(world.another_bus().await);
    }
    let subject = inbox("raced");
    let races = (0..64).map(|n| {
        let (bus, message) = (buses[n % 4].clone(), outgoing(&subject, &n.to_string()));
        tokio::spawn(async move { bus.publish(message).await })
    });
    let results = join_all(races).await;
    let new =
        results.iter().filter(|r| matches!(r.as_ref().unwrap(), Ok(Published::New { .. }))).count();
    let duplicates =
        results.iter().filter(|r| matches!(r.as_ref().unwrap(), Ok(Published::Duplicate))).count();
    assert_eq!((new, duplicates), (1, 63));

    // And without the help of the message id.
    let subject = inbox("raced-raw");
    let races = (0..64).map(|n| {
        let (bus, subject) = (buses[n % 4].clone(), subject.clone());
        tokio::spawn(async move { raw_code(&bus, &subject, &format!("racer-{n}"), true).await })
    });
    let codes: Vec<u64> = join_all(races).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1);
    assert_eq!(codes.iter().collect::<HashSet<_>>(), HashSet::from([&0, &10071]));
}

#[tokio::test]
async fn the_largest_delivery_fits_and_a_larger_message_is_refused() {
    let world = World::new().await;
    let subject = inbox("large");
    let mut message = outgoing(&subject, "");
    message.payload = vec![b'{'; 25 << 20].into();
    assert!(matches!(world.bus.publish(message).await, Ok(Published::New { .. })));
    let stored = world.bus.last_message(stream::INBOX.name, &subject).await.unwrap().unwrap();
    assert_eq!(stored.payload.len(), 25 << 20);

    let mut message = outgoing(&inbox("too-large"), "");
    message.payload = vec![b'{'; 33 << 20].into();
    let refused = world.bus.publish(message).await.unwrap_err();
    assert!(matches!(refused, PublishError::TooLarge { bytes, limit }
        if bytes == 33 << 20 && limit == 32 << 20));
    assert!(!refused.is_retryable());
    world.publish("the-connection-is-still-good").await;
}

#[tokio::test]
async fn wildcards_are_refused_before_the_server_takes_them() {
    let world = World::new().await;
    for subject in ["booty.inbox.github.>", "booty.inbox.github.*.x.y", "booty.inbox.a b", ""] {
        let refused = world.bus.publish(outgoing(subject, "x")).await;
        assert!(matches!(refused, Err(PublishError::Refused(_))), "{subject}: {refused:?}");
    }
}

#[tokio::test]
async fn a_subject_without_a_stream_is_not_durable() {
    let world = World::new().await;
    let lost = world.bus.publish(outgoing("booty.nowhere.x", "x")).await;
    assert!(matches!(lost, Err(PublishError::Unavailable(_))), "{lost:?}");
}

#[tokio::test]
async fn connecting_waits_for_nobody_and_goes_on_by_itself() {
    let mut server = LocalServer::start_temporary().await.unwrap();
    server.kill9().await.unwrap();
    let settings = BusSettings {
        request_timeout: Duration::from_millis(200),
        ..BusSettings::new(server.url(), "early")
    };
    let early = soon("connect", Bus::connect(settings)).await.unwrap();
    assert!(!early.is_connected());
    let lost = early.publish(outgoing(&inbox("a"), "x")).await.unwrap_err();
    assert!(matches!(lost, PublishError::Unavailable(_)) && lost.is_retryable());
    assert!(early.ensure().await.unwrap_err().is_retryable());

    server.restart().await.unwrap();
    let patient = connect_with(&server.url(), Some(1 << 20)).await;
    patient.ensure().await.unwrap();
    crate::support::eventually("the early one connects", async || early.is_connected()).await;
    // Nothing that was reported as failed was kept back and sent later.
    assert_eq!(early.last_message(stream::INBOX.name, &inbox("a")).await.unwrap(), None);
    early.drain().await;
}

#[tokio::test]
async fn a_url_that_is_none_is_said_without_its_password() {
    let settings = BusSettings::new("http://user:geheim@[", "x");
    let error = Bus::connect(settings).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("geheim"), "{error:?}");
}
