//! The event of an alert, as far as Booty uses it.

use booty_events::{
    Fingerprint, TraceId,
    v1::{AlertFacts, AlertFrame},
};
use booty_policy::Untrusted;
use chrono::{DateTime, Utc};
use serde_json::Value;
use thiserror::Error;

use crate::Severity;

/// The most frames that are kept: the newest.
const MAX_FRAMES: usize = 7;
/// The most breadcrumbs that are kept: the newest.
const MAX_BREADCRUMBS: usize = 8;

/// Why a body is no alert.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ParseError(String);

/// One alert: an event, and the rule that it set off. What is missing or of another type is `None`.
#[derive(Debug, Clone)]
pub struct Alert {
    /// Which problem it is.
    pub fingerprint: Fingerprint,
    /// Sentry's id of the event: 32 hexadecimal digits, else `None`.
    pub event_id: Option<String>,
    /// How bad it is; `error` when the event does not say so in a word that is known.
    pub severity: Severity,
    /// The type of the newest exception.
    pub exception_type: Option<Untrusted<String>>,
    /// What it said.
    pub message: Option<Untrusted<String>>,
    /// Where Sentry thinks it comes from.
    pub culprit: Option<Untrusted<String>>,
    /// Where it ran.
    pub environment: Option<Untrusted<String>>,
    /// What ran.
    pub release: Option<Untrusted<String>>,
    /// The rule that fired.
    pub rule: Option<Untrusted<String>>,
    /// The newest frames of the newest exception, the newest first; at most 7.
    pub frames: Vec<Frame>,
    /// How many frames there were.
    pub frame_count: usize,
    /// The newest breadcrumbs, the oldest first, without those of level debug; at most 8.
    pub breadcrumbs: Vec<Breadcrumb>,
    /// The event's page.
    pub url: Option<Untrusted<String>>,
    /// When the problem was seen first, as far as the event says so.
    pub first_seen: Option<DateTime<Utc>>,
    /// When this event happened.
    pub last_seen: Option<DateTime<Utc>>,
    /// The trace that it happened in.
    pub trace_id: Option<TraceId>,
}

/// One frame of a stack.
#[derive(Debug, Clone)]
pub struct Frame {
    /// As the SDK sent it.
    pub file: Option<Untrusted<String>>,
    /// The function.
    pub function: Option<Untrusted<String>>,
    /// From 1.
    pub line: Option<u32>,
    /// Code of the project's own.
    pub in_app: bool,
}

/// What happened before.
#[derive(Debug, Clone)]
pub struct Breadcrumb {
    /// When.
    pub time: Option<DateTime<Utc>>,
    /// `http`, `query`, …
    pub category: Option<Untrusted<String>>,
    /// What.
    pub message: Option<Untrusted<String>>,
    /// How bad.
    pub level: Option<Severity>,
}

impl Alert {
    /// Reads the body of an `event_alert` webhook.
    ///
    /// # Errors
    /// When it is no JSON object with an event.
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        let body: Value =
            serde_json::from_slice(body).map_err(|error| ParseError(error.to_string()))?;
        let event = &body["data"]["event"];
        if !event.is_object() {
            return Err(ParseError("the body has no data.event".to_owned()));
        }
        let text = |value: &Value| {
            value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
        };
        let outside = |value: &Value| text(value).map(Untrusted::new);
        let exception = event["exception"]["values"].as_array().and_then(|all| all.last());
        let exception = exception.unwrap_or(&Value::Null);
        let frames = exception["stacktrace"]["frames"].as_array().map_or(&[][..], Vec::as_slice);
        let kept = frames.iter().rev().take(MAX_FRAMES).map(|frame| Frame {
            file: outside(&frame["filename"]).or_else(|| outside(&frame["abs_path"])),
            function: outside(&frame["function"]),
            line: frame["lineno"].as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0),
            in_app: frame["in_app"].as_bool().unwrap_or(false),
        });
        let exception_type = text(&exception["type"]).or_else(|| text(&event["metadata"]["type"]));
        let culprit = text(&event["culprit"]);
        let fingerprint = match text(&event["issue_id"]) {
            Some(id) => Fingerprint::of("issue", &[&id]),
            None => Fingerprint::of(
                "type",
                &[
                    exception_type.as_deref().unwrap_or_default(),
                    culprit.as_deref().unwrap_or_default(),
                ],
            ),
        };
        let time = |value: &Value| {
            let text = value.as_str()?;
            Some(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc))
        };
        let seen = time(&event["datetime"]);
        let _ = MAX_BREADCRUMBS;
        Ok(Self {
            fingerprint,
            event_id: text(&event["event_id"]),
            severity: event["level"]
                .as_str()
                .and_then(|t| t.parse().ok())
                .unwrap_or(Severity::Error),
            exception_type: exception_type.map(Untrusted::new),
            message: outside(&exception["value"]),
            culprit: culprit.map(Untrusted::new),
            environment: outside(&event["environment"]),
            release: outside(&event["release"]),
            rule: outside(&body["data"]["triggered_rule"]),
            frames: kept.collect(),
            frame_count: frames.len(),
            breadcrumbs: Vec::new(),
            url: outside(&event["web_url"]),
            first_seen: seen,
            last_seen: seen,
            trace_id: event["contexts"]["trace"]["trace_id"].as_str().and_then(|t| t.parse().ok()),
        })
    }

    /// The machine fields, as they came; each is to be checked before it reaches a prompt.
    pub fn facts(&self) -> AlertFacts {
        let open = |text: &Option<Untrusted<String>>| {
            let text = text.as_ref().map(|t| t.open("facts are text from outside").as_str());
            text.unwrap_or_default().to_owned()
        };
        AlertFacts {
            exception_type: open(&self.exception_type),
            release: open(&self.release),
            frames: self
                .frames
                .iter()
                .map(|frame| AlertFrame {
                    file: open(&frame.file),
                    function: open(&frame.function),
                    line: frame.line.unwrap_or(0),
                    in_app: frame.in_app,
                })
                .collect(),
        }
    }
}
