//! A shutdown loses no delivery: GitHub and Sentry don't send one again that was reset.
//!
//! These tests have one thread, so that ingress does nothing between two of their `await`s.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use rstest::rstest;
use tokio::io::AsyncWriteExt as _;

use crate::{
    delivery::Delivery,
    raw,
    world::{World, eventually},
};

/// Connects while ingress can't accept.
fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.address).unwrap()
}

/// Waits for ingress to have accepted so many connections.
async fn accepted(world: &World, wanted: usize) {
    eventually("the connections are accepted", || async {
        let (_, metrics) = world.admin("/metrics").await;
        metrics.lines().any(|line| {
            line.strip_prefix("booty_ingress_connections ")
                .is_some_and(|n| n.parse::<usize>().unwrap() >= wanted)
        })
    })
    .await;
}

/// Gives a connection back to the runtime, to read the answer.
fn awaited(stream: TcpStream) -> tokio::net::TcpStream {
    stream.set_nonblocking(true).unwrap();
    tokio::net::TcpStream::from_std(stream).unwrap()
}

async fn is_kept(world: &World, deliveries: &[Delivery]) {
    for delivery in deliveries {
        assert_eq!(world.inbox(delivery).await.unwrap().payload, delivery.body);
    }
}

#[tokio::test]
async fn what_waits_to_be_accepted_is_answered() {
    let mut world = World::start().await.ready().await;
    let deliveries: Vec<_> = (0..40).map(|_| Delivery::good()).collect();
    let send = |delivery: &Delivery| {
        let mut stream = connect(&world);
        stream.write_all(&delivery.http1()).unwrap();
        stream
    };
    let streams: Vec<_> = deliveries.iter().map(send).collect();
    world.ask_to_stop();
    for stream in streams {
        assert_eq!(raw::status(&mut awaited(stream)).await, 202);
    }
    world.stop().await;
    is_kept(&world, &deliveries).await;
}

/// How much of a request ingress has read when it is asked to stop; the rest is in the socket, or
/// comes later.
#[rstest]
#[case::nothing_of_it(0, true)]
#[case::nothing_of_it_and_it_comes_later(0, false)]
#[case::less_than_tells_the_protocol(1, true)]
#[case::less_than_tells_the_protocol_and_the_rest_comes_later(1, false)]
#[case::half_a_head(60, true)]
#[case::half_a_head_and_the_rest_comes_later(60, false)]
#[tokio::test]
async fn what_was_begun_is_answered(
    #[case] read: usize,
    #[case] rest_is_there: bool,
    #[values(0, 1)] requests_before: usize,
) {
    let mut world = World::start().await.ready().await;
    let delivery = Delivery::good();
    let request = delivery.http1();
    let mut stream = awaited(connect(&world));
    for _ in 0..requests_before {
        stream.write_all(&Delivery::good().http1()).await.unwrap();
        assert_eq!(raw::status(&mut stream).await, 202);
    }
    accepted(&world, 1).await;
    let mut stream = stream.into_std().unwrap();
    stream.write_all(&request[..read]).unwrap();
    // Also a connection's first request is read once another one, sent later, is answered.
    world.takes_good_ones().await;
    if rest_is_there {
        stream.write_all(&request[read..]).unwrap();
        world.ask_to_stop();
    } else {
        world.ask_to_stop();
        tokio::task::yield_now().await;
        stream.write_all(&request[read..]).unwrap();
    }
    if read == 0 && !rest_is_there && requests_before > 0 {
        // It may be closed: it was idle, and its peer has to expect that.
        return world.stop().await;
    }
    assert_eq!(raw::status(&mut awaited(stream)).await, 202);
    world.stop().await;
    is_kept(&world, &[delivery]).await;
}

#[tokio::test]
async fn idle_connections_are_closed_at_once() {
    let mut world = World::start().await.ready().await;
    world.takes_good_ones().await;
    let mut used = awaited(connect(&world));
    used.write_all(&Delivery::good().http1()).await.unwrap();
    assert_eq!(raw::status(&mut used).await, 202);
    let idle = connect(&world);
    accepted(&world, 3).await;
    tokio::time::timeout(Duration::from_secs(10), world.stop()).await.expect("nobody to wait for");
    for mut stream in [idle, used.into_std().unwrap()] {
        stream.set_nonblocking(false).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "an end, and no reset");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_hand_is_answered_before_the_end() {
    let mut world = World::start().await.ready().await;
    let delivery = Delivery::good();
    let mut in_hand = awaited(connect(&world));
    let mut idle = awaited(connect(&world));
    let (first, rest) = delivery.body.split_at(100);
    let length = format!("content-length: {}\r\n", delivery.body.len());
    in_hand.write_all(&delivery.head(&length)).await.unwrap();
    in_hand.write_all(first).await.unwrap();
    let address = world.address;
    let bus = world.bus.clone();
    let stopping = tokio::spawn(async move { world.stop().await });
    eventually("it takes no new connections", || async {
        tokio::net::TcpStream::connect(address).await.is_err()
    })
    .await;
    in_hand.write_all(rest).await.unwrap();
    assert_eq!(raw::status(&mut in_hand).await, 202);
    tokio::time::timeout(Duration::from_secs(25), stopping).await.unwrap().unwrap();
    assert_eq!(raw::status(&mut idle).await, 0, "idle connections are closed");
    let subject = delivery.inbox_subject();
    assert!(bus.last_message("BOOTY_INBOX", &subject).await.unwrap().is_some());
}
