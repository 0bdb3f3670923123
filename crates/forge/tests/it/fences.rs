//! Stale and contradicting askings.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use booty_bus::{
    Acquire, ConsumerSettings, Delivery, Handler, Headers, Outgoing, Verdict, consume,
    ensure_consumer,
};
use booty_events::{
    Lane, Service, bucket, stream,
    v1::{Effect, effect::Write},
};
use booty_service::Outbox;
use booty_sim::{Rule, Trouble};
use tokio_util::sync::CancellationToken;

use crate::world::{REPO, World, ms};

const FORGE: &str = "forge-outcome";

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

/// When each `POST` to a path that ends so came.
fn posts(world: &World, end: &str) -> Vec<chrono::DateTime<chrono::Utc>> {
    let requests = world.snapshot().requests;
    let found = requests.iter().filter(|r| r.method == "POST" && r.path.ends_with(end));
    found.map(|r| r.at).collect()
}

#[tokio::test]
async fn two_askings_of_one_effect_share_its_tries_and_its_pauses() {
    let world = World::start().await;
    let mut settings = world.settings();
    settings.retry_delays = vec![ms(800); 3];
    let rule = Rule::new(Trouble::Fail { status: 500 }).method("POST").path("*/comments").times(3);
    world.sim.add_fault(rule).unwrap();
    let _forge = world.forge_with(settings).await;
    let effect = world.open_pull_request("1-d", world.issue);
    world.ask_in(Lane::Outcome, &effect, Some(("job.7", 5))).await;
    world.struck().await;
    world.ask_in(Lane::Outcome, &effect, Some(("job.7", 9))).await;
    world.applied(&effect).await;
    world.settled(stream::EFFECTS.name, FORGE).await;

    let snapshot = world.snapshot();
    let repo = snapshot.repo(REPO).unwrap();
    assert_eq!((repo.pulls.len(), repo.issue(world.issue).unwrap().comments.len()), (1, 1));
    assert_eq!(world.count_events("failed"), 0);
    let posts = posts(&world, "/comments");
    assert_eq!(posts.len(), 4, "{posts:?}");
    for pair in posts.windows(2) {
        assert!(pair[1] - pair[0] > chrono::TimeDelta::milliseconds(500), "{posts:?}");
    }
}

#[tokio::test]
async fn what_has_failed_is_not_begun_anew_by_a_second_asking() {
    let world = World::start().await;
    let rule = Rule::new(Trouble::Fail { status: 422 }).method("POST").path("*/comments").times(1);
    world.sim.add_fault(rule).unwrap();
    let _forge = world.forge().await;
    let effect = world.comment("1-d", "once");
    world.ask_in(Lane::Outcome, &effect, Some(("job.7", 5))).await;
    world.event("failed", &effect).await;
    world.ask_in(Lane::Outcome, &effect, Some(("job.7", 9))).await;
    world.settled(stream::EFFECTS.name, FORGE).await;
    assert_eq!(posts(&world, "/comments").len(), 1);
    assert_eq!((world.count_events("failed"), world.count_events("applied")), (1, 0));
    let spooled = world.bus.last_message(stream::SPOOL.name, "booty.spool.>").await.unwrap();
    assert_eq!(spooled.unwrap().sequence, 1);
}

/// A record that nobody can read stands for everything at the bus that does not pass.
#[tokio::test]
async fn trouble_at_the_bus_that_does_not_pass_ends_in_the_spool_and_is_told() {
    let world = World::start().await;
    let effect = world.comment("1-d", "x");
    let records = world.bus.bucket(&bucket::EFFECTS);
    records.create(&effect.id, vec![0xff; 9].into()).await.unwrap();
    let _forge = world.forge().await;
    world.ask(&effect).await;
    let failed = world.event("failed", &effect).await;
    assert_eq!(failed.reason, "given_up");
    assert!(world.spooled("failed_too_often").await);
    assert!(world.snapshot().writes.is_empty());
}

/// Stands for the builder: asks for an effect under its own delivery's lease.
struct Asks {
    outbox: Outbox,
    effect: Effect,
}

#[async_trait]
impl Handler for Asks {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let lease = Some((delivery.lease_key.as_str(), delivery.lease_token));
        match self.outbox.effect(Lane::Outcome, &self.effect, lease).await {
            Ok(_) => Verdict::Done,
            Err(error) => Verdict::Retry { after: ms(100), why: error.to_string() },
        }
    }
}

#[tokio::test]
async fn an_effect_of_a_job_that_is_over_is_applied_after_its_delivery_came_again() {
    let world = World::start().await;
    let effect = world.open_pull_request("1-d", world.issue);
    let asks = Arc::new(Asks { outbox: world.outbox.clone(), effect: effect.clone() });
    let message = Outgoing {
        subject: "booty.inbox.github.issues.labeled.d".to_owned(),
        headers: Headers::new(),
        payload: vec![1].into(),
    };
    world.bus.publish(message).await.unwrap();
    let mut tokens = Vec::new();
    // The durable is made anew and gets the same message again, as after a lost ack and a takeover.
    for holder in ["builder-1", "builder-2"] {
        let inbox = stream::INBOX.name;
        let filters = vec!["booty.inbox.github.>".to_owned()];
        let settings = ConsumerSettings::new(Service::Builder, inbox, filters, holder);
        let durable = settings.durable.clone();
        ensure_consumer(&world.bus, &settings).await.unwrap();
        let stop = CancellationToken::new();
        let run =
            tokio::spawn(consume(world.bus.clone(), settings, Arc::clone(&asks), stop.clone()));
        world.settled(inbox, &durable).await;
        stop.cancel();
        run.await.unwrap().unwrap();
        world
            .bus
            .jetstream()
            .get_stream(inbox)
            .await
            .unwrap()
            .delete_consumer(&durable)
            .await
            .unwrap();
        let key = format!("{durable}.{inbox}-1");
        tokens.push(world.bus.leases().current_token(&key).await.unwrap());
    }
    assert!(tokens[0].is_some() && tokens[0] == tokens[1], "{tokens:?}");
    let _forge = world.forge().await;
    world.applied(&effect).await;
    assert_eq!(world.count_events("refused_stale"), 0);
}
