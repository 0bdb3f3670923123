//! A payload as a person reads it: decoded, without secrets.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use booty_bus::Stored;
use booty_events::{
    Message as _, header,
    v1::{Effect, Event},
};
use booty_policy::{Redact, redact};
use serde::Serialize;
use serde_json::Value;

/// A payload, decoded.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A webhook's JSON, or one of our own messages as JSON.
    Json(Value),
    /// Text that is no JSON.
    Text(String),
    /// Neither.
    Base64(String),
}

pub(crate) fn decode(stored: &Stored) -> Body {
    let payload = &stored.payload;
    let message = match stored.headers.get(header::MESSAGE_NAME) {
        Some("booty.v1.Effect") => as_json(Effect::decode(payload.clone()).ok()),
        Some("booty.v1.Event") => as_json(Event::decode(payload.clone()).ok()),
        _ => None,
    };
    if let Some(message) = message {
        return Body::Json(clean(message));
    }
    match std::str::from_utf8(payload) {
        Ok(text) => match serde_json::from_str(text) {
            Ok(value) => Body::Json(clean(value)),
            Err(_) => Body::Text(redact(text, Redact::default())),
        },
        Err(_) => Body::Base64(BASE64.encode(payload)),
    }
}

fn as_json<M: Serialize>(message: Option<M>) -> Option<Value> {
    serde_json::to_value(message?).ok()
}

/// As one text first: a value is often secret by its name alone. Where that breaks the JSON, each
/// string by itself.
fn clean(value: Value) -> Value {
    let text = redact(&value.to_string(), Redact::default());
    serde_json::from_str(&text).unwrap_or_else(|_| clean_each(value))
}

fn clean_each(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(redact(&text, Redact::default())),
        Value::Array(all) => all.into_iter().map(clean_each).collect(),
        Value::Object(fields) => Value::Object(
            fields.into_iter().map(|(name, value)| (name, clean_each(value))).collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use booty_bus::Headers;
    use booty_events::v1::{Comment, effect::Write};
    use bytes::Bytes;
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    fn stored(message: Option<&str>, payload: impl Into<Bytes>) -> Stored {
        Stored {
            subject: "booty.spool.forge.x.BOOTY_EFFECTS-1".to_owned(),
            sequence: 1,
            headers: message
                .map(|name| (header::MESSAGE_NAME, name))
                .into_iter()
                .collect::<Headers>(),
            payload: payload.into(),
            time: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_effect_is_shown_as_json_and_secrets_are_not() {
        let comment = Comment { issue: 7, body: format!("ghp_{}", "a1".repeat(18)) };
        let write = Some(Write::Comment(comment));
        let effect = Effect { id: "e1".to_owned(), write, ..Effect::default() };
        let body = decode(&stored(Some("booty.v1.Effect"), effect.encode_to_vec()));
        let Body::Json(value) = body else { panic!("{body:?}") };
        assert_eq!(value["id"], "e1");
        assert_eq!(value["comment"]["body"], "[redacted: github token]");
    }

    #[test]
    fn a_webhook_is_shown_as_json_text_as_text_and_bytes_as_base64() {
        let secret = format!(r#"{{"api_key":"{}","n":1}}"#, "a1B2".repeat(8));
        let Body::Json(value) = decode(&stored(None, secret)) else { panic!() };
        assert_eq!(value, json!({"api_key": "[redacted: secret]", "n": 1}));
        assert_eq!(decode(&stored(None, "hello")), Body::Text("hello".to_owned()));
        assert_eq!(decode(&stored(None, vec![0xff, 0])), Body::Base64("/wA=".to_owned()));
    }
}
