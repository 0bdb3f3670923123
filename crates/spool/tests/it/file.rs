//! The single file.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    sync::Arc,
};

use booty_bus::Outgoing;
use booty_spool::{FileSettings, FileSpool, NotWatched, OpenError, SpoolError};

use crate::world::{Draining, World, entry, eventually, lines, open, size};

const FULL: i64 = 100;
const ROOM: i64 = 64 << 20;

#[tokio::test]
async fn what_is_kept_goes_into_the_spool_in_order_once_it_has_room() {
    let world = World::new().await;
    world.resize_spool(FULL).await;
    let file = world.file();
    let draining = Draining::start(file.clone(), &world.bus);
    for n in 1..=20 {
        file.keep(entry(n), "the stream is full").await.unwrap();
    }
    let kept = lines(&world.path());
    assert_eq!(kept.len(), 20);
    assert_eq!(
        (&kept[0].error[..], &kept[0].payload[..]),
        ("the stream is full", &b"{\"n\":1}"[..])
    );
    assert!(world.spooled().await.is_empty());

    world.resize_spool(ROOM).await;
    eventually("the file is empty", || async { file.is_empty() }).await;
    assert_eq!(size(&world.path()), 0);
    let spooled = world.spooled().await;
    let subjects: Vec<_> = spooled.iter().map(|stored| stored.subject.clone()).collect();
    assert_eq!(subjects, (1..=20).map(|n| entry(n).subject).collect::<Vec<_>>());
    for (n, stored) in (1..).zip(&spooled) {
        assert_eq!(stored.payload, entry(n).payload);
        assert_eq!(stored.headers.get("ce-id"), Some("a"));
        let replay = format!("booty.replay.observability.BOOTY_INBOX-{n}.{}", stored.sequence);
        assert_eq!(stored.headers.get("booty-spool-replay-subject"), Some(&replay[..]));
    }

    // And it goes on.
    file.keep(entry(21), "the stream is full").await.unwrap();
    eventually("the next one is there", || async { world.spooled().await.len() == 21 }).await;
    draining.stop().await;
}

#[tokio::test]
async fn an_entry_is_kept_once_and_spooled_once() {
    let world = World::new().await;
    let file = world.file();
    file.keep(entry(1), "x").await.unwrap();
    file.keep(entry(1), "y").await.unwrap();
    assert_eq!(lines(&world.path()).len(), 1);
    // A run that died after the broker had it.
    let text = fs::read(world.path()).unwrap();
    let draining = Draining::start(file.clone(), &world.bus);
    eventually("the file is empty", || async { file.is_empty() }).await;
    draining.stop().await;
    drop(file);
    fs::write(world.path(), text).unwrap();
    let again = world.file();
    let draining = Draining::start(again.clone(), &world.bus);
    eventually("the file is empty", || async { again.is_empty() }).await;
    assert_eq!(world.spooled().await.len(), 1);
    draining.stop().await;
}

/// After the broker's store was lost its numbers begin at 1 again.
#[tokio::test]
async fn an_entry_whose_place_is_anothers_is_set_aside() {
    let world = World::new().await;
    let file = world.file();
    let other = Outgoing { payload: "another".into(), ..entry(1) };
    file.keep(other, "x").await.unwrap();
    let draining = Draining::start(file.clone(), &world.bus);
    eventually("the file is empty", || async { file.is_empty() }).await;
    file.keep(entry(1), "x").await.unwrap();
    eventually("the file is empty", || async { file.is_empty() }).await;
    draining.stop().await;
    assert_eq!(world.spooled().await.len(), 1);
    let aside = lines(&world.dir.path().join("observability.jsonl.set-aside"));
    assert_eq!(aside[0].payload, entry(1).payload);
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_and_the_next_run_goes_on() {
    let world = World::new().await;
    let file = world.file();
    for n in 1..=3 {
        file.keep(entry(n), "x").await.unwrap();
    }
    drop(file);
    let whole = size(&world.path());
    OpenOptions::new().append(true).open(world.path()).unwrap().write_all(b"{\"time\":").unwrap();
    let file = world.file();
    assert_eq!(size(&world.path()), whole);
    // What it holds it still knows.
    file.keep(entry(3), "x").await.unwrap();
    file.keep(entry(4), "x").await.unwrap();
    assert_eq!(lines(&world.path()).len(), 4);
    let draining = Draining::start(file.clone(), &world.bus);
    eventually("the file is empty", || async { file.is_empty() }).await;
    assert_eq!(world.spooled().await.len(), 4);
    draining.stop().await;
}

#[tokio::test]
async fn what_can_never_be_spooled_is_set_aside_and_holds_nothing_up() {
    let world = World::new().await;
    let file = world.file();
    file.keep(entry(1), "x").await.unwrap();
    drop(file);
    let mut text = fs::read(world.path()).unwrap();
    text.extend_from_slice(b"{\"half\": \n");
    fs::write(world.path(), text).unwrap();
    let file = world.file();
    let mut wild = entry(2);
    wild.subject = "booty.inbox.github.*.>".to_owned();
    file.keep(wild.clone(), "x").await.unwrap();
    file.keep(entry(3), "x").await.unwrap();
    let draining = Draining::start(file.clone(), &world.bus);
    eventually("the file is empty", || async { file.is_empty() }).await;
    let spooled: Vec<_> = world.spooled().await.into_iter().map(|stored| stored.subject).collect();
    assert_eq!(spooled, [entry(1).subject, entry(3).subject]);
    let aside = world.dir.path().join("observability.jsonl.set-aside");
    let aside = fs::read_to_string(aside).unwrap();
    let (first, second) = aside.split_once('\n').unwrap();
    assert_eq!(first, "{\"half\": ");
    assert!(second.contains(&wild.subject), "{second}");
    draining.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_waited_for() {
    let mut world = World::new().await;
    let file = world.file();
    world.server.kill9().await.unwrap();
    let draining = Draining::start(file.clone(), &world.bus);
    file.keep(entry(1), "x").await.unwrap();
    file.keep(entry(2), "x").await.unwrap();
    assert_eq!(lines(&world.path()).len(), 2);
    world.server.restart().await.unwrap();
    eventually("the file is empty", || async { file.is_empty() }).await;
    assert_eq!(world.spooled().await.len(), 2);
    draining.stop().await;
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/folder/spool.jsonl");
    let first = open(&path);
    let second = FileSpool::open(FileSettings::at(&path), Arc::new(NotWatched));
    assert!(matches!(second, Err(OpenError::Taken { .. })), "{second:?}");
    drop(first);
    open(&path);
}

#[tokio::test]
async fn a_full_file_refuses_and_keeps_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.jsonl");
    let settings = FileSettings { max_bytes: 800, ..FileSettings::at(&path) };
    let file = FileSpool::open(settings, Arc::new(NotWatched)).unwrap();
    let mut kept = 0;
    let error = loop {
        match file.keep(entry(kept + 1), "x").await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Full { max_bytes: 800 }), "{error}");
    assert!((2..6).contains(&kept), "{kept}");
    assert_eq!(lines(&path).len() as u32, kept);
}

#[tokio::test]
async fn a_path_that_is_a_folder_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let opened = FileSpool::open(FileSettings::at(dir.path()), Arc::new(NotWatched));
    assert!(matches!(opened, Err(OpenError::Unusable { .. })), "{opened:?}");
}
