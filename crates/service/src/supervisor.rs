//! Keeps child processes running, each with only the environment it needs.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, time::Duration};

use tokio::{
    process::{Child, ChildStdin, Command},
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// The first wait before a restart; it doubles with each further death.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
/// The longest wait before a restart.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// A child that ran for so long has proved itself: the next wait is the first one again.
const PROVEN: Duration = Duration::from_secs(30);
/// A service hands its work back within 25 s; then it is stuck.
const STOP_LIMIT: Duration = Duration::from_secs(28);

/// A process to keep running.
#[derive(Debug, Clone)]
pub struct ChildSpec {
    /// For logs.
    pub name: String,
    /// What to run.
    pub program: PathBuf,
    /// With which arguments; never a secret.
    pub args: Vec<String>,
    /// The whole environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Where its output is appended; `None`: with ours.
    pub log: Option<PathBuf>,
}

/// A supervised child's present process id; `None` between two lives.
pub type Pid = watch::Receiver<Option<u32>>;

/// Why supervision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to stop, and the child did.
    Stopped,
    /// The child says that its settings are wrong; starting it again can't help.
    Misconfigured,
}

/// Runs a child, again and again, until `shutdown`. The receiver tells its process id.
pub fn supervise(
    spec: ChildSpec,
    shutdown: CancellationToken,
) -> (tokio::task::JoinHandle<Ended>, Pid) {
    let (sender, receiver) = watch::channel(None);
    (tokio::spawn(keep(spec, shutdown, sender)), receiver)
}

async fn keep(
    spec: ChildSpec,
    shutdown: CancellationToken,
    pid: watch::Sender<Option<u32>>,
) -> Ended {
    let mut backoff = FIRST_BACKOFF;
    while !shutdown.is_cancelled() {
        let started = Instant::now();
        match start(&spec) {
            Ok((mut child, stdin)) => {
                pid.send_replace(child.id());
                let status = tokio::select! {
                    status = child.wait() => status,
                    () = shutdown.cancelled() => {
                        stop(&spec.name, &mut child, stdin).await;
                        pid.send_replace(None);
                        return Ended::Stopped;
                    }
                };
                pid.send_replace(None);
                let code = status.as_ref().ok().and_then(std::process::ExitStatus::code);
                if code == Some(i32::from(Exit::Usage.code())) {
                    return Ended::Misconfigured;
                }
                let status = status.map_or_else(|e| e.to_string(), |status| status.to_string());
                tracing::warn!(
                    event = "child_died",
                    child = spec.name,
                    status,
                    "starting it again"
                );
            }
            Err(error) => {
                tracing::error!(event = "child_not_started", child = spec.name, %error, "trying again");
            }
        }
        if started.elapsed() >= PROVEN {
            backoff = FIRST_BACKOFF;
        }
        tokio::select! {
            () = sleep(backoff) => {}
            () = shutdown.cancelled() => {}
        }
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
    Ended::Stopped
}

/// The child's stdin stays open for as long as the supervisor lives: its end tells an orphan to stop.
fn start(spec: &ChildSpec) -> std::io::Result<(Child, Option<ChildStdin>)> {
    let mut command = Command::new(&spec.program);
    if let Some(log) = &spec.log {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        command.stdout(file.try_clone()?).stderr(file);
    }
    let mut child = command
        .args(&spec.args)
        .env_clear()
        .envs(&spec.env)
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdin = child.stdin.take();
    Ok((child, stdin))
}

async fn stop(name: &str, child: &mut Child, stdin: Option<ChildStdin>) {
    drop(stdin);
    if timeout(STOP_LIMIT, child.wait()).await.is_err() {
        tracing::error!(event = "child_stuck", child = name, "it did not stop in time; killing it");
        let _ = child.kill().await;
    }
}
