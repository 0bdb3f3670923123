//! How the handling of an effect ends before its write is done: the one place that decides about
//! retries.

use std::time::Duration;

use booty_bus::{BucketError, PublishError, Verdict};
use booty_github::{Error as GithubError, Kind};
use chrono::{DateTime, Utc};

use crate::{
    record::{Record, RecordError},
    writer::NotSent,
};

/// The pause after trouble with the bus.
const BUS_PAUSE: Duration = Duration::from_secs(1);

/// Why an effect is not applied yet, or never will be.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Later; nothing counts.
    Later { after: Duration, why: String },
    /// Later, and it counts: it may not pass on its own, and must not come for ever.
    Broken { why: String },
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

    /// A bus that is away is nobody's failure here; one that says no would say it for ever.
    fn bus(error: &dyn std::error::Error, is_retryable: bool) -> Self {
        let why = with_sources(error);
        if is_retryable { Self::later(BUS_PAUSE, why) } else { Self::Broken { why } }
    }

    pub(crate) fn into_verdict(self) -> Verdict {
        match self {
            Self::Later { after, why } => Verdict::HandBack { after, why },
            Self::Broken { why } => Verdict::Retry { after: BUS_PAUSE, why },
            Self::Failed { reason, why } => Verdict::Reject { reason: reason.to_owned(), why },
        }
    }
}

impl From<PublishError> for Stop {
    fn from(error: PublishError) -> Self {
        Self::bus(&error, error.is_retryable())
    }
}

impl From<booty_bus::Error> for Stop {
    fn from(error: booty_bus::Error) -> Self {
        Self::bus(&error, error.is_retryable())
    }
}

impl From<RecordError> for Stop {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Taken { .. } => Self::stopped(),
            RecordError::Decode { .. } => Self::bus(&error, false),
            RecordError::Bus { source: BucketError::Other(ref bus), .. } => {
                Self::bus(&error, bus.is_retryable())
            }
            RecordError::Bus { source: BucketError::Conflict, .. } => Self::bus(&error, true),
        }
    }
}

/// What a failed request means for its effect. Counts the failure in the record, which the caller
/// saves. For requests that may be sent again without harm: reads, and writes of a whole.
pub(crate) fn after(
    error: NotSent,
    record: &mut Record,
    retry_delays: &[Duration],
    now: DateTime<Utc>,
) -> Stop {
    let error = match error {
        NotSent::Pace(wait) => return Stop::later(wait, "the pace has no place for it yet"),
        NotSent::Stopped => return Stop::stopped(),
        NotSent::Unknown(error) => return error.into(),
        NotSent::Github(error) => error,
    };
    match error.kind() {
        Kind::Wait(wait) => Stop::later(wait, with_sources(&error)),
        Kind::FailFast => Stop::failed(error.word(), with_sources(&error)),
        Kind::Retryable | Kind::Unknown => retry(&error, record, retry_delays, now),
    }
}

/// The next of the retries, or the end of them. The pause is noted in the record too: another
/// message that asks for the same effect must not spend the tries without it.
pub(crate) fn retry(
    error: &GithubError,
    record: &mut Record,
    delays: &[Duration],
    now: DateTime<Utc>,
) -> Stop {
    let delay = usize::try_from(record.state.attempts).ok().and_then(|n| delays.get(n));
    record.state.attempts += 1;
    record.state.error = with_sources(error);
    match delay {
        Some(delay) => {
            record.pause(now, *delay);
            Stop::later(*delay, with_sources(error))
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bus_that_is_away_is_waited_for() {
        let refused = || PublishError::Refused("no".into());
        let verdict = |error: PublishError| Stop::from(error).into_verdict();
        assert!(matches!(verdict(PublishError::Full), Verdict::HandBack { .. }));
        assert!(matches!(verdict(refused()), Verdict::Retry { .. }), "counted");
        let too_large = PublishError::TooLarge { bytes: 2, limit: 1 };
        assert!(matches!(verdict(too_large), Verdict::Retry { .. }), "counted");
        let write = |source| {
            let source = booty_bus::Error::Write { doing: "write".to_owned(), source }.into();
            Stop::from(RecordError::Bus { key: "k".to_owned(), source }).into_verdict()
        };
        assert!(matches!(write(PublishError::Full), Verdict::HandBack { .. }));
        assert!(matches!(write(refused()), Verdict::Retry { .. }), "counted");
    }
}
