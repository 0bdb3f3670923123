//! The nats-server of our own.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use booty_bus::{
    Error,
    local::{LocalServer, LocalServerSettings, ServerSearch, find_server},
};
use booty_events::stream;
use tokio::net::TcpStream;

use crate::support::{World, connect_with, inbox};

async fn answers(server_url: &str) -> bool {
    TcpStream::connect(server_url.trim_start_matches("nats://")).await.is_ok()
}

#[tokio::test]
async fn a_killed_server_comes_back_on_its_port_with_its_messages() {
    let mut world = World::new().await;
    world.publish("a").await;
    let (url, pid) = (world.server.url(), world.server.pid());
    world.server.kill9().await.unwrap();
    assert_eq!(world.server.pid(), None);
    assert!(!answers(&url).await);
    world.server.restart().await.unwrap();
    assert_eq!(world.server.url(), url);
    assert_ne!(world.server.pid(), pid);
    let found = world.bus.last_message(stream::INBOX.name, &inbox("a")).await.unwrap();
    assert!(found.is_some());
}

#[tokio::test]
async fn a_stopped_or_dropped_server_is_gone_with_its_directory() {
    let mut server = LocalServer::start_temporary().await.unwrap();
    let (url, dir) = (server.url(), server.data_dir().to_owned());
    server.stop().await.unwrap();
    assert!(!answers(&url).await);
    server.restart().await.unwrap();
    assert!(answers(&url).await);
    drop(server);
    assert!(!answers(&url).await);
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_taken_port_is_said() {
    let first = LocalServer::start_temporary().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let port = first.url().rsplit(':').next().unwrap().parse().unwrap();
    let second = LocalServer::start(LocalServerSettings {
        binary: find_server().unwrap(),
        data_dir: dir.path().to_owned(),
        port: Some(port),
        sync_always: true,
    });
    let error = second.await.unwrap_err();
    assert!(error.to_string().contains("address already in use"), "{error}");
    let bus = connect_with(&first.url(), Some(1 << 20)).await;
    bus.ensure().await.unwrap();
}

fn fake(dir: &Path, says: &str) {
    let path = dir.join("nats-server");
    std::fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn an_old_server_is_passed_over_with_its_version() {
    let old = tempfile::tempdir().unwrap();
    fake(old.path(), "nats-server: v2.9.10");
    let recent = tempfile::tempdir().unwrap();
    let tools = recent.path().join(".tools/bin");
    std::fs::create_dir_all(&tools).unwrap();
    fake(&tools, "nats-server: v2.12.0");
    let below = recent.path().join("crates/bus");
    std::fs::create_dir_all(&below).unwrap();

    let mut search =
        ServerSearch { explicit: None, path: Some(old.path().as_os_str().to_owned()), below: None };
    let error = search.find().unwrap_err();
    assert!(matches!(error, Error::ServerNotFound { .. }));
    assert!(error.to_string().contains("is 2.9.10, too old"), "{error}");

    search.below = Some(below);
    assert_eq!(search.find().unwrap(), tools.join("nats-server"));

    search.explicit = Some(old.path().join("nats-server"));
    assert!(search.find().is_err(), "a named one is that one or none");
    search.explicit = Some(old.path().join("missing"));
    assert!(search.find().unwrap_err().to_string().contains("cannot be run"));
}
