//! What can go wrong between us and a model.

use std::{fmt, path::PathBuf, time::Duration};

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
    /// A setting of the model's can't be used.
    #[error("the model's {what} {why}")]
    BadSetting {
        /// Which one.
        what: Setting,
        /// What is wrong with it and what to do; never a secret.
        why: String,
    },
    /// A table of prices can't be used.
    #[error("the price table {} can't be used: {why}", path.display())]
    BadPrices {
        /// The table.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Asking again may help: overload, rate limit, no connection.
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
    /// This model can't be had: a key that is refused, a quota that is used up, a name that nobody has.
    /// Another model may answer.
    #[error("the model can't be used: {why}")]
    Unusable {
        /// What happened, and what to do.
        why: String,
    },
    /// The conversation is longer than this model reads. Another model may read more.
    #[error("the conversation is too long for the model: {why}")]
    TooLong {
        /// What happened, and what to do.
        why: String,
    },
    /// Nobody knows whether the answer was made (and paid for).
    #[error("it is unknown whether the model answered: {why}")]
    Unknown {
        /// What happened.
        why: String,
    },
}

/// The settings that [`Error::BadSetting`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// [`crate::Options::api_key`]
    ApiKey,
    /// [`crate::Options::base_url`]
    BaseUrl,
    /// [`crate::Options::socket`]
    Socket,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey => "key",
            Self::BaseUrl => "base URL",
            Self::Socket => "socket",
        })
    }
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
            | Self::BadSetting { .. }
            | Self::BadPrices { .. }
            | Self::Unusable { .. }
            | Self::TooLong { .. }
            | Self::FailFast { .. } => Class::FailFast,
        }
    }

    /// Whether the reason lies with this model, so that another one may answer the same question.
    pub fn another_may_answer(&self) -> bool {
        matches!(self, Self::Unusable { .. } | Self::TooLong { .. })
    }
}
