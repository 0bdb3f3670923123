//! Why the simulator could not do what it was asked to do from outside HTTP.

use std::path::PathBuf;

/// Any failure of the handle or of the control client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, or not ours.
    #[error("the simulator can't listen on {addr}")]
    Listen {
        /// The address asked for.
        addr: std::net::SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The data directory or the recording can't be written.
    #[error("the simulator can't write {path}")]
    Write {
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The model endpoint's script can't be played.
    #[error("the model script can't be played: {why}")]
    Script {
        /// What is wrong with it.
        why: String,
    },
    /// The git repository on disk refused.
    #[error("git: {0}")]
    Git(String),
    /// A verb was refused as GitHub would refuse it.
    #[error("refused with {status}: {message}")]
    Refused {
        /// The HTTP status it would have had.
        status: u16,
        /// GitHub's words.
        message: String,
    },
    /// The control client got no usable answer.
    #[error("the simulator's control endpoint gave no usable answer")]
    Control(#[from] reqwest::Error),
}

impl From<crate::answer::Refusal> for Error {
    fn from(refusal: crate::answer::Refusal) -> Self {
        Self::Refused { status: refusal.status.as_u16(), message: refusal.full_message() }
    }
}
