//! Why ingress can't start or go on.

use std::{io, net::SocketAddr, path::PathBuf};

use booty_spool::OpenError;
use thiserror::Error;

/// Why ingress can't start or go on. What a sender is told is [`crate::answer::Refusal`].
#[derive(Debug, Error)]
pub enum Error {
    /// The public port.
    #[error("can't listen on {address}; choose another LISTEN_ADDR or stop what uses it")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process has the spool.
    #[error(
        "the disk spool {} belongs to another running process; give each ingress an \
         INGRESS_SPOOL_DIR of its own",
        dir.display()
    )]
    SpoolTaken {
        /// The spool's folder.
        dir: PathBuf,
    },
    /// The spool can't be opened.
    #[error("the disk spool {} can't be used; INGRESS_SPOOL_DIR must be a writable folder", dir.display())]
    Spool {
        /// The spool's folder.
        dir: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The metrics clash; a mistake in the code.
    #[error("the metrics can't be registered")]
    Metrics(#[from] prometheus::Error),
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Taken { path } => Self::SpoolTaken { dir: path },
            OpenError::Unusable { path, source } => Self::Spool { dir: path, source },
        }
    }
}
