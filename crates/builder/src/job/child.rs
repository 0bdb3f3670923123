//! The agent's process, as the builder sees it.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

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

/// Where the sandbox's program is looked for. The agent's environment holds this and nothing else.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How much of the agent's last words is kept.
const MAX_STDERR_BYTES: usize = 4 * 1024;
/// How long an agent that has reported may take to end.
const END_LIMIT: Duration = Duration::from_secs(2);

/// The agent. Dropping it kills its process group; what runs in a sandbox dies with it.
pub(crate) struct Agent {
    process: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: JoinHandle<Vec<u8>>,
    _group: Group,
}

impl Agent {
    pub(crate) fn spawn(program: &AgentProgram) -> std::io::Result<Self> {
        let mut process = Command::new(&program.program)
            .args(&program.args)
            .env_clear()
            .env("PATH", PATH)
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
        Ok(Self { process, stdin, stdout, stderr, _group: group })
    }

    pub(crate) async fn say(&mut self, frame: &ToAgent) -> Result<(), FrameError> {
        frame::write(&mut self.stdin, frame).await
    }

    pub(crate) async fn hear(&mut self) -> Result<FromAgent, FrameError> {
        frame::read(&mut self.stdout).await
    }

    /// Waits for the end of an agent that has nothing more to say, and kills it if it does not come.
    /// Returns how it ended and its last words.
    pub(crate) async fn end(self) -> (Option<ExitStatus>, String) {
        let Self { mut process, stdin, stdout, stderr, _group } = self;
        drop((stdin, stdout));
        let status = timeout(END_LIMIT, process.wait()).await.ok().and_then(Result::ok);
        drop(_group);
        let words = timeout(END_LIMIT, stderr).await.ok().and_then(Result::ok).unwrap_or_default();
        (status, String::from_utf8_lossy(&words).trim().to_owned())
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
