//! Why a handler can't go on, and what the consumer loop is told then: the one place where errors of the
//! bus and of GitHub are sorted for a service's messages.

use std::time::Duration;

use booty_bus::{Delivery, PublishError, Verdict};
use booty_github::{Kind, TokenError};

use crate::jobs::JobStoreError;

/// How long to wait when the broker or GitHub is away.
const AWAY: Duration = Duration::from_secs(5);

/// Why a handler can't go on now.
#[derive(Debug)]
pub enum Pause {
    /// Not its own fault: broker or GitHub are away, another worker has it, a shutdown.
    Away {
        /// When to ask again.
        after: Duration,
        /// What is away.
        why: String,
    },
    /// It failed, and may succeed later.
    Failed {
        /// The error.
        why: String,
    },
}

impl Pause {
    /// The bus, GitHub or another worker is away; asked again after the usual pause.
    pub fn away(why: impl Into<String>) -> Self {
        Self::Away { after: AWAY, why: why.into() }
    }

    /// What to say of it.
    pub fn why(self) -> String {
        match self {
            Self::Away { why, .. } | Self::Failed { why } => why,
        }
    }

    /// What the consumer loop is told. `retry_delays` are the waits before work that failed is tried
    /// again; the last one repeats.
    pub fn verdict(self, retry_delays: &[Duration], delivery: &Delivery) -> Verdict {
        match self {
            Self::Away { after, why } => Verdict::HandBack { after, why },
            Self::Failed { why } => {
                let nth = usize::try_from(delivery.failures).unwrap_or(usize::MAX);
                let after = retry_delays.get(nth).or(retry_delays.last()).copied().unwrap_or(AWAY);
                Verdict::Retry { after, why }
            }
        }
    }
}

/// The whole chain of an error in one line: a verdict holds text.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl From<PublishError> for Pause {
    fn from(error: PublishError) -> Self {
        if error.is_retryable() {
            Self::away(chain(&error))
        } else {
            Self::Failed { why: chain(&error) }
        }
    }
}

impl From<booty_bus::Error> for Pause {
    fn from(error: booty_bus::Error) -> Self {
        if error.is_retryable() {
            Self::away(chain(&error))
        } else {
            Self::Failed { why: chain(&error) }
        }
    }
}

impl From<booty_bus::BucketError> for Pause {
    fn from(error: booty_bus::BucketError) -> Self {
        match error {
            booty_bus::BucketError::Conflict => Self::away("a key was changed by others"),
            booty_bus::BucketError::Other(error) => error.into(),
        }
    }
}

impl From<JobStoreError> for Pause {
    fn from(error: JobStoreError) -> Self {
        match error {
            JobStoreError::Bucket(error) => error.into(),
            JobStoreError::Inbox(error) => error.into(),
            JobStoreError::Contended { .. } => Self::away(error.to_string()),
            JobStoreError::Decode { .. } => Self::Failed { why: chain(&error) },
        }
    }
}

impl From<TokenError> for Pause {
    fn from(error: TokenError) -> Self {
        if error.retryable {
            Self::away(chain(&error))
        } else {
            Self::Failed { why: chain(&error) }
        }
    }
}

impl From<booty_github::Error> for Pause {
    fn from(error: booty_github::Error) -> Self {
        match error.kind() {
            Kind::Wait(after) => Self::Away { after, why: chain(&error) },
            Kind::Retryable | Kind::Unknown => Self::away(chain(&error)),
            Kind::FailFast => Self::Failed { why: chain(&error) },
        }
    }
}
