//! What can go wrong between us and a model.

use std::{path::PathBuf, time::Duration};

use thiserror::Error;

/// Why there is no model, or no answer.
#[derive(Debug, Error)]
pub enum Error {
    /// `MODEL` names nobody we know.
    #[error(
        "MODEL {spec:?} names no provider that is known; write `provider:name` with one of: {known}"
    )]
    UnknownProvider {
        /// What was asked for.
        spec: String,
        /// The providers there are.
        known: String,
    },
    /// A script can't be read.
    #[error("the model script {} can't be read", path.display())]
    ScriptUnreadable {
        /// The script.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A script can be read, but not understood.
    #[error("the model script {} is not valid: {why}", path.display())]
    ScriptInvalid {
        /// The script.
        path: PathBuf,
        /// What is wrong with it, with line and column where they are known.
        why: String,
    },
    /// Asking again may help: overload, rate limit, network.
    #[error("the model did not answer: {why}")]
    Retryable {
        /// How long the provider wants to be left alone.
        after: Option<Duration>,
        /// What happened.
        why: String,
    },
    /// Asking the same again is useless: a wrong key, a request that is refused.
    #[error("the model can't answer: {why}")]
    FailFast {
        /// What happened.
        why: String,
    },
    /// Nobody knows whether the answer was made (and paid for).
    #[error("it is unknown whether the model answered: {why}")]
    Unknown {
        /// What happened.
        why: String,
    },
}

/// The three ways to go on after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Ask again, no sooner than `after`.
    Retryable {
        /// How long the provider wants to be left alone.
        after: Option<Duration>,
    },
    /// Give up.
    FailFast,
    /// Asking again may cost a second time; it changes nothing else.
    Unknown,
}

impl Error {
    /// How to go on.
    pub fn class(&self) -> Class {
        match self {
            Self::Retryable { after, .. } => Class::Retryable { after: *after },
            Self::Unknown { .. } => Class::Unknown,
            Self::UnknownProvider { .. }
            | Self::ScriptUnreadable { .. }
            | Self::ScriptInvalid { .. }
            | Self::FailFast { .. } => Class::FailFast,
        }
    }
}
