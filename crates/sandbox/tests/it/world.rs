//! A sandbox and a work tree of one's own.

use std::{path::Path, time::Duration};

use booty_sandbox::{Command, Limits, RunResult, Sandbox, SandboxSettings};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

static SANDBOX: OnceCell<Sandbox> = OnceCell::const_new();

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    tree: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let prepare = || async { Sandbox::prepare(SandboxSettings::default()).await.unwrap() };
        let sandbox = SANDBOX.get_or_init(prepare).await.clone();
        let world = Self { sandbox, tree: tempfile::tempdir().unwrap() };
        world.own();
        world
    }

    pub(crate) fn own(&self) {
        self.sandbox.own(self.tree()).unwrap();
    }

    pub(crate) fn tree(&self) -> &Path {
        self.tree.path()
    }

    pub(crate) fn command(&self, script: &str) -> Command {
        let mut command = Command::new(script, self.tree());
        command.limits = limits();
        command
    }

    pub(crate) async fn sh(&self, script: &str) -> RunResult {
        self.run(&self.command(script)).await
    }

    pub(crate) async fn run(&self, command: &Command) -> RunResult {
        self.sandbox.run(command, &CancellationToken::new()).await.unwrap()
    }

    pub(crate) async fn python(&self, program: &str) -> RunResult {
        std::fs::write(self.tree().join("program.py"), program).unwrap();
        self.own();
        self.sh("/usr/bin/python3 program.py").await
    }
}

/// Small, so that a test of them is short.
pub(crate) fn limits() -> Limits {
    const MIB: u64 = 1024 * 1024;
    Limits {
        wall: Duration::from_secs(30),
        cpu: Duration::from_secs(20),
        processes: 64,
        memory_bytes: 256 * MIB,
        file_bytes: 64 * MIB,
        disk_bytes: 96 * MIB,
        disk_entries: 1_000,
        open_files: 128,
        output_bytes: 64 * 1024,
    }
}

/// Whether a process of the host has this text in its command line.
pub(crate) fn is_alive(needle: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let own = entry.file_name().to_str() == Some(&std::process::id().to_string());
        !own && command.contains(needle)
    })
}
