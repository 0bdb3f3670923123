//! What a run changed, and what it must not have made.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::Path,
};

use booty_workspace::{Change, ChangeKind, Error, Mode};
use rstest::rstest;

use crate::world::World;

const CRLF: &[u8] = b"one\r\ntwo\r\n";

async fn world() -> World {
    World::with(&[
        (".gitignore", "100644", b"*.log\n/build/\n"),
        ("bin/tool", "100755", b"#!/bin/sh\n"),
        ("bytes", "100644", b"\0\x01\x02"),
        ("crlf.txt", "100644", CRLF),
        ("docs/.gitignore", "100644", b"!keep.log\n"),
        ("docs/page", "100644", b"a\nb\nc\n"),
        ("empty", "100644", b""),
        ("link", "120000", b"docs/page"),
        ("sub", "160000", b"1111111111111111111111111111111111111111"),
        ("target/tracked", "100644", b"x\n"),
        ("tracked.log", "100644", b"x\n"),
    ])
    .await
}

/// What `work` makes of the tree, as changes.
async fn changes_of(world: &World, work: impl FnOnce(&Path)) -> Result<Vec<Change>, Error> {
    let checkout = world.checkout(&world.open(), "job").await.unwrap();
    work(checkout.work_tree());
    let result = checkout.change_set().await.map(|set| set.changes);
    checkout.close().await.unwrap();
    assert!(world.jobs().is_empty());
    result
}

fn brief(changes: &[Change]) -> Vec<(String, ChangeKind, Mode, usize, usize)> {
    let brief = |change: &Change| {
        let path = change.path.escape_ascii().to_string();
        (path, change.kind, change.mode, change.added_lines, change.deleted_lines)
    };
    changes.iter().map(brief).collect()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_change() {
    let world = world().await;
    let changes = changes_of(&world, |tree| {
        fs::write(tree.join("new file"), "1\n2").unwrap();
        fs::write(tree.join("new-empty"), "").unwrap();
        fs::write(tree.join("new.bin"), [0, 159, 146, 150]).unwrap();
        fs::write(tree.join("new-tool"), "x\n").unwrap();
        chmod(&tree.join("new-tool"), 0o755);
        chmod(&tree.join("bin/tool"), 0o644);
        fs::write(tree.join("bytes"), [0, 1, 3]).unwrap();
        fs::write(tree.join("crlf.txt"), b"one\r\ntwo\n").unwrap();
        fs::rename(tree.join("docs/page"), tree.join("docs/renamed")).unwrap();
        fs::write(tree.join("empty"), "no longer").unwrap();
        fs::remove_file(tree.join("link")).unwrap();
        symlink("docs/renamed", tree.join("link")).unwrap();
        symlink("../bin", tree.join("docs/new-link")).unwrap();
        fs::remove_file(tree.join("target/tracked")).unwrap();
        symlink("x\n", tree.join("target/tracked")).unwrap();
    })
    .await
    .unwrap();
    use ChangeKind::{Added, Deleted, ModeChanged, Modified};
    use Mode::{Executable, Regular, Symlink};
    let expected = [
        ("bin/tool", ModeChanged, Regular, 0, 0),
        ("bytes", Modified, Regular, 0, 0),
        ("crlf.txt", Modified, Regular, 1, 1),
        ("docs/new-link", Added, Symlink, 1, 0),
        ("docs/page", Deleted, Regular, 0, 3),
        ("docs/renamed", Added, Regular, 3, 0),
        ("empty", Modified, Regular, 1, 0),
        ("link", Modified, Symlink, 1, 1),
        ("new file", Added, Regular, 2, 0),
        ("new-empty", Added, Regular, 0, 0),
        ("new-tool", Added, Executable, 1, 0),
        ("new.bin", Added, Regular, 0, 0),
        // The same bytes, and yet another thing.
        ("target/tracked", Modified, Symlink, 0, 0),
    ];
    assert_eq!(
        brief(&changes),
        expected.map(|(path, kind, mode, a, d)| (path.to_owned(), kind, mode, a, d))
    );
    let of = |path: &str| changes.iter().find(|change| change.path == path.as_bytes()).unwrap();
    assert_eq!(of("crlf.txt").content, b"one\r\ntwo\n");
    assert_eq!(of("new file").content, b"1\n2");
    assert_eq!(of("docs/new-link").content, b"../bin");
    assert!(of("docs/page").content.is_empty());
    assert_eq!(of("docs/page").old_mode, Some(Regular));
    assert_eq!(of("bin/tool").old_mode, Some(Executable));
    assert_eq!(of("new-tool").old_mode, None);
    assert_eq!(of("target/tracked").old_mode, Some(Regular));
    let binary: Vec<_> = changes
        .iter()
        .filter(|change| change.binary)
        .map(|change| change.path.as_slice())
        .collect();
    assert_eq!(binary, [&b"bytes"[..], b"new.bin"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changed_although_all_was_touched() {
    let world = world().await;
    let changes = changes_of(&world, |tree| {
        fs::write(tree.join("crlf.txt"), CRLF).unwrap();
        fs::remove_file(tree.join("bin/tool")).unwrap();
        fs::write(tree.join("bin/tool"), "#!/bin/sh\n").unwrap();
        // Group and others are not git's.
        chmod(&tree.join("bin/tool"), 0o700);
        chmod(&tree.join("docs/page"), 0o600);
        fs::create_dir(tree.join("an-empty-folder")).unwrap();
    })
    .await
    .unwrap();
    assert_eq!(changes, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_same_size_and_time_is_seen() {
    let world = world().await;
    let changes = changes_of(&world, |tree| {
        let path = tree.join("docs/page");
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "a\nX\nc\n").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    })
    .await
    .unwrap();
    assert_eq!(
        brief(&changes),
        [("docs/page".to_owned(), ChangeKind::Modified, Mode::Regular, 1, 1)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_for_a_file_and_a_file_for_a_folder() {
    let world = world().await;
    let changes = changes_of(&world, |tree| {
        fs::remove_file(tree.join("empty")).unwrap();
        fs::create_dir(tree.join("empty")).unwrap();
        fs::write(tree.join("empty/inner"), "x\n").unwrap();
        fs::remove_dir_all(tree.join("docs")).unwrap();
        fs::write(tree.join("docs"), "x\n").unwrap();
        fs::remove_dir_all(tree.join("bin")).unwrap();
        // A link to a folder is a link, and its content is not the folder's.
        symlink("target", tree.join("bin")).unwrap();
    })
    .await
    .unwrap();
    use ChangeKind::{Added, Deleted};
    let expected = [
        ("bin", Added),
        ("bin/tool", Deleted),
        ("docs", Added),
        ("docs/.gitignore", Deleted),
        ("docs/page", Deleted),
        ("empty", Deleted),
        ("empty/inner", Added),
    ];
    let found: Vec<_> =
        changes.iter().map(|change| (change.path.as_slice(), change.kind)).collect();
    assert_eq!(found, expected.map(|(path, kind)| (path.as_bytes(), kind)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_test_run_leaves_is_left_out() {
    let world = world().await;
    let changes = changes_of(&world, |tree| {
        for path in [
            "pkg/__pycache__/a.pyc",
            "web/node_modules/x/index.js",
            "target/debug/bin",
            "build/out",
        ] {
            fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
            fs::write(tree.join(path), "x").unwrap();
        }
        // Git leaves these out as well, so what lies there is nobody's business, whatever it is.
        rustix::fs::mkfifoat(rustix::fs::CWD, tree.join("build/pipe"), rustix::fs::Mode::RWXU)
            .unwrap();
        fs::create_dir(tree.join("web/node_modules/.git")).unwrap();
        fs::write(tree.join("run.log"), "x").unwrap();
        fs::write(tree.join("docs/keep.log"), "kept\n").unwrap();
        // Tracked files always count, whatever a rule says.
        fs::write(tree.join("tracked.log"), "y\n").unwrap();
        fs::write(tree.join("target/tracked"), "y\n").unwrap();
        // The run's own rules have no say, or it could hide what it does.
        fs::write(tree.join(".gitignore"), "*\n").unwrap();
        fs::create_dir(tree.join("own")).unwrap();
        fs::write(tree.join("own/.gitignore"), "*\n").unwrap();
        fs::write(tree.join("own/hidden"), "x\n").unwrap();
    })
    .await
    .unwrap();
    let found: Vec<_> =
        changes.iter().map(|change| std::str::from_utf8(&change.path).unwrap()).collect();
    assert_eq!(
        found,
        [
            ".gitignore",
            "docs/keep.log",
            "own/.gitignore",
            "own/hidden",
            "target/tracked",
            "tracked.log"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_come_as_bytes() {
    let world = world().await;
    let names: [&[u8]; 4] = [b"-rf *", b"line\nbreak", b"quote\"'`", b"\xc3\x28"];
    let changes = changes_of(&world, |tree| {
        for name in names {
            fs::write(tree.join(OsStr::from_bytes(name)), "x").unwrap();
        }
    })
    .await
    .unwrap();
    assert_eq!(changes.iter().map(|change| change.path.as_slice()).collect::<Vec<_>>(), names);
}

/// What a run makes, and the path that is refused for it.
#[rstest]
#[case::git_folder(&|tree: &Path| fs::create_dir_all(tree.join("docs/.git/hooks")).unwrap(), "docs/.git")]
#[case::git_file(&|tree: &Path| fs::write(tree.join(".git"), "gitdir: /tmp").unwrap(), ".git")]
#[case::git_link(&|tree: &Path| symlink("docs", tree.join(".git")).unwrap(), ".git")]
#[case::git_case(&|tree: &Path| fs::create_dir(tree.join("bin/.Git")).unwrap(), "bin/.Git")]
#[case::git_short(&|tree: &Path| fs::create_dir(tree.join("GIT~1")).unwrap(), "GIT~1")]
#[case::git_in_a_tracked_ignored_folder(&|tree: &Path| fs::create_dir(tree.join("target/.git")).unwrap(), "target/.git")]
#[case::bare(&|tree: &Path| {
    fs::create_dir_all(tree.join("x/objects")).unwrap();
    fs::create_dir_all(tree.join("x/refs")).unwrap();
    fs::write(tree.join("x/HEAD"), "ref: refs/heads/main").unwrap();
}, "x")]
#[case::fifo(&|tree: &Path| rustix::fs::mkfifoat(rustix::fs::CWD, tree.join("pipe"), rustix::fs::Mode::RWXU).unwrap(), "pipe")]
#[case::fifo_for_a_file(&|tree: &Path| {
    fs::remove_file(tree.join("empty")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, tree.join("empty"), rustix::fs::Mode::RWXU).unwrap();
}, "empty")]
#[case::socket(&|tree: &Path| drop(UnixListener::bind(tree.join("s")).unwrap()), "s")]
#[case::link_absolute(&|tree: &Path| symlink("/etc/passwd", tree.join("l")).unwrap(), "l")]
#[case::link_up(&|tree: &Path| symlink("../../../etc", tree.join("docs/l")).unwrap(), "docs/l")]
#[case::link_by_link(&|tree: &Path| {
    symlink("..", tree.join("docs/up")).unwrap();
    symlink("docs/up/..", tree.join("l")).unwrap();
}, "l")]
#[case::link_in_a_circle(&|tree: &Path| symlink("l", tree.join("l")).unwrap(), "l")]
#[case::link_for_modules(&|tree: &Path| symlink("empty", tree.join(".gitmodules")).unwrap(), ".gitmodules")]
#[case::in_a_submodule(&|tree: &Path| fs::write(tree.join("sub/x"), "x").unwrap(), "sub")]
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_work_tree_is_refused(
    #[case] work: &(dyn Fn(&Path) + Sync),
    #[case] refused: &str,
) {
    let world = world().await;
    let error = changes_of(&world, work).await.unwrap_err();
    assert!(matches!(&error, Error::Hostile { path, .. } if path == refused), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sparse_giant_is_refused_unread() {
    let world = world().await;
    let error = changes_of(&world, |tree| {
        fs::File::create(tree.join("giant")).unwrap().set_len(5 << 30).unwrap();
    })
    .await
    .unwrap_err();
    assert!(matches!(error, Error::TooLarge { found, .. } if found == 5 << 30), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_changed_bytes_than_travel() {
    let mut world = world().await;
    world.limits.changed_bytes = 1000;
    let error = changes_of(&world, |tree| {
        fs::write(tree.join("a"), [b'x'; 600]).unwrap();
        fs::write(tree.join("b"), [b'x'; 600]).unwrap();
    })
    .await
    .unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 1000, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_without_rights_and_without_end_are_removed() {
    let world = world().await;
    let error = changes_of(&world, |tree| {
        let mut folder =
            rustix::fs::open(tree, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty())
                .unwrap();
        for _ in 0..1500 {
            rustix::fs::mkdirat(&folder, "folder", rustix::fs::Mode::RWXU).unwrap();
            folder = rustix::fs::openat(
                &folder,
                "folder",
                rustix::fs::OFlags::DIRECTORY,
                rustix::fs::Mode::empty(),
            )
            .unwrap();
        }
        chmod(&tree.join("folder"), 0o000);
    })
    .await
    .unwrap_err();
    // As root the folder opens and is too deep; as anybody else it can't be read.
    assert!(matches!(error, Error::TooLarge { .. } | Error::Hostile { .. }), "{error:?}");
}
