//! Memory and connections under a crowd.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, net::TcpSocket};

use crate::{
    child::Process,
    delivery::Delivery,
    raw,
    world::{World, connect, own_broker, post},
};

const MIB: usize = 1024 * 1024;

/// The requirement: 64 bodies of 25 MiB at once stay below 512 MiB.
#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_of_the_largest_at_once_fit_into_memory() {
    let dir = TempDir::new().unwrap();
    let broker = own_broker(&dir).await;
    let bus = connect(&broker.url()).await;
    bus.ensure().await.unwrap();
    let process = Process::start(&broker.url(), &dir.path().join("spool"));
    // One body for all, each under an id of its own: this process must fit as well.
    let template = Delivery::of_size(25 * MIB).id("00000000-0000-0000-0000-000000000000");
    let body = bytes::Bytes::from(template.http1());
    let at = body.windows(36).position(|w| w == template.id.as_bytes()).unwrap();
    let address = process.address;
    let posts = (0..64).map(|_| {
        let body = body.clone();
        tokio::spawn(async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let id = uuid::Uuid::new_v4().to_string();
            for part in [&body[..at], id.as_bytes(), &body[at + 36..]] {
                let _ = stream.write_all(part).await;
            }
            raw::status(&mut stream).await
        })
    });
    let posts: Vec<_> = posts.collect();
    let mut kept = 0;
    for post in posts {
        // A disk that is slow to take 1.6 GB has no time for some of them, and they are refused as they
        // must be; none is cut off.
        match post.await.unwrap() {
            202 => kept += 1,
            503 => {}
            other => panic!("{other}"),
        }
    }
    assert!(kept > 0);
    let peak = process.peak_bytes();
    assert!(peak < 512 * MIB as u64, "{} MiB", peak / MIB as u64);
    // A small one is not behind them.
    assert_eq!(post(&reqwest::Client::new(), &process.url(), &Delivery::good()).await.0, 202);
}

/// As many connections as this process may open, up to 10,000 (row 13), each from a port of its own.
#[tokio::test(flavor = "multi_thread")]
async fn row_13_idle_connections_do_not_starve_good_ones() {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let dir = TempDir::new().unwrap();
    let broker = own_broker(&dir).await;
    connect(&broker.url()).await.ensure().await.unwrap();
    let process = Process::start(&broker.url(), &dir.path().join("spool"));
    let count = usize::try_from(limit).unwrap().saturating_sub(1000).min(10_000);
    assert!(count >= 1000, "the system allows only {limit} open files");
    let mut idle = Vec::new();
    for n in 0..count {
        let socket = TcpSocket::new_v4().unwrap();
        // One address has too few ports for thousands of tests' connections.
        let from = Ipv4Addr::new(127, 0, 1, u8::try_from(n / 5000 + 1).unwrap());
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        idle.push(socket.connect(process.address).await.unwrap());
    }
    let client = reqwest::Client::new();
    for _ in 0..10 {
        let began = Instant::now();
        assert_eq!(post(&client, &process.url(), &Delivery::good()).await.0, 202);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}

/// With every place taken, those that were idle for longest make room.
#[tokio::test(flavor = "multi_thread")]
async fn at_the_limit_of_connections_the_idle_ones_make_room() {
    let world =
        World::with(|settings| settings.connections.max_connections = 50).await.ready().await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(tokio::net::TcpStream::connect(world.address).await.unwrap());
    }
    world.takes_good_ones().await;
}

/// Large bodies wait for memory; small ones don't wait for them.
#[tokio::test(flavor = "multi_thread")]
async fn peers_that_dribble_large_bodies_do_not_hold_small_ones_up() {
    let world = World::start().await.ready().await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
        let length = format!("content-length: {}\r\n", 25 * MIB);
        stream.write_all(&Delivery::good().head(&length)).await.unwrap();
        stream.write_all(b"{").await.unwrap();
        slow.push(stream);
    }
    let began = Instant::now();
    world.takes_good_ones().await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
