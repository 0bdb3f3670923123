//! Files put over a tree that somebody else filled.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
};

use booty_workspace::{Error, FileContent, Mode};
use rstest::rstest;

use crate::world::World;

fn file(path: &str, content: &str) -> (Vec<u8>, Option<FileContent>) {
    entry(path, Mode::Regular, content)
}

fn entry(path: &str, mode: Mode, content: &str) -> (Vec<u8>, Option<FileContent>) {
    (path.into(), Some(FileContent { mode, content: content.into() }))
}

fn gone(path: &str) -> (Vec<u8>, Option<FileContent>) {
    (path.into(), None)
}

async fn world() -> World {
    World::with(&[
        ("a/b/file", "100644", b"old\n"),
        ("a/keep", "100644", b"keep\n"),
        ("deep/er/only", "100644", b"only\n"),
        ("link", "120000", b"a/keep"),
        ("top", "100644", b"top\n"),
    ])
    .await
}

fn read(tree: &Path, path: &str) -> String {
    fs::read_to_string(tree.join(path)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_links_folders_and_modes_change_places() {
    let world = world().await;
    let checkout = world.checkout(&world.open(), "job").await.unwrap();
    let tree = checkout.work_tree();
    checkout
        .overlay(vec![
            file("a/b/file", "new\n"),
            entry("a/tool", Mode::Executable, "#!/bin/sh\n"),
            entry("a/link", Mode::Symlink, "keep"),
            file("new/folder/file", "x"),
            gone("deep/er/only"),
            // A file becomes a folder, a link a file, and a folder a file.
            file("top/inner", "inner\n"),
            file("link", "no link\n"),
        ])
        .await
        .unwrap();
    assert_eq!(read(tree, "a/b/file"), "new\n");
    assert_eq!(fs::metadata(tree.join("a/tool")).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_link(tree.join("a/link")).unwrap().to_str(), Some("keep"));
    assert_eq!(read(tree, "new/folder/file"), "x");
    assert!(!tree.join("deep").exists(), "folders go with their last file");
    assert_eq!(read(tree, "top/inner"), "inner\n");
    assert_eq!(read(tree, "link"), "no link\n");
    assert_eq!(read(tree, "a/keep"), "keep\n", "the link was not followed");
    checkout
        .overlay(vec![file("a", "flat\n"), gone("top/inner"), gone("not/there")])
        .await
        .unwrap();
    assert_eq!(read(tree, "a"), "flat\n");
    assert!(!tree.join("top").exists());
    // And back again: the base is what it was.
    checkout
        .overlay(vec![
            file("a/b/file", "old\n"),
            file("a/keep", "keep\n"),
            file("deep/er/only", "only\n"),
            entry("link", Mode::Symlink, "a/keep"),
            file("top", "top\n"),
            gone("new/folder/file"),
        ])
        .await
        .unwrap();
    assert!(checkout.change_set().await.unwrap().changes.is_empty());
    checkout.close().await.unwrap();
    assert_eq!(fs::read_dir(world.root().join("trash")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_links_lead_nowhere() {
    let world = world().await;
    let checkout = world.checkout(&world.open(), "job").await.unwrap();
    let tree = checkout.work_tree();
    let outside = world.outside().join("outside");
    fs::create_dir(&outside).unwrap();
    for name in ["file", "other", "hard"] {
        fs::write(outside.join(name), "mine\n").unwrap();
    }
    fs::remove_dir_all(tree.join("a")).unwrap();
    symlink(&outside, tree.join("a")).unwrap();
    symlink(outside.join("other"), tree.join("planted")).unwrap();
    fs::hard_link(outside.join("hard"), tree.join("hard")).unwrap();
    checkout
        .overlay(vec![
            gone("a/file"),
            gone("a/b/file"),
            file("a/other", "theirs\n"),
            file("planted", "theirs\n"),
            file("hard", "theirs\n"),
        ])
        .await
        .unwrap();
    for name in ["file", "other", "hard"] {
        assert_eq!(read(&outside, name), "mine\n");
    }
    assert_eq!(fs::metadata(outside.join("hard")).unwrap().nlink(), 1);
    assert!(tree.join("a").is_dir() && !tree.join("a").is_symlink());
    for name in ["a/other", "planted", "hard"] {
        assert_eq!(read(tree, name), "theirs\n");
    }
}

#[rstest]
#[case::up(file("../x", "x"))]
#[case::absolute(file("/x", "x"))]
#[case::git(file("a/.git/config", "x"))]
#[case::nothing(file("", "x"))]
#[case::delete_up(gone("a/../../x"))]
#[case::link_away(entry("l", Mode::Symlink, "../../etc"))]
#[case::link_modules(entry(".gitmodules", Mode::Symlink, "x"))]
#[tokio::test(flavor = "multi_thread")]
async fn what_no_tree_may_hold(#[case] bad: (Vec<u8>, Option<FileContent>)) {
    let world = world().await;
    let checkout = world.checkout(&world.open(), "job").await.unwrap();
    let error = checkout.overlay(vec![file("first", "x"), bad]).await.unwrap_err();
    assert!(matches!(error, Error::Hostile { .. }), "{error:?}");
    assert!(!checkout.work_tree().join("first").exists(), "nothing was written");
}
