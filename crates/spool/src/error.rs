//! Why a spool can't be opened, or does not keep a message.

use std::{io, path::PathBuf, sync::Arc};

use thiserror::Error;

/// Why a spool can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the disk spool {} belongs to another running process", path.display())]
    Taken {
        /// Its folder or file.
        path: PathBuf,
    },
    /// Its folder or file can't be used.
    #[error("the disk spool {} can't be used; it must be in a writable folder", path.display())]
    Unusable {
        /// Its folder or file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Why a message is not kept.
#[derive(Debug, Clone, Error)]
pub enum SpoolError {
    /// It holds as much as it may.
    #[error("the disk spool holds its {max_bytes} bytes")]
    Full {
        /// The most that it may hold.
        max_bytes: u64,
    },
    /// The disk does not take it.
    #[error("the disk does not take it: {0}")]
    Disk(Arc<io::Error>),
    /// It was closed.
    #[error("the disk spool is closed")]
    Closed,
}
