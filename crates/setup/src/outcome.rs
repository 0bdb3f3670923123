//! What became of a setup step.

use std::{collections::BTreeMap, fmt, sync::Arc};

use booty_sandbox::{Command, Mount, RunResult};

use crate::{
    cache::CacheFolder,
    proxy::{Reached, Refused},
};

/// What became of a setup step.
#[derive(Debug)]
pub enum SetupOutcome {
    /// The project's dependencies are there.
    Installed(Installed),
    /// They are not: nothing can be said about the code.
    NotInstalled(NotInstalled),
}

/// Dependencies that are there, and how the commands to come find them. The cache stays while this
/// value lives.
#[derive(Debug)]
pub struct Installed {
    /// Whether it was done without the network, from an earlier run's cache.
    pub cache_hit: bool,
    /// What was reached.
    pub reached: Vec<Reached>,
    /// What was asked for besides, and refused.
    pub refused: Vec<Refused>,
    /// How the script ended, and what it printed.
    pub result: RunResult,
    pub(crate) after: After,
}

impl Installed {
    /// What commands need from here on: the sealed cache and the clients' offline switches.
    pub fn mounts_and_env_after(&self) -> (&[Mount], &BTreeMap<String, String>) {
        (&self.after.mounts, &self.after.env)
    }

    /// Gives a command what it needs; its own variables win.
    pub fn prepare(&self, command: &mut Command) {
        self.after.prepare(command);
    }

    /// The same for others to keep.
    pub fn after(&self) -> &After {
        &self.after
    }
}

/// What commands need after a setup step. Keeps the cache while it lives; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct After {
    pub(crate) mounts: Vec<Mount>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) _cache: Option<CacheFolder>,
    pub(crate) _scratch: Option<Arc<tempfile::TempDir>>,
}

impl After {
    /// Gives a command what it needs; its own variables win.
    pub fn prepare(&self, command: &mut Command) {
        command.mounts.extend(self.mounts.iter().cloned());
        for (name, value) in &self.env {
            command.env.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// Dependencies that are not there.
#[derive(Debug)]
pub struct NotInstalled {
    /// Why.
    pub why: NotInstalledWhy,
    /// How the script ended and what it printed, when it ran.
    pub result: Option<RunResult>,
    /// What was reached.
    pub reached: Vec<Reached>,
    /// What was asked for and refused.
    pub refused: Vec<Refused>,
    /// What the operator's clients said about their registries that may explain it.
    pub notes: Vec<String>,
}

/// Why dependencies are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotInstalledWhy {
    /// The operator allows setup steps no network (`SETUP_NETWORK=off`), and something is missing.
    NetworkOff,
    /// There is no way to open one for them: no forwarder, no isolation, or no registry is known.
    NoNetwork,
    /// Something was asked for that is not on the list.
    Refused,
    /// A registry did not answer.
    Unreachable,
    /// The client failed, or took too much time or room.
    Failed,
}

impl fmt::Display for NotInstalledWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetworkOff => "setup steps have no network (SETUP_NETWORK=off)",
            Self::NoNetwork => "there is no way to a registry for setup steps",
            Self::Refused => "the setup step asked for a host that it may not reach",
            Self::Unreachable => "a registry could not be reached",
            Self::Failed => "the setup step failed",
        })
    }
}
