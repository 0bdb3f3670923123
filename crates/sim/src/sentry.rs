//! A Sentry that sends issue alerts: one signed `event_alert.triggered` an event, given up after a second
//! and never sent again, as Sentry does for internal integrations.
//!
//! Source of the form: Sentry's documentation of issue-alert webhooks, and `sentry_app` requests in its
//! source.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

/// How long Sentry waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// One event that an alert rule fires for.
#[derive(Clone, Debug)]
pub struct Event {
    /// Sentry's issue: what groups events.
    pub issue_id: String,
    /// 32 hexadecimal digits; a new one by default.
    pub event_id: String,
    /// `error`, `fatal`, …
    pub level: String,
    /// The exception's type.
    pub exception_type: String,
    /// What the exception says.
    pub message: String,
    /// Frames, the oldest first: file, function, line, whether it is the project's own.
    pub frames: Vec<(String, String, u32, bool)>,
    /// What ran.
    pub release: Option<String>,
    /// Where it ran.
    pub environment: Option<String>,
    /// What happened before, the oldest first: level, category, message.
    pub breadcrumbs: Vec<(String, String, String)>,
    /// When it happened; now by default.
    pub time: DateTime<Utc>,
    /// The rule that fires.
    pub rule: String,
}

impl Default for Event {
    fn default() -> Self {
        Self {
            issue_id: "1117540176".to_owned(),
            event_id: Uuid::new_v4().simple().to_string(),
            level: "error".to_owned(),
            exception_type: "ValueError".to_owned(),
            message: "something is wrong".to_owned(),
            frames: vec![
                ("shop/main.py".to_owned(), "main".to_owned(), 7, true),
                ("shop/cart.py".to_owned(), "total".to_owned(), 42, true),
            ],
            release: None,
            environment: Some("production".to_owned()),
            breadcrumbs: Vec::new(),
            time: Utc::now(),
            rule: "Very Important Alert Rule!".to_owned(),
        }
    }
}

impl Event {
    /// The webhook's body.
    pub fn body(&self) -> Vec<u8> {
        let Self { issue_id, event_id, level, exception_type, message, .. } = self;
        let frames: Vec<Value> = self
            .frames
            .iter()
            .map(|(file, function, line, in_app)| {
                json!({
                    "abs_path": format!("/app/{file}"), "colno": null, "context_line": null,
                    "data": {"orig_in_app": i32::from(*in_app)}, "errors": null, "filename": file,
                    "function": function, "in_app": in_app, "lineno": line, "module": null,
                    "package": null, "platform": null, "post_context": null, "pre_context": null,
                    "raw_function": null, "symbol": null, "vars": null,
                })
            })
            .collect();
        let crumbs: Vec<Value> = self
            .breadcrumbs
            .iter()
            .map(|(level, category, message)| {
                json!({
                    "timestamp": self.time.timestamp(), "type": "default", "category": category,
                    "level": level, "message": message, "data": null, "event_id": null,
                })
            })
            .collect();
        let newest = self.frames.last();
        let seconds = self.time.timestamp();
        let page = format!("organizations/shop/issues/{issue_id}/events/{event_id}/");
        let body = json!({
            "action": "triggered",
            "actor": {"id": "sentry", "name": "Sentry", "type": "application"},
            "data": {
                "event": {
                    "_ref": 1, "_ref_version": 2,
                    "breadcrumbs": {"values": crumbs},
                    "contexts": {"runtime": {"name": "CPython", "type": "runtime", "version": "3.11.2"}},
                    "culprit": newest.map(|(file, function, ..)| format!("{file} in {function}")),
                    "datetime": self.time.to_rfc3339(), "dist": null, "event_id": event_id,
                    "environment": self.environment,
                    "exception": {"values": [{
                        "mechanism": {"handled": false, "type": "logging"},
                        "stacktrace": {"frames": frames}, "type": exception_type, "value": message,
                    }]},
                    "fingerprint": ["{{ default }}"], "hashes": [format!("{issue_id:0>32}")],
                    "issue_id": issue_id,
                    "issue_url": format!("https://sentry.io/api/0/issues/{issue_id}/"),
                    "key_id": "667532", "level": level,
                    "location": newest.map(|(file, ..)| file), "logger": "", "message": "",
                    "metadata": {
                        "filename": newest.map(|(file, ..)| file), "type": exception_type,
                        "value": message,
                    },
                    "platform": "python", "project": 1, "received": seconds,
                    "release": self.release, "request": null,
                    "sdk": {"name": "sentry.python", "version": "2.35.0"},
                    "tags": [["environment", self.environment], ["level", level]],
                    "time_spent": null, "timestamp": seconds,
                    "title": format!("{exception_type}: {message}"), "type": "error",
                    "url": format!("https://sentry.io/api/0/projects/shop/back-end/events/{event_id}/"),
                    "user": {"ip_address": "203.0.113.85"}, "version": "7",
                    "web_url": format!("https://sentry.io/{page}"),
                },
                "triggered_rule": self.rule,
                "issue_alert": {"title": self.rule, "settings": []},
            },
            "installation": {"uuid": "a8e5d37a-696c-4c54-adb5-b3f28d64c7de"},
        });
        body.to_string().into_bytes()
    }
}

/// What the receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The text.
    pub body: String,
}

/// Sends events to one receiver.
#[derive(Clone, Debug)]
pub struct Sender {
    url: String,
    secret: SecretString,
    http: reqwest::Client,
}

impl Sender {
    /// Posts to `url`, signed with the integration's client secret.
    pub fn new(url: &str, secret: &str) -> Self {
        Self { url: url.to_owned(), secret: secret.into(), http: reqwest::Client::new() }
    }

    /// Sends an event, once.
    ///
    /// # Errors
    /// There was no answer within a second. Sentry forgets the alert then.
    pub async fn send(&self, event: &Event) -> Result<Answer, reqwest::Error> {
        self.post("event_alert", event.body()).await
    }

    /// Sends these bytes as an alert or as something else, once.
    ///
    /// # Errors
    /// There was no answer within a second.
    pub async fn post(&self, resource: &str, body: Vec<u8>) -> Result<Answer, reqwest::Error> {
        let sent =
            self.http.post(&self.url).timeout(PATIENCE).headers(self.headers(resource, &body));
        let answer = sent.body(body).send().await?;
        Ok(Answer { status: answer.status().as_u16(), body: answer.text().await? })
    }

    fn headers(&self, resource: &str, body: &[u8]) -> http::HeaderMap {
        let mut headers = http::HeaderMap::new();
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = value.parse() {
                headers.insert(name, value);
            }
        };
        set("content-type", "application/json".to_owned());
        set("request-id", Uuid::new_v4().simple().to_string());
        set("sentry-hook-resource", resource.to_owned());
        set("sentry-hook-timestamp", Utc::now().timestamp().to_string());
        set("sentry-hook-signature", signature(&self.secret, body));
        headers
    }
}

/// HMAC-SHA256 over the bytes, as bare hexadecimal digits.
fn signature(secret: &SecretString, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
