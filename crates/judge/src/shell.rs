//! Runs scripts in one tree's sandbox.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use booty_sandbox::{Command, Error, Limits, Mount, RunResult, Sandbox};
use booty_setup::After;
use tokio_util::sync::CancellationToken;

/// One tree, and how scripts run in it. The network is always off here; setup has its own way.
#[derive(Debug, Clone)]
pub struct Shell {
    /// What isolates.
    pub sandbox: Sandbox,
    /// The host's path of the tree; `/workspace` inside. The tree is the sandbox user's
    /// ([`Sandbox::own`]).
    pub tree: PathBuf,
    /// What every script here gets: paths of installed dependencies, offline switches.
    pub env: BTreeMap<String, String>,
    /// What every script here sees besides the tree.
    pub mounts: Vec<Mount>,
    /// What setup left: the sealed cache, and the clients' offline switches.
    pub after: After,
    /// Limits of a script that names none.
    pub limits: Limits,
    /// Ends everything.
    pub cancel: CancellationToken,
}

/// One script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Given to `/bin/sh -c`.
    pub text: String,
    /// Where to start, relative to the tree; empty is its root.
    pub directory: String,
    /// Wins over the shell's.
    pub env: BTreeMap<String, String>,
    /// Its own limit; the shell's when none.
    pub timeout: Option<Duration>,
    /// How much output is kept; the shell's limit when none.
    pub output_bytes: Option<usize>,
}

impl Script {
    /// A script at the root of the tree.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

impl Shell {
    /// Runs it to its end.
    ///
    /// # Errors
    /// When the sandbox could not be set up; how the script itself ended is in the result.
    pub async fn run(&self, script: &Script) -> Result<RunResult, Error> {
        self.sandbox.run(&self.command(script), &self.cancel).await
    }

    /// The command that a script is run as.
    pub(crate) fn command(&self, script: &Script) -> Command {
        let mut command = Command::new(script.text.clone(), self.tree.clone());
        command.directory = PathBuf::from(&script.directory);
        command.env = self.env.clone();
        command.env.extend(script.env.clone());
        command.mounts = self.mounts.clone();
        command.limits = self.limits;
        if let Some(timeout) = script.timeout {
            command.limits.wall = timeout;
        }
        if let Some(bytes) = script.output_bytes {
            command.limits.output_bytes = bytes;
        }
        self.after.prepare(&mut command);
        command
    }
}
