//! A cage for a program of our own.

use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use booty_sandbox::{Backend, Cage, CageEnd, Error, Mount, Sandbox, SandboxSettings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const PATIENCE: Duration = Duration::from_secs(30);

async fn sandbox() -> Sandbox {
    Sandbox::prepare(SandboxSettings::default()).await.unwrap()
}

fn shell(script: &str) -> Cage {
    Cage {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        mounts: Vec::new(),
    }
}

#[tokio::test]
async fn it_talks_through_its_pipes_and_says_how_it_ended() {
    let mut caged =
        sandbox().await.confine(&shell("read a; echo $a; echo e >&2; exit 7")).await.unwrap();
    caged.stdin.write_all(b"said\n").await.unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    caged.stdout.read_to_string(&mut out).await.unwrap();
    caged.stderr.read_to_string(&mut err).await.unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("said\n", "e\n"));
    match caged.handle.end(PATIENCE).await {
        CageEnd::Exited(status) => assert_eq!(status.code(), Some(7)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_sees_what_it_is_given_and_writes_where_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox().await;
    for name in ["open", "closed", "hidden"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("f"), name).unwrap();
    }
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.own(&folder.path().join("open")).unwrap();
    let at = |name: &str| folder.path().join(name);
    let script = format!(
        "cd {}; cat open/f closed/f hidden/f; echo new > open/f; echo new > closed/f; ls; ls /proc | grep -c '^[0-9]'; cat /proc/net/dev | grep -c :",
        folder.path().display()
    );
    let mounts =
        vec![Mount::writable(at("open"), at("open")), Mount::read_only(at("closed"), at("closed"))];
    let mut caged = sandbox.confine(&Cage { mounts, ..shell(&script) }).await.unwrap();
    let mut out = String::new();
    caged.stdout.read_to_string(&mut out).await.unwrap();
    // Its init, the shell, `ls` and `grep`; the loopback.
    assert_eq!(out, "openclosedclosed\nopen\n4\n1\n");
    assert_eq!(std::fs::read_to_string(at("open/f")).unwrap(), "new\n");
    assert_eq!(std::fs::read_to_string(at("closed/f")).unwrap(), "closed");
    caged.handle.end(PATIENCE).await;
}

#[tokio::test]
async fn what_can_not_be_built_never_runs() {
    let folder = tempfile::tempdir().unwrap();
    let ran = folder.path().join("ran");
    let mounts = vec![
        Mount::writable(folder.path(), folder.path()),
        // There is no place for it.
        Mount::read_only(folder.path(), "/usr/nowhere/to/be/seen"),
    ];
    let script = format!("touch {}", ran.display());
    // It is found out while it starts or right after, whichever comes first.
    let said = match sandbox().await.confine(&Cage { mounts, ..shell(&script) }).await {
        Err(Error::Setup { said }) => said,
        Err(error) => panic!("{error}"),
        Ok(mut caged) => {
            let mut said = String::new();
            caged.stderr.read_to_string(&mut said).await.unwrap();
            assert_eq!(caged.handle.end(PATIENCE).await, CageEnd::NotBuilt);
            said
        }
    };
    assert!(said.contains("/usr/nowhere"), "{said}");
    assert!(!ran.exists());
}

#[tokio::test]
async fn dropping_it_kills_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox().await;
    sandbox.own(folder.path()).unwrap();
    let held = folder.path().join("held");
    // Detached, deaf, and holding a lock.
    let script = format!(
        "setsid flock {} sh -c 'trap \"\" TERM HUP; echo up; exec sleep 600' & wait",
        held.display()
    );
    let mounts = vec![Mount::writable(folder.path(), folder.path())];
    let mut caged = sandbox.confine(&Cage { mounts, ..shell(&script) }).await.unwrap();
    let mut up = [0; 3];
    caged.stdout.read_exact(&mut up).await.unwrap();
    let file = std::fs::File::open(&held).unwrap();
    assert!(file.try_lock().is_err(), "it holds no lock");
    drop(caged);
    let freed = tokio::task::spawn_blocking(move || file.lock());
    tokio::time::timeout(PATIENCE, freed).await.expect("it lives on").unwrap().unwrap();
}

#[tokio::test]
async fn without_a_sandbox_there_is_no_cage() {
    let settings = SandboxSettings { backend: Backend::None, ..SandboxSettings::default() };
    let sandbox = Sandbox::prepare(settings).await.unwrap();
    sandbox.confine(&shell("true")).await.unwrap_err();
}
