//! Trees that nobody should write to a disk.

use booty_workspace::Error;
use rstest::rstest;

use crate::world::World;

fn is_hostile(error: &Error) -> bool {
    matches!(error, Error::Hostile { .. })
}

/// The world is as it was: no job, and nothing beside the folder.
fn untouched(world: &World) {
    assert!(world.jobs().is_empty());
    assert!(!world.root().join("jobs/escaped").exists() && !world.root().join("escaped").exists());
}

#[rstest]
#[case::git("40000", b".git")]
#[case::git_upper("40000", b".GIT")]
#[case::git_file("100644", b".git")]
#[case::git_submodule("160000", b".git")]
#[case::short_name("40000", b"git~1")]
#[case::zero_width("40000", ".g\u{200d}it".as_bytes())]
#[case::trailing_dot("40000", b".git.")]
#[case::trailing_space("40000", b".Git ")]
#[case::stream("40000", b".git::$INDEX_ALLOCATION")]
#[case::backslash("100644", b".git\\config")]
#[case::up("40000", b"..")]
#[case::here("40000", b".")]
#[case::up_slash("100644", b"../escaped")]
#[case::absolute("100644", b"/tmp/booty-escaped")]
#[case::inner_slash("100644", b"a/b")]
#[case::too_long("100644", &[b'n'; 300])]
#[case::fifo("10644", b"pipe")]
#[case::device("60000", b"disk")]
#[case::socket("140000", b"socket")]
#[case::odd_mode("100000", b"file")]
#[tokio::test(flavor = "multi_thread")]
async fn names_and_modes(#[case] mode: &str, #[case] name: &[u8]) {
    let world = World::new().await;
    let blob = world.repo.blob(b"content");
    let inner = world.repo.tree(&[("100644", b"file", &blob)]);
    let id = match mode {
        "40000" => inner.as_str(),
        "160000" => "1111111111111111111111111111111111111111",
        _ => &blob,
    };
    // Once at the top and once below.
    for deep in [false, true] {
        let evil = world.repo.tree(&[(mode, name, id)]);
        let root = if deep { world.repo.tree(&[("40000", b"sub", &evil)]) } else { evil };
        world.repo.commit_tree("main", &root);
        let error = world.checkout(&world.open(), "job").await.unwrap_err();
        assert!(is_hostile(&error) && !error.is_retryable(), "{error:?}");
        untouched(&world);
    }
}

#[rstest]
#[case::absolute(&[("link", "/etc/passwd")])]
#[case::up(&[("link", "../escaped")])]
#[case::deep_up(&[("a/b/link", "../../../etc")])]
#[case::through(&[("a/b/up", "../.."), ("link", "a/b/up/../..")])]
#[case::circle(&[("a", "b"), ("b", "a")])]
#[case::itself(&[("link", "link")])]
#[case::modules(&[(".gitmodules", "file")])]
#[case::long(&[("link", LONG)])]
#[tokio::test(flavor = "multi_thread")]
async fn links_that_lead_away(#[case] links: &[(&str, &str)]) {
    let files: Vec<_> =
        links.iter().map(|(path, target)| (*path, "120000", target.as_bytes())).collect();
    let world = World::new().await;
    // git itself refuses some of these names.
    if let [(".gitmodules", target)] = links {
        let blob = world.repo.blob(target.as_bytes());
        let tree = world.repo.tree(&[("120000", b".gitmodules", &blob)]);
        world.repo.commit_tree("main", &tree);
    } else {
        world.repo.commit("main", &files);
    }
    let error = world.checkout(&world.open(), "job").await.unwrap_err();
    assert!(is_hostile(&error), "{error:?}");
    untouched(&world);
}

const LONG: &str = match std::str::from_utf8(&[b'x'; 5000]) {
    Ok(text) => text,
    Err(_) => "",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_link_and_a_folder_of_one_name() {
    let world = World::new().await;
    let (blob, target) = (world.repo.blob(b"owned"), world.repo.blob(b"."));
    let inner = world.repo.tree(&[("100644", b"escaped", &blob)]);
    let entries = [("120000", &b"a"[..], target.as_str()), ("40000", b"a", &inner)];
    let swapped = [entries[1], entries[0]];
    let apart = [entries[0], ("100644", b"a.b", &blob), entries[1]];
    let unsorted = [("100644", &b"b"[..], blob.as_str()), ("100644", b"a", &blob)];
    let doubled = [("100644", &b"a"[..], blob.as_str()), ("100644", b"a", &blob)];
    for tree in [&entries[..], &swapped, &apart, &unsorted, &doubled] {
        let tree = world.repo.tree(tree);
        world.repo.commit_tree("main", &tree);
        let error = world.checkout(&world.open(), "job").await.unwrap_err();
        // `apart` is sorted by git's own order, so it is the name's second use that is refused.
        assert!(is_hostile(&error), "{error:?}");
        untouched(&world);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_repository_within_the_tree() {
    let world = World::with(&[
        ("vendored/HEAD", "100644", b"ref: refs/heads/main\n"),
        ("vendored/config", "100644", b"[core]\n\tfsmonitor = touch owned\n"),
        ("vendored/objects/.keep", "100644", b""),
        ("vendored/refs/.keep", "100644", b""),
    ])
    .await;
    let error = world.checkout(&world.open(), "job").await.unwrap_err();
    assert!(matches!(&error, Error::Hostile { path, .. } if path == "vendored"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_of_folders() {
    let world = World::new().await;
    let blob = world.repo.blob(b"boom");
    let names: Vec<String> = (0..10).map(|i| format!("d{i}")).collect();
    let mut tree = world.repo.tree(&[("100644", b"file", &blob)]);
    // Ten to the power of ten files in eleven small objects.
    for _ in 0..10 {
        let entries: Vec<_> =
            names.iter().map(|name| ("40000", name.as_bytes(), tree.as_str())).collect();
        tree = world.repo.tree(&entries);
    }
    world.repo.commit_tree("main", &tree);
    let error = world.checkout(&world.open(), "job").await.unwrap_err();
    assert!(matches!(&error, Error::TooLarge { what, .. } if what.contains("files")), "{error:?}");
    assert!(!error.is_retryable());
    untouched(&world);
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    Files,
    Total,
    File,
    Path,
    Depth,
}

#[rstest]
#[case::files(Bound::Files)]
#[case::total(Bound::Total)]
#[case::file(Bound::File)]
#[case::path(Bound::Path)]
#[case::depth(Bound::Depth)]
#[tokio::test(flavor = "multi_thread")]
async fn each_limit_holds_for_the_commit_and_for_the_work_tree(#[case] bound: Bound) {
    let ten = [b'x'; 10];
    let mut world = World::with(&[
        ("a/b/c/d", "100644", &ten),
        ("one", "100644", &ten),
        ("two", "100644", &ten),
    ])
    .await;
    let limits = &mut world.limits;
    (limits.files, limits.total_bytes, limits.file_bytes, limits.path_bytes, limits.depth) =
        (6, 30, 200, 7, 3);
    let checkout = world.checkout(&world.open(), "fits").await.unwrap();
    let tree = checkout.work_tree().to_owned();
    match bound {
        Bound::Files => std::fs::write(tree.join("x"), "").unwrap(),
        Bound::Total => std::fs::write(tree.join("one"), [b'x'; 11]).unwrap(),
        Bound::File => std::fs::write(tree.join("one"), [b'x'; 201]).unwrap(),
        Bound::Path => std::fs::rename(tree.join("one"), tree.join("12345678")).unwrap(),
        Bound::Depth => {
            std::fs::remove_file(tree.join("two")).unwrap();
            std::fs::remove_file(tree.join("a/b/c/d")).unwrap();
            std::fs::create_dir(tree.join("a/b/c/d")).unwrap();
        }
    }
    let error = checkout.change_set().await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");

    let limits = &mut world.limits;
    match bound {
        Bound::Files => limits.files = 5,
        Bound::Total => limits.total_bytes = 29,
        Bound::File => limits.file_bytes = 9,
        Bound::Path => limits.path_bytes = 6,
        Bound::Depth => limits.depth = 2,
    }
    let error = world.checkout(&world.open(), "refused").await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
    assert_eq!(world.jobs(), ["fits"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_unfolds_a_thousandfold() {
    let mut world = World::new().await;
    // 200 MB of zeros are 200 KB on the wire; more than gix may allocate at once here.
    let blob = world.repo.blob(&vec![0; 200 << 20]);
    let tree = world.repo.tree(&[("100644", b"zeros", &blob)]);
    world.repo.commit_tree("main", &tree);
    world.limits.file_bytes = 1 << 20;
    let error = world.checkout(&world.open(), "job").await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }) && !error.is_retryable(), "{error:?}");
    untouched(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_are_only_names() {
    let world = World::new().await;
    let blob = world.repo.blob(b"x");
    // In git's order.
    let names: [&[u8]; 9] =
        [b"\n", b" ", b"$(id)", b"--upload-pack=x", b"-rf", b"A", b"a", b"a\\b", b"\xff\xfe"];
    let entries: Vec<_> = names.iter().map(|name| ("100644", *name, blob.as_str())).collect();
    let tree = world.repo.tree(&entries);
    world.repo.commit_tree("main", &tree);
    let checkout = world.checkout(&world.open(), "job").await.unwrap();
    let paths: Vec<_> = checkout.files().iter().map(|file| file.path.as_slice()).collect();
    assert_eq!(paths, names, "names that differ in case only stay two files");
    assert!(checkout.change_set().await.unwrap().changes.is_empty());
    std::fs::remove_dir_all(checkout.work_tree()).unwrap();
    std::fs::create_dir(checkout.work_tree()).unwrap();
    let changes = checkout.change_set().await.unwrap().changes;
    assert_eq!(changes.iter().map(|change| change.path.as_slice()).collect::<Vec<_>>(), names);
}
