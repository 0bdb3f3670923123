//! Start-up finds every difference, on the server and of the server.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use booty_bus::{
    Error, SyncAlways, ensure_consumer,
    local::{LocalServer, LocalServerSettings, find_server},
};
use booty_events::{bucket, stream};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use crate::support::{World, connect_with, settings};

async fn config(world: &World, name: &str) -> Config {
    world.bus.jetstream().get_stream(name).await.unwrap().cached_info().config.clone()
}

#[tokio::test]
async fn everything_is_made_as_defined_and_again_is_nothing() {
    let world = World::new().await;
    for definition in stream::ALL {
        let found = config(&world, definition.name).await;
        assert_eq!(found.discard, DiscardPolicy::New, "{}", definition.name);
        assert_eq!(found.discard_new_per_subject, definition.max_messages_per_subject == 1);
        assert_eq!(found.max_messages_per_subject, definition.max_messages_per_subject);
        assert_eq!(found.max_age, definition.max_age.unwrap_or_default());
    }
    for definition in bucket::ALL {
        let found = config(&world, &format!("KV_{}", definition.name)).await;
        assert_eq!(found.max_age, definition.max_age.unwrap_or_default());
    }
    world.bus.ensure().await.unwrap();
    world.another_bus().await.ensure().await.unwrap();
}

#[tokio::test]
async fn a_field_changed_by_another_hand_is_named() {
    let world = World::new().await;
    type Change = fn(&mut Config);
    let changes: [(&str, Change); 6] = [
        ("discard", |c| {
            c.discard = DiscardPolicy::Old;
            c.discard_new_per_subject = false;
        }),
        ("discard_new_per_subject", |c| c.discard_new_per_subject = false),
        ("max_msgs_per_subject", |c| c.max_messages_per_subject = 2),
        ("subjects", |c| c.subjects.push("elsewhere.>".to_owned())),
        ("max_msgs", |c| c.max_messages = 10),
        ("deny_purge", |c| c.deny_purge = true),
    ];
    for (field, change) in changes {
        let name = stream::EVENTS.name;
        let good = config(&world, name).await;
        let mut bad = good.clone();
        change(&mut bad);
        world.bus.jetstream().update_stream(bad).await.unwrap();
        let error = world.bus.ensure().await.unwrap_err();
        assert!(error.to_string().contains(&format!("{field} is ")), "{field}: {error}");
        assert!(error.to_string().contains(name) && !error.is_retryable());
        if field == "deny_purge" {
            break; // The server never lets go of it again.
        }
        world.bus.jetstream().update_stream(good).await.unwrap();
    }
}

#[tokio::test]
async fn a_bucket_of_an_older_version_learns_to_drop_entries() {
    let world = World::new().await;
    let name = "KV_booty_leases";
    let wanted = config(&world, name).await;
    assert!(wanted.allow_message_ttl);
    // The server never lets go of it again, so the older version's is made by hand.
    world.bus.jetstream().delete_stream(name).await.unwrap();
    let old = Config { allow_message_ttl: false, metadata: Default::default(), ..wanted };
    world.bus.jetstream().create_stream(old).await.unwrap();
    world.bus.ensure().await.unwrap();
    assert!(config(&world, name).await.allow_message_ttl);
}

#[tokio::test]
async fn room_and_age_are_raised_and_never_lowered() {
    let world = World::with_max_bytes(1 << 20).await;
    let mut less = config(&world, stream::INBOX.name).await;
    less.max_age = Duration::from_secs(3600);
    world.bus.jetstream().update_stream(less).await.unwrap();

    let roomier = connect_with(&world.server.url(), Some(2 << 20)).await;
    roomier.ensure().await.unwrap();
    let found = config(&world, stream::INBOX.name).await;
    assert_eq!(found.max_bytes, 2 << 20);
    assert_eq!(Some(found.max_age), stream::INBOX.max_age);

    world.bus.ensure().await.unwrap();
    assert_eq!(config(&world, stream::INBOX.name).await.max_bytes, 2 << 20);
}

#[tokio::test]
async fn a_durable_is_made_at_the_start_and_brought_up_to_date() {
    let world = World::new().await;
    let mut settings = settings("w");
    ensure_consumer(&world.bus, &settings).await.unwrap();
    ensure_consumer(&world.bus, &settings).await.unwrap();
    settings.lease = Duration::from_secs(7);
    settings.filters.push("booty.inbox.github.push.*.*".to_owned());
    ensure_consumer(&world.bus, &settings).await.unwrap();
    let stream = world.bus.jetstream().get_stream(settings.stream).await.unwrap();
    let found = stream.consumer_info(&settings.durable).await.unwrap().config;
    assert_eq!(found.ack_wait, Duration::from_secs(7));
    assert_eq!(found.filter_subjects, settings.filters);
    assert_eq!((found.max_deliver, found.max_ack_pending), (-1, 1_000));

    let foreign = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("foreign".to_owned()),
        ack_policy: async_nats::jetstream::consumer::AckPolicy::None,
        ..Default::default()
    };
    stream.create_consumer(foreign).await.unwrap();
    settings.durable = "foreign".to_owned();
    let error = ensure_consumer(&world.bus, &settings).await.unwrap_err();
    assert!(error.to_string().contains("ack_policy is \"none\", must be \"explicit\""), "{error}");
}

#[tokio::test]
async fn a_broker_that_takes_too_little_is_refused() {
    let mut server = LocalServer::start_temporary().await.unwrap();
    let small = "max_payload: 1MB\njetstream {}\n";
    std::fs::write(server.data_dir().join("nats.conf"), small).unwrap();
    server.restart().await.unwrap();
    let bus = connect_with(&server.url(), Some(1 << 20)).await;
    let error = bus.ensure().await.unwrap_err();
    assert!(matches!(error, Error::MaxPayload { found: 1_048_576, wanted: 33_554_432 }));
    assert!(error.to_string().contains("max_payload: 32MB"), "says what to do: {error}");
}

#[tokio::test]
async fn an_old_broker_is_refused_with_its_version() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let info = concat!(
                    r#"INFO {"server_id":"X","server_name":"x","version":"2.9.10","proto":1,"#,
                    r#""go":"go","host":"127.0.0.1","port":1,"headers":true,"#,
                    r#""max_payload":33554432,"jetstream":true,"client_id":1}"#,
                    "\r\n"
                );
                let (reader, mut writer) = socket.split();
                writer.write_all(info.as_bytes()).await.unwrap();
                let mut lines = BufReader::new(reader).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.starts_with("PING") {
                        writer.write_all(b"PONG\r\n").await.unwrap();
                    }
                }
            });
        }
    });
    let bus = connect_with(&url, None).await;
    let error = bus.ensure().await.unwrap_err();
    assert_eq!(error.to_string(), "nats-server 2.9.10 is too old: install 2.12 or newer");
}

#[tokio::test]
async fn whether_every_message_is_synced_can_be_seen() {
    let timeout = Duration::from_secs(5);
    let mut world = World::new().await;
    let url = world.server.monitor_url();
    assert_eq!(SyncAlways::ask(Some(&url), timeout).await, SyncAlways::Yes);
    world.server.kill9().await.unwrap();
    for unseen in [Some(url.as_str()), Some("no url"), None] {
        let answer = SyncAlways::ask(unseen, timeout).await;
        assert!(matches!(&answer, SyncAlways::Unknown { why } if !why.is_empty()), "{answer}");
    }

    let dir = tempfile::tempdir().unwrap();
    let lax = LocalServer::start(LocalServerSettings {
        binary: find_server().unwrap(),
        data_dir: dir.path().join("nats"),
        port: None,
        sync_always: false,
    });
    let lax = lax.await.unwrap();
    assert_eq!(SyncAlways::ask(Some(&lax.monitor_url()), timeout).await, SyncAlways::No);
}
