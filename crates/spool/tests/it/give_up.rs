//! A consumer that gives a message up while the spool on the broker takes nothing.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use booty_bus::{
    Bus, ConsumerSettings, Delivery, Fallback, Handler, Headers, Outgoing, Verdict, consume,
    ensure_consumer,
};
use booty_events::{Service, stream::INBOX};
use tokio_util::sync::CancellationToken;

use crate::world::{Draining, World, eventually, lines};

const SUBJECT: &str = "booty.inbox.github.issues.labeled.a";

struct Failing;

#[async_trait]
impl Handler for Failing {
    async fn handle(&self, _: &Delivery) -> Verdict {
        Verdict::Retry { after: Duration::from_millis(10), why: "no luck".to_owned() }
    }
}

fn settings(fallback: Arc<dyn Fallback>) -> ConsumerSettings {
    ConsumerSettings {
        max_failures: 1,
        shutdown_grace: Duration::from_secs(5),
        fallback: Some(fallback),
        ..ConsumerSettings::new(
            Service::Observability,
            INBOX.name,
            vec!["booty.inbox.github.issues.labeled.*".to_owned()],
            "w",
        )
    }
}

async fn is_settled(bus: &Bus, settings: &ConsumerSettings) -> bool {
    let backlog = bus.backlog(settings).await;
    backlog.is_ok_and(|backlog| backlog.waiting == 0 && backlog.unsettled == 0)
}

#[tokio::test]
async fn a_message_is_settled_on_disk_and_comes_into_the_spool_later() {
    let world = World::new().await;
    world.resize_spool(100).await;
    let file = world.file();
    let settings = settings(Arc::new(file.clone()));
    ensure_consumer(&world.bus, &settings).await.unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(consume(
        world.bus.clone(),
        settings.clone(),
        Arc::new(Failing),
        shutdown.clone(),
    ));
    let draining = Draining::start(file.clone(), &world.bus);
    let mut headers = Headers::new();
    headers.insert("ce-id", "a");
    let message = Outgoing { subject: SUBJECT.to_owned(), headers, payload: "{}".into() };
    world.bus.publish(message).await.unwrap();

    eventually("it is on disk", || async { !file.is_empty() }).await;
    eventually("it is settled", || is_settled(&world.bus, &settings)).await;
    let kept = lines(&world.path());
    let [line] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!(line.subject, "booty.spool.observability.failed_too_often.BOOTY_INBOX-1");
    assert_eq!(line.headers.get("booty-spool-subject"), Some(SUBJECT));
    assert_eq!(line.headers.get("booty-spool-origin"), Some("BOOTY_INBOX-1"));
    assert_eq!(line.headers.get("booty-spool-error"), Some("no luck"));
    assert!(line.error.ends_with("the stream is full"), "{}", line.error);
    assert_eq!(&line.payload[..], b"{}");
    assert!(world.spooled().await.is_empty());

    world.resize_spool(64 << 20).await;
    eventually("the file is empty", || async { file.is_empty() }).await;
    let spooled = world.spooled().await;
    let [entry] = &spooled[..] else { panic!("{spooled:?}") };
    assert_eq!((&entry.subject, &entry.payload[..]), (&line.subject, &b"{}"[..]));
    assert_eq!(entry.headers.get("booty-spool-attempts"), Some("1"));
    let replay = format!("booty.replay.observability.BOOTY_INBOX-1.{}", entry.sequence);
    assert_eq!(entry.headers.get("booty-spool-replay-subject"), Some(&replay[..]));
    shutdown.cancel();
    running.await.unwrap().unwrap();
    draining.stop().await;
}
