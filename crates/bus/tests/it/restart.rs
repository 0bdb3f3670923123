//! The broker is killed in the middle of everything.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use booty_bus::{Bus, Published, Verdict};
use booty_events::{Service, subject};

use crate::support::{Running, World, eventually, inbox, is_settled, outgoing, settings};

const MESSAGES: u64 = 120;

async fn publish_until_durable(bus: &Bus, subject: &str) -> Published {
    loop {
        match bus.publish(outgoing(subject, subject)).await {
            Ok(published) => return published,
            Err(error) => {
                assert!(error.is_retryable(), "{error:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_is_handled_twice() {
    let mut world = World::new().await;
    let mut settings = settings("w");
    settings.permits = 8;
    // What was acked right before a kill may be forgotten, and is asked for again after the ack wait.
    settings.lease = Duration::from_secs(5);
    let handled: Arc<Mutex<HashMap<String, u32>>> = Arc::default();
    let running = {
        let (handled, bus) = (Arc::clone(&handled), world.bus.clone());
        Running::start(&world.bus, &settings, move |delivery| {
            let (handled, bus) = (Arc::clone(&handled), bus.clone());
            async move {
                *handled.lock().unwrap().entry(delivery.subject.clone()).or_default() += 1;
                let key = delivery.sequence.to_string();
                publish_until_durable(&bus, &subject::event(Service::Builder, "done", &key)).await;
                Verdict::Done
            }
        })
        .await
    };
    let publisher = {
        let bus = world.another_bus().await;
        tokio::spawn(async move {
            for n in 0..MESSAGES {
                publish_until_durable(&bus, &inbox(&format!("m{n}"))).await;
            }
        })
    };
    for done in [20, 60, 100] {
        eventually("the next kill's place", async || handled.lock().unwrap().len() >= done).await;
        world.server.kill9().await.unwrap();
        world.server.restart().await.unwrap();
    }
    publisher.await.unwrap();
    eventually("all are handled and acked", async || is_settled(&world.bus, &settings).await).await;
    let handled = handled.lock().unwrap().clone();
    assert_eq!(handled.len() as u64, MESSAGES, "none is lost");
    let twice: Vec<_> = handled.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_handler_that_ends_while_the_broker_is_away_is_believed_afterwards() {
    let mut world = World::new().await;
    let settings = settings("w");
    world.publish("a").await;
    let finish = Arc::new(tokio::sync::Notify::new());
    let mut running = {
        let finish = Arc::clone(&finish);
        Running::start(&world.bus, &settings, move |_| {
            let finish = Arc::clone(&finish);
            async move {
                finish.notified().await;
                Verdict::Done
            }
        })
        .await
    };
    running.next().await;
    world.server.kill9().await.unwrap();
    finish.notify_one();
    eventually("the client sees it", async || !world.bus.is_connected()).await;
    world.server.restart().await.unwrap();
    eventually("it is acked", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!(running.runs(), 1);
    running.stop().await;
}
