//! Files of lines.

use booty_events::{header, stream};
use booty_ops::{Filter, State};

use crate::support::{Running, World, builder, eventually};

async fn export(world: &World) -> Vec<u8> {
    let mut lines = Vec::new();
    world.spool.export(&Filter::default(), &mut lines).await.unwrap();
    lines
}

#[tokio::test]
async fn an_export_comes_back_into_any_spool_and_can_be_replayed_there() {
    let world = World::new().await;
    let running = Running::start(&world.bus, &[builder()]).await;
    let bodies = ["{\"do\":\"reject\"}", "reject \u{1f980}\n", "reject\r\n\"quoted\""];
    for (n, body) in bodies.iter().enumerate() {
        world.deliver(&format!("d-{n}"), body).await;
    }
    eventually("all are spooled", async || world.list().await.len() == 3).await;
    running.stop().await;
    let lines = export(&world).await;
    assert_eq!(String::from_utf8(lines.clone()).unwrap().lines().count(), 3);
    let handled = world.spool.import(&mut &lines[..]).await.unwrap();
    assert_eq!(handled.count("already"), 3, "they are still there");

    let other = World::new().await;
    // Its numbers are others than where the entries come from.
    let mut running = Running::start(&other.bus, &[builder()]).await;
    other.deliver("own", "reject").await;
    eventually("one is spooled", async || other.list().await.len() == 1).await;
    let handled = other.spool.import(&mut &lines[..]).await.unwrap();
    // Both brokers have a first message that was rejected, and they are not the same.
    assert_eq!((handled.count("imported"), handled.count("already")), (3, 0));
    assert_eq!(other.spool.import(&mut &lines[..]).await.unwrap().count("already"), 3);
    assert!(other.list().await.iter().all(|entry| entry.state == State::Spooled));
    running.mend();
    running.next().await;
    let handled = other.spool.replay(&Filter { all: true, ..Filter::default() }).await.unwrap();
    assert_eq!(handled.count("replayed"), 4);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(String::from_utf8(running.next().await.payload.to_vec()).unwrap());
    }
    eventually("all are replayed, and none is taken for another's", async || {
        other.list().await.iter().all(|entry| entry.state == State::Replayed)
    })
    .await;
    assert!(bodies.iter().all(|body| seen.iter().any(|seen| seen == body)), "{seen:?}");
    running.stop().await;
}

#[tokio::test]
async fn an_entry_that_was_purged_a_moment_ago_comes_back_from_its_export() {
    let world = World::new().await;
    let running = Running::start(&world.bus, &[builder()]).await;
    world.deliver("d-1", "reject").await;
    eventually("it is spooled", async || world.list().await.len() == 1).await;
    let lines = export(&world).await;
    world.spool.purge(&Filter { all: true, ..Filter::default() }, true).await.unwrap();
    assert!(world.list().await.is_empty());
    for expected in ["imported", "already"] {
        assert_eq!(world.spool.import(&mut &lines[..]).await.unwrap().count(expected), 1);
    }
    let entry = world.list().await.remove(0);
    assert_eq!(
        entry.replay_subject,
        format!("booty.replay.builder.BOOTY_INBOX-1.{}", entry.sequence)
    );
    running.stop().await;
}

#[tokio::test]
async fn lines_of_ingress_go_to_their_subject_once_and_bad_ones_are_named() {
    let world = World::new().await;
    let good = |id: &str| {
        format!(
            r#"{{"time":"2026-01-31T12:00:00.000Z","subject":"booty.inbox.github.issues.labeled.{id}","error":"the broker is not connected","headers":{{"ce-id":"{id}","Nats-Msg-Id":"other"}},"body":"{{\"a\":\"{{{{ b }}}}\"}}"}}"#
        )
    };
    let foreign = good("d-3").replace("booty.inbox.github", "other.app");
    let (broken, torn) = (r#"{"broken":"#.to_owned(), good("d-4")[..90].to_owned());
    let lines = [good("d-1"), String::new(), good("d-2"), foreign, broken, torn].join("\n");
    let handled = world.spool.import(&mut lines.as_bytes()).await.unwrap();
    assert_eq!((handled.count("imported"), handled.count("failed")), (2, 2));
    assert_eq!(handled.count("torn"), 1, "nobody was told that it is kept");
    let failed: Vec<_> = handled.entries.iter().filter(|one| one.why.is_some()).collect();
    assert_eq!((failed[0].sequence, failed[1].sequence), (4, 5), "line numbers");
    assert!(failed[0].why.as_ref().unwrap().contains("other.app"));

    let handled = world.spool.import(&mut lines.as_bytes()).await.unwrap();
    assert_eq!(handled.count("already"), 2);
    let message = world.bus.message_at(stream::INBOX.name, 1).await.unwrap().unwrap();
    assert_eq!(message.payload, r#"{"a":"{{ b }}"}"#.as_bytes());
    assert_eq!(message.headers.get(header::CE_ID), Some("d-1"));
}
