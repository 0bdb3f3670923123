//! Giving a tree to the sandbox user, when it was made by an enemy. Only root can.

use std::os::unix::fs::{MetadataExt, symlink};

use crate::world::World;

fn owner(path: &std::path::Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().uid()
}

#[tokio::test]
async fn links_are_given_and_not_followed() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new().await;
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("file"), "host").unwrap();
    symlink(outside.path(), world.tree().join("folder")).unwrap();
    symlink(outside.path().join("file"), world.tree().join("link")).unwrap();
    symlink("loop", world.tree().join("loop")).unwrap();
    world.own();
    assert_eq!(owner(&world.tree().join("folder")), 65_534);
    assert_eq!((owner(outside.path()), owner(&outside.path().join("file"))), (0, 0));
}

#[tokio::test]
async fn a_second_name_of_a_host_file_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new().await;
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("file");
    std::fs::write(&file, "host").unwrap();
    std::fs::hard_link(&file, world.tree().join("same")).unwrap();
    let error = world.sandbox.own(world.tree()).unwrap_err();
    assert_eq!(error.to_string(), "cannot change the owner of same");
    assert_eq!(owner(&file), 0);
    // Between files of the sandbox user it is nothing special.
    std::fs::remove_file(world.tree().join("same")).unwrap();
    world.sh("echo a > a; ln a b").await;
    world.own();
}

#[tokio::test]
async fn odd_names_and_depth() {
    let world = World::new().await;
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::OsStr::from_bytes(b"-rf \n\xff*'");
    std::fs::write(world.tree().join(name), "").unwrap();
    world.own();
    assert_eq!(world.sh("ls | wc -l").await.output.trim(), "2");
    let deep = world.tree().join("d/".repeat(200));
    std::fs::create_dir_all(deep).unwrap();
    if rustix::process::geteuid().is_root() {
        let error = world.sandbox.own(world.tree()).unwrap_err();
        assert!(error.to_string().starts_with("cannot change the owner of"), "{error}");
    }
}
