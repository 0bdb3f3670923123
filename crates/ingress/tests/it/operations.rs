//! What an operator sees and does.

use tempfile::TempDir;

use crate::{
    child::Process,
    delivery::Delivery,
    world::{World, all_in_inbox, connect, eventually, own_broker, post, settings},
};

const NO_BROKER: &str = "nats://127.0.0.1:1";

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_a_full_spool_it_goes_on_where_it_was() {
    let dir = TempDir::new().unwrap();
    let spool = dir.path().join("spool");
    let client = reqwest::Client::new();
    let first = Process::start(NO_BROKER, &spool);
    let mut expected = Vec::new();
    for _ in 0..20 {
        let delivery = Delivery::good();
        assert_eq!(post(&client, &first.url(), &delivery).await.0, 202);
        expected.push(delivery.inbox_subject());
    }
    first.kill9();

    let broker = own_broker(&dir).await;
    let bus = connect(&broker.url()).await;
    let second = Process::start(&broker.url(), &spool);
    eventually("what was accepted is in the inbox", || async {
        bus.ensure().await.is_ok() && all_in_inbox(&bus).await.len() == expected.len()
    })
    .await;
    assert_eq!(all_in_inbox(&bus).await, expected);
    assert_eq!(second.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_it_refuses_what_it_cannot_keep_and_goes_on() {
    let dir = TempDir::new().unwrap();
    let spool = dir.path().join("spool");
    std::fs::create_dir(&spool).unwrap();
    let client = reqwest::Client::new();
    let process = Process::start_on_small_disk(NO_BROKER, &spool, 256 * 1024);
    let mut kept = Vec::new();
    let refused = loop {
        let delivery = Delivery::of_size(10_000);
        match post(&client, &process.url(), &delivery).await.0 {
            202 => kept.push(delivery),
            status => break status,
        }
        assert!(kept.len() < 100, "the disk never filled up");
    };
    assert_eq!(refused, 503);
    assert!(kept.len() > 5);
    // What it promised it still knows, and it still answers.
    let (_, answer) = post(&client, &process.url(), &kept[0]).await;
    assert_eq!(answer["status"], "already_processed");
    assert_eq!(post(&client, &process.url(), &Delivery::of_size(10_000)).await.0, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_says_why_not() {
    let dir = TempDir::new().unwrap();
    let broker = own_broker(&dir).await;
    let bus = connect(&broker.url()).await;
    // Another hand made the inbox, wrongly.
    eventually("connected", || async { bus.is_connected() }).await;
    let wrong = async_nats::jetstream::stream::Config {
        name: "BOOTY_INBOX".to_owned(),
        subjects: vec!["booty.inbox.>".to_owned()],
        discard: async_nats::jetstream::stream::DiscardPolicy::Old,
        ..Default::default()
    };
    bus.jetstream().create_stream(wrong).await.unwrap();
    let world = World::serve(settings(&dir), bus).await;
    eventually("not ready", || async { world.admin("/ready").await.0 == 503 }).await;
    let (_, reason) = world.admin("/ready").await;
    assert!(reason.contains("BOOTY_INBOX") && reason.contains("discard"), "{reason}");
    // Somebody puts it right, and nothing has to be restarted.
    world.bus.jetstream().delete_stream("BOOTY_INBOX").await.unwrap();
    eventually("ready", || async { world.admin("/ready").await.0 == 200 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_it_is_ready_and_says_what_it_lacks() {
    let dir = TempDir::new().unwrap();
    let world = World::serve(settings(&dir), connect(NO_BROKER).await).await;
    let (status, text) = world.admin("/ready").await;
    assert_eq!(status, 200, "{text}");
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&answer["broker"], &answer["spool"]), (&"unavailable".into(), &"ok".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_counted_by_status_and_reason() {
    let world = World::start().await.ready().await;
    world.takes_good_ones().await;
    world.deliver(&Delivery::good().secret("wrong")).await;
    world.raw(b"GET /webhooks/github HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (_, metrics) = world.admin("/metrics").await;
    for line in [
        "booty_ingress_accepted_total{source=\"github\"} 1",
        "booty_ingress_refused_total{reason=\"signature\",source=\"github\",status=\"403\"} 1",
        "booty_ingress_refused_total{reason=\"method\",source=\"github\",status=\"405\"} 1",
        "booty_ingress_answer_seconds_count 3",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}
