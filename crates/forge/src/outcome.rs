//! How the handling of an effect ends before its write is done: the one place that decides about
//! retries.

use std::time::Duration;

use booty_bus::Verdict;
use booty_github::{Error as GithubError, Kind};

use crate::{
    record::{Record, RecordError},
    writer::NotSent,
};

/// The pause after trouble with the bus, which is nobody's failure here.
const BUS_PAUSE: Duration = Duration::from_secs(1);

/// Why an effect is not applied yet, or never will be.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Later; nothing counts.
    Later { after: Duration, why: String },
    /// Never, as it is. `reason` is one token for the spool's subject.
    Failed { reason: &'static str, why: String },
}

impl Stop {
    pub(crate) fn failed(reason: &'static str, why: impl Into<String>) -> Self {
        Self::Failed { reason, why: why.into() }
    }

    pub(crate) fn later(after: Duration, why: impl Into<String>) -> Self {
        Self::Later { after, why: why.into() }
    }

    /// The writer's role or the delivery's lease is over: another one goes on at once.
    pub(crate) fn stopped() -> Self {
        Self::later(Duration::ZERO, "the writer stops")
    }

    pub(crate) fn bus(error: impl std::error::Error) -> Self {
        Self::later(BUS_PAUSE, with_sources(&error))
    }

    pub(crate) fn into_verdict(self) -> Verdict {
        match self {
            Self::Later { after, why } => Verdict::HandBack { after, why },
            Self::Failed { reason, why } => Verdict::Reject { reason: reason.to_owned(), why },
        }
    }
}

impl From<RecordError> for Stop {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Taken { .. } => Self::stopped(),
            RecordError::Decode { .. } => Self::failed("record", with_sources(&error)),
            RecordError::Bus { .. } => Self::bus(error),
        }
    }
}

/// What a failed request means for its effect. Counts the failure in the record, which the caller
/// saves. For requests that may be sent again without harm: reads, and writes of a whole.
pub(crate) fn after(error: NotSent, record: &mut Record, retry_delays: &[Duration]) -> Stop {
    let error = match error {
        NotSent::Pace(wait) => return Stop::later(wait, "the pace has no place for it yet"),
        NotSent::Stopped => return Stop::stopped(),
        NotSent::Github(error) => error,
    };
    match error.kind() {
        Kind::Wait(wait) => Stop::later(wait, with_sources(&error)),
        Kind::FailFast => Stop::failed(error.word(), with_sources(&error)),
        Kind::Retryable | Kind::Unknown => retry(&error, record, retry_delays),
    }
}

/// The next of the retries, or the end of them.
pub(crate) fn retry(error: &GithubError, record: &mut Record, delays: &[Duration]) -> Stop {
    let delay = usize::try_from(record.state.attempts).ok().and_then(|n| delays.get(n));
    record.state.attempts += 1;
    record.state.error = with_sources(error);
    match delay {
        Some(delay) => Stop::later(*delay, with_sources(error)),
        None => Stop::failed(
            error.word(),
            format!("{}; tried {} times", with_sources(error), record.state.attempts),
        ),
    }
}

/// An error with its causes, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
