//! More of the host than the work tree.

use std::{fs, path::Path};

use booty_sandbox::{End, Limit, Mount};
use rstest::rstest;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// A folder that the sandbox user may write. As root below its home, which that user cannot enter.
fn folder(world: &World) -> TempDir {
    let home = if rustix::process::geteuid().is_root() { "/root" } else { "/var/tmp" };
    let folder = tempfile::tempdir_in(home).unwrap();
    world.sandbox.own(folder.path()).unwrap();
    folder
}

#[tokio::test]
async fn folders_and_files_are_where_they_were_asked_for() {
    let world = World::new().await;
    let (readable, writable) = (folder(&world), folder(&world));
    let file = readable.path().join("bundle");
    fs::write(&file, "certificates").unwrap();
    fs::write(readable.path().join("a"), "readable\n").unwrap();
    let mut command = world.command(
        "cat /booty/in/a; cat /booty/bundle; echo; echo new > /cache/new && cat /cache/new; \
         for f in /booty/in/x /booty/in/a /booty/bundle /booty/x; do \
         (echo x > $f) 2>/dev/null && echo \"wrote $f\"; done; ls /booty",
    );
    command.mounts = vec![
        Mount::read_only(readable.path(), "/booty/in"),
        Mount::read_only(&file, "/booty/bundle"),
        Mount::writable(writable.path(), "/cache"),
    ];
    let result = world.run(&command).await;
    assert_eq!(result.output, "readable\ncertificates\nnew\nbundle\nin\n");
    assert_eq!(fs::read_to_string(writable.path().join("new")).unwrap(), "new\n");
}

#[rstest]
#[case::the_system("/usr/lib")]
#[case::the_work_tree("/workspace")]
#[case::the_room_itself("/booty")]
#[case::a_neighbour("/bootyful")]
#[case::up("/booty/../etc")]
#[case::dot("/booty/./x")]
#[case::relative("cache")]
#[tokio::test]
async fn targets_have_their_own_rooms(#[case] target: &str) {
    let world = World::new().await;
    let mut command = world.command("true");
    command.mounts = vec![Mount::read_only(world.tree(), target)];
    let error = world.sandbox.run(&command, &CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("is not below /booty or /cache"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_or_is_a_link_is_not_mounted() {
    let world = World::new().await;
    let outside = tempfile::tempdir().unwrap();
    let link = outside.path().join("link");
    std::os::unix::fs::symlink("/etc", &link).unwrap();
    for source in [link.as_path(), &outside.path().join("missing"), Path::new("/dev/null")] {
        let mut command = world.command("true");
        command.mounts = vec![Mount::read_only(source, "/booty/x")];
        let error = world.sandbox.run(&command, &CancellationToken::new()).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot mount "), "{error}");
    }
    let mut command = world.command("true");
    command.mounts =
        vec![Mount::read_only("/tmp", "/booty/x"), Mount::read_only("/tmp", "/booty/x/y")];
    let error = world.sandbox.run(&command, &CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("another mount is there"), "{error}");
}

#[rstest]
#[case::bytes(
    "i=0; while :; do head -c 4000000 /dev/zero > /cache/f$i; i=$((i+1)); done",
    Limit::Disk
)]
#[case::entries("i=0; while :; do : > /cache/f$i; i=$((i+1)); done", Limit::DiskEntries)]
#[tokio::test]
async fn what_is_written_to_a_mount_counts(#[case] script: &str, #[case] limit: Limit) {
    let world = World::new().await;
    let cache = folder(&world);
    let mut command = world.command(script);
    command.mounts = vec![Mount::writable(cache.path(), "/cache")];
    assert_eq!(world.run(&command).await.end, End::OverLimit(limit));
}
