//! Stale and contradicting askings.

use std::time::Duration;

use booty_bus::Acquire;
use booty_events::{Lane, v1::effect::Write};

use crate::world::{REPO, World};

async fn token(world: &World, holder: &str) -> u64 {
    let leases = world.bus.leases();
    match leases.acquire("job.7", holder, Duration::ZERO).await.unwrap() {
        Acquire::Taken(lease) => lease.token,
        held @ Acquire::Held { .. } => panic!("{held:?}"),
    }
}

#[tokio::test]
async fn a_stale_holder_writes_nothing_and_the_present_one_does() {
    let world = World::start().await;
    let stale = token(&world, "frozen").await;
    let present = token(&world, "present").await;
    let _forge = world.forge().await;
    let effect = world.open_pull_request("1-d", world.issue);
    world.ask_in(Lane::Outcome, &effect, Some(("job.7", stale))).await;
    world.event("refused_stale", &effect).await;
    assert!(world.snapshot().writes.is_empty());
    world.ask_in(Lane::Outcome, &effect, Some(("job.7", present))).await;
    world.applied(&effect).await;
    assert_eq!(world.snapshot().repo(REPO).unwrap().pulls.len(), 1);
}

#[tokio::test]
async fn of_two_contents_under_one_id_the_first_stays() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let first = world.comment("1-d", "first");
    world.ask_in(Lane::Outcome, &first, Some(("job.7", 1))).await;
    world.applied(&first).await;
    let mut second = first.clone();
    if let Some(Write::Comment(write)) = &mut second.write {
        write.body = "second".to_owned();
    }
    world.ask_in(Lane::Outcome, &second, Some(("job.7", 2))).await;
    assert_eq!(world.event("effect_conflict", &second).await.reason, "effect_conflict");
    let snapshot = world.snapshot();
    let comments = &snapshot.repo(REPO).unwrap().issue(world.issue).unwrap().comments;
    assert_eq!(comments.len(), 1);
    assert!(comments[0].body.starts_with("first"));
}

#[tokio::test]
async fn an_id_that_its_cause_does_not_make_is_refused() {
    let world = World::start().await;
    let mut effect = world.comment("1-d", "x");
    effect.cause = "2-d".to_owned();
    let _forge = world.forge().await;
    world.ask(&effect).await;
    assert_eq!(world.event("failed", &effect).await.reason, "invalid");
    assert!(world.snapshot().writes.is_empty());
}

#[tokio::test]
async fn a_message_that_is_no_effect_ends_in_the_spool() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let message = booty_bus::Outgoing {
        subject: "booty.effect.outcome.comment.x".to_owned(),
        headers: booty_bus::Headers::new(),
        payload: vec![0xff; 40].into(),
    };
    world.bus.publish(message).await.unwrap();
    assert!(world.spooled("undecodable").await);
    let next = world.comment("1-d", "x");
    world.ask(&next).await;
    world.applied(&next).await;
}
