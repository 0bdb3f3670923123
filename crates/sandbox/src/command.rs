//! What to run, and within which limits.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{
    error::Error,
    mount::{self, Mount},
    network::Network,
};

const MIB: u64 = 1024 * 1024;

/// One command of an untrusted repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Given to `/bin/sh -c`. At most [`Command::MAX_SCRIPT_BYTES`].
    pub script: String,
    /// Can be written; `/workspace` inside.
    pub work_tree: PathBuf,
    /// Where to start, relative to the work tree; empty is the work tree itself.
    pub directory: PathBuf,
    /// Added to the allow-list (`PATH`, `HOME`, `TMPDIR`, `LANG`, `TZ`, `USER`, `SHELL`, `TERM`,
    /// `CI`), and wins over it. Nothing of Booty's own environment is passed on.
    pub env: BTreeMap<String, String>,
    /// More of the host, besides the work tree.
    pub mounts: Vec<Mount>,
    /// What it reaches.
    pub network: Network,
    /// What it may use.
    pub limits: Limits,
}

impl Command {
    /// Linux takes 128 KiB for one argument; nobody writes that into a configuration file.
    pub const MAX_SCRIPT_BYTES: usize = 64 * 1024;

    /// A command at the top of the work tree, with the default limits and no environment of its own.
    pub fn new(script: impl Into<String>, work_tree: impl Into<PathBuf>) -> Self {
        Self {
            script: script.into(),
            work_tree: work_tree.into(),
            directory: PathBuf::new(),
            env: BTreeMap::new(),
            mounts: Vec::new(),
            network: Network::None,
            limits: Limits::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Refused { why });
        if self.script.len() > Self::MAX_SCRIPT_BYTES {
            return refuse(format!("the script is longer than {} bytes", Self::MAX_SCRIPT_BYTES));
        }
        if self.script.contains('\0') {
            return refuse("the script has a NUL byte in it".to_owned());
        }
        let inside =
            |part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir);
        if !self.directory.components().all(inside) {
            return refuse(format!(
                "the directory {:?} is not inside the work tree",
                self.directory
            ));
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return refuse(format!("the environment variable {name:?} cannot be set"));
            }
        }
        mount::check(&self.mounts)
    }
}

/// What a command may use. Each limit has a reason beside its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From start to end. Everything is killed then.
    pub wall: Duration,
    /// Processor time of one process.
    pub cpu: Duration,
    /// Processes and threads at one time.
    pub processes: u64,
    /// Memory of all processes together, `/tmp` included.
    pub memory_bytes: u64,
    /// The largest file that can be written.
    pub file_bytes: u64,
    /// By how much the work tree and all writable mounts together may grow; also the size of `/tmp`.
    pub disk_bytes: u64,
    /// By how many files and folders they may grow; also the most in `/tmp`.
    pub disk_entries: u64,
    /// Open files of one process.
    pub open_files: u64,
    /// How much of the output is kept, half from its head and half from its tail.
    pub output_bytes: usize,
}

impl Limits {
    /// Long enough for a cold build of a middling repository, short enough that a test that hangs
    /// costs one permit for minutes, not for hours.
    pub const WALL: Duration = Duration::from_secs(10 * 60);
    /// One process that computes for twice the wall time on several cores is not a test any more.
    pub const CPU: Duration = Duration::from_secs(20 * 60);
    /// Node and Go start a dozen threads for each process; a fork bomb is over in milliseconds.
    pub const PROCESSES: u64 = 512;
    /// What rustc and a TypeScript build need, and two such jobs fit beside a broker in 8 GiB.
    pub const MEMORY_BYTES: u64 = 2048 * MIB;
    /// Debug binaries reach some hundred megabytes.
    pub const FILE_BYTES: u64 = 1024 * MIB;
    /// A `target` folder of a middling workspace.
    pub const DISK_BYTES: u64 = 4096 * MIB;
    /// A `node_modules` folder has up to 200,000 entries.
    pub const DISK_ENTRIES: u64 = 300_000;
    /// The usual soft limit of a login.
    pub const OPEN_FILES: u64 = 1024;
    /// A model reads far less, a journal entry must stay below the broker's message size.
    pub const OUTPUT_BYTES: usize = 256 * 1024;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Self::WALL,
            cpu: Self::CPU,
            processes: Self::PROCESSES,
            memory_bytes: Self::MEMORY_BYTES,
            file_bytes: Self::FILE_BYTES,
            disk_bytes: Self::DISK_BYTES,
            disk_entries: Self::DISK_ENTRIES,
            open_files: Self::OPEN_FILES,
            output_bytes: Self::OUTPUT_BYTES,
        }
    }
}
