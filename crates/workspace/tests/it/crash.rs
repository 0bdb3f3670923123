//! Processes that are killed.

use std::fs;

use crate::{
    child::Process,
    server::Fault,
    world::{KEY, World, noise},
};

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_clones() {
    let noise = noise(1, 300_000);
    let world = World::with(&[("file", "100644", &noise)]).await;
    world.server.set(Fault::Stall);
    let process = Process::start(&world, &[]);
    world.server.stalled().await;
    assert_eq!(world.jobs(), ["child"]);
    assert_eq!(world.generations(), ["1.half"]);
    // Alive, so it is left alone.
    let workspaces = world.open();
    assert_eq!(
        (world.jobs(), world.generations()),
        (vec!["child".to_owned()], vec!["1.half".to_owned()])
    );
    process.kill();

    world.server.set(Fault::None);
    world.open();
    assert!(world.jobs().is_empty() && world.generations().is_empty());
    let checkout = world.checkout(&workspaces, "child").await.unwrap();
    assert_eq!(fs::read(checkout.work_tree().join("file")).unwrap(), noise);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_fetches() {
    let world = World::with(&[("file", "100644", &noise(1, 300_000))]).await;
    drop(world.checkout(&world.open(), "before").await.unwrap());
    world.repo.commit("main", &[("file", "100644", &noise(2, 300_000))]);
    world.server.set(Fault::Stall);
    let process = Process::start(&world, &[]);
    world.server.stalled().await;
    process.kill();
    // What gix would trip over.
    let mirror = world.root().join("mirrors").join(KEY).join("1.git");
    for lock in ["shallow.lock", "HEAD.lock", "packed-refs.lock"] {
        fs::write(mirror.join(lock), "").unwrap();
    }

    world.server.set(Fault::None);
    let checkout = world.checkout(&world.open(), "after").await.unwrap();
    assert_eq!(fs::read(checkout.work_tree().join("file")).unwrap(), noise(2, 300_000));
    assert_eq!(
        (world.jobs(), world.generations()),
        (vec!["after".to_owned()], vec!["1.git".to_owned()])
    );
    let half: Vec<_> = fs::read_dir(mirror.join("objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("pack-"))
        .collect();
    assert!(half.is_empty(), "{half:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_works() {
    let world = World::with(&[("file", "100644", b"x")]).await;
    let mut process = Process::start(&world, &[]);
    process.ready();
    let workspaces = world.open();
    assert_eq!(world.jobs(), ["child"], "its process lives");
    assert!(world.checkout(&workspaces, "child").await.is_err(), "so does its name");
    process.kill();
    // The same job again, without a new start: it takes the place over.
    let again = world.checkout(&workspaces, "child").await.unwrap();
    assert!(!again.work_tree().join("made-by-child").exists());
    drop(again);
    assert!(world.jobs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_in_order_leaves_nothing() {
    let world = World::with(&[("file", "100644", b"x")]).await;
    let mut process = Process::start(&world, &[]);
    process.ready();
    process.finish();
    assert!(world.jobs().is_empty());
}
