use std::{collections::BTreeMap, fs, time::Duration};

use booty_service::supervisor::{ChildSpec, Ended, supervise};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Only a broken supervisor takes this long.
const LIMIT: Duration = Duration::from_secs(20);

fn shell(script: &str) -> ChildSpec {
    ChildSpec {
        name: "child".into(),
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: BTreeMap::from([("ONLY".into(), "this".into())]),
        log: None,
    }
}

#[tokio::test]
async fn a_killed_child_comes_back_under_a_new_process_id() {
    let stop = CancellationToken::new();
    let (task, mut pid) = supervise(shell("read line"), stop.clone());
    let first = timeout(LIMIT, pid.wait_for(Option::is_some)).await.unwrap().unwrap().unwrap();
    let raw = i32::try_from(first).unwrap();
    kill_process(Pid::from_raw(raw).unwrap(), Signal::KILL).unwrap();
    let again = pid.wait_for(|pid| pid.is_some_and(|pid| pid != first));
    timeout(LIMIT, again).await.unwrap().unwrap();

    // The end of its standard input asks it to stop.
    stop.cancel();
    assert_eq!(timeout(LIMIT, task).await.unwrap().unwrap(), Ended::Stopped);
}

#[tokio::test]
async fn a_misconfigured_child_is_not_started_again() {
    let (task, _pid) = supervise(shell("exit 64"), CancellationToken::new());
    assert_eq!(timeout(LIMIT, task).await.unwrap().unwrap(), Ended::Misconfigured);
}

#[tokio::test]
async fn a_child_sees_its_own_environment_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let spec = ChildSpec { log: Some(log.clone()), ..shell("/usr/bin/env; exit 64") };
    let (task, _pid) = supervise(spec, CancellationToken::new());
    timeout(LIMIT, task).await.unwrap().unwrap();
    let seen = fs::read_to_string(log).unwrap();
    assert!(seen.contains("ONLY=this"));
    // The test runner's own.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(!seen.contains("CARGO"), "{seen}");
}
