//! Listing, showing, replaying and purging.

use booty_bus::{Reading, Stored};
use booty_events::{Message as _, header, stream, v1::Event};
use booty_ops::{Body, Filter, Id, Page, State, audit::audit};
use chrono::Utc;
use futures_util::TryStreamExt as _;
use serde_json::json;

use crate::support::{Running, World, builder, eventually, ids};

async fn state_of(world: &World, sequence: u64) -> State {
    world.list().await.into_iter().find(|entry| entry.sequence == sequence).unwrap().state
}

#[tokio::test]
async fn a_replay_is_the_message_byte_for_byte_and_twice_is_once() {
    let world = World::new().await;
    let mut running = Running::start(&world.bus, &[builder()]).await;
    let body = "{\"do\": \"reject\",\n \"text\": \"{{ default }} \u{1f980} \\u0000\"}";
    let sequence = world.deliver("d-1", body).await;
    let first = running.next().await;
    eventually("it is spooled", async || world.list().await.len() == 1).await;
    let entry = world.list().await.remove(0);
    assert_eq!((entry.service.as_str(), entry.reason.as_str()), ("builder", "broken"));
    assert_eq!(entry.origin, format!("BOOTY_INBOX-{sequence}"));
    assert_eq!(entry.error, "it can't be");
    assert_eq!((entry.state, entry.bytes), (State::Spooled, body.len() as u64));

    running.mend();
    let handled = world.spool.replay(&ids(&[entry.sequence])).await.unwrap();
    assert_eq!((handled.matched, handled.count("replayed")), (1, 1));
    let again = running.next().await;
    assert_eq!(again.payload, first.payload);
    assert_eq!(again.subject, first.subject, "the handler sees the subject that it had");
    assert_eq!(again.replay_of, Some(entry.sequence));
    for name in [header::DELIVERY_ID, header::CONTENT_TYPE, header::TRACEPARENT] {
        assert_eq!(again.headers.get(name), first.headers.get(name), "{name}");
    }
    for name in [header::SPOOL_ERROR, header::SPOOL_ORIGIN, header::SPOOL_REPLAY_SUBJECT] {
        assert_eq!(again.headers.get(name), None, "{name}");
    }

    eventually("it is replayed", async || state_of(&world, 1).await == State::Replayed).await;
    let handled = world.spool.replay(&Filter { all: true, ..Filter::default() }).await.unwrap();
    assert_eq!((handled.count("already"), handled.count("replayed")), (1, 0));
    running.stop().await;
    assert!(running_saw_nothing_more(&world).await);
}

/// The inbox holds the delivery and its one replay.
async fn running_saw_nothing_more(world: &World) -> bool {
    let all: Vec<Stored> =
        world.bus.read(stream::INBOX.name, Reading::default()).try_collect().await.unwrap();
    all.len() == 2
}

#[tokio::test]
async fn a_failed_replay_is_an_entry_of_its_own_which_one_replays() {
    let world = World::new().await;
    let running = Running::start(&world.bus, &[builder()]).await;
    world.deliver("d-1", "reject").await;
    eventually("it is spooled", async || world.list().await.len() == 1).await;
    world.spool.replay(&ids(&[1])).await.unwrap();
    eventually("it is spooled again", async || world.list().await.len() == 2).await;
    eventually("that is known", async || state_of(&world, 1).await == State::ReplayFailed).await;
    let entries = world.list().await;
    assert_eq!(entries[0].failed_as, Some(2));
    assert_eq!(entries[1].state, State::Spooled);
    assert_eq!(entries[1].subject, entries[0].subject, "it is the same message");

    running.mend();
    let handled = world.spool.replay(&Filter { all: true, ..Filter::default() }).await.unwrap();
    assert_eq!((handled.count("already"), handled.count("replayed")), (1, 1));
    eventually("it is replayed", async || state_of(&world, 2).await == State::Replayed).await;
    let report = audit(&world.bus, Utc::now).await.unwrap();
    assert!(report.ok, "{report:#?}");
    assert_eq!((report.rows[0].spooled, report.rows[0].messages), (1, 1));
    assert_eq!((report.replays[0].spooled, report.replays[0].done), (1, 1), "counted apart");
    running.stop().await;
}

#[tokio::test]
async fn a_replay_waits_as_replaying_while_its_service_is_away() {
    let world = World::new().await;
    let running = Running::start(&world.bus, &[builder()]).await;
    world.deliver("d-1", "reject").await;
    eventually("it is spooled", async || world.list().await.len() == 1).await;
    running.stop().await;
    world.spool.replay(&ids(&[1])).await.unwrap();
    assert_eq!(state_of(&world, 1).await, State::Replaying);
    let entry = world.list().await.remove(0);
    assert_eq!(entry.replay.as_deref(), Some("BOOTY_INBOX-2"));

    let running = Running::start(&world.bus, &[builder()]).await;
    running.mend();
    eventually("it is replayed", async || state_of(&world, 1).await == State::Replayed).await;
    running.stop().await;
}

#[tokio::test]
async fn filters_find_what_they_say_and_pages_end() {
    let world = World::new().await;
    let running = Running::start(&world.bus, &[builder()]).await;
    for n in 0..5 {
        world.deliver(&format!("r-{n}"), "reject").await;
    }
    world.deliver("f-1", "fail").await;
    eventually("all are spooled", async || world.list().await.len() == 6).await;
    let count = async |json: serde_json::Value| {
        let filter: Filter = serde_json::from_value(json).unwrap();
        world.spool.list(&filter, &Page::default()).await.unwrap().total
    };
    assert_eq!(count(json!({"reason": "broken"})).await, 5);
    assert_eq!(count(json!({"reason": "failed_too_often"})).await, 1);
    assert_eq!(count(json!({"service": "forge"})).await, 0);
    assert_eq!(count(json!({"since": "1h"})).await, 6);
    assert_eq!(count(json!({"until": "1h"})).await, 0);
    assert_eq!(count(json!({"until": "2100-01-01T00:00:00Z"})).await, 6);
    assert_eq!(count(json!({"ids": [2, "BOOTY_INBOX-6", 99]})).await, 2);
    assert_eq!(count(json!({"state": "replayed"})).await, 0);

    let page = Page { limit: Some(4), after: 0 };
    let first = world.spool.list(&Filter::default(), &page).await.unwrap();
    assert_eq!((first.total, first.entries.len(), first.next_after), (6, 4, Some(4)));
    let page = Page { limit: Some(4), after: 4 };
    let second = world.spool.list(&Filter::default(), &page).await.unwrap();
    assert_eq!((second.entries.len(), second.next_after), (2, None));
    running.stop().await;
}

#[tokio::test]
async fn what_is_shown_has_no_secret() {
    let world = World::new().await;
    let running = Running::start(&world.bus, &[builder()]).await;
    let token = format!("ghp_{}", "a1B2".repeat(9));
    world.deliver("d-1", &format!(r#"{{"do":"reject","note":"{token}"}}"#)).await;
    eventually("it is spooled", async || world.list().await.len() == 1).await;
    let shown = world.spool.show(&Id::Origin("BOOTY_INBOX-1".to_owned())).await.unwrap();
    assert_eq!(shown.body, Body::Json(json!({"do": "reject", "note": "[redacted: github token]"})));
    assert_eq!(shown.headers[header::SPOOL_ERROR], "it can't be");
    assert!(world.spool.show(&Id::Sequence(9)).await.unwrap_err().to_string().contains('9'));
    running.stop().await;
}

#[tokio::test]
async fn what_was_not_replayed_is_purged_by_force_alone_and_it_adds_up_still() {
    let world = World::new().await;
    let running = Running::start(&world.bus, &[builder()]).await;
    for n in 1..=3 {
        world.deliver(&format!("d-{n}"), "reject").await;
    }
    eventually("all are spooled", async || world.list().await.len() == 3).await;
    running.mend();
    world.spool.replay(&ids(&[1])).await.unwrap();
    eventually("one is replayed", async || state_of(&world, 1).await == State::Replayed).await;

    assert!(world.spool.purge(&Filter::default(), true).await.is_err(), "nothing was said");
    let all = Filter { all: true, ..Filter::default() };
    let handled = world.spool.purge(&all, false).await.unwrap();
    assert_eq!((handled.count("purged"), handled.count("refused")), (1, 2));
    let handled = world.spool.purge(&ids(&[2]), true).await.unwrap();
    assert_eq!(handled.count("purged"), 1);
    let left: Vec<_> = world.list().await.into_iter().map(|entry| entry.sequence).collect();
    assert_eq!(left, [3]);

    let fact = world.bus.last_message(stream::EVENTS.name, "booty.event.ops.purged.*").await;
    let fact = Event::decode(fact.unwrap().unwrap().payload).unwrap();
    assert_eq!((fact.reason.as_str(), fact.attributes["entry"].as_str()), ("broken", "2"));
    assert_eq!(fact.attributes["state"], "spooled");
    let report = audit(&world.bus, Utc::now).await.unwrap();
    assert!(report.ok, "{report:#?}");
    assert_eq!((report.rows[0].purged, report.rows[0].spooled), (2, 1));
    running.stop().await;
}
