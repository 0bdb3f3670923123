//! The broker goes away, hangs, or has no room; and comes back.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use booty_bus::{Bus, BusSettings};
use tempfile::TempDir;

use crate::{
    delivery::Delivery,
    world::{ANSWER_LIMIT, World, all_in_inbox, connect, eventually, own_broker, settings},
};

/// Delivers without a pause from `senders` senders until told to stop; what was sent, in each
/// sender's order, with its answer.
struct Load {
    stop: Arc<AtomicBool>,
    senders: Vec<tokio::task::JoinHandle<()>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

struct Sent {
    delivery: Delivery,
    status: u16,
    took: Duration,
}

impl Load {
    fn start(world: &World, senders: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(Mutex::new(Vec::new()));
        let spawn = |_| {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            let (client, url) = (world.client.clone(), world.url("/webhooks/github"));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let delivery = Delivery::good();
                    let began = Instant::now();
                    let (status, _) = crate::world::post(&client, &url, &delivery).await;
                    let took = began.elapsed();
                    sent.lock().unwrap().push(Sent { delivery, status, took });
                }
            })
        };
        let senders = (0..senders).map(spawn).collect();
        Self { stop, senders, sent }
    }

    fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// Waits for `n` more answers.
    async fn more(&self, n: usize) {
        let until = self.count() + n;
        eventually("the load goes on", || async { self.count() >= until }).await;
    }

    async fn finish(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.await.unwrap();
        }
        Arc::into_inner(self.sent).unwrap().into_inner().unwrap()
    }
}

fn check_answers(sent: &[Sent]) {
    for Sent { delivery, status, took } in sent {
        assert_eq!(*status, 202, "{}", delivery.id);
        assert!(*took <= ANSWER_LIMIT, "{took:?}");
    }
}

/// Everything is in the inbox, each once.
async fn check_inbox(bus: &Bus, sent: &[Sent]) {
    let mut expected: Vec<_> = sent.iter().map(|s| s.delivery.inbox_subject()).collect();
    expected.sort();
    eventually("all are in the inbox", || async {
        all_in_inbox(bus).await.len() >= expected.len()
    })
    .await;
    let mut found = all_in_inbox(bus).await;
    found.sort();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_under_load_loses_nothing_and_delays_no_answer() {
    let dir = TempDir::new().unwrap();
    let mut broker = own_broker(&dir).await;
    let world = World::serve(settings(&dir), connect(&broker.url()).await).await.ready().await;
    let load = Load::start(&world, 8);
    load.more(50).await;
    for _ in 0..2 {
        broker.kill9().await.unwrap();
        load.more(300).await;
        broker.restart().await.unwrap();
        load.more(50).await;
    }
    let sent = load.finish().await;
    check_answers(&sent);
    check_inbox(&world.bus, &sent).await;
    let (_, metrics) = world.admin("/metrics").await;
    assert!(metrics.contains("booty_ingress_spooled_total{why=\"disconnected\"}"), "{metrics}");
}

/// Stopped, not dead: its socket stays open and nothing answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_costs_one_wait_and_then_none() {
    let dir = TempDir::new().unwrap();
    let broker = own_broker(&dir).await;
    let world = World::serve(settings(&dir), connect(&broker.url()).await).await.ready().await;
    world.takes_good_ones().await;
    let pid = rustix::process::Pid::from_raw(broker.pid().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let load = Load::start(&world, 8);
    load.more(300).await;
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    load.more(50).await;
    let mut sent = load.finish().await;
    check_answers(&sent);
    // The one that was delivered before the stop.
    let first = Delivery::good().id(all_in_inbox(&world.bus).await[0].rsplit('.').next().unwrap());
    sent.push(Sent { delivery: first, status: 202, took: Duration::ZERO });
    check_inbox(&world.bus, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spooled_deliveries_keep_their_order_and_their_ids() {
    let dir = TempDir::new().unwrap();
    let mut broker = own_broker(&dir).await;
    let world = World::serve(settings(&dir), connect(&broker.url()).await).await.ready().await;
    broker.kill9().await.unwrap();
    eventually("the loss is noticed", || async { !world.bus.is_connected() }).await;

    let mut expected = Vec::new();
    for _ in 0..50 {
        let delivery = Delivery::good();
        assert_eq!(world.deliver(&delivery).await.0, 202);
        assert_eq!(world.deliver(&delivery).await.1["status"], "already_processed");
        expected.push(delivery.inbox_subject());
    }
    // The same at once, with nothing but the disk to tell them apart.
    let twins = Delivery::good();
    let answers = futures_util::future::join_all((0..64).map(|_| world.deliver(&twins))).await;
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for (status, _) in answers {
        *counts.entry(status).or_default() += 1;
    }
    assert_eq!(counts, [(200, 63), (202, 1)].into());
    expected.push(twins.inbox_subject());
    // An ignored one is on record as well.
    let ignored = Delivery::good().event("quantum_leap").body("{}");
    assert_eq!(world.deliver(&ignored).await.1["status"], "ignored");

    broker.restart().await.unwrap();
    eventually("the spool is drained", || async {
        world.admin("/metrics").await.1.contains("booty_ingress_spool_entries 0")
    })
    .await;
    assert_eq!(all_in_inbox(&world.bus).await, expected);
    assert!(world.ignored(&ignored).await.is_some());
    assert_eq!(world.deliver(&twins).await.1["status"], "already_processed", "by the broker now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_is_no_reason_to_refuse() {
    let dir = TempDir::new().unwrap();
    let broker = own_broker(&dir).await;
    let small = BusSettings { max_bytes: Some(64 * 1024), ..BusSettings::new(broker.url(), "t") };
    let world =
        World::serve(settings(&dir), Bus::connect(small).await.unwrap()).await.ready().await;
    let mut sent = Vec::new();
    for _ in 0..100 {
        let delivery = Delivery::of_size(2048);
        assert_eq!(world.deliver(&delivery).await.0, 202);
        assert_eq!(world.deliver(&delivery).await.1["status"], "already_processed");
        sent.push(Sent { delivery, status: 202, took: Duration::ZERO });
    }
    let (_, metrics) = world.admin("/metrics").await;
    assert!(metrics.contains("booty_ingress_spooled_total{why=\"full\"}"), "{metrics}");
    assert_eq!(world.admin("/ready").await.0, 200);

    // Somebody makes room.
    let mut config =
        world.bus.jetstream().get_stream("BOOTY_INBOX").await.unwrap().cached_info().config.clone();
    config.max_bytes = 64 * 1024 * 1024;
    world.bus.jetstream().update_stream(&config).await.unwrap();
    check_inbox(&world.bus, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_behind_a_full_queue_goes_to_the_disk() {
    let dir = TempDir::new().unwrap();
    let broker = own_broker(&dir).await;
    let mut settings = settings(&dir);
    settings.queue_max_size = 1;
    let world = World::serve(settings, connect(&broker.url()).await).await.ready().await;
    let load = Load::start(&world, 16);
    load.more(200).await;
    let sent = load.finish().await;
    check_answers(&sent);
    check_inbox(&world.bus, &sent).await;
    let (_, metrics) = world.admin("/metrics").await;
    assert!(metrics.contains("booty_ingress_spooled_total{why=\"queue\"}"), "{metrics}");
}
