//! Parts of this binary as processes of their own, because only a process can be killed.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
};

use booty_bus::{Verdict, local::LocalServer};
use rustix::process::{Signal, getpid, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::support::{Running, connect_with, settings, soon};

const URL: &str = "BOOTY_BUS_TEST_URL";

/// Starts one of the tests below as a child; without the variable they are nothing.
pub(crate) fn spawn(test: &str, url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(URL, url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

pub(crate) async fn killed_by(child: &mut Child) -> Option<i32> {
    let status: ExitStatus = soon("the child's end", child.wait()).await.unwrap();
    status.signal()
}

fn kill_9_myself() {
    kill_process(getpid(), Signal::KILL).unwrap();
}

/// A worker whose message kills it.
#[tokio::test]
async fn worker_that_is_killed_by_its_message() {
    let Ok(url) = std::env::var(URL) else { return };
    let bus = connect_with(&url, None).await;
    let _running = Running::start(&bus, &settings("killed"), async |_| {
        kill_9_myself();
        Verdict::Done
    })
    .await;
    std::future::pending::<()>().await;
}

/// A parent that is killed while its nats-server runs.
#[tokio::test]
async fn parent_that_is_killed() {
    if std::env::var_os(URL).is_none() {
        return;
    }
    let server = LocalServer::start_temporary().await.unwrap();
    println!("\npid {} {}", server.pid().unwrap(), server.data_dir().display());
    kill_9_myself();
}

#[tokio::test]
async fn a_server_dies_with_its_parent() {
    let mut child = spawn("child::parent_that_is_killed", "none");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (pid, data_dir) = loop {
        let line = soon("its pid", lines.next_line()).await.unwrap().expect("it starts a server");
        if let Some((pid, data_dir)) = line.strip_prefix("pid ").and_then(|l| l.split_once(' ')) {
            break (pid.parse::<i32>().unwrap(), data_dir.to_owned());
        }
    };
    assert_eq!(killed_by(&mut child).await, Some(9));
    crate::support::eventually("the server is gone", async || {
        // A zombie that nobody reaps yet is gone, too.
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .map_or(true, |stat| stat.contains(") Z ") || stat.contains(") X "))
    })
    .await;
    // Nobody was left to do it.
    std::fs::remove_dir_all(data_dir).unwrap();
}
