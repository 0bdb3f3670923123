//! A job's journal: in order, whole, and one writer's.

use booty_bus::JournalError;
use booty_events::{JobId, stream, subject};
use bytes::Bytes;

use crate::support::World;

fn job() -> JobId {
    "7-delivery".parse().unwrap()
}

fn entries(n: usize) -> Vec<Bytes> {
    (0..n).map(|n| Bytes::from(format!("step {n}"))).collect()
}

#[tokio::test]
async fn what_was_appended_is_read_again() {
    let mut world = World::new().await;
    let mut journal = world.bus.open_journal(&job()).await.unwrap();
    assert!(journal.entries().is_empty());
    for entry in &entries(5)[..3] {
        journal.append(entry.clone()).await.unwrap();
    }
    // The same bytes are another step.
    journal.append("step 2".into()).await.unwrap();
    world.server.restart().await.unwrap();
    let mut again = world.another_bus().await.open_journal(&job()).await.unwrap();
    assert_eq!(again.entries(), journal.entries());
    assert_eq!(again.entries().len(), 4);
    again.append("step 4".into()).await.unwrap();

    let other: JobId = "8-delivery".parse().unwrap();
    assert!(world.bus.open_journal(&other).await.unwrap().entries().is_empty());
}

#[tokio::test]
async fn a_worker_that_was_overtaken_is_fenced() {
    let world = World::new().await;
    let mut frozen = world.bus.open_journal(&job()).await.unwrap();
    frozen.append("one".into()).await.unwrap();
    let mut second = world.another_bus().await.open_journal(&job()).await.unwrap();
    second.append("two".into()).await.unwrap();

    for _ in 0..2 {
        // The same content is no excuse: it is the other's entry.
        assert!(matches!(frozen.append("two".into()).await, Err(JournalError::Fenced)));
    }
    second.append("three".into()).await.unwrap();
    let read = world.bus.open_journal(&job()).await.unwrap();
    assert_eq!(read.entries(), ["one", "two", "three"]);
}

#[tokio::test]
async fn an_append_whose_answer_is_lost_happens_once() {
    let mut world = World::new().await;
    let wanted = entries(60);
    let mut journal = world.bus.open_journal(&job()).await.unwrap();
    let write = async {
        for entry in &wanted {
            journal.append(entry.clone()).await.unwrap();
        }
    };
    let kill = async {
        for n in [5, 20, 35, 50] {
            // In the middle of the writing, wherever that is.
            crate::support::eventually("the next kill's place", async || {
                let newest =
                    world.bus.last_message(stream::JOURNAL.name, &subject::journal(&job())).await;
                matches!(newest, Ok(Some(stored)) if stored.sequence >= n)
            })
            .await;
            world.server.restart().await.unwrap();
        }
    };
    tokio::join!(write, kill);
    let read = world.another_bus().await.open_journal(&job()).await.unwrap();
    assert_eq!(read.entries(), wanted);
    assert_eq!(journal.entries(), wanted);
}

#[tokio::test]
async fn an_append_that_gave_up_is_settled_by_the_next() {
    let mut world = World::new().await;
    let bus = world.impatient_bus().await;
    let mut journal = bus.open_journal(&job()).await.unwrap();
    journal.append("one".into()).await.unwrap();
    world.server.kill9().await.unwrap();
    let lost = journal.append("two".into()).await;
    assert!(matches!(lost, Err(JournalError::NotDurable(_))), "{lost:?}");
    world.server.restart().await.unwrap();
    crate::support::eventually("it connects", async || bus.is_connected()).await;
    journal.append("three".into()).await.unwrap();
    let read = world.bus.open_journal(&job()).await.unwrap();
    assert_eq!(read.entries(), journal.entries());
    assert_eq!(read.entries().last().unwrap(), "three");
}
