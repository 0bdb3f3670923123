//! One delivery id, one message.

use std::collections::BTreeMap;

use tempfile::TempDir;

use crate::{
    delivery::Delivery,
    world::{World, all_in_inbox, connect, own_broker, settings},
};

/// Posts one delivery `n` times at once; how often each answer came.
async fn at_once(world: &World, delivery: &Delivery, n: usize) -> BTreeMap<String, usize> {
    let posts = (0..n).map(|_| world.deliver(delivery));
    let mut counts = BTreeMap::new();
    for (_, answer) in futures_util::future::join_all(posts).await {
        *counts.entry(answer["status"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn row_32_of_64_at_once_one_is_accepted() {
    let world = World::start().await.ready().await;
    let delivery = Delivery::good();
    let counts = at_once(&world, &delivery, 64).await;
    assert_eq!(counts, [("accepted".into(), 1), ("already_processed".into(), 63)].into());
    assert!(world.inbox(&delivery).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_at_once_than_the_queue_holds_are_still_one() {
    let world = World::with(|settings| settings.queue_max_size = 1).await.ready().await;
    let delivery = Delivery::good();
    let counts = at_once(&world, &delivery, 300).await;
    assert_eq!(counts, [("accepted".into(), 1), ("already_processed".into(), 299)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn row_33_the_same_body_under_a_new_id_is_the_consumers_to_notice() {
    let world = World::start().await.ready().await;
    let (one, two) = (Delivery::good(), Delivery::good());
    assert_eq!(one.body, two.body);
    for delivery in [&one, &two] {
        assert_eq!(world.deliver(delivery).await.0, 202);
    }
    let sha = |stored: booty_bus::Stored| {
        stored.headers.get(booty_events::header::BODY_SHA256).map(str::to_owned)
    };
    let hashes = (sha(world.inbox(&one).await.unwrap()), sha(world.inbox(&two).await.unwrap()));
    assert!(hashes.0.is_some() && hashes.0 == hashes.1, "the consumer finds them by this");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_delivery_may_come_again() {
    let world = World::start().await.ready().await;
    let delivery = Delivery::good().event("quantum_leap");
    for _ in 0..2 {
        assert_eq!(world.deliver(&delivery.clone().body("{}")).await.1["status"], "ignored");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_stays_known_when_everything_was_restarted() {
    let dir = TempDir::new().unwrap();
    let mut broker = own_broker(&dir).await;
    let delivery = Delivery::good();
    for (life, expected) in
        ["accepted", "already_processed", "already_processed"].iter().enumerate()
    {
        let bus = connect(&broker.url()).await;
        let mut world = World::serve(settings(&dir), bus).await.ready().await;
        let (_, answer) = world.deliver(&delivery).await;
        assert_eq!(answer["status"], *expected, "life {life}");
        assert_eq!(all_in_inbox(&world.bus).await, [delivery.inbox_subject()]);
        world.stop().await;
        broker.restart().await.unwrap();
    }
}
