//! The agent's process, as the builder sees it.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use booty_sandbox::{Cage, CageEnd, CageHandle, Caged, Sandbox};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    AgentProgram,
    agent::{
        frame::{self, FrameError},
        protocol::{FromAgent, ToAgent},
    },
};

/// How much of the agent's last words is kept.
const MAX_STDERR_BYTES: usize = 4 * 1024;
/// How long an agent that has reported may take to end.
const END_LIMIT: Duration = Duration::from_secs(2);

/// The agent. Dropping it kills it, and what runs in its sandboxes.
pub(crate) struct Agent {
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: JoinHandle<Vec<u8>>,
    life: Life,
}

/// What holds it.
enum Life {
    Caged(Box<CageHandle>),
    /// Nothing but a process group.
    Bare(Box<Child>, Group),
}

/// How it ended.
pub(crate) enum AgentEnded {
    /// As a process does; `None`: it had to be killed.
    Ended(Option<ExitStatus>),
    /// It never began, because its cage could not be built.
    NotBuilt,
}

impl Agent {
    /// Starts it where it can reach nothing but what is named.
    pub(crate) async fn spawn_caged(
        sandbox: &Sandbox,
        cage: &Cage,
    ) -> Result<Self, booty_sandbox::Error> {
        let Caged { stdin, stdout, stderr, handle } = sandbox.confine(cage).await?;
        let stderr = tokio::spawn(last_words(stderr));
        Ok(Self { stdin, stdout, stderr, life: Life::Caged(Box::new(handle)) })
    }

    /// Starts it as it is, with an environment that holds `path` and nothing else.
    pub(crate) fn spawn_bare(program: &AgentProgram, path: &str) -> std::io::Result<Self> {
        let mut process = Command::new(&program.program)
            .args(&program.args)
            .env_clear()
            .env("PATH", path)
            .envs(&program.certificates)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = Group(process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
        let missing = || std::io::Error::other("the agent was started without its pipes");
        let stdin = process.stdin.take().ok_or_else(missing)?;
        let stdout = process.stdout.take().ok_or_else(missing)?;
        let stderr = process.stderr.take().ok_or_else(missing)?;
        let stderr = tokio::spawn(last_words(stderr));
        Ok(Self { stdin, stdout, stderr, life: Life::Bare(Box::new(process), group) })
    }

    pub(crate) async fn say(&mut self, frame: &ToAgent) -> Result<(), FrameError> {
        frame::write(&mut self.stdin, frame).await
    }

    pub(crate) async fn hear(&mut self) -> Result<FromAgent, FrameError> {
        frame::read(&mut self.stdout).await
    }

    /// Waits for the end of an agent that has nothing more to say, and kills it if it does not come.
    /// Returns how it ended and its last words.
    pub(crate) async fn end(self) -> (AgentEnded, String) {
        let Self { stdin, stdout, stderr, life } = self;
        drop((stdin, stdout));
        let ended = match life {
            Life::Caged(handle) => match handle.end(END_LIMIT).await {
                CageEnd::Exited(status) => AgentEnded::Ended(Some(status)),
                CageEnd::NotBuilt => AgentEnded::NotBuilt,
                CageEnd::Killed => AgentEnded::Ended(None),
            },
            Life::Bare(mut process, group) => {
                let status = timeout(END_LIMIT, process.wait()).await.ok().and_then(Result::ok);
                drop(group);
                AgentEnded::Ended(status)
            }
        };
        let words = timeout(END_LIMIT, stderr).await.ok().and_then(Result::ok).unwrap_or_default();
        (ended, String::from_utf8_lossy(&words).trim().to_owned())
    }
}

/// Kills all of a process group when dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nobody left in it: then there is nobody to kill.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn last_words(mut stderr: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(n) = stderr.read(&mut chunk).await {
        if n == 0 {
            break;
        }
        kept.extend_from_slice(chunk.get(..n).unwrap_or_default());
        let surplus = kept.len().saturating_sub(MAX_STDERR_BYTES);
        kept.drain(..surplus);
    }
    kept
}
