//! Why a command was not run.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why there is no sandbox on this machine, and what to do about it.
#[derive(Debug, Error)]
#[error("sandbox unavailable: {why}; {advice}")]
pub struct Unavailable {
    /// What is missing.
    pub why: String,
    /// What to do about it.
    pub advice: String,
}

/// Why a command was not run, or its end is not known. A command that ran and failed is a
/// [`RunResult`](crate::RunResult).
#[derive(Debug, Error)]
pub enum Error {
    /// The command asks for what no sandbox gives.
    #[error("the command was not run: {why}")]
    Refused {
        /// What is wrong with it.
        why: String,
    },
    /// The sandbox could not be set up, though it could at start.
    #[error("the sandbox could not be set up: {said}")]
    Setup {
        /// What bubblewrap said.
        said: String,
    },
    /// A folder could not be used.
    #[error("cannot {what} {}", path.display())]
    Folder {
        /// What was tried.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The operating system refused something.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
