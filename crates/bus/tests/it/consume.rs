//! The consumer loop: permits, retries, hand-backs, leases, shutdown.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use booty_bus::{Acquire, Verdict};
use booty_events::{Service, bucket, header, stream, subject};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

use crate::support::{Running, World, eventually, inbox, is_settled, outgoing, settings, soon};

#[tokio::test]
async fn a_delivery_says_what_it_is_and_is_acked_once_done() {
    let world = World::new().await;
    let settings = settings("w");
    let subject = world.publish("a").await;
    let mut running = Running::start(&world.bus, &settings, async |_| Verdict::Done).await;
    let delivery = running.next().await;
    assert_eq!(delivery.subject, subject);
    assert_eq!((delivery.stream.as_str(), delivery.sequence), (stream::INBOX.name, 1));
    assert_eq!((&delivery.payload[..], delivery.delivered, delivery.failures), (&b"a"[..], 1, 0));
    assert_eq!(delivery.lease_key, "builder.BOOTY_INBOX-1");
    let token = world.bus.leases().current_token(&delivery.lease_key).await.unwrap();
    assert_eq!(token, Some(delivery.lease_token));
    assert_eq!(delivery.replay_of, None);
    eventually("it is acked", async || is_settled(&world.bus, &settings).await).await;

    world.bus.publish(outgoing("booty.inbox.github.push._.b", "not its filter")).await.unwrap();
    world.publish("c").await;
    assert_eq!(running.next().await.subject, inbox("c"));
    running.stop().await;
}

#[tokio::test]
async fn no_more_are_in_hand_than_there_are_permits() {
    let world = World::new().await;
    let mut settings = settings("w");
    settings.permits = 3;
    settings.lease = Duration::from_secs(2);
    for n in 0..12 {
        world.publish(&format!("m{n}")).await;
    }
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let mut running = {
        let (now, most, gate) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
        Running::start(&world.bus, &settings, move |_| {
            let (now, most, gate) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                now.fetch_sub(1, Ordering::SeqCst);
                Verdict::Done
            }
        })
        .await
    };
    for _ in 0..3 {
        running.next().await;
    }
    let backlog = world.bus.backlog(&settings).await.unwrap();
    assert_eq!((backlog.unsettled, backlog.waiting), (3, 9), "nothing is pulled without a permit");
    gate.add_permits(12);
    eventually("all are handled", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!((running.runs(), most.load(Ordering::SeqCst)), (12, 3));
    running.stop().await;
}

#[tokio::test]
async fn delayed_retries_block_nobody() {
    let world = World::new().await;
    let mut settings = settings("w");
    settings.permits = 1;
    for n in 0..40 {
        world.publish(&format!("m{n}")).await;
    }
    let running = Running::start(&world.bus, &settings, async |delivery| {
        if delivery.sequence <= 20 {
            Verdict::Retry { after: Duration::from_secs(600), why: "later".to_owned() }
        } else {
            Verdict::Done
        }
    })
    .await;
    eventually("the others are done", async || {
        let backlog = world.bus.backlog(&settings).await.unwrap();
        backlog.waiting == 0 && backlog.unsettled == 20
    })
    .await;
    assert_eq!(running.runs(), 40);
    let backlog = world.bus.backlog(&settings).await.unwrap();
    let first = world.bus.last_message(settings.stream, &inbox("m0")).await.unwrap().unwrap();
    assert_eq!(backlog.oldest, Some(first.time));
    running.stop().await;
}

#[tokio::test]
async fn a_retry_comes_again_and_counts() {
    let world = World::new().await;
    let settings = settings("w");
    world.publish("a").await;
    let mut running = Running::start(&world.bus, &settings, async |delivery| {
        if delivery.failures < 2 {
            Verdict::Retry { after: Duration::from_millis(100), why: "not yet".to_owned() }
        } else {
            Verdict::Ignore { reason: "label".to_owned() }
        }
    })
    .await;
    for failures in 0..3 {
        let delivery = running.next().await;
        assert_eq!((delivery.failures, delivery.delivered), (failures, u64::from(failures) + 1));
    }
    eventually("it is acked", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!(running.runs(), 3);
    running.stop().await;
}

#[tokio::test]
async fn hand_backs_do_not_count() {
    let world = World::new().await;
    let settings = settings("w");
    world.publish("a").await;
    let mut running = Running::start(&world.bus, &settings, async |delivery| {
        if delivery.delivered <= 8 {
            Verdict::HandBack { after: Duration::from_millis(10), why: "GitHub is down".to_owned() }
        } else {
            Verdict::Done
        }
    })
    .await;
    for _ in 0..9 {
        assert_eq!(running.next().await.failures, 0);
    }
    eventually("it is acked", async || is_settled(&world.bus, &settings).await).await;
    running.stop().await;
}

#[tokio::test]
async fn a_long_job_is_not_delivered_twice() {
    let world = World::new().await;
    let mut settings = settings("w");
    settings.lease = Duration::from_millis(1_500);
    world.publish("a").await;
    let running = Running::start(&world.bus, &settings, async |delivery| {
        // Three leases and ack waits long; this duration is what is tested.
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(4_500)) => Verdict::Done,
            () = delivery.stop.cancelled() => {
                Verdict::Retry { after: Duration::ZERO, why: "stopped".to_owned() }
            }
        }
    })
    .await;
    eventually("it is acked", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!(running.runs(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_message_that_another_holds_waits_for_it() {
    let world = World::new().await;
    let settings = settings("w");
    let key = "builder.BOOTY_INBOX-1";
    let ttl = Duration::from_secs(2);
    let taken = world.bus.leases().acquire(key, "another", ttl).await.unwrap();
    assert!(matches!(taken, Acquire::Taken(_)));
    world.publish("a").await;
    let mut running = Running::start(&world.bus, &settings, async |_| Verdict::Done).await;
    let delivery = running.next().await;
    assert!(delivery.delivered > 1, "it was handed back first");
    assert_eq!(delivery.failures, 1, "the other died over it");
    eventually("it is acked", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!(running.runs(), 1);
    running.stop().await;
}

#[tokio::test]
async fn who_lost_the_lease_is_told_and_acks_nothing() {
    let world = World::new().await;
    let mut settings = settings("w");
    settings.lease = Duration::from_secs(3);
    world.publish("a").await;
    let stopped = Arc::new(Notify::new());
    let mut running = {
        let stopped = Arc::clone(&stopped);
        Running::start(&world.bus, &settings, move |delivery| {
            let stopped = Arc::clone(&stopped);
            async move {
                if delivery.failures == 0 {
                    delivery.stop.cancelled().await;
                    stopped.notify_one();
                }
                Verdict::Done
            }
        })
        .await
    };
    let first = running.next().await;
    // Somebody else takes it: the same name is the quickest way.
    let ttl = Duration::from_millis(1);
    let thief = world.bus.leases().acquire(&first.lease_key, "w", ttl).await.unwrap();
    let Acquire::Taken(thief) = thief else { panic!("held") };
    assert!(thief.token > first.lease_token);
    soon("the handler is told to stop", stopped.notified()).await;

    // Its `Done` changed nothing, so the message comes again.
    let second = running.next().await;
    assert_eq!(second.sequence, first.sequence);
    assert!(second.lease_token > thief.token);
    eventually("it is acked", async || is_settled(&world.bus, &settings).await).await;
    running.stop().await;
}

#[tokio::test]
async fn a_shutdown_waits_for_what_is_in_hand() {
    let world = World::new().await;
    let settings = settings("w");
    world.publish("a").await;
    let finish = Arc::new(Notify::new());
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
    running.shutdown.cancel();
    world.publish("b").await;
    finish.notify_one();
    assert_eq!(running.runs(), 1);
    running.stop().await;
    let backlog = world.bus.backlog(&settings).await.unwrap();
    assert_eq!(backlog.waiting + backlog.unsettled, 1, "a is done, b was not begun");
}

#[tokio::test]
async fn a_shutdown_hands_back_what_does_not_end() {
    let world = World::new().await;
    let mut settings = settings("w");
    settings.shutdown_grace = Duration::from_millis(50);
    world.publish("obeys").await;
    for round in 0..6 {
        if round == 5 {
            world.publish("deaf").await;
        }
        let mut running = Running::start(&world.bus, &settings, async |delivery| {
            if &delivery.payload[..] == b"deaf" {
                return std::future::pending().await;
            }
            delivery.stop.cancelled().await;
            // A failure that is not its own.
            Verdict::Retry { after: Duration::from_secs(600), why: "stopped".to_owned() }
        })
        .await;
        for _ in 0..=round / 5 {
            running.next().await;
        }
        running.stop().await;
    }
    let mut running = Running::start(&world.bus, &settings, async |_| Verdict::Done).await;
    let mut delivered = HashSet::new();
    for _ in 0..2 {
        let delivery = running.next().await;
        assert_eq!(delivery.failures, 0);
        delivered.insert((delivery.sequence, delivery.delivered));
    }
    assert_eq!(delivered, HashSet::from([(1, 7), (2, 2)]), "each stop redelivers once");
    eventually("they are acked", async || is_settled(&world.bus, &settings).await).await;
    running.stop().await;
}

#[tokio::test]
async fn a_shutdown_ends_three_seconds_after_its_grace_whatever_happens() {
    let mut world = World::new().await;
    let mut settings = settings("w");
    settings.shutdown_grace = Duration::from_millis(50);
    world.publish("deaf").await;
    let mut running =
        Running::start(&world.bus, &settings, async |_| std::future::pending().await).await;
    running.next().await;
    world.server.kill9().await.unwrap();
    let began = Instant::now();
    running.stop().await;
    let took = began.elapsed();
    // A second for a busy machine.
    assert!(took < settings.shutdown_grace + Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn a_replay_goes_to_its_service_under_the_first_subject() {
    let world = World::new().await;
    let settings = settings("w");
    let mut running = Running::start(&world.bus, &settings, async |_| Verdict::Done).await;
    let first = inbox("a");
    let mut replay = outgoing(&subject::replay(Service::Builder, "BOOTY_INBOX-7", 41), "x");
    replay.headers.insert(header::SPOOL_SUBJECT, &first);
    world.bus.publish(replay).await.unwrap();
    let delivery = running.next().await;
    assert_eq!((delivery.replay_of, delivery.subject), (Some(41), first));

    let other = outgoing(&subject::replay(Service::Verifier, "BOOTY_INBOX-7", 41), "x");
    world.bus.publish(other).await.unwrap();
    // A header alone renames nothing that came from outside.
    let mut marked = outgoing(&inbox("b"), "x");
    marked.headers.insert(header::REPLAY_OF, "9");
    marked.headers.insert(header::SPOOL_SUBJECT, "booty.inbox.github.push._.forged");
    world.bus.publish(marked).await.unwrap();
    let delivery = running.next().await;
    assert_eq!((delivery.replay_of, delivery.subject), (Some(9), inbox("b")));
    running.stop().await;
}

#[tokio::test]
async fn a_stream_that_was_made_anew_is_not_taken_for_the_old() {
    let world = World::new().await;
    let settings = settings("w");
    world.publish("a").await;
    let mut running = Running::start(&world.bus, &settings, async |_| Verdict::Done).await;
    running.next().await;
    eventually("it is acked", async || is_settled(&world.bus, &settings).await).await;
    running.stop().await;

    world.bus.jetstream().delete_stream(settings.stream).await.unwrap();
    world.bus.ensure().await.unwrap();
    world.publish("b").await;
    let mut running = Running::start(&world.bus, &settings, async |_| Verdict::Done).await;
    let delivery = running.next().await;
    assert_eq!((delivery.sequence, &delivery.payload[..]), (1, &b"b"[..]));
    running.stop().await;
}

#[tokio::test]
async fn a_message_that_is_done_is_acked_again_and_its_token_stays() {
    let world = World::new().await;
    let settings = settings("w");
    let mut running = Running::start(&world.bus, &settings, async |_| Verdict::Done).await;
    world.publish("a").await;
    let delivery = running.next().await;
    eventually("it is acked", async || is_settled(&world.bus, &settings).await).await;
    let leases = world.bus.bucket(&bucket::LEASES);
    let before = leases.get(&delivery.lease_key).await.unwrap().unwrap();

    // A durable that is made anew knows no ack: as if the broker had lost it.
    let stream = world.bus.jetstream().get_stream(settings.stream).await.unwrap();
    stream.delete_consumer(&settings.durable).await.unwrap();
    eventually("it is acked again", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!(running.runs(), 1, "it is not handled again");
    let token = world.bus.leases().current_token(&delivery.lease_key).await.unwrap();
    assert_eq!(token, Some(delivery.lease_token), "its own effects are not stale");
    let after = leases.get(&delivery.lease_key).await.unwrap().unwrap();
    assert_eq!(after.revision, before.revision, "nothing was written");
    running.stop().await;
}

#[tokio::test]
async fn a_durable_that_was_deleted_is_made_again() {
    let world = World::new().await;
    let settings = settings("w");
    let mut running = Running::start(&world.bus, &settings, async |_| Verdict::Done).await;
    world.publish("a").await;
    running.next().await;
    eventually("it is acked", async || is_settled(&world.bus, &settings).await).await;
    let stream = world.bus.jetstream().get_stream(settings.stream).await.unwrap();
    stream.delete_consumer(&settings.durable).await.unwrap();
    world.publish("b").await;
    // `a` comes again from the new durable, and is known to be done.
    assert_eq!(running.next().await.subject, inbox("b"));
    eventually("it is acked", async || is_settled(&world.bus, &settings).await).await;
    assert_eq!(running.runs(), 2);
    running.stop().await;
}
