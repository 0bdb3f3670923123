//! Merging within a repository on this machine, whoever filled it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use booty_workspace::{Error, Merge, Side, Workspaces};
use rstest::rstest;
use tokio_util::sync::CancellationToken;

use crate::{
    merge::clean,
    world::{Repo, World},
};

/// A work tree with a `main` and a `topic` that changes other lines of the same file.
fn work_tree(path: &Path) -> Repo {
    fs::create_dir_all(path).unwrap();
    let repo = Repo { path: path.to_owned() };
    repo.git(&["init", "-q", "-b", "main", "."], b"");
    fs::write(path.join("file"), "1\n2\n3\n4\n5\n6\n7\n8\n").unwrap();
    fs::write(path.join(".gitattributes"), "* merge=evil filter=evil diff=evil\n").unwrap();
    fs::create_dir(path.join("dir")).unwrap();
    fs::write(path.join("dir/other"), "other\n").unwrap();
    commit(&repo, "first");
    repo.git(&["checkout", "-q", "-b", "topic"], b"");
    fs::write(path.join("file"), "1\n2\n3\n4\n5\n6\n7\nhead\n").unwrap();
    commit(&repo, "topic");
    repo.git(&["checkout", "-q", "main"], b"");
    fs::write(path.join("file"), "base\n2\n3\n4\n5\n6\n7\n8\n").unwrap();
    commit(&repo, "main");
    repo
}

fn commit(repo: &Repo, message: &str) {
    repo.git(&["add", "-A"], b"");
    repo.git(&["commit", "-q", "-m", message], b"");
}

/// Every path with its kind, mode, time of change and bytes.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let content = if stat.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else if stat.is_file() {
            fs::read(&path).unwrap()
        } else {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        };
        let changed = stat.mtime() * 1_000_000_000 + stat.mtime_nsec();
        found.insert(path, (stat.mode(), changed, content));
    }
    found
}

async fn merge(
    workspaces: &Workspaces,
    repository: &Path,
    base: &str,
    head: &str,
) -> Result<Merge, Error> {
    workspaces.merge_local(repository, base, head, CancellationToken::new()).await
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    WorkTree,
    GitFolder,
    Bare,
    Worktree,
    Packed,
}

#[rstest]
#[case(Shape::WorkTree)]
#[case(Shape::GitFolder)]
#[case(Shape::Bare)]
#[case(Shape::Worktree)]
#[case(Shape::Packed)]
#[tokio::test(flavor = "multi_thread")]
async fn every_shape_of_repository_is_read_and_left_as_it_was(#[case] shape: Shape) {
    let world = World::new().await;
    let path = world.outside().join("local");
    let repo = work_tree(&path);
    let place = match shape {
        Shape::WorkTree => path.clone(),
        Shape::GitFolder => path.join(".git"),
        Shape::Bare => {
            repo.git(&["clone", "-q", "--bare", ".", "../bare.git"], b"");
            world.outside().join("bare.git")
        }
        Shape::Worktree => {
            repo.git(&["worktree", "add", "-q", "--detach", "../linked", "topic"], b"");
            world.outside().join("linked")
        }
        Shape::Packed => {
            repo.git(&["gc", "-q", "--prune=now"], b"");
            path.clone()
        }
    };
    let workspaces = world.open();
    let before = [snapshot(&path), snapshot(&place)];
    let proposal = clean(merge(&workspaces, &place, "main", "topic").await.unwrap());
    let checkout = proposal.check_out(Side::Merged, "job", CancellationToken::new()).await.unwrap();
    let merged = "base\n2\n3\n4\n5\n6\n7\nhead\n";
    assert_eq!(fs::read_to_string(checkout.work_tree().join("file")).unwrap(), merged);
    fs::write(checkout.work_tree().join("dir/other"), "run\n").unwrap();
    assert_eq!(checkout.change_set().await.unwrap().changes.len(), 1);
    assert_eq!(checkout.branch(), "main");
    assert!(before == [snapshot(&path), snapshot(&place)], "the repository was written to");
    assert_eq!(
        proposal.merged_tree(),
        repo.git(&["merge-tree", "--write-tree", "main", "topic"], b"")
    );
    // In a worktree `HEAD` is its own.
    let head = clean(merge(&workspaces, &place, "main", "HEAD").await.unwrap());
    let expected = if matches!(shape, Shape::Worktree) { "topic" } else { "main" };
    assert_eq!(head.head(), repo.git(&["rev-parse", expected], b""));
    drop((proposal, checkout, head));
    while !world.jobs().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(world.server.requests().is_empty(), "nobody was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions() {
    let world = World::new().await;
    let path = world.outside().join("local");
    let repo = work_tree(&path);
    repo.git(&["tag", "-a", "v1", "-m", "tag", "topic"], b"");
    let full = repo.git(&["rev-parse", "topic"], b"");
    let workspaces = world.open();
    for name in [
        "topic",
        "refs/heads/topic",
        "heads/topic",
        "v1",
        "topic~0",
        "v1^{commit}",
        &full,
        &full[..10],
    ] {
        let proposal = clean(merge(&workspaces, &path, "main", name).await.unwrap());
        assert_eq!(proposal.head(), full, "{name}");
    }
    for name in
        ["", "nothing", "--help", "topic~9", "topic:file", "topic^{tree}", "..", &"1".repeat(40)]
    {
        let error = merge(&workspaces, &path, "main", name).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{name}: {error:?}");
    }
    let error = merge(&workspaces, world.outside(), "main", "topic").await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    let error = merge(&workspaces, &path.join("none"), "main", "topic").await.unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    repo.git(&["checkout", "-q", "--orphan", "island"], b"");
    commit(&repo, "island");
    let error = merge(&workspaces, &path, "main", "island").await.unwrap_err();
    assert!(matches!(error, Error::Unrelated { .. }), "{error:?}");
    assert!(world.jobs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shallow_clone() {
    let world = World::new().await;
    let path = world.outside().join("local");
    let repo = work_tree(&path);
    let url = format!("file://{}", path.display());
    let clone = |name: &str, depth: &str| {
        repo.git(
            &["clone", "-q", "--bare", "--no-single-branch", "--depth", depth, &url, name],
            b"",
        );
        path.join(name)
    };
    let workspaces = world.open();
    let error = merge(&workspaces, &clone("one.git", "1"), "main", "topic").await.unwrap_err();
    assert!(matches!(&error, Error::Invalid { what } if what.contains("shallow")), "{error:?}");
    clean(merge(&workspaces, &clone("two.git", "2"), "main", "topic").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_repository_starts_nothing_and_fools_nobody() {
    let world = World::new().await;
    let path = world.outside().join("local");
    let repo = work_tree(&path);
    let plain = repo.git(&["merge-tree", "--write-tree", "main", "topic"], b"");
    let tips = ["main", "topic"].map(|name| repo.git(&["rev-parse", name], b""));

    let island = world.outside().join("island");
    let other = work_tree(&island);
    fs::write(island.join("file"), "replaced\n").unwrap();
    commit(&other, "replaced");
    let replaced = other.git(&["rev-parse", "main"], b"");
    repo.git(&["fetch", "-q", "../island", "main:refs/heads/replaced"], b"");

    // Whatever git would run, or read, leaves a trace or another result.
    let canary = world.outside().join("canary");
    let evil = world.outside().join("evil");
    fs::write(&evil, format!("#!/bin/sh\n: > {}\ncat\n", canary.display())).unwrap();
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).unwrap();
    let command = evil.display();
    let included = world.outside().join("included");
    fs::write(&included, format!("[merge]\n\tdefault = evil\n[core]\n\tsshCommand = {command}\n"))
        .unwrap();
    let mut config = fs::read_to_string(path.join(".git/config")).unwrap();
    config += &format!(
        "[core]\n\tfsmonitor = {command}\n\thooksPath = {0}\n\tpager = {command}\n\tattributesFile = {1}\n\
         \tworktree = /\n\tcommitGraph = true\n\
         [merge]\n\tdefault = evil\n\trenormalize = true\n\
         [merge \"evil\"]\n\tname = evil\n\tdriver = {command} %O %A %B\n\
         [filter \"evil\"]\n\tclean = {command}\n\tsmudge = {command}\n\tprocess = {command}\n\trequired = true\n\
         [diff]\n\texternal = {command}\n\
         [diff \"evil\"]\n\tcommand = {command}\n\ttextconv = {command}\n\
         [include]\n\tpath = {1}\n\
         [gpg]\n\tprogram = {command}\n\
         [credential]\n\thelper = {command}\n\
         [extensions]\n\tpartialClone = evil\n\
         [remote \"evil\"]\n\turl = ext::{command}\n\tpromisor = true\n",
        world.outside().display(),
        included.display(),
    );
    fs::write(path.join(".git/config"), config).unwrap();
    fs::create_dir_all(path.join(".git/info")).unwrap();
    fs::write(path.join(".git/info/attributes"), "* merge=evil -text\nfile -merge\n").unwrap();
    for hook in ["post-checkout", "pre-merge-commit", "reference-transaction", "post-index-change"]
    {
        fs::create_dir_all(path.join(".git/hooks")).unwrap();
        fs::copy(&evil, path.join(".git/hooks").join(hook)).unwrap();
    }
    // Another commit under the topic's name.
    fs::create_dir_all(path.join(".git/refs/replace")).unwrap();
    fs::write(path.join(".git/refs/replace").join(&tips[1]), format!("{replaced}\n")).unwrap();
    fs::write(path.join(".git/info/grafts"), format!("{}\n", tips[1])).unwrap();
    // A secret that only another repository has.
    fs::write(island.join("secret"), "secret\n").unwrap();
    commit(&other, "secret");
    let secret = other.git(&["rev-parse", "main"], b"");
    fs::write(
        path.join(".git/objects/info/alternates"),
        format!("{}\n", island.join(".git/objects").display()),
    )
    .unwrap();
    let _ = fs::remove_file(&canary);

    let before = snapshot(world.outside().join("local").as_path());
    // In a process of its own, with a configuration of its user.
    let workspaces = world.open();
    let proposal = clean(merge(&workspaces, &path, "main", "topic").await.unwrap());
    assert_eq!([proposal.base(), proposal.head()], [&tips[0], &tips[1]]);
    assert_eq!(proposal.merged_tree(), plain);
    for side in [Side::Base, Side::Merged] {
        let checkout = proposal.check_out(side, "job", CancellationToken::new()).await.unwrap();
        assert!(checkout.change_set().await.unwrap().changes.is_empty());
        checkout.close().await.unwrap();
    }
    let error = merge(&workspaces, &path, "main", &secret).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    assert!(before == snapshot(&path), "the repository was written to");
    assert!(!canary.exists(), "something was run");
    // The canary would have sung.
    let status = Command::new("git")
        .args(["status"])
        .current_dir(&path)
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    assert!(canary.exists(), "{status:?}");
}
