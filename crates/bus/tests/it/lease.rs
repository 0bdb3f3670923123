//! Who works on what, and how a stale one is told.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use booty_bus::{Acquire, Bus, Clock, Lease, LeaseLost};
use chrono::{DateTime, TimeDelta, Utc};

use crate::support::World;

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
