//! One message as one line of JSON: what ingress and observability keep on disk while the broker is
//! away, and what an export of the spool is.

use std::str;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use booty_bus::{Headers, Outgoing};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// A message that is kept, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was kept.
    pub time: DateTime<Utc>,
    /// The message, on the subject where it belongs.
    pub message: Outgoing,
    /// Why it is kept.
    pub error: String,
}

#[derive(Serialize, Deserialize)]
struct Json {
    time: String,
    subject: String,
    #[serde(default)]
    error: String,
    headers: serde_json::Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl Line {
    /// Without the line's end. A body is text wherever it is UTF-8.
    pub fn write(&self) -> String {
        let (body, body_base64) = match str::from_utf8(&self.message.payload) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(BASE64.encode(&self.message.payload))),
        };
        let headers = self.message.headers.iter();
        let json = Json {
            time: self.time.to_rfc3339_opts(SecondsFormat::Millis, true),
            subject: self.message.subject.clone(),
            error: self.error.clone(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.into())).collect(),
            body,
            body_base64,
        };
        // Only maps whose keys are no text can't be written.
        serde_json::to_string(&json).unwrap_or_default()
    }

    /// Reads a line back.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn read(line: &str) -> Result<Self, String> {
        let json: Json = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let payload = match (json.body, json.body_base64) {
            (Some(text), None) => Bytes::from(text),
            (None, Some(text)) => {
                let bytes = BASE64.decode(text).map_err(|e| format!("body_base64: {e}"))?;
                Bytes::from(bytes)
            }
            _ => return Err("it needs body or body_base64, and not both".to_owned()),
        };
        let mut headers = Headers::new();
        for (name, value) in &json.headers {
            let Some(value) = value.as_str() else {
                return Err(format!("the header {name} is no text"));
            };
            headers.insert(name, value);
        }
        let time = json.time.parse().map_err(|error| format!("time: {error}"))?;
        let message = Outgoing { subject: json.subject, headers, payload };
        Ok(Self { time, message, error: json.error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(payload: &'static [u8]) -> Line {
        let headers = [("ce-id", "d-1"), ("content-type", "application/json")];
        Line {
            time: DateTime::UNIX_EPOCH,
            message: Outgoing {
                subject: "booty.inbox.github.issues.labeled.d-1".to_owned(),
                headers: headers.into_iter().collect(),
                payload: Bytes::from_static(payload),
            },
            error: "the broker is not connected".to_owned(),
        }
    }

    #[test]
    fn any_body_comes_back_byte_for_byte() {
        for payload in [&b"{\"a\": \"{{ b }}\n\"}"[..], b"", b"\xff\x00\n", "é🦀".as_bytes()] {
            let line = line(payload);
            let text = line.write();
            assert!(!text.contains('\n'));
            assert_eq!(Line::read(&text), Ok(line));
        }
    }

    #[test]
    fn a_line_of_ingress_is_read() {
        let text = r#"{"time":"1970-01-01T00:00:00.000Z","subject":"booty.inbox.github.issues.labeled.d-1","error":"the broker is not connected","headers":{"ce-id":"d-1","content-type":"application/json"},"body":"{\"a\":\"b\"}"}"#;
        assert_eq!(Line::read(text), Ok(line(br#"{"a":"b"}"#)));
    }

    #[test]
    fn a_damaged_line_says_what_is_wrong() {
        let time = r#""time":"1970-01-01T00:00:00Z","subject":"s""#;
        for (text, wrong) in [
            ("{", "EOF"),
            (&format!(r#"{{{time},"headers":{{}}}}"#), "body"),
            (&format!(r#"{{{time},"headers":{{"a":1}},"body":""}}"#), "header a"),
            (&format!(r#"{{{time},"headers":{{}},"body_base64":"?"}}"#), "base64"),
        ] {
            let error = Line::read(text).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
