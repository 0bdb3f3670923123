//! What a handler is given, and what it may answer.

use std::time::Duration;

use async_trait::async_trait;
use booty_events::{header, subject};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::headers::Headers;

/// What handles the messages of one durable.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles one delivery: publishes its outputs, writes its state, and answers. The loop does the
    /// rest. A panic counts as a failure.
    async fn handle(&self, delivery: &Delivery) -> Verdict;

    /// A message has been pulled and is on its way to [`Handler::handle`]; its lease comes first, and that
    /// takes a while. `delivered` counts the durable's deliveries, as [`crate::Delivered::delivered`] does.
    /// What is returned is dropped once the message has been handled, or is not to be.
    fn arriving(&self, delivered: u64) -> Option<Box<dyn Send>> {
        let _ = delivered;
        None
    }

    /// The loop gives up after too many failures, and the message is in the spool: say the outcome
    /// outside. Called until it succeeds (over more than an hour, at growing intervals, and a few times
    /// only when the worker dies of it); not after [`Verdict::Reject`], where the handler itself knew
    /// best what to say. It must end in two thirds of the lease, and bears being dropped.
    ///
    /// # Errors
    /// It could not be said, and why. An error, a panic and too long a time are the same.
    async fn given_up(&self, delivery: &Delivery, why: &str) -> Result<(), String> {
        let _ = (delivery, why);
        Ok(())
    }
}

/// What came of a delivery. Whoever returns it has published its outputs before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is handled.
    Done,
    /// It is none of this service's business.
    Ignore {
        /// Why.
        reason: String,
    },
    /// It failed and may succeed later. Counts; too many end in the spool.
    Retry {
        /// How long to wait, ±20 %.
        after: Duration,
        /// The error.
        why: String,
    },
    /// It could not be begun or ended for a reason that is not its own (shutdown, a rate limit, the
    /// other side is down). Does not count.
    HandBack {
        /// How long to wait, ±20 %.
        after: Duration,
        /// Why.
        why: String,
    },
    /// It can't ever succeed: to the spool.
    Reject {
        /// One token, which becomes part of the spool's subject.
        reason: String,
        /// The error.
        why: String,
    },
}

/// One message in hand.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its subject; of a replay, the subject that the message had before it was spooled.
    pub subject: String,
    /// The stream that holds it.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// Its headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
    /// When it was stored.
    pub published: DateTime<Utc>,
    /// How often the server has delivered it, this time included.
    pub delivered: u64,
    /// How often its handling failed before.
    pub failures: u32,
    /// The lease under which it is handled, …
    pub lease_key: String,
    /// … and its fencing token: send both with whatever a stale worker must not do.
    pub lease_token: u64,
    /// The spool entry that an operator replays with it.
    pub replay_of: Option<u64>,
    /// Cancelled when the handler must end within two seconds: the lease is lost, or a shutdown's
    /// grace is over.
    pub stop: CancellationToken,
}

impl Delivery {
    /// The subject that a message had at first, and the spool entry that it replays.
    pub(crate) fn origin(subject: &str, headers: &Headers) -> (String, Option<u64>) {
        let named = subject::replayed_spool_sequence(subject);
        let marked = headers.get(header::REPLAY_OF).and_then(|text| text.parse().ok());
        // A header alone must not rename a message from outside.
        let first = named.and_then(|_| headers.get(header::SPOOL_SUBJECT)).unwrap_or(subject);
        (first.to_owned(), marked.or(named))
    }
}
