//! What can go wrong, and whose fault it is.

use thiserror::Error;

/// Why something was not done.
#[derive(Debug, Error)]
pub enum Error {
    /// The broker.
    #[error(transparent)]
    Bus(#[from] booty_bus::Error),
    /// A fact could not be said, so what it is about was not done.
    #[error("the broker did not take the fact that {about}; nothing was changed")]
    Fact {
        /// What it is about.
        about: String,
        /// Why not.
        source: booty_bus::PublishError,
    },
    /// The question makes no sense.
    #[error("{0}")]
    Question(String),
    /// Nothing is known by this id.
    #[error("{0}")]
    NotFound(String),
    /// The micro service.
    #[error("the micro service can't be set up")]
    Service(#[source] booty_bus::BoxError),
    /// Reading or writing lines.
    #[error("{doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Error {
    /// As HTTP would number it: 400 the question, 404 no such thing, 503 try again, 500 else.
    pub fn code(&self) -> u16 {
        match self {
            Self::Question(_) => 400,
            Self::NotFound(_) => 404,
            Self::Bus(error) if error.is_retryable() => 503,
            Self::Fact { source, .. } if source.is_retryable() => 503,
            Self::Bus(_) | Self::Fact { .. } | Self::Service(_) | Self::Io { .. } => 500,
        }
    }
}
