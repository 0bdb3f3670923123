//! Merging a head into a base that lie on a server.

use std::fs;

use booty_workspace::{ChangeKind, Error, Head, Merge, Mode, Proposal, Side, Want, Workspaces};
use tokio_util::sync::CancellationToken;

use crate::world::{KEY, World, branch};

type Files<'a> = &'a [(&'a str, &'a str, &'a [u8])];

const BASE: Files<'static> = &[
    ("README", "100644", b"one\ntwo\nthree\nfour\nfive\nsix\nseven\n"),
    ("bin/run", "100755", b"#!/bin/sh\n"),
    ("src/link", "120000", b"main"),
    ("src/main", "100644", b"a\nb\nc\nd\ne\nf\ng\nh\n"),
    ("src/old", "100644", b"old\n"),
];

/// `files` with some of them replaced or, without content, left out.
pub(crate) fn with<'a>(
    files: Files<'a>,
    other: &[(&'a str, Option<&'a [u8]>)],
) -> Vec<(&'a str, &'a str, &'a [u8])> {
    let mut made: Vec<_> = files.to_vec();
    for (path, content) in other {
        let mode = made.iter().find(|file| file.0 == *path).map_or("100644", |file| file.1);
        made.retain(|file| file.0 != *path);
        if let Some(content) = content {
            made.push((path, mode, content));
        }
    }
    made
}

/// A pull request's head: no branch leads to it.
fn pull(world: &World, number: u32, from: &str, files: Files<'_>) -> Head {
    world.repo.git(&["update-ref", "refs/heads/fork", from], b"");
    let sha = world.repo.commit("fork", files);
    let reference = format!("refs/pull/{number}/head");
    world.repo.git(&["update-ref", &reference, &sha], b"");
    world.repo.git(&["update-ref", "-d", "refs/heads/fork"], b"");
    Head { sha, reference }
}

async fn merge(world: &World, workspaces: &Workspaces, head: &Head) -> Result<Merge, Error> {
    merge_want(world, workspaces, &branch("main"), head).await
}

async fn merge_want(
    world: &World,
    workspaces: &Workspaces,
    base: &Want,
    head: &Head,
) -> Result<Merge, Error> {
    workspaces.merge(KEY, &world.remote(), base, head, CancellationToken::new()).await
}

pub(crate) fn clean(merge: Merge) -> Proposal {
    match merge {
        Merge::Clean(proposal) => proposal,
        Merge::Conflict { paths, .. } => {
            let paths: Vec<_> = paths.iter().map(|path| path.escape_ascii().to_string()).collect();
            panic!("conflicts in {paths:?}")
        }
    }
}

pub(crate) fn conflict(merge: Merge) -> Vec<String> {
    match merge {
        Merge::Clean(proposal) => panic!("merged to {:?}", proposal.changes()),
        Merge::Conflict { paths, .. } => {
            paths.iter().map(|path| path.escape_ascii().to_string()).collect()
        }
    }
}

/// What git itself makes of it.
fn by_git(world: &World, base: &str, head: &str) -> String {
    world.repo.git(&["merge-tree", "--write-tree", base, head], b"")
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_clean_merge() {
    let world = World::with(BASE).await;
    let parting = world.repo.git(&["rev-parse", "main"], b"");
    let head = pull(
        &world,
        7,
        "main",
        &with(
            BASE,
            &[
                ("src/main", Some(b"a\nb\nc\nd\ne\nf\ng\nhead\n")),
                ("src/old", None),
                ("new", Some(b"new\n")),
            ],
        ),
    );
    let ours: &[u8] = b"base\nb\nc\nd\ne\nf\ng\nh\n";
    let base = world.repo.commit("main", &with(BASE, &[("src/main", Some(ours))]));
    let workspaces = world.open();
    let proposal = clean(merge(&world, &workspaces, &head).await.unwrap());

    assert_eq!((proposal.base(), proposal.head()), (base.as_str(), head.sha.as_str()));
    assert_eq!(proposal.merge_base(), Some(parting.as_str()));
    assert_eq!(proposal.merged_tree(), by_git(&world, "main", &head.sha));
    let changes: Vec<_> = proposal
        .changes()
        .changes
        .iter()
        .map(|change| {
            let path = String::from_utf8(change.path.clone()).unwrap();
            (path, change.kind, change.mode, change.added_lines, change.deleted_lines)
        })
        .collect();
    assert_eq!(
        changes,
        [
            ("new".to_owned(), ChangeKind::Added, Mode::Regular, 1, 0),
            ("src/main".to_owned(), ChangeKind::Modified, Mode::Regular, 1, 1),
            ("src/old".to_owned(), ChangeKind::Deleted, Mode::Regular, 0, 1),
        ]
    );
    let both: &[u8] = b"base\nb\nc\nd\ne\nf\ng\nhead\n";
    assert_eq!(proposal.changes().changes[1].content, both);
    for (side, content, count) in [(Side::Base, ours, 5), (Side::Merged, both, 5)] {
        assert_eq!(proposal.files(side).len(), count);
        assert_eq!(proposal.content(side, b"src/main").await.unwrap().as_deref(), Some(content));
    }
    assert_eq!(proposal.content(Side::Merged, b"src/old").await.unwrap(), None);
    assert_eq!(proposal.content(Side::Base, b"new").await.unwrap(), None);

    // Both at once, and both alive after the proposal is gone.
    let token = CancellationToken::new;
    let base_side = proposal.check_out(Side::Base, "job-base", token()).await.unwrap();
    let merged_side = proposal.check_out(Side::Merged, "job-merged", token()).await.unwrap();
    let tree = proposal.merged_tree().to_owned();
    drop(proposal);
    assert_eq!((base_side.base(), base_side.branch()), (base.as_str(), "main"));
    assert_eq!((merged_side.base(), merged_side.branch()), (tree.as_str(), "main"));
    assert_eq!(fs::read(base_side.work_tree().join("src/main")).unwrap(), ours);
    assert_eq!(fs::read(merged_side.work_tree().join("src/main")).unwrap(), both);
    assert!(!merged_side.work_tree().join("src/old").exists());
    fs::write(merged_side.work_tree().join("new"), "run\n").unwrap();
    let changes = merged_side.change_set().await.unwrap().changes;
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].path.as_slice(), changes[0].kind), (&b"new"[..], ChangeKind::Modified));
    assert_eq!(
        merged_side.base_content(b"src/main").await.unwrap().as_deref(),
        Some(both),
        "what the merge wrote is still there"
    );
    assert!(base_side.change_set().await.unwrap().changes.is_empty());
    base_side.close().await.unwrap();
    merged_side.close().await.unwrap();
    assert!(world.jobs().is_empty(), "{:?}", world.jobs());
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_name_the_files() {
    let world = World::with(BASE).await;
    let head = pull(
        &world,
        1,
        "main",
        &with(
            BASE,
            &[
                ("README", Some(b"head\ntwo\nthree\nfour\nfive\nsix\nseven\n")),
                ("src/main", Some(b"a\nb\nc\nd\ne\nf\ng\nhead\n")),
                ("src/old", None),
                ("src/link", Some(b"old")),
                ("both", Some(b"head\n")),
                ("bin", Some(b"\0head")),
            ],
        )
        .into_iter()
        .filter(|file| file.0 != "bin/run")
        .collect::<Vec<_>>(),
    );
    world.repo.commit(
        "main",
        &with(
            BASE,
            &[
                ("README", Some(b"base\ntwo\nthree\nfour\nfive\nsix\nseven\n")),
                ("src/main", Some(b"base\nb\nc\nd\ne\nf\ng\nh\n")),
                ("src/old", Some(b"changed\n")),
                ("src/link", Some(b"../README")),
                ("both", Some(b"base\n")),
            ],
        ),
    );
    let merge = merge(&world, &world.open(), &head).await.unwrap();
    let paths = conflict(merge);
    assert_eq!(paths, ["README", "both", "src/link", "src/old"]);
    assert!(world.jobs().is_empty(), "{:?}", world.jobs());
}

/// A line of commits, each with a file of its own number.
fn line(world: &World, name: &str, from: Option<&str>, count: usize, file: &str) -> String {
    let mut script = String::new();
    let from = from.map(|from| world.repo.git(&["rev-parse", from], b""));
    for i in 0..count {
        script += &format!(
            "commit refs/heads/{name}\ncommitter C <c@example.com> {} +0000\n",
            1_000_000 + i
        );
        script += "data 1\nm\n";
        if let (0, Some(from)) = (i, &from) {
            script += &format!("from {from}\n");
        }
        let content = format!("{i}\n");
        script += &format!("M 100644 inline {file}\ndata {}\n{content}\n", content.len());
    }
    world.repo.git(&["fast-import", "--quiet"], script.as_bytes());
    world.repo.git(&["rev-parse", name], b"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_base_far_below_a_shallow_mirror() {
    let world = World::with(BASE).await;
    let parting = world.repo.git(&["rev-parse", "main"], b"");
    line(&world, "main", Some(&parting), 300, "base");
    let sha = line(&world, "fork", Some(&parting), 70, "head");
    world.repo.git(&["update-ref", "refs/pull/7/head", &sha], b"");
    world.repo.git(&["update-ref", "-d", "refs/heads/fork"], b"");
    let workspaces = world.open();
    // The mirror is there already, one commit deep.
    let first = world.checkout(&workspaces, "first").await.unwrap();
    world.server.requests();
    let head = Head { sha: sha.clone(), reference: "refs/pull/7/head".into() };
    let proposal = clean(merge(&world, &workspaces, &head).await.unwrap());
    let asked = world.server.requests().len();
    assert_eq!(proposal.merge_base(), Some(parting.as_str()));
    assert_eq!(proposal.merged_tree(), by_git(&world, "main", &sha));
    assert_eq!(
        proposal.content(Side::Merged, b"base").await.unwrap().as_deref(),
        Some(&b"299\n"[..])
    );
    assert_eq!(
        proposal.content(Side::Merged, b"head").await.unwrap().as_deref(),
        Some(&b"69\n"[..])
    );
    assert!(first.change_set().await.unwrap().changes.is_empty());

    // What is here stays here: the next merge asks where the branch is and no more.
    let again = clean(merge(&world, &workspaces, &head).await.unwrap());
    assert_eq!(again.merged_tree(), proposal.merged_tree());
    let asked_again = world.server.requests().len();
    assert!(asked_again < asked, "{asked_again} after {asked}");

    // A checkout of a deeper mirror is one commit's worth, and a merge after it still finds the way.
    let moved = line(&world, "main", Some("refs/heads/main"), 1, "later");
    let second = world.checkout(&workspaces, "second").await.unwrap();
    assert_eq!(second.base(), moved);
    let served: usize = world.server.requests().iter().map(|request| request.served).sum();
    assert!(served < 5_000, "{served} bytes");
    let later = clean(merge(&world, &workspaces, &head).await.unwrap());
    assert_eq!(later.merged_tree(), by_git(&world, "main", &sha));
    assert_eq!(world.generations(), ["1.git"]);
}

/// One side's history is here to its very first commit, the other's is not: they look unrelated until it is
/// deepened.
#[tokio::test(flavor = "multi_thread")]
async fn one_side_that_is_whole_and_one_that_is_cut() {
    for (base, ours, theirs) in [("first commit", 0, 2), ("whole head", 2, 0)] {
        let world = World::with(BASE).await;
        let parting = world.repo.git(&["rev-parse", "main"], b"");
        if ours > 0 {
            line(&world, "main", Some(&parting), ours, "base");
        }
        let sha = match theirs {
            0 => parting.clone(),
            theirs => line(&world, "fork", Some(&parting), theirs, "head"),
        };
        world.repo.git(&["update-ref", "refs/pull/7/head", &sha], b"");
        let head = Head { sha: sha.clone(), reference: "refs/pull/7/head".into() };
        let proposal = clean(merge(&world, &world.open(), &head).await.unwrap());
        assert_eq!(proposal.merge_base(), Some(parting.as_str()), "{base}");
        assert_eq!(proposal.merged_tree(), by_git(&world, "main", &sha), "{base}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unrelated_histories() {
    let world = World::with(BASE).await;
    line(&world, "main", Some("refs/heads/main"), 600, "base");
    let sha = line(&world, "island", None, 600, "head");
    world.repo.git(&["update-ref", "refs/pull/7/head", &sha], b"");
    let head = Head { sha, reference: "refs/pull/7/head".into() };
    let error = merge(&world, &world.open(), &head).await.unwrap_err();
    assert!(matches!(error, Error::Unrelated { .. }) && !error.is_retryable(), "{error:?}");
    let requests = world.server.requests().len();
    assert!(requests < 30, "{requests} requests");
    assert!(world.jobs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_gone_and_one_that_was_replaced() {
    let world = World::with(BASE).await;
    let old = pull(&world, 7, "main", &with(BASE, &[("new", Some(b"old\n"))]));
    let new = pull(&world, 7, "main", &with(BASE, &[("new", Some(b"new\n"))]));
    assert_ne!(old.sha, new.sha);
    let workspaces = world.open();
    let proposal = clean(merge(&world, &workspaces, &old).await.unwrap());
    assert_eq!(
        proposal.content(Side::Merged, b"new").await.unwrap().as_deref(),
        Some(&b"old\n"[..])
    );
    let gone = Head { sha: "1".repeat(40), ..new };
    let error = merge(&world, &workspaces, &gone).await.unwrap_err();
    assert!(matches!(&error, Error::NotFound { what } if what.contains(&gone.sha)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_side_that_contains_the_other() {
    let world = World::with(BASE).await;
    let first = world.repo.git(&["rev-parse", "main"], b"");
    let head = pull(&world, 7, "main", &with(BASE, &[("new", Some(b"new\n"))]));
    let workspaces = world.open();
    // The head contains the base.
    let proposal = clean(merge(&world, &workspaces, &head).await.unwrap());
    assert_eq!(proposal.merge_base(), Some(first.as_str()));
    assert_eq!(
        proposal.merged_tree(),
        world.repo.git(&["rev-parse", &format!("{}^{{tree}}", head.sha)], b"")
    );
    assert_eq!(proposal.changes().changes.len(), 1);
    // The base contains the head: nothing to merge.
    world.repo.git(&["update-ref", "refs/heads/main", &head.sha], b"");
    world.repo.commit("main", &with(BASE, &[("new", Some(b"newer\n"))]));
    let proposal = clean(merge(&world, &workspaces, &head).await.unwrap());
    assert_eq!(proposal.merge_base(), Some(head.sha.as_str()));
    assert!(proposal.changes().changes.is_empty());
    // A commit instead of a branch.
    let want = Want::Commit { branch: "main".into(), sha: first.clone() };
    let proposal = clean(merge_want(&world, &workspaces, &want, &head).await.unwrap());
    assert_eq!(proposal.base(), first);
}
