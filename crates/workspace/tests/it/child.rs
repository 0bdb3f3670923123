//! This test binary again, as a process of its own: to be killed, and to be watched with another environment.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use booty_workspace::{Remote, TreeLimits, WorkspaceSettings, Workspaces};
use tokio_util::sync::CancellationToken;

use crate::world::{KEY, TOKEN, World, branch};

const READY: &str = "child is ready";

/// A process that checks out `main` as job `child`, says so, and waits for its end.
pub(crate) struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(world: &World, environment: &[(&str, &Path)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::child", "--nocapture", "--test-threads=1"])
            .env("WORKSPACE_CHILD_ROOT", world.root())
            .env("WORKSPACE_CHILD_URL", world.remote().url.as_str())
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Returns when the checkout is there, with what was said until then.
    pub(crate) fn ready(&mut self) -> String {
        let mut said = String::new();
        while !said.contains(READY) {
            assert_ne!(self.output.read_line(&mut said).unwrap(), 0, "{said}");
        }
        said
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn command_line(&self) -> Vec<u8> {
        std::fs::read(format!("/proc/{}/cmdline", self.child.id())).unwrap()
    }

    /// Lets it end in order, and returns the rest of what it said.
    pub(crate) fn finish(mut self) -> String {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.output.read_to_string(&mut said).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }
}

/// Passes at once unless it is started by [`Process::start`].
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let (Ok(root), Ok(url)) =
        (std::env::var("WORKSPACE_CHILD_ROOT"), std::env::var("WORKSPACE_CHILD_URL"))
    else {
        return;
    };
    // Everything that anybody logs, at the finest level.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(std::io::stdout)
        .init();
    let settings = WorkspaceSettings {
        root: root.into(),
        limits: TreeLimits::default(),
        fetch_timeout: Duration::from_secs(60),
    };
    let workspaces = Workspaces::open(settings).unwrap();
    let remote = Remote { url: url.parse().unwrap(), token: Some(TOKEN.into()) };
    let checkout = workspaces
        .checkout(KEY, &remote, &branch("main"), "child", CancellationToken::new())
        .await
        .unwrap();
    std::fs::write(checkout.work_tree().join("made-by-child"), "x").unwrap();
    let changes = checkout.change_set().await.unwrap();
    println!("{changes:?} {checkout:?} {remote:?}");
    println!("{READY}");
    std::io::stdout().flush().unwrap();
    // The end of the parent ends this as well.
    let _ = std::io::stdin().read(&mut [0]);
    checkout.close().await.unwrap();
}
