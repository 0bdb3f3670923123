//! Publishing, and what the broker's answers mean.

use async_nats::{
    Request,
    client::RequestErrorKind,
    jetstream::{self, publish::PublishAck, response::Response},
};
use bytes::Bytes;
use thiserror::Error;

use crate::{
    connect::{Bus, RequestFailed},
    error::BoxError,
    headers::Headers,
    trace,
};

const MSG_ID: &str = "Nats-Msg-Id";
const EXPECTED_LAST_SUBJECT_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
const EXPECTED_LAST_SEQUENCE: &str = "Nats-Expected-Last-Sequence";

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its subject, which is also its identity: a second message on it is a duplicate.
    pub subject: String,
    /// Its headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
}

/// The message is in the stream, on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// By this call.
    New {
        /// Its sequence in the stream.
        sequence: u64,
    },
    /// It was there already.
    Duplicate,
}

/// The message is not known to be durable. Publishing it again on the same subject is always safe.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The stream, the account or the disk has no room.
    #[error("the stream is full")]
    Full,
    /// Larger than the broker takes.
    #[error("the message has {bytes} bytes, the broker takes {limit}")]
    TooLarge {
        /// Payload, headers not counted.
        bytes: usize,
        /// The limit that was hit.
        limit: usize,
    },
    /// No connection, no answer in time, or no stream yet. It may even have been stored.
    #[error("the broker did not confirm the message")]
    Unavailable(#[source] BoxError),
    /// The broker, or the client before it, says no to this message.
    #[error("the broker refused the message")]
    Refused(#[source] BoxError),
}

impl PublishError {
    /// Whether the same publish may succeed later without anybody changing the message.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full | Self::Unavailable(_) => true,
            Self::TooLarge { .. } | Self::Refused(_) => false,
        }
    }
}

impl Bus {
    /// Publishes once for good: with the expectation that its subject is empty, and with the subject
    /// as message id. The current span's trace context goes along, unless one is there already.
    ///
    /// # Errors
    /// Each of them means: not known to be durable.
    pub async fn publish(&self, message: Outgoing) -> Result<Published, PublishError> {
        let Outgoing { subject, mut headers, payload } = message;
        trace::inject(&mut headers);
        let expected = Expected {
            message_id: subject.clone(),
            last_subject_sequence: Some(0),
            last_sequence: None,
        };
        Ok(match self.store(&subject, &headers, payload, expected).await? {
            Receipt::New { sequence } => Published::New { sequence },
            Receipt::Duplicate { .. } | Receipt::Unexpected => Published::Duplicate,
        })
    }

    /// One publish under conditions. What each answer means is decided here and nowhere else.
    pub(crate) async fn store(
        &self,
        subject: &str,
        headers: &Headers,
        payload: Bytes,
        expected: Expected,
    ) -> Result<Receipt, PublishError> {
        if subject.contains(['*', '>']) {
            // nats-server would take it, and no filter would ever find it again.
            let why = format!("subject {subject:?} has a wildcard");
            return Err(PublishError::Refused(why.into()));
        }
        self.connected().await.map_err(|e| PublishError::Unavailable(e.into()))?;
        let bytes = payload.len();
        let mut map = headers.to_nats();
        map.insert(MSG_ID, expected.message_id.as_str());
        if let Some(sequence) = expected.last_subject_sequence {
            map.insert(EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string());
        }
        if let Some(sequence) = expected.last_sequence {
            map.insert(EXPECTED_LAST_SEQUENCE, sequence.to_string());
        }
        let request = Request::new().payload(payload).headers(map);
        let asked = self.request(subject.to_owned(), request, self.request_timeout());
        let answer = match asked.await {
            Ok(answer) => answer,
            Err(error @ (RequestFailed::Elapsed(_) | RequestFailed::Lost)) => {
                return Err(PublishError::Unavailable(error.into()));
            }
            Err(RequestFailed::Client(error)) => {
                return Err(match error.kind() {
                    RequestErrorKind::MaxPayloadExceeded => {
                        PublishError::TooLarge { bytes, limit: self.client().max_payload() }
                    }
                    RequestErrorKind::InvalidSubject => PublishError::Refused(error.into()),
                    // No responders: the stream is not there, or JetStream is still starting.
                    RequestErrorKind::TimedOut
                    | RequestErrorKind::NoResponders
                    | RequestErrorKind::Other => PublishError::Unavailable(error.into()),
                });
            }
        };
        match serde_json::from_slice::<Response<PublishAck>>(&answer.payload) {
            Ok(Response::Ok(ack)) if ack.duplicate => {
                Ok(Receipt::Duplicate { sequence: ack.sequence })
            }
            Ok(Response::Ok(ack)) => Ok(Receipt::New { sequence: ack.sequence }),
            Ok(Response::Err { error }) => classify(error, bytes),
            Err(error) => Err(PublishError::Unavailable(error.into())),
        }
    }
}

/// What must hold for a message to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) message_id: String,
    /// The sequence of the newest message on its subject; 0: there is none.
    pub(crate) last_subject_sequence: Option<u64>,
    /// The sequence of the newest message in the stream.
    pub(crate) last_sequence: Option<u64>,
}

/// What the server did with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipt {
    New {
        sequence: u64,
    },
    /// The same message id is known.
    Duplicate {
        sequence: u64,
    },
    /// An expected sequence was another.
    Unexpected,
}

/// The server's error codes, from nats-server's `errors.json`.
mod code {
    pub(super) const WRONG_LAST_SEQUENCE: u64 = 10071;
    pub(super) const WRONG_LAST_SEQUENCE_CONSTANT: u64 = 10164;
    pub(super) const STORE_FAILED: u64 = 10077;
    pub(super) const ACCOUNT_RESOURCES_EXCEEDED: u64 = 10002;
    pub(super) const INSUFFICIENT_RESOURCES: u64 = 10023;
    pub(super) const MEMORY_RESOURCES_EXCEEDED: u64 = 10028;
    pub(super) const STORAGE_RESOURCES_EXCEEDED: u64 = 10047;
    pub(super) const MESSAGE_EXCEEDS_MAXIMUM: u64 = 10054;
}

/// 10071 means that it is there already. 10077 never does: it is the code of a full stream, and
/// only without an expected sequence also that of a duplicate.
fn classify(error: jetstream::Error, bytes: usize) -> Result<Receipt, PublishError> {
    match error.error_code().0 {
        code::WRONG_LAST_SEQUENCE | code::WRONG_LAST_SEQUENCE_CONSTANT => Ok(Receipt::Unexpected),
        code::STORE_FAILED
        | code::ACCOUNT_RESOURCES_EXCEEDED
        | code::INSUFFICIENT_RESOURCES
        | code::MEMORY_RESOURCES_EXCEEDED
        | code::STORAGE_RESOURCES_EXCEEDED => {
            tracing::warn!(%error, "the broker has no room for a message");
            Err(PublishError::Full)
        }
        code::MESSAGE_EXCEEDS_MAXIMUM => Err(PublishError::TooLarge { bytes, limit: bytes - 1 }),
        _ if error.code() == 503 => Err(PublishError::Unavailable(error.into())),
        _ => Err(PublishError::Refused(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, err_code: u64) -> Result<Receipt, PublishError> {
        let json = format!(r#"{{"code":{status},"err_code":{err_code},"description":"x"}}"#);
        classify(serde_json::from_str(&json).unwrap(), 10)
    }

    #[test]
    fn each_answer_has_one_meaning() {
        assert!(matches!(answer(400, 10071), Ok(Receipt::Unexpected)));
        assert!(matches!(answer(400, 10164), Ok(Receipt::Unexpected)));
        for full in [10077, 10002, 10023, 10028, 10047] {
            assert!(matches!(answer(503, full), Err(PublishError::Full)), "{full}");
        }
        assert!(matches!(answer(400, 10054), Err(PublishError::TooLarge { .. })));
        assert!(matches!(answer(503, 10008), Err(PublishError::Unavailable(_))));
        assert!(matches!(answer(400, 10060), Err(PublishError::Refused(_))));
        assert!(matches!(answer(403, 99999), Err(PublishError::Refused(_))), "unknown codes");
    }
}
