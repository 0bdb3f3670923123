//! Reading messages out of a stream by subject.

use async_nats::jetstream::{message::StreamMessage, stream::DirectGetErrorKind};
use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::{connect::Bus, error::Error, headers::Headers};

/// A message as a stream holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its subject.
    pub subject: String,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its headers, the publisher's `Nats-*` ones included.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
    /// When the server stored it.
    pub time: DateTime<Utc>,
}

/// The newest message on a subject or filter.
pub(crate) async fn last(bus: &Bus, stream: &str, filter: &str) -> Result<Option<Stored>, Error> {
    get(bus, stream, filter, None).await
}

/// The first message on a subject or filter whose sequence is at least `from`.
pub(crate) async fn next(
    bus: &Bus,
    stream: &str,
    filter: &str,
    from: u64,
) -> Result<Option<Stored>, Error> {
    get(bus, stream, filter, Some(from)).await
}

async fn get(
    bus: &Bus,
    stream: &str,
    filter: &str,
    from: Option<u64>,
) -> Result<Option<Stored>, Error> {
    let doing = || format!("read {filter} from stream {stream}");
    bus.connected().await.map_err(|e| Error::Unavailable { doing: doing(), source: e.into() })?;
    let handle = bus
        .jetstream()
        .get_stream_no_info(stream)
        .await
        .map_err(|e| Error::Refused { doing: doing(), source: e.into() })?;
    let request = handle.direct_get_builder();
    let request = match from {
        None => request.last_by_subject(filter),
        Some(sequence) => request.sequence(sequence).next_by_subject(filter),
    };
    match request.send().await {
        Ok(message) => Ok(Some(message.into())),
        Err(error) => match error.kind() {
            DirectGetErrorKind::NotFound => Ok(None),
            DirectGetErrorKind::InvalidSubject => {
                Err(Error::Refused { doing: doing(), source: error.into() })
            }
            DirectGetErrorKind::TimedOut
            | DirectGetErrorKind::Request
            | DirectGetErrorKind::ErrorResponse(..)
            | DirectGetErrorKind::Other => {
                Err(Error::Unavailable { doing: doing(), source: error.into() })
            }
        },
    }
}

impl From<StreamMessage> for Stored {
    fn from(message: StreamMessage) -> Self {
        let mut headers = Headers::from_nats(Some(&message.headers));
        // A direct get adds these; they are fields here.
        for added in
            ["Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Num-Pending"]
        {
            headers.remove(added);
        }
        Self {
            subject: message.subject.to_string(),
            sequence: message.sequence,
            headers,
            payload: message.payload,
            time: from_unix_nanos(message.time.unix_timestamp_nanos()),
        }
    }
}

/// Nanoseconds since 1970 fit an `i64` until the year 2262.
pub(crate) fn from_unix_nanos(nanos: i128) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}
