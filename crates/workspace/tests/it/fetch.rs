//! Clone, fetch, and everything that a remote can answer.

use std::{fs, time::Duration};

use booty_workspace::{Error, Want};
use rstest::rstest;
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use crate::{
    server::{Fault, GitServer},
    world::{KEY, TOKEN, World, branch, noise},
};

const MULTI: &[u8] = b"first\r\nsecond\nno newline";

#[tokio::test(flavor = "multi_thread")]
async fn the_first_job_clones_and_the_second_fetches() {
    // Too random to be compressed, so that bytes on the wire tell.
    let noise = noise(1, 200_000);
    let world = World::with(&[
        ("big.bin", "100644", &noise),
        ("src/run.sh", "100755", b"#!/bin/sh\n"),
        ("src/text.txt", "100644", MULTI),
        ("src/link", "120000", b"text.txt"),
        ("empty", "100644", b""),
    ])
    .await;
    let workspaces = world.open();

    let first = world.checkout(&workspaces, "job-1").await.unwrap();
    let cloned: usize = world.server.requests().iter().map(|request| request.served).sum();
    let tree = first.work_tree().to_owned();
    assert_eq!(fs::read(tree.join("src/text.txt")).unwrap(), MULTI);
    assert_eq!(fs::read(tree.join("big.bin")).unwrap(), noise);
    assert_eq!(fs::read(tree.join("empty")).unwrap(), b"");
    assert_eq!(fs::read_link(tree.join("src/link")).unwrap().to_str(), Some("text.txt"));
    let mode = |path: &str| {
        std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(tree.join(path)).unwrap().permissions(),
        )
    };
    assert_eq!(mode("src/run.sh") & 0o777, 0o755);
    assert_eq!(mode("src/text.txt") & 0o777, 0o644);
    assert!(!tree.join(".git").exists());
    assert_eq!(first.branch(), "main");
    let paths: Vec<_> =
        first.files().iter().map(|file| String::from_utf8_lossy(&file.path).into_owned()).collect();
    assert_eq!(paths, ["big.bin", "empty", "src/link", "src/run.sh", "src/text.txt"]);

    // The branch moves, and another one appears that nobody asked for.
    let moved =
        world.repo.commit("main", &[("big.bin", "100644", &noise), ("new", "100644", b"x")]);
    let second = world.checkout(&workspaces, "job-2").await.unwrap();
    let fetched: usize = world.server.requests().iter().map(|request| request.served).sum();
    assert_eq!(second.base(), moved);
    assert_ne!(second.base(), first.base());
    assert_eq!(fs::read(second.work_tree().join("new")).unwrap(), b"x");
    assert!(!second.work_tree().join("src").exists());
    assert!(cloned > 200_000 && fetched < 5_000, "{cloned} then {fetched} bytes");

    // Nothing new: only a question.
    let third = world.checkout(&workspaces, "job-3").await.unwrap();
    let asked = world.server.requests();
    assert_eq!(third.base(), moved);
    assert!(asked.iter().map(|request| request.served).sum::<usize>() < 1_500, "{asked:?}");

    // The first job goes on with what it has.
    assert_eq!(first.base_content(b"src/text.txt").await.unwrap().as_deref(), Some(MULTI));
    assert_eq!(first.base_content(b"nothing").await.unwrap(), None);
    assert!(first.change_set().await.unwrap().changes.is_empty());
    first.close().await.unwrap();
    assert!(!tree.exists());
    drop((second, third));
    assert!(world.jobs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_commit_by_its_sha() {
    let world = World::new().await;
    let old = world.repo.commit("main", &[("file", "100644", b"old")]);
    let new = world.repo.commit("main", &[("file", "100644", b"new")]);
    let workspaces = world.open();
    let tip = world.checkout(&workspaces, "tip").await.unwrap();
    assert_eq!(tip.base(), new);

    let want = Want::Commit { branch: "main".into(), sha: old.clone() };
    let checkout = world.checkout_want(&workspaces, &want, "old").await.unwrap();
    assert_eq!((checkout.base(), checkout.branch()), (old.as_str(), "main"));
    assert_eq!(fs::read(checkout.work_tree().join("file")).unwrap(), b"old");

    // Once it is here, nobody is asked: the job goes on although the repository is gone.
    world.server.requests();
    world.server.set(Fault::Status(404));
    let again = world.checkout_want(&workspaces, &want, "again").await.unwrap();
    assert_eq!(again.base(), old);
    assert!(world.server.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_with_awkward_names() {
    let world = World::new().await;
    let workspaces = world.open();
    let longest = "b".repeat(200);
    for (i, name) in ["$(id)", "--upload-pack=x", "a", "ünï/cödé", &longest].into_iter().enumerate()
    {
        let commit = world.repo.commit(name, &[("file", "100644", name.as_bytes())]);
        let checkout =
            world.checkout_want(&workspaces, &branch(name), &format!("job-{i}")).await.unwrap();
        assert_eq!(checkout.base(), commit);
    }
    // `a` goes, and `a/b` comes: as files both could not be.
    world.repo.git(&["update-ref", "-d", "refs/heads/a"], b"");
    let commit = world.repo.commit("a/b", &[("file", "100644", b"x")]);
    let checkout = world.checkout_want(&workspaces, &branch("a/b"), "job-ab").await.unwrap();
    assert_eq!(checkout.base(), commit);
    assert_eq!(world.generations(), ["1.git"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_not_found() {
    let world = World::with(&[("file", "100644", b"x")]).await;
    let workspaces = world.open();
    let missing = world.checkout_want(&workspaces, &branch("nope"), "a").await.unwrap_err();
    assert!(matches!(&missing, Error::NotFound { what } if what == "branch nope"), "{missing:?}");
    let kept = world.checkout(&workspaces, "b").await.unwrap();
    // In a mirror that is there already, too.
    let missing = world.checkout_want(&workspaces, &branch("nope"), "a").await.unwrap_err();
    assert!(matches!(&missing, Error::NotFound { what } if what == "branch nope"), "{missing:?}");
    let want = Want::Commit { branch: "main".into(), sha: "1".repeat(40) };
    let missing = world.checkout_want(&workspaces, &want, "a").await.unwrap_err();
    assert!(
        matches!(&missing, Error::NotFound { what } if what.starts_with("commit 1111")),
        "{missing:?}"
    );

    fs::remove_dir_all(&world.repo.path).unwrap();
    let gone = world.checkout(&workspaces, "c").await.unwrap_err();
    assert!(matches!(&gone, Error::NotFound { .. }) && !gone.is_retryable(), "{gone:?}");
    assert_eq!(world.generations(), ["1.git"], "a remote's answer is no reason to clone anew");
    // The job that runs is not disturbed.
    assert_eq!(kept.base_content(b"file").await.unwrap().as_deref(), Some(&b"x"[..]));
    assert_eq!(world.jobs(), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_has_no_branch() {
    let world = World::new().await;
    let error = world.checkout(&world.open(), "job").await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    assert!(world.generations().is_empty() && world.jobs().is_empty());
}

#[rstest]
#[case::bad_gateway(Fault::Status(502), "network", true)]
#[case::too_many(Fault::Status(429), "network", true)]
#[case::rate_limited(Fault::RetryAfter, "network", true)]
#[case::forbidden(Fault::Status(403), "unauthorized", false)]
#[case::gone(Fault::Status(410), "not found", false)]
#[case::page(Fault::Page, "network", true)]
#[case::cut(Fault::Cut, "network", true)]
#[case::flipped(Fault::Flip, "network", true)]
#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_fails(#[case] fault: Fault, #[case] kind: &str, #[case] retryable: bool) {
    let noise = noise(1, 100_000);
    let world = World::with(&[("file", "100644", &noise)]).await;
    let workspaces = world.open();
    world.server.set(fault);
    let error = world.checkout(&workspaces, "job").await.unwrap_err();
    let found = match &error {
        Error::Network { .. } => "network",
        Error::Unauthorized { .. } => "unauthorized",
        Error::NotFound { .. } => "not found",
        _ => "other",
    };
    assert_eq!((found, error.is_retryable()), (kind, retryable), "{error:?}");
    assert!(world.generations().is_empty() && world.jobs().is_empty());
    world.server.set(Fault::None);
    world.checkout(&workspaces, "job").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens() {
    let world = World::with(&[("file", "100644", b"x")]).await;
    let workspaces = world.open();
    let port =
        tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut remote = world.remote();
    remote.url = format!("http://127.0.0.1:{port}/octo/repo.git").parse().unwrap();
    let result =
        workspaces.checkout(KEY, &remote, &branch("main"), "job", CancellationToken::new()).await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn https_speaks_tls_first() {
    let world = World::with(&[("file", "100644", b"x")]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut remote = world.remote();
    remote.url =
        format!("https://{}/octo/repo.git", listener.local_addr().unwrap()).parse().unwrap();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.unwrap();
        first
    });
    let workspaces = world.open();
    let result =
        workspaces.checkout(KEY, &remote, &branch("main"), "job", CancellationToken::new()).await;
    assert!(matches!(result, Err(Error::Network { .. })), "{result:?}");
    assert_eq!(heard.await.unwrap(), [0x16], "a TLS handshake record");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_remote_ends_at_the_deadline_and_at_the_job_s_end() {
    let noise = noise(1, 100_000);
    let mut world = World::with(&[("file", "100644", &noise)]).await;
    world.server.set(Fault::Stall);

    let cancel = CancellationToken::new();
    let work = tokio::spawn({
        let (workspaces, remote, cancel) = (world.open(), world.remote(), cancel.clone());
        async move { workspaces.checkout(KEY, &remote, &branch("main"), "cancelled", cancel).await }
    });
    world.server.stalled().await;
    cancel.cancel();
    assert!(matches!(work.await.unwrap(), Err(Error::Cancelled)));

    // A future that is dropped stops the work as well: the mirror's lock comes free, and the folder goes.
    let work = tokio::spawn({
        let (workspaces, remote) = (world.open(), world.remote());
        async move {
            workspaces
                .checkout(KEY, &remote, &branch("main"), "dropped", CancellationToken::new())
                .await
        }
    });
    world.server.stalled().await;
    work.abort();

    world.fetch_timeout = Duration::from_millis(300);
    let error = world.checkout(&world.open(), "late").await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }) && error.is_retryable(), "{error:?}");
    world.fetch_timeout = Duration::from_secs(60);
    world.server.set(Fault::None);
    let checkout = world.checkout(&world.open(), "fine").await.unwrap();
    assert_eq!(world.jobs(), ["fine"]);
    assert_eq!(world.generations(), ["1.git"]);
    drop(checkout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_repository_is_followed_on_its_host() {
    let world = World::with(&[("file", "100644", b"x")]).await;
    world.server.set(Fault::Renamed("octo/old.git".into(), "octo/repo.git".into()));
    let mut remote = world.remote();
    remote.url = format!("{}/octo/old.git", world.server.origin()).parse().unwrap();
    let workspaces = world.open();
    workspaces
        .checkout(KEY, &remote, &branch("main"), "job", CancellationToken::new())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_does_not_follow_to_another_host() {
    let world = World::with(&[("file", "100644", b"x")]).await;
    let thief = GitServer::start(&world.outside().join("remote"), None).await;
    world.server.set(Fault::Redirect(thief.origin()));
    let workspaces = world.open();
    let error = world.checkout(&workspaces, "job").await.unwrap_err();
    assert!(matches!(error, Error::Redirected { .. }) && !error.is_retryable(), "{error:?}");
    assert!(thief.requests().is_empty());
    // Nor in a mirror that is there already.
    world.server.set(Fault::None);
    drop(world.checkout(&workspaces, "job").await.unwrap());
    world.server.set(Fault::Redirect(thief.origin()));
    world.checkout(&workspaces, "job").await.unwrap_err();
    assert!(thief.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused_and_not_repeated() {
    let world = World::with(&[("file", "100644", b"x")]).await;
    let workspaces = world.open();
    for token in [None, Some("ghs_the-wrong-one-0123456789")] {
        let remote = world.remote_with(token);
        let result = workspaces
            .checkout(KEY, &remote, &branch("main"), "job", CancellationToken::new())
            .await;
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::Unauthorized { status: 401 }) && !error.is_retryable(),
            "{error:?}"
        );
        assert!(!format!("{error:?} {error}").contains("wrong-one"));
    }
    // Asked once each, and no helper was asked for another.
    assert_eq!(world.server.requests().len(), 2);
    assert!(!format!("{:?}", world.remote()).contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn four_jobs_of_one_repository_at_once() {
    let world = World::with(&[("a/file", "100644", b"x"), ("b", "100755", b"y")]).await;
    let (one, other) = (world.open(), world.open());
    let job = |workspaces: &booty_workspace::Workspaces, i: u32| {
        let (workspaces, remote) = (workspaces.clone(), world.remote());
        tokio::spawn(async move {
            workspaces
                .checkout(
                    KEY,
                    &remote,
                    &branch("main"),
                    &format!("job-{i}"),
                    CancellationToken::new(),
                )
                .await
        })
    };
    let jobs = [job(&one, 0), job(&other, 1), job(&one, 2), job(&other, 3)];
    let mut checkouts = Vec::new();
    for job in jobs {
        checkouts.push(job.await.unwrap().unwrap());
    }
    let packs = world.server.requests().iter().filter(|request| request.method == "POST").count();
    assert!(packs <= 5, "one clone and four questions, not four clones: {packs}");
    assert_eq!(world.jobs(), ["job-0", "job-1", "job-2", "job-3"]);
    // What one changes, the others don't see.
    fs::write(checkouts[0].work_tree().join("b"), "other").unwrap();
    assert_eq!(checkouts[0].change_set().await.unwrap().changes.len(), 1);
    assert!(checkouts[1].change_set().await.unwrap().changes.is_empty());

    let busy = world.checkout(&one, "job-0").await.unwrap_err();
    assert!(matches!(busy, Error::Busy { .. }), "{busy:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_of_many_packs_is_cloned_anew_beside_its_readers() {
    let mut world = World::with(&[("file", "100644", b"0")]).await;
    world.mirror.packs = 3;
    let workspaces = world.open();
    let reader = world.checkout(&workspaces, "reader").await.unwrap();
    for i in 1..=4 {
        world.repo.commit("main", &[("file", "100644", i.to_string().as_bytes())]);
        drop(world.checkout(&workspaces, &format!("job-{i}")).await.unwrap());
    }
    assert_eq!(world.generations(), ["1.git", "2.git"]);
    fs::write(reader.work_tree().join("file"), "mine").unwrap();
    let changes = reader.change_set().await.unwrap().changes;
    assert_eq!((changes[0].added_lines, changes[0].deleted_lines), (1, 1));
    drop(reader);
    drop(world.checkout(&workspaces, "last").await.unwrap());
    assert_eq!(world.generations(), ["2.git"]);
}

#[rstest]
#[case::packs_gone("objects/pack", None)]
#[case::pack_empty("objects/pack/*.pack", Some(&b""[..]))]
#[case::pack_garbage("objects/pack/*.pack", Some(&[0x5a; 4000][..]))]
#[case::index_garbage("objects/pack/*.idx", Some(&b"x"[..]))]
#[case::head_gone("HEAD", None)]
#[case::config_garbage("config", Some(&b"[[["[..]))]
#[case::shallow_garbage("shallow", Some(&b"x"[..]))]
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_mirror_is_cloned_anew(
    #[case] what: &str,
    #[case] content: Option<&[u8]>,
    #[values(false, true)] moved: bool,
) {
    let world = World::with(&[("file", "100644", &[b'x'; 3000])]).await;
    drop(world.checkout(&world.open(), "before").await.unwrap());
    let path = world.root().join("mirrors").join(KEY).join("1.git").join(what);
    let paths = match path.to_str().unwrap().split_once("/*") {
        None => vec![path],
        Some((folder, suffix)) => fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().ends_with(suffix))
            .collect(),
    };
    assert!(!paths.is_empty());
    for path in paths {
        match content {
            Some(content) => {
                let _ = fs::remove_file(&path);
                fs::write(&path, content).unwrap();
            }
            None if path.is_dir() => fs::remove_dir_all(&path).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
    let byte = if moved { b'y' } else { b'x' };
    if moved {
        world.repo.commit("main", &[("file", "100644", &[byte; 3000])]);
    }
    let after = world.checkout(&world.open(), "after").await.unwrap();
    assert_eq!(fs::read(after.work_tree().join("file")).unwrap(), [byte; 3000]);
    // Where nothing is fetched, nobody reads how shallow the mirror is.
    let anew = if what == "shallow" && !moved { "1.git" } else { "2.git" };
    assert_eq!(world.generations(), [anew]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_sends_more_than_it_may() {
    let noise = noise(1, 300_000);
    let mut world = World::with(&[("file", "100644", &noise)]).await;
    world.mirror.download_bytes = 50_000;
    let error = world.checkout(&world.open(), "job").await.unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 50_000, .. }) && !error.is_retryable(),
        "{error:?}"
    );
    assert!(world.generations().is_empty() && world.jobs().is_empty());
}

#[rstest]
#[case::job("../x", "main", KEY)]
#[case::key("job", "main", "../../etc")]
#[case::branch("job", "a b", KEY)]
#[tokio::test(flavor = "multi_thread")]
async fn names_are_checked_before_anything_happens(
    #[case] job: &str,
    #[case] name: &str,
    #[case] key: &str,
) {
    let world = World::with(&[("file", "100644", b"x")]).await;
    let workspaces = world.open();
    let result = workspaces
        .checkout(key, &world.remote(), &branch(name), job, CancellationToken::new())
        .await;
    assert!(matches!(result, Err(Error::Invalid { .. })), "{result:?}");
    assert!(world.server.requests().is_empty());
}
