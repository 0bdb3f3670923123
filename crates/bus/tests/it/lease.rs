//! Who works on what, and how a stale one is told.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use booty_bus::{Acquire, Bus, Clock, Lease, LeaseLost, Verdict};
use booty_events::bucket::LEASES;
use chrono::{DateTime, TimeDelta, Utc};

use crate::support::{Running, World, eventually, is_settled, settings};

const TTL: Duration = Duration::from_secs(30);

/// A clock that stands until it is moved.
#[derive(Clone)]
struct Hands(Arc<Mutex<DateTime<Utc>>>);

impl Hands {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Utc::now())))
    }

    fn on(&self, bus: &Bus) -> Bus {
        let hands = self.clone();
        bus.clone().with_clock(Clock::new(move || *hands.0.lock().unwrap()))
    }

    fn move_on(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

async fn take(bus: &Bus, key: &str, holder: &str) -> Lease {
    match bus.leases().acquire(key, holder, TTL).await.unwrap() {
        Acquire::Taken(lease) => lease,
        Acquire::Held { by, until } => panic!("held by {by} until {until}"),
    }
}

#[tokio::test]
async fn a_lease_is_one_holders_until_its_deadline() {
    let world = World::new().await;
    let hands = Hands::new();
    let bus = hands.on(&world.bus);
    let first = take(&bus, "k", "a").await;
    let held = bus.leases().acquire("k", "b", TTL).await.unwrap();
    assert!(matches!(held, Acquire::Held { by, .. } if by == "a"));

    hands.move_on(TimeDelta::seconds(31));
    let second = take(&bus, "k", "b").await;
    assert!(second.token > first.token);
    assert_eq!(second.failures(), 1, "nobody ended the first");
    assert_eq!(bus.leases().current_token("k").await.unwrap(), Some(second.token));
}

#[tokio::test]
async fn a_frozen_worker_finds_its_lease_gone() {
    let world = World::new().await;
    let hands = Hands::new();
    let bus = hands.on(&world.bus);
    let mut frozen = take(&bus, "k", "a").await;
    frozen.renew(TTL).await.unwrap();
    assert_eq!(bus.leases().current_token("k").await.unwrap(), Some(frozen.token), "kept");
    hands.move_on(TimeDelta::seconds(31));
    let other = take(&bus, "k", "b").await;

    let lost = frozen.renew(TTL).await.unwrap_err();
    assert!(matches!(&lost, LeaseLost::Taken { by, .. } if by == "b"), "{lost}");
    assert!(frozen.release().await.is_err(), "nor can it end what is another's");
    let state = bus.leases().state("k").await.unwrap().unwrap();
    assert_eq!((state.holder.as_str(), state.token, state.ended), ("b", other.token, false));
}

#[tokio::test]
async fn the_same_holder_goes_on_at_once() {
    let world = World::new().await;
    let mut before = take(&world.bus, "k", "a").await;
    let after = take(&world.another_bus().await, "k", "a").await;
    assert!(after.token > before.token);
    assert_eq!(after.failures(), 1, "it died without a word");
    assert!(matches!(before.renew(TTL).await, Err(LeaseLost::Taken { .. })), "fenced all the same");
}

#[tokio::test]
async fn a_release_is_no_failure_and_forgets_no_token() {
    let world = World::new().await;
    let first = take(&world.bus, "k", "a").await;
    let token = first.token;
    first.release().await.unwrap();
    assert_eq!(world.bus.leases().current_token("k").await.unwrap(), Some(token));
    let second = take(&world.bus, "k", "b").await;
    assert!(second.token > token);
    assert_eq!(second.failures(), 0);
}

#[tokio::test]
async fn a_lease_outlives_the_broker() {
    let mut world = World::new().await;
    let mut lease = take(&world.bus, "k", "a").await;
    let (renewed, restarted) = tokio::join!(lease.renew(TTL), world.server.restart());
    restarted.unwrap();
    renewed.unwrap();
    lease.renew(TTL).await.unwrap();
    let other = world.bus.leases().acquire("k", "b", TTL).await.unwrap();
    assert!(matches!(other, Acquire::Held { .. }));
}

#[tokio::test]
async fn a_lease_that_can_not_be_renewed_is_lost_at_its_deadline() {
    let mut world = World::new().await;
    let ttl = Duration::from_millis(300);
    let bus = world.impatient_bus().await;
    let Acquire::Taken(mut lease) = bus.leases().acquire("k", "a", ttl).await.unwrap() else {
        panic!("held")
    };
    world.server.kill9().await.unwrap();
    let lost = lease.renew(ttl).await.unwrap_err();
    assert!(matches!(lost, LeaseLost::Unconfirmed { .. }), "{lost}");
}

#[tokio::test]
async fn of_32_rivals_one_gets_it() {
    let world = World::new().await;
    let rivals = (0..32).map(|n| {
        let leases = world.bus.leases();
        tokio::spawn(async move { leases.acquire("k", &format!("rival-{n}"), TTL).await.unwrap() })
    });
    let taken = futures_util::future::join_all(rivals).await;
    let taken = taken.iter().filter(|r| matches!(r.as_ref().unwrap(), Acquire::Taken(_))).count();
    assert_eq!(taken, 1);
}

async fn ttl(world: &World, key: &str) -> Option<String> {
    let subject = format!("$KV.booty_leases.{key}");
    let stored = world.bus.last_message("KV_booty_leases", &subject).await.unwrap().unwrap();
    stored.headers.get("Nats-TTL").map(str::to_owned)
}

#[tokio::test]
async fn a_messages_entry_is_dropped_long_after_the_message_and_no_other_is() {
    let world = World::new().await;
    let settings = settings("w");
    let mut running = Running::start(&world.bus, &settings, async |_| Verdict::Done).await;
    world.publish("a").await;
    let key = running.next().await.lease_key;
    let days_35 = Some("3024000s".to_owned());
    assert_eq!(ttl(&world, &key).await, days_35, "in hand");
    eventually("it is acked", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!(ttl(&world, &key).await, days_35, "done");
    running.stop().await;

    let lease = take(&world.bus, "k", "a").await;
    assert_eq!(ttl(&world, "k").await, None);
    lease.release().await.unwrap();
    assert_eq!(ttl(&world, "k").await, None);

    let bucket = world.bus.bucket(&LEASES);
    let revision = bucket.create("claim", "x".into()).await.unwrap();
    bucket.delete("claim", revision).await.unwrap();
    assert_eq!(ttl(&world, "claim").await, days_35, "a delete marker goes as well");
}

#[tokio::test]
async fn the_broker_drops_an_entry_by_its_last_write() {
    let mut world = World::new().await;
    let bucket = world.bus.bucket(&LEASES);
    let passing = async_nats::HeaderMap::from_iter([(
        "Nats-TTL".parse::<async_nats::HeaderName>().unwrap(),
        "1s".parse::<async_nats::HeaderValue>().unwrap(),
    )]);
    let mut revisions = Vec::new();
    for key in ["kept", "passing"] {
        let subject = format!("$KV.booty_leases.{key}");
        let sent = world.bus.jetstream().publish_with_headers(subject, passing.clone(), "v".into());
        revisions.push(sent.await.unwrap().await.unwrap().sequence);
    }
    bucket.update("kept", "w".into(), revisions[0]).await.unwrap();
    world.server.kill9().await.unwrap();
    world.server.restart().await.unwrap();
    eventually("it is dropped", async || matches!(bucket.get("passing").await, Ok(None))).await;
    assert!(bucket.get("kept").await.unwrap().is_some(), "its last write lives on");
    let anew = bucket.create("passing", "v".into()).await.unwrap();
    assert!(anew > revisions[1], "tokens grow all the same");
}
