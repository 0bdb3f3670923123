//! Whether merges come out as git's own do.

use std::{fmt::Write as _, time::Instant};

use booty_workspace::{Error, Merge, Side, Workspaces};
use rstest::rstest;
use tokio_util::sync::CancellationToken;

use crate::{
    merge::{clean, conflict},
    world::{Repo, World, noise},
};

type File = (String, &'static str, Vec<u8>);

/// A history, as `git fast-import` reads it.
#[derive(Default)]
struct History {
    script: Vec<u8>,
    time: u64,
}

impl History {
    /// A commit with exactly these files. The first parent comes first.
    fn commit(&mut self, branch: &str, parents: &[&str], files: &[File]) {
        self.time += 1;
        let mut head = format!("commit refs/heads/{branch}\n");
        write!(head, "committer C <c@example.com> {} +0000\ndata 1\nm\n", 1_000_000 + self.time)
            .unwrap();
        // A branch goes on from itself unless told otherwise.
        for (i, parent) in parents.iter().enumerate().filter(|(_, parent)| **parent != branch) {
            let word = if i == 0 { "from" } else { "merge" };
            writeln!(head, "{word} refs/heads/{parent}").unwrap();
        }
        head += "deleteall\n";
        self.script.extend_from_slice(head.as_bytes());
        for (path, mode, content) in files {
            if *mode == "160000" {
                let id = String::from_utf8_lossy(content);
                self.script.extend_from_slice(format!("M 160000 {id} {path}\n").as_bytes());
                continue;
            }
            let line = format!("M {mode} inline {path}\ndata {}\n", content.len());
            self.script.extend_from_slice(line.as_bytes());
            self.script.extend_from_slice(content);
            self.script.push(b'\n');
        }
        self.script.push(b'\n');
    }

    fn write(self, world: &World) -> Repo {
        let repo = Repo::init(&world.outside().join("local.git"));
        repo.git(&["fast-import", "--quiet"], &self.script);
        repo
    }
}

fn file(path: &str, content: &str) -> File {
    (path.into(), "100644", content.into())
}

fn other(path: &str, mode: &'static str, content: &[u8]) -> File {
    (path.into(), mode, content.into())
}

/// Lines that are alike in no other file, with some of them replaced.
fn lines(name: &str, edits: &[(usize, &str)]) -> String {
    let mut lines: Vec<_> = (0..20).map(|i| format!("{name} line {i}\n")).collect();
    for (i, text) in edits {
        lines[*i] = format!("{text}\n");
    }
    lines.concat()
}

/// What git makes of it: the tree, or nothing when there are conflicts.
fn by_git(repo: &Repo, base: &str, head: &str) -> Option<String> {
    let output = std::process::Command::new("git")
        .args(["merge-tree", "--write-tree", base, head])
        .current_dir(&repo.path)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    match output.status.code() {
        Some(0) => Some(text.lines().next().unwrap().to_owned()),
        Some(1) => None,
        _ => panic!("{}", String::from_utf8_lossy(&output.stderr)),
    }
}

async fn merge(
    workspaces: &Workspaces,
    repo: &Repo,
    base: &str,
    head: &str,
) -> Result<Merge, Error> {
    workspaces.merge_local(&repo.path, base, head, CancellationToken::new()).await
}

/// Merges both ways round, as git does.
async fn like_git(world: &World, repo: &Repo, base: &str, head: &str) -> Merge {
    let workspaces = world.open();
    let merged = merge(&workspaces, repo, base, head).await.unwrap();
    let ours = match &merged {
        Merge::Clean(proposal) => Some(proposal.merged_tree().to_owned()),
        Merge::Conflict { .. } => None,
    };
    assert_eq!(ours, by_git(repo, base, head), "{base} and {head}: {merged:?}");
    let back = merge(&workspaces, repo, head, base).await.unwrap();
    let tree = match back {
        Merge::Clean(proposal) => Some(proposal.merged_tree().to_owned()),
        Merge::Conflict { .. } => None,
    };
    assert_eq!(tree, ours, "the other way round");
    merged
}

async fn three(world: &World, before: &[File], ours: &[File], theirs: &[File]) -> Merge {
    let mut history = History::default();
    history.commit("before", &[], before);
    history.commit("ours", &["before"], ours);
    history.commit("theirs", &["before"], theirs);
    let repo = history.write(world);
    like_git(world, &repo, "ours", "theirs").await
}

fn id(digit: &str) -> Vec<u8> {
    digit.repeat(40).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_file_that_both_changed() {
    let world = World::new().await;
    let merged = three(
        &world,
        &[file("old", &lines("a", &[])), file("x", "x\n")],
        &[file("old", &lines("a", &[(1, "ours")])), file("x", "x\n")],
        &[file("dir/new", &lines("a", &[(18, "theirs")])), file("x", "x\n")],
    )
    .await;
    let proposal = clean(merged);
    let content = proposal.content(Side::Merged, b"dir/new").await.unwrap().unwrap();
    assert_eq!(String::from_utf8(content).unwrap(), lines("a", &[(1, "ours"), (18, "theirs")]));
    assert_eq!(proposal.content(Side::Merged, b"old").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_change_on_both_sides() {
    let same = [file("a", &lines("a", &[(3, "same")])), file("new", "new\n")];
    let world = World::new().await;
    clean(three(&world, &[file("a", &lines("a", &[]))], &same, &same).await);
}

#[rstest]
#[case::mode(
    vec![other("a", "100644", b"a\n")],
    vec![other("a", "100755", b"a\n")],
    vec![other("a", "100644", b"b\n")],
    &[]
)]
#[case::binary(
    vec![other("a", "100644", b"\0a")],
    vec![other("a", "100644", b"\0b")],
    vec![other("a", "100644", b"\0c")],
    &["a"]
)]
#[case::binary_on_one_side(
    vec![other("a", "100644", b"\0a")],
    vec![other("a", "100644", b"\0a")],
    vec![other("a", "100644", b"\0c")],
    &[]
)]
#[case::link_or_file(
    vec![file("a", "x\n"), file("t", "t\n")],
    vec![file("a", "y\n"), file("t", "t\n")],
    vec![other("a", "120000", b"t"), file("t", "t\n")],
    &["a"]
)]
#[case::two_links(
    vec![other("a", "120000", b"t"), file("t", "t\n"), file("u", "u\n"), file("v", "v\n")],
    vec![other("a", "120000", b"u"), file("t", "t\n"), file("u", "u\n"), file("v", "v\n")],
    vec![other("a", "120000", b"v"), file("t", "t\n"), file("u", "u\n"), file("v", "v\n")],
    &["a"]
)]
#[case::delete_or_change(
    vec![file("a", "x\n"), file("b", "b\n")],
    vec![file("b", "b\n")],
    vec![file("a", "y\n"), file("b", "b\n")],
    &["a"]
)]
#[case::both_add(
    vec![file("b", "b\n")],
    vec![file("a", "x\n"), file("b", "b\n")],
    vec![file("a", "y\n"), file("b", "b\n")],
    &["a"]
)]
#[case::submodule_moves_on_one_side(
    vec![other("sub", "160000", &id("1")), file("a", "a\n")],
    vec![other("sub", "160000", &id("1")), file("a", "b\n")],
    vec![other("sub", "160000", &id("2")), file("a", "a\n")],
    &[]
)]
#[case::submodule_moves_on_both(
    vec![other("sub", "160000", &id("1"))],
    vec![other("sub", "160000", &id("2"))],
    vec![other("sub", "160000", &id("3"))],
    &["sub"]
)]
#[case::folder_goes(
    vec![file("d/a", "a\n"), file("d/b", "b\n"), file("c", "c\n")],
    vec![file("c", "c\n")],
    vec![file("d/a", "a\n"), file("d/b", "b\n"), file("c", "d\n")],
    &[]
)]
#[case::file_becomes_folder(
    vec![file("d", "d\n"), file("c", "c\n")],
    vec![file("d/inner", "i\n"), file("c", "c\n")],
    vec![file("d", "d\n"), file("c", "d\n")],
    &[]
)]
// Not even when the tree says so: GitHub does not either.
#[case::union(
    vec![file(".gitattributes", "a merge=evil\nb -merge\nc text=auto eol=crlf\n"), file("a", "1\n2\n3\n4\n5\n6\n")],
    vec![file(".gitattributes", "a merge=evil\nb -merge\nc text=auto eol=crlf\n"), file("a", "x\n2\n3\n4\n5\n6\n")],
    vec![file(".gitattributes", "a merge=evil\nb -merge\nc text=auto eol=crlf\n"), file("a", "1\n2\n3\n4\n5\ny\n")],
    &[]
)]
#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_entries(
    #[case] before: Vec<File>,
    #[case] ours: Vec<File>,
    #[case] theirs: Vec<File>,
    #[case] conflicts: &[&str],
) {
    let world = World::new().await;
    let merged = three(&world, &before, &ours, &theirs).await;
    match merged {
        Merge::Clean(_) => assert!(conflicts.is_empty()),
        Merge::Conflict { .. } => assert_eq!(conflict(merged), conflicts),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_criss_cross() {
    let world = World::new().await;
    let make = |edits: &[(usize, &str)]| [file("a", &lines("a", edits)), file("b", "b\n")];
    let mut history = History::default();
    history.commit("before", &[], &make(&[]));
    history.commit("one", &["before"], &make(&[(2, "one")]));
    history.commit("two", &["before"], &make(&[(17, "two")]));
    let both = [(2, "one"), (17, "two")];
    history.commit("ours", &["one", "two"], &make(&both));
    history.commit("theirs", &["two", "one"], &make(&both));
    history.commit("ours", &["ours"], &make(&[(2, "ours"), (17, "two")]));
    history.commit("theirs", &["theirs"], &make(&[(2, "one"), (17, "theirs")]));
    let repo = history.write(&world);
    assert_eq!(repo.git(&["merge-base", "--all", "ours", "theirs"], b"").lines().count(), 2);
    // Against one merge base alone, both sides changed both lines.
    let proposal = clean(like_git(&world, &repo, "ours", "theirs").await);
    assert_eq!(proposal.merge_base(), None);
    let content = proposal.content(Side::Merged, b"a").await.unwrap().unwrap();
    assert_eq!(String::from_utf8(content).unwrap(), lines("a", &[(2, "ours"), (17, "theirs")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_made_of_too_many_merge_bases() {
    let world = World::new().await;
    let mut history = History::default();
    history.commit("before", &[], &[file("a", "a\n")]);
    let names: Vec<_> = (0..12).map(|i| format!("side{i}")).collect();
    for name in &names {
        history.commit(name, &["before"], &[file("a", "a\n"), file(name, "x\n")]);
    }
    let sides: Vec<_> = names.iter().map(String::as_str).collect();
    history.commit("ours", &sides, &[file("a", "a\n")]);
    history.commit("theirs", &sides, &[file("a", "b\n")]);
    let repo = history.write(&world);
    let error = merge(&world.open(), &repo, "ours", "theirs").await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }) && !error.is_retryable(), "{error:?}");
}

/// A small source of numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

fn shuffle(dice: &mut Dice, files: &[File], side: &str) -> Vec<File> {
    let mut files = files.to_vec();
    for step in 0..=dice.roll(3) {
        let i = dice.roll(files.len());
        let at = dice.roll(20);
        match dice.roll(6) {
            0 | 1 => {
                let text = String::from_utf8_lossy(&files[i].2).into_owned();
                let mut lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
                if at < lines.len() {
                    lines[at] = format!("{side} {step}");
                }
                files[i].2 = format!("{}\n", lines.join("\n")).into_bytes();
            }
            2 if files.len() > 2 => drop(files.remove(i)),
            3 => files[i].0 = format!("{side}/{step}-{at}"),
            4 => files.push(file(&format!("new/{side}-{step}"), &lines(side, &[(at, "new")]))),
            5 => files[i].1 = "100755",
            _ => {}
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_random_merges() {
    let world = World::new().await;
    let mut history = History::default();
    let mut dice = Dice(7);
    for i in 0..40 {
        let before: Vec<_> = (0..6)
            .map(|n| file(&format!("d{}/f{n}", n % 2), &lines(&format!("f{n}"), &[])))
            .collect();
        history.commit(&format!("before{i}"), &[], &before);
        let (ours, theirs) =
            (shuffle(&mut dice, &before, "ours"), shuffle(&mut dice, &before, "theirs"));
        history.commit(&format!("ours{i}"), &[&format!("before{i}")], &ours);
        history.commit(&format!("theirs{i}"), &[&format!("before{i}")], &theirs);
    }
    let repo = history.write(&world);
    let workspaces = world.open();
    let (mut cleans, mut wrong) = (0, Vec::new());
    for i in 0..40 {
        let (ours, theirs) = (format!("ours{i}"), format!("theirs{i}"));
        let tree = match merge(&workspaces, &repo, &ours, &theirs).await.unwrap() {
            Merge::Clean(proposal) => Some(proposal.merged_tree().to_owned()),
            Merge::Conflict { .. } => None,
        };
        cleans += usize::from(tree.is_some());
        let expected = by_git(&repo, &ours, &theirs);
        if tree != expected {
            wrong.push((i, tree, expected));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!((5..36).contains(&cleans), "{cleans} of 40 are clean: no test of both");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_trees_are_refused_on_every_side() {
    let mut world = World::new().await;
    world.limits.files = 2_000;
    let repo = Repo::init(&world.outside().join("local.git"));
    repo.commit("main", &[("a", "100644", b"a\n")]);
    let blob = repo.blob(b"x");
    let main = repo.git(&["rev-parse", "main"], b"");
    let evil = |name: &str, tree: &str| {
        repo.git(&["update-ref", &format!("refs/heads/{name}"), &main], b"");
        repo.commit_tree(name, tree);
    };
    evil("git", &repo.tree(&[("100644", b".git", &blob)]));
    let target = repo.blob(b"../../etc/passwd");
    evil("link", &repo.tree(&[("120000", b"link", &target)]));
    let mut bomb = repo.tree(&[("100644", b"file", &blob)]);
    for _ in 0..10 {
        let names: Vec<_> = (0..10).map(|i| format!("d{i}")).collect();
        let entries: Vec<_> =
            names.iter().map(|name| ("40000", name.as_bytes(), bomb.as_str())).collect();
        bomb = repo.tree(&entries);
    }
    evil("bomb", &bomb);
    let workspaces = world.open();
    for (base, head) in [("main", "git"), ("git", "main"), ("main", "link"), ("link", "main")] {
        let error = merge(&workspaces, &repo, base, head).await.unwrap_err();
        assert!(matches!(error, Error::Hostile { .. }), "{base} {head}: {error:?}");
    }
    for (base, head) in [("main", "bomb"), ("bomb", "main")] {
        let error = merge(&workspaces, &repo, base, head).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{base} {head}: {error:?}");
    }
    // Each side's link is fine, and what a merge makes of both leads out of the tree.
    let mut history = History::default();
    let keep = file("keep", "k\n");
    history.commit("two", &[], &[other("a/b/l", "120000", b"../x"), keep.clone()]);
    history.commit(
        "ours",
        &["two"],
        &[other("a/b/l", "120000", b"../x"), other("a/x", "120000", b"b/.."), keep.clone()],
    );
    history.commit(
        "theirs",
        &["two"],
        &[other("a/b/l", "120000", b"../x"), keep, other("a/y", "120000", b"x/../../z")],
    );
    repo.git(&["fast-import", "--quiet"], &history.script);
    let error = merge(&workspaces, &repo, "ours", "theirs").await.unwrap_err();
    assert!(matches!(error, Error::Hostile { .. }), "{error:?}");
    assert!(world.jobs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_any_more() {
    let world = World::new().await;
    let mut history = History::default();
    history.commit("before", &[], &[file("a", "a\n")]);
    history.commit("ours", &["before"], &[file("a", "b\n")]);
    let repo = history.write(&world);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let error = world.open().merge_local(&repo.path, "before", "ours", cancel).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error:?}");
}

/// Text that keeps a diff busy, in each of many files that were "renamed".
#[tokio::test(flavor = "multi_thread")]
async fn files_made_to_keep_a_merge_busy() {
    let world = World::new().await;
    let text = |seed: u64| -> Vec<u8> {
        noise(seed, 20_000)
            .iter()
            .flat_map(|byte| format!("{}\n", byte % 64).into_bytes())
            .collect()
    };
    let many = |name: &str, from: u64| -> Vec<File> {
        (0..20).map(|i| other(&format!("{name}/{i}"), "100644", &text(from + i))).collect()
    };
    let mut history = History::default();
    let keep = file("keep", "k\n");
    let with = |mut files: Vec<File>| {
        files.push(keep.clone());
        files
    };
    history.commit("before", &[], &with(many("old", 0)));
    history.commit("ours", &["before"], &with(many("old", 0)));
    history.commit("theirs", &["before"], &with(many("new", 100)));
    let repo = history.write(&world);
    let started = Instant::now();
    let proposal = clean(merge(&world.open(), &repo, "ours", "theirs").await.unwrap());
    println!("20 files for 20 others, made for it: {:?}", started.elapsed());
    assert_eq!(proposal.files(Side::Merged).len(), 21);
}

/// Prints what a merge costs beside git's own, on the same repository and machine.
#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_files() {
    let world = World::new().await;
    let files = |edit: fn(usize) -> Option<usize>| -> Vec<File> {
        (0..2000)
            .map(|i| {
                let name = format!("f{i}");
                let edits: Vec<_> = edit(i).map(|line| (line, "edited")).into_iter().collect();
                file(&format!("d{}/e{}/{name}", i % 20, i % 7), &lines(&name, &edits))
            })
            .collect()
    };
    let mut history = History::default();
    history.commit("before", &[], &files(|_| None));
    history.commit("ours", &["before"], &files(|i| (i % 20 == 0).then_some(2)));
    history.commit("theirs", &["before"], &files(|i| (i % 10 == 0).then_some(17)));
    let repo = history.write(&world);
    let workspaces = world.open();
    let (mut ours, mut git) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let started = Instant::now();
        let proposal = clean(merge(&workspaces, &repo, "ours", "theirs").await.unwrap());
        ours.push(started.elapsed());
        let started = Instant::now();
        let tree = by_git(&repo, "ours", "theirs");
        git.push(started.elapsed());
        assert_eq!(Some(proposal.merged_tree().to_owned()), tree);
        assert_eq!(proposal.changes().changes.len(), 200);
    }
    ours.sort();
    git.sort();
    println!(
        "2,000 files, 200 changed: merge and changes {:?}, git merge-tree {:?}",
        ours[2], git[2]
    );
}
