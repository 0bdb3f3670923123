//! Ingress as a process of its own, which can be killed and measured.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::delivery::{REPOSITORY, SECRET};

/// A running `examples/serve.rs`; killed with SIGKILL when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// Cargo builds examples before it runs tests, and puts them beside them.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/serve")
}

impl Process {
    pub(crate) fn start(nats_url: &str, spool: &Path) -> Self {
        Self::start_as(Command::new(program()), nats_url, spool)
    }

    /// In bubblewrap, with the spool on a file system of `bytes`.
    pub(crate) fn start_on_small_disk(nats_url: &str, spool: &Path, bytes: u64) -> Self {
        let mut command = Command::new("bwrap");
        command
            .args(["--die-with-parent", "--dev-bind", "/", "/", "--size", &bytes.to_string()])
            .arg("--tmpfs")
            .arg(spool)
            .arg(program());
        Self::start_as(command, nats_url, spool)
    }

    fn start_as(mut command: Command, nats_url: &str, spool: &Path) -> Self {
        let mut child = command
            .env_clear()
            .envs([
                ("NATS_URL", nats_url),
                ("LISTEN_ADDR", "127.0.0.1:0"),
                ("WEBHOOK_SECRET", SECRET),
                ("ALLOWED_REPOS", REPOSITORY),
                ("LOG_LEVEL", "warn"),
            ])
            .env("INGRESS_SPOOL_DIR", spool)
            .env("BOOTY_DATA_DIR", spool)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| Some(line.unwrap().strip_prefix("listening on ")?.parse().unwrap()))
            .expect("it says where it listens");
        // Its log goes on; nobody may block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhooks/github", self.address)
    }

    pub(crate) fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop; its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// The most memory that it ever had resident.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
