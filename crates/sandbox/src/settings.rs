//! What the operator decides about every sandbox.

use std::path::PathBuf;

/// Who a sandbox runs as when Booty itself was started as root: `nobody`, which owns nothing.
///
/// All sandboxes share it. They cannot see one another (each has its own PID, mount and user
/// namespace), and since Linux 5.14 a process limit counts within one user namespace.
pub const NOBODY: (u32, u32) = (65_534, 65_534);

/// What isolates a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// bubblewrap, found in `PATH` when the program has no slash.
    Bwrap {
        /// The program to start.
        program: PathBuf,
    },
    /// `BOOTY_SANDBOX=none`: nothing isolates it. Only limits on time, memory of one process and
    /// output hold, and a descendant that leaves its process group outlives the run.
    None,
}

/// What the operator decides about every sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSettings {
    /// What isolates a command (`BOOTY_SANDBOX`).
    pub backend: Backend,
    /// Toolchain folders that are readable at their own path (`BOOTY_SANDBOX_RO`). A `bin` folder
    /// in one of them comes first in `PATH`. Never a home: all that is in them can be read.
    pub read_only: Vec<PathBuf>,
    /// User and group to become when started as root; `None` is refused then.
    pub run_as: Option<(u32, u32)>,
    /// The program that carries connections out of a sandbox with [`Network::Proxy`]: it is started
    /// as `<program> forward …` inside and ends in [`forward::main`](crate::forward::main). Without
    /// one, such commands are refused.
    ///
    /// [`Network::Proxy`]: crate::Network::Proxy
    pub forwarder: Option<PathBuf>,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            backend: Backend::Bwrap { program: PathBuf::from("bwrap") },
            read_only: Vec::new(),
            run_as: Some(NOBODY),
            forwarder: None,
        }
    }
}

impl SandboxSettings {
    /// From what an operator writes: `BOOTY_SANDBOX` (a program's name or path, or `none`) and
    /// `BOOTY_SANDBOX_RO` (absolute folders, colon-separated).
    ///
    /// # Errors
    /// The folder that is not absolute.
    pub fn from_words(backend: Option<&str>, read_only: &str) -> Result<Self, PathBuf> {
        let defaults = Self::default();
        let backend = match backend {
            None => defaults.backend,
            Some("none") => Backend::None,
            Some(program) => Backend::Bwrap { program: PathBuf::from(program) },
        };
        let read_only: Vec<PathBuf> =
            read_only.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
        match read_only.iter().find(|path| path.is_relative()) {
            Some(relative) => Err(relative.clone()),
            None => Ok(Self { backend, read_only, ..Self::default() }),
        }
    }
}
