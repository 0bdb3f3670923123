//! What can go wrong at the edge to the broker.

use std::{fmt, path::PathBuf};

use async_nats::client::RequestErrorKind;
use thiserror::Error;

use crate::{connect::RequestFailed, publish::PublishError};

/// An error of a library below, kept as the source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong, publishing aside ([`PublishError`]).
#[derive(Debug, Error)]
pub enum Error {
    /// The URL is not one. It isn't repeated here: it may hold a password.
    #[error("the broker's URL is not one; expected nats://host:port, several separated by commas")]
    Url(#[source] BoxError),
    /// The credentials can't be read.
    #[error("cannot read the broker's credentials in {path}")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The client could not be set up at all; a server that is merely down is no error.
    #[error("cannot set up the connection to the broker")]
    Connect(#[source] BoxError),
    /// An older server drops filters, metadata and `sync_interval` without a word.
    #[error("nats-server {found} is too old: install 2.12 or newer")]
    ServerTooOld {
        /// Its version.
        found: String,
    },
    /// The broker takes less than the largest delivery.
    #[error(
        "the broker takes messages of at most {found} bytes, {wanted} are needed: \
         set max_payload: 32MB in its configuration"
    )]
    MaxPayload {
        /// What the server allows.
        found: usize,
        /// What is needed.
        wanted: usize,
    },
    /// Something on the server was made or changed by another hand.
    #[error(
        "{what} {name} on the server differs from what Booty needs ({}): \
         change it back, or move its messages away and delete it",
        list(differences)
    )]
    Differs {
        /// `stream` or `consumer`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Every field that differs.
        differences: Vec<Difference>,
    },
    /// No answer, or a passing trouble of the server's: try again.
    #[error("cannot {doing}: the broker did not answer or is not ready")]
    Unavailable {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: BoxError,
    },
    /// The server answered no.
    #[error("cannot {doing}: the broker refused")]
    Refused {
        /// What was tried.
        doing: String,
        /// Its reason.
        source: BoxError,
    },
    /// Something stored is not what this program writes.
    #[error("cannot read {what}: it was not written by Booty, or by a newer one")]
    Unreadable {
        /// Bucket and key.
        what: String,
        /// Why.
        source: BoxError,
    },
    /// A write did not happen.
    #[error("cannot {doing}")]
    Write {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: PublishError,
    },
    /// No nats-server that will do.
    #[error(
        "no nats-server 2.12 or newer found; looked at: {looked_at}. \
             Put one into PATH, or name it in BOOTY_NATS_SERVER"
    )]
    ServerNotFound {
        /// Each place, and what was wrong there.
        looked_at: String,
    },
    /// The local nats-server did not come up.
    #[error("nats-server in {data_dir} did not start: {reason}")]
    ServerStart {
        /// Its data directory, which also holds its log.
        data_dir: PathBuf,
        /// What it said last.
        reason: String,
    },
    /// The local nats-server's files or process.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Write { source, .. } => source.is_retryable(),
            Self::Url(_)
            | Self::Credentials { .. }
            | Self::Connect(_)
            | Self::ServerTooOld { .. }
            | Self::MaxPayload { .. }
            | Self::Differs { .. }
            | Self::Refused { .. }
            | Self::Unreadable { .. }
            | Self::ServerNotFound { .. }
            | Self::ServerStart { .. }
            | Self::Io { .. } => false,
        }
    }

    /// Sorts a failed request to the JetStream API.
    pub(crate) fn from_request(doing: impl Into<String>, error: RequestFailed) -> Self {
        let doing = doing.into();
        let error = match error {
            RequestFailed::Client(error) => error,
            RequestFailed::Elapsed(_) | RequestFailed::Lost => {
                return Self::Unavailable { doing, source: error.into() };
            }
        };
        match error.kind() {
            RequestErrorKind::NoResponders
            | RequestErrorKind::TimedOut
            | RequestErrorKind::Other => Self::Unavailable { doing, source: error.into() },
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
                Self::Refused { doing, source: error.into() }
            }
        }
    }

    /// Sorts a refusal of the JetStream API: 503 is "not now", everything else is "no".
    pub(crate) fn from_api(doing: impl Into<String>, error: async_nats::jetstream::Error) -> Self {
        let doing = doing.into();
        if error.code() == 503 {
            Self::Unavailable { doing, source: error.into() }
        } else {
            Self::Refused { doing, source: error.into() }
        }
    }
}

/// One field that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field's name in the server's JSON, as `nats stream info --json` shows it.
    pub field: String,
    /// What it must be.
    pub wanted: String,
    /// What it is.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, must be {}", self.field, self.found, self.wanted)
    }
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(Difference::to_string).collect::<Vec<_>>().join("; ")
}
