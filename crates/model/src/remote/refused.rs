//! What a refusal means: the one place where providers' errors are sorted.

use std::{error::Error as StdError, time::Duration};

use booty_policy::{Redact, redact};
use http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::json;
use crate::Error;

/// Characters of a provider's message that are repeated.
const MESSAGE_CHARS: usize = 600;
/// A key shorter than this is a placeholder (`none`, `ollama`), and its letters stand in many words.
const REAL_KEY_BYTES: usize = 8;

/// What will not pass by itself: somebody has to pay.
const QUOTA: &[&str] = &[
    "insufficient_quota",
    "billing_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "account_deactivated",
];
const QUOTA_WORDS: &[&str] = &["credit balance is too low", "insufficient balance"];
const KEY: &[&str] =
    &["authentication_error", "permission_error", "invalid_api_key", "invalid_authentication"];
const NO_SUCH_MODEL: &[&str] = &["model_not_found", "not_found_error"];
const TOO_LONG: &[&str] =
    &["context_length_exceeded", "exceed_context_size_error", "request_too_large"];
/// Not every server has a code for it.
const TOO_LONG_WORDS: &[&str] = &[
    "prompt is too long",
    "maximum context length",
    "exceed context limit",
    "exceeds the context window",
    "exceeds the available context size",
    "input is too long",
];
const PASSING: &[&str] = &[
    "overloaded_error",
    "rate_limit_error",
    "rate_limit_exceeded",
    "api_error",
    "timeout_error",
    "server_error",
    "internal_server_error",
    "internal_error",
    "service_unavailable",
    "service_unavailable_error",
    "server_is_overloaded",
    "engine_overloaded",
    "slow_down",
];
const WRONG: &[&str] = &["invalid_request_error", "invalid_prompt", "BadRequestError"];

/// A refusal, in whatever shape it came.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    /// None: it came in the middle of an answer.
    status: Option<StatusCode>,
    /// The provider's names of the error: its type and its code.
    names: Vec<String>,
    message: String,
    after: Option<Duration>,
}

impl Refusal {
    /// From the body of a response.
    pub(crate) fn of_body(
        status: Option<StatusCode>,
        body: &[u8],
        after: Option<Duration>,
    ) -> Self {
        let said = match serde_json::from_slice::<Value>(body) {
            Ok(json) => {
                let mut said = Self::of_json(&json);
                if said.message.is_empty() && status.is_some() && !json.is_null() {
                    said.message = json.to_string();
                }
                said
            }
            // A status of its own is told along with the page of whatever stands in between.
            Err(_) if status.is_some() => {
                let message = String::from_utf8_lossy(body).trim().to_owned();
                Self { message, ..Self::default() }
            }
            Err(_) => Self::default(),
        };
        Self { status, after, ..said }
    }

    /// From an event, or a body: `{"error": {…}}`, `{"error": "…"}`, `{"message": …}`, `{"detail": …}`.
    pub(crate) fn of_json(json: &Value) -> Self {
        let inner = json.get("error").filter(|inner| inner.is_object()).unwrap_or(json);
        let name = |pointer| Some(json::text(inner, pointer)).filter(|name| !name.is_empty());
        let messages = [
            json::text(inner, "/message"),
            json::text(json, "/error"),
            json::text(json, "/detail"),
            json::text(json, "/message"),
        ];
        Self {
            names: ["/type", "/code"].into_iter().filter_map(name).map(str::to_owned).collect(),
            message: messages.into_iter().find(|m| !m.is_empty()).unwrap_or_default().to_owned(),
            ..Self::default()
        }
    }

    /// Whether it says anything.
    pub(crate) fn is_said(&self) -> bool {
        !self.message.is_empty() || !self.names.is_empty()
    }

    fn is_named(&self, names: &[&str]) -> bool {
        self.names.iter().any(|name| names.iter().any(|known| known.eq_ignore_ascii_case(name)))
    }

    fn speaks_of(&self, words: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        words.iter().any(|words| message.contains(words))
    }

    /// What it means. `asked` says who refused.
    pub(crate) fn into_error(self, sieve: &Sieve, asked: &str) -> Error {
        let status = self.status.map(|status| status.as_u16());
        let is_wrong = matches!(status, None | Some(400 | 413 | 422));
        let said = sieve.told(&self.message);
        let names = sieve.told(&self.names.join(", "));
        let how = match (status, names.is_empty()) {
            (Some(status), true) => format!("{asked} answered {status}"),
            (Some(status), false) => format!("{asked} answered {status} ({names})"),
            (None, true) => format!("{asked} broke the answer off"),
            (None, false) => format!("{asked} broke the answer off ({names})"),
        };
        let why = if said.is_empty() { how } else { format!("{how}: {said}") };
        let with = |advice: &str| format!("{why}; {advice}");

        if self.is_named(QUOTA) || self.speaks_of(QUOTA_WORDS) || status == Some(402) {
            return Error::Unusable { why: with("the account's quota has to be raised or paid") };
        }
        if self.is_named(TOO_LONG)
            || status == Some(413)
            || is_wrong && self.speaks_of(TOO_LONG_WORDS)
        {
            let advice = "take a model that reads more, or split the task into smaller issues";
            return Error::TooLong { why: with(advice) };
        }
        if self.is_named(NO_SUCH_MODEL) || status == Some(404) {
            return Error::Unusable { why: with("check the model's name and the base URL") };
        }
        if self.is_named(KEY) || matches!(status, Some(401 | 403)) {
            return Error::Unusable { why: with("check the key and what it may be used for") };
        }
        match status {
            Some(408 | 409 | 425 | 429 | 500 | 503 | 529) => {
                Error::Retryable { after: self.after, why }
            }
            // What stands in between has lost sight of the model, which may go on answering.
            Some(500..) => Error::Unknown { why },
            Some(_) => Error::FailFast { why },
            None if self.is_named(PASSING) => Error::Retryable { after: self.after, why },
            None if self.is_named(WRONG) => Error::FailFast { why },
            None => Error::Unknown { why },
        }
    }
}

/// Keeps the key, and what looks like one, out of what is told.
pub(crate) struct Sieve(Option<SecretString>);

impl Sieve {
    pub(crate) fn new(key: Option<SecretString>) -> Self {
        Self(key.filter(|key| key.expose_secret().len() >= REAL_KEY_BYTES))
    }

    /// A provider's words: on one line, without secrets, cut.
    pub(crate) fn told(&self, text: &str) -> String {
        let text = match &self.0 {
            Some(key) => text.replace(key.expose_secret(), "[the key]"),
            None => text.to_owned(),
        };
        let text = redact(&text, Redact::default());
        let words = text.split(|c: char| c.is_whitespace() || c.is_control());
        let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(MESSAGE_CHARS) {
            Some((cut, _)) => format!("{}…", line.get(..cut).unwrap_or_default()),
            None => line,
        }
    }

    /// An error of ours and all that is below it.
    pub(crate) fn error(&self, error: reqwest::Error) -> String {
        self.told(&chain(&error))
    }
}

/// The whole chain of an error in one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::Class;

    #[rstest]
    #[case::overloaded("overloaded_error", Class::Retryable { after: None }, false)]
    #[case::server("server_error", Class::Retryable { after: None }, false)]
    #[case::wrong("invalid_request_error", Class::FailFast, false)]
    #[case::money("insufficient_quota", Class::FailFast, true)]
    #[case::key("authentication_error", Class::FailFast, true)]
    #[case::long("context_length_exceeded", Class::FailFast, true)]
    #[case::never_heard("solar_flare", Class::Unknown, false)]
    fn an_error_within_an_answer_goes_by_its_name(
        #[case] name: &str,
        #[case] class: Class,
        #[case] other: bool,
    ) {
        let refusal = Refusal::of_json(&json!({"error": {"type": name, "message": "no"}}));
        let error = refusal.into_error(&Sieve::new(None), "m");
        assert_eq!((error.class(), error.another_may_answer()), (class, other), "{error}");
    }

    #[test]
    fn a_key_is_never_told() {
        let key = "canary-0123456789";
        let sieve = Sieve::new(Some(key.into()));
        let told = sieve.told(&format!("bad key {key}\u{7}\n sk-ant-api03-{}", "a1B2".repeat(24)));
        assert!(!told.contains(key) && !told.contains("a1B2a1B2"), "{told}");
        assert!(told.starts_with("bad key [the key] "), "{told}");
        assert_eq!(sieve.told(&"ä ".repeat(9_000)).chars().count(), MESSAGE_CHARS + 1);
    }
}
