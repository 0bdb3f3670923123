//! What can go wrong with a request, and what to do about each of it: the one place that says so.

use std::{fmt, time::Duration};

use http::Method;
use serde::Deserialize;
use thiserror::Error as ThisError;

use crate::token::TokenError;

/// Which request it was: method and path, never a query or a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Its path below the base URL.
    pub path: String,
}

impl Call {
    /// Names a request.
    pub fn new(method: Method, path: String) -> Self {
        Self { method, path }
    }

    /// Whether sending it twice may make two things.
    fn creates(&self) -> bool {
        self.method == Method::POST
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing came of it that sending it again would double; it may pass later.
    Retryable,
    /// The same request will fail again.
    FailFast,
    /// It may have been done. Look before sending it again.
    Unknown,
    /// Nothing was done; GitHub takes no request before this time has passed.
    Wait(Duration),
}

/// One complaint of a 422 answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct ValidationError {
    #[serde(default)]
    pub resource: Option<String>,
    #[serde(default)]
    pub field: Option<String>,
    /// `already_exists`, `missing`, `invalid`, `custom`, …
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub message: Option<String>,
}

/// Why a request brought no usable answer.
#[derive(Debug, ThisError)]
#[allow(missing_docs)]
pub enum Error {
    #[error("{call}: {}", if *.gone { "gone: it was deleted, or the repository has no issues" } else { "not found, or not for this token" })]
    NotFound { call: Call, gone: bool },
    #[error("{call}: GitHub does not know the token ({message}); set a valid one")]
    Unauthorized { call: Call, message: String },
    #[error("{call}: {}", Forbidden(.message))]
    Forbidden { call: Call, message: String },
    /// 400, 409, 413 or 422.
    #[error("{call}: refused with {status}: {message}{}", Complaints(.errors))]
    Validation { call: Call, status: u16, message: String, errors: Vec<ValidationError> },
    #[error("{call}: {} limit reached, free again in {} s", if *.secondary { "secondary" } else { "request" }, .wait.as_secs())]
    RateLimited { call: Call, wait: Duration, secondary: bool },
    #[error("{call}: GitHub failed with {status}")]
    Server { call: Call, status: u16 },
    /// `sent`: the request had left when the connection broke.
    #[error("{call}: {}", if *.sent { "the connection broke before the answer" } else { "no connection" })]
    Network { call: Call, sent: bool, source: reqwest::Error },
    /// `sent`: the request had left when the time was up.
    #[error("{call}: no answer in time")]
    Timeout { call: Call, sent: bool },
    #[error("{call}: the answer is not what the API describes")]
    Decode { call: Call, source: serde_json::Error },
    #[error("{call}: the answer is larger than {limit} bytes")]
    TooLarge { call: Call, limit: usize },
    /// A status that this request should never get, such as a redirect to another host.
    #[error("{call}: unexpected status {status}")]
    Unexpected { call: Call, status: u16 },
    #[error("{call}: not an address of the API")]
    Address { call: Call },
    #[error("{call}: no token to send it with")]
    Token { call: Call, source: TokenError },
    #[error("the HTTP client could not be set up")]
    SetUp { source: reqwest::Error },
}

impl Error {
    /// What to do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::RateLimited { wait, .. } => Kind::Wait(*wait),
            Self::Network { sent: false, .. } | Self::Timeout { sent: false, .. } => {
                Kind::Retryable
            }
            // The last three: the answer came and says "done" in words that can't be read.
            Self::Network { call, .. }
            | Self::Timeout { call, .. }
            | Self::Decode { call, .. }
            | Self::TooLarge { call, .. } => {
                if call.creates() {
                    Kind::Unknown
                } else if matches!(self, Self::Decode { .. } | Self::TooLarge { .. }) {
                    Kind::FailFast
                } else {
                    Kind::Retryable
                }
            }
            // A gateway gave up waiting for what may still be done behind it.
            Self::Server { call, status: 502 | 504 } if call.creates() => Kind::Unknown,
            Self::Server { .. } => Kind::Retryable,
            Self::Token { source, .. } if source.retryable => Kind::Retryable,
            Self::NotFound { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::Validation { .. }
            | Self::Unexpected { .. }
            | Self::Address { .. }
            | Self::Token { .. }
            | Self::SetUp { .. } => Kind::FailFast,
        }
    }

    /// A word for metrics, subjects and attributes.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotFound { gone: true, .. } => "gone",
            Self::NotFound { .. } => "not_found",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { message, .. } if is_archived(message) => "archived",
            Self::Forbidden { message, .. } if is_locked(message) => "locked",
            Self::Forbidden { .. } => "forbidden",
            Self::Validation { .. } => "refused",
            Self::RateLimited { .. } => "rate_limited",
            Self::Server { .. } => "server_error",
            Self::Network { .. } => "network",
            Self::Timeout { .. } => "timeout",
            Self::Decode { .. } | Self::TooLarge { .. } | Self::Unexpected { .. } => "odd_answer",
            Self::Address { .. } => "address",
            Self::Token { .. } => "no_token",
            Self::SetUp { .. } => "set_up",
        }
    }

    /// Whether the request had left and nothing came back.
    pub fn is_lost_answer(&self) -> bool {
        matches!(self, Self::Network { sent: true, .. } | Self::Timeout { sent: true, .. })
    }

    /// Whether there is nothing at this address (for this token).
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether GitHub refused because the thing is there already: an `already_exists` complaint, or
    /// the words that refs and pull requests get instead.
    pub fn is_already_exists(&self) -> bool {
        let Self::Validation { message, errors, .. } = self else { return false };
        let says = |text: &str| text.to_ascii_lowercase().contains("already exists");
        says(message)
            || errors.iter().any(|error| {
                error.code.as_deref() == Some("already_exists")
                    || error.message.as_deref().is_some_and(says)
            })
    }

    /// Whether a refusal (422) mentions `words` anywhere, whatever the case.
    pub fn refusal_mentions(&self, words: &str) -> bool {
        let Self::Validation { message, errors, .. } = self else { return false };
        let says = |text: &str| text.to_ascii_lowercase().contains(&words.to_ascii_lowercase());
        says(message) || errors.iter().any(|e| e.message.as_deref().is_some_and(says))
    }
}

/// GitHub's words: "Repository was archived so is read-only."
fn is_archived(message: &str) -> bool {
    message.to_ascii_lowercase().contains("archived")
}

/// GitHub's words: "Unable to create comment because issue is locked."
fn is_locked(message: &str) -> bool {
    message.to_ascii_lowercase().contains("is locked")
}

/// Why the token may not do it, and what would help.
struct Forbidden<'a>(&'a str);

impl fmt::Display for Forbidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(message) = self;
        if is_archived(message) {
            write!(f, "the repository takes no writes ({message}); unarchive it")
        } else if is_locked(message) {
            write!(
                f,
                "the conversation is locked, and an App may not join it ({message}); unlock it"
            )
        } else {
            write!(f, "the token may not do this ({message}); give it the permission")
        }
    }
}

/// The complaints of a 422, appended to its message.
struct Complaints<'a>(&'a [ValidationError]);

impl fmt::Display for Complaints<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in self.0 {
            let what = error.message.as_deref().or(error.code.as_deref()).unwrap_or("?");
            match (&error.resource, &error.field) {
                (Some(resource), Some(field)) => write!(f, "; {resource}.{field}: {what}")?,
                _ => write!(f, "; {what}")?,
            }
        }
        Ok(())
    }
}
