//! What a sender is told. Every answer of ours is JSON, refusals included.

use booty_events::JobId;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

/// The body type of every answer.
pub(crate) type AnswerBody = Full<Bytes>;

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Kept, and a service will take it.
    Accepted {
        /// The job that the sender can ask for.
        job_id: JobId,
    },
    /// Kept before, under the same delivery id.
    AlreadyProcessed,
    /// Nobody wants it; that is on record.
    Ignored {
        /// One word of a fixed list.
        reason: &'static str,
    },
    /// The sender only wanted to know that somebody is here.
    Pong,
    /// `GET /health`.
    Healthy,
    /// Not taken.
    Refused(Refusal),
}

/// A request that is not taken, and what is said about it. Never holds text of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// One word of a fixed list, for programs.
    pub(crate) reason: &'static str,
    /// One sentence for the person who configures the sender.
    pub(crate) message: String,
    /// The value of `Allow`, which a 405 needs.
    pub(crate) allow: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status, reason, message: message.into(), allow: None }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Accepted { .. } => StatusCode::ACCEPTED,
            Self::AlreadyProcessed | Self::Ignored { .. } | Self::Pong | Self::Healthy => {
                StatusCode::OK
            }
            Self::Refused(refusal) => refusal.status,
        }
    }

    /// `close`: the request was not read to its end, so the connection can't carry another one.
    pub(crate) fn into_response(self, close: bool) -> Response<AnswerBody> {
        let body = match &self {
            // A job id is a plain token, so it needs no escaping.
            Self::Accepted { job_id } => {
                Bytes::from(format!(r#"{{"status":"accepted","job_id":"{job_id}"}}"#))
            }
            Self::AlreadyProcessed => Bytes::from_static(br#"{"status":"already_processed"}"#),
            Self::Ignored { reason } => {
                Bytes::from(json!({"status": "ignored", "reason": reason}).to_string())
            }
            Self::Pong => Bytes::from_static(br#"{"status":"pong"}"#),
            Self::Healthy => Bytes::from_static(br#"{"status":"ok"}"#),
            Self::Refused(refusal) => Bytes::from(
                json!({
                    "status": "error",
                    "reason": refusal.reason,
                    "message": refusal.message,
                })
                .to_string(),
            ),
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Self::Refused(refusal) = &self {
            if let Some(allow) = refusal.allow {
                headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            }
            if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
            }
        }
        if close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
