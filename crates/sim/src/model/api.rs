//! The three APIs, and what differs between them.

use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::{
    chat, chat_reply, fault::Fault, messages, messages_reply, openai, paces, question::Question,
    refusal::Refusal, reply::Reply, responses, responses_reply, settings::ModelSettings,
};

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// Anthropic's `POST /v1/messages`.
    Messages,
    /// OpenAI's `POST /v1/chat/completions`.
    Chat,
    /// OpenAI's `POST /v1/responses`.
    Responses,
}

/// One event of a stream.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) name: Option<&'static str>,
    pub(super) data: String,
}

impl Event {
    pub(super) fn named(name: &'static str, data: &Value) -> Self {
        Self { name: Some(name), data: data.to_string() }
    }

    pub(super) fn data(data: &Value) -> Self {
        Self { name: None, data: data.to_string() }
    }

    /// As it goes over the wire.
    pub(super) fn bytes(&self) -> String {
        match self.name {
            Some(name) => format!("event: {name}\ndata: {}\n\n", self.data),
            None => format!("data: {}\n\n", self.data),
        }
    }
}

impl Api {
    pub(super) fn of_path(path: &str) -> Option<Self> {
        match path {
            "/v1/messages" => Some(Self::Messages),
            "/v1/chat/completions" => Some(Self::Chat),
            "/v1/responses" => Some(Self::Responses),
            _ => None,
        }
    }

    pub(super) fn request_id_header(self) -> &'static str {
        match self {
            Self::Messages => "request-id",
            Self::Chat | Self::Responses => "x-request-id",
        }
    }

    /// Who asks, and in which version.
    pub(super) fn check_headers(
        self,
        headers: &HeaderMap,
        key: Option<&SecretString>,
    ) -> Result<(), Refusal> {
        match self {
            Self::Messages => {
                messages::check_key(headers, key)?;
                messages::check_version(headers)
            }
            Self::Chat | Self::Responses => openai::check_key(headers, key),
        }
    }

    pub(super) fn not_json(self, error: &serde_json::Error) -> Refusal {
        match self {
            Self::Messages => {
                Refusal::invalid(format!("The request body is not valid JSON: {error}"))
            }
            Self::Chat | Self::Responses => Refusal::invalid(
                "We could not parse the JSON body of your request. (HINT: This likely means you \
                 aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, \
                 but what was sent was not valid JSON.)",
            ),
        }
    }

    /// Anthropic's comes from the proxy before its API.
    /// <https://platform.claude.com/docs/en/api/errors#request-size-limits>
    pub(super) fn too_large(self, most: usize) -> Refusal {
        match self {
            Self::Messages => {
                Refusal::new(413, "request_too_large", "Request exceeds the maximum size")
            }
            Self::Chat | Self::Responses => Refusal::new(
                413,
                "invalid_request_error",
                format!("Maximum content size limit ({most}) exceeded"),
            ),
        }
    }

    pub(super) fn read(
        self,
        headers: &HeaderMap,
        body: &Map<String, Value>,
        settings: &ModelSettings,
    ) -> Result<Question, Refusal> {
        match self {
            Self::Messages => messages::read(headers, body, settings),
            Self::Chat => chat::read(body, settings),
            Self::Responses => responses::read(body, settings),
        }
    }

    pub(super) fn whole(self, reply: &Reply, now: i64) -> Value {
        match self {
            Self::Messages => messages_reply::whole(reply),
            Self::Chat => chat_reply::whole(reply, now),
            Self::Responses => responses_reply::whole(reply, now),
        }
    }

    pub(super) fn events(self, reply: &Reply, question: &Question, now: i64) -> Vec<Event> {
        match self {
            Self::Messages => messages_reply::events(reply),
            Self::Chat => chat_reply::events(reply, question.include_usage, now),
            Self::Responses => responses_reply::events(reply, now),
        }
    }

    /// Whether an event brings text, so that it can be said again and again.
    pub(super) fn is_text(self, event: &Event) -> bool {
        match self {
            Self::Messages => event.data.contains("\"text_delta\""),
            Self::Chat => event.data.contains("\"content\":\""),
            Self::Responses => event.name == Some("response.output_text.delta"),
        }
    }

    /// What a stream says when something went wrong after it had begun.
    pub(super) fn error_event(self, number: usize) -> Event {
        match self {
            Self::Messages => messages_reply::error_event(),
            Self::Chat => chat_reply::error_event(),
            Self::Responses => responses_reply::error_event(number),
        }
    }

    /// The error answer that a fault is, for those that are one.
    pub(super) fn refusal(self, fault: &Fault) -> Option<Refusal> {
        let is_anthropic = self == Self::Messages;
        let refusal = match fault {
            Fault::RateLimited { retry_after } => paces::rate_limited(self, retry_after.clone()),
            Fault::Overloaded if is_anthropic => {
                Refusal::new(529, "overloaded_error", "Overloaded")
            }
            Fault::Overloaded => Refusal::new(
                503,
                "server_error",
                "The engine is currently overloaded, please try again later",
            ),
            Fault::ServerError | Fault::ErrorEvent { .. } if is_anthropic => {
                Refusal::new(500, "api_error", "Internal server error")
            }
            Fault::ServerError | Fault::ErrorEvent { .. } => Refusal::new(
                500,
                "server_error",
                "The server had an error while processing your request. Sorry about that!",
            ),
            Fault::Unavailable { retry_after } => {
                let kind = if is_anthropic { "api_error" } else { "server_error" };
                let refusal = Refusal::new(503, kind, "Service unavailable");
                match retry_after {
                    Some(value) => refusal.header("retry-after", value),
                    None => refusal,
                }
            }
            Fault::Unauthorized if is_anthropic => messages::wrong_key(),
            Fault::Unauthorized => openai::wrong_key("sk-sim-withdrawn"),
            Fault::InsufficientQuota if is_anthropic => Refusal::invalid(
                "Your credit balance is too low to access the Anthropic API. Please go to Plans & \
                 Billing to upgrade or purchase credits.",
            ),
            Fault::InsufficientQuota => Refusal::new(
                429,
                "insufficient_quota",
                "You exceeded your current quota, please check your plan and billing details. For \
                 more information on this error, read the docs: \
                 https://platform.openai.com/docs/guides/error-codes/api-errors.",
            )
            .code("insufficient_quota"),
            _ => return None,
        };
        Some(refusal)
    }
}

/// Whether what was given is the key.
pub(super) fn is_key(given: &[u8], key: &SecretString) -> bool {
    bool::from(given.ct_eq(key.expose_secret().as_bytes()))
}
