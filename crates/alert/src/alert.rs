//! The event of an alert, as far as Booty uses it.

use booty_events::{
    Fingerprint, TraceId,
    v1::{AlertFacts, AlertFrame},
};
use booty_policy::Untrusted;
use chrono::{DateTime, Utc};

use crate::{Breadcrumb, Frame, Location, Severity};

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
    /// How many frames there were, the kept ones included.
    pub frame_count: usize,
    /// The newest frame of the project's own that has a file, else the newest frame that has one,
    /// else what the event says of itself.
    pub location: Option<Location>,
    /// The newest breadcrumbs, the oldest first, without those of level debug; at most 8.
    pub breadcrumbs: Vec<Breadcrumb>,
    /// The event's page, else its address in Sentry's API.
    pub url: Option<Untrusted<String>>,
    /// When the problem was seen first, as far as the event says so.
    pub first_seen: Option<DateTime<Utc>>,
    /// When this event happened.
    pub last_seen: Option<DateTime<Utc>>,
    /// The trace that it happened in.
    pub trace_id: Option<TraceId>,
}

impl Alert {
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
