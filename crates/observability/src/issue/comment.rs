//! What is said on an issue that is there already.

use booty_alert::Alert;
use chrono::{DateTime, Utc};

use super::{Context, UNKNOWN, link::link, number, safe, time};

/// The comment that counts: how often it was seen, since when, and when last.
pub fn counter(
    count: u64,
    first_seen: Option<DateTime<Utc>>,
    last_seen: Option<DateTime<Utc>>,
) -> String {
    let times = if count == 1 { "once".to_owned() } else { format!("{} times", number(count)) };
    let since = first_seen.map(|_| format!(" since {}", time(first_seen))).unwrap_or_default();
    let last = last_seen.map(|_| format!(", last at {}", time(last_seen))).unwrap_or_default();
    format!("Seen {times}{since}{last}.")
}

/// What is said when a closed issue is opened again, because this alert came.
pub fn reopened(alert: &Alert, context: &Context<'_>) -> String {
    let name = |text: Option<&_>| match text.map(|text| safe::name(text, 100)) {
        Some(text) if !text.is_empty() => text,
        _ => UNKNOWN.to_owned(),
    };
    format!(
        "It is back, so this issue is open again.\n\n- **Severity:** {}\n- **Environment:** {}\n- **Release:** {}\n- **Seen:** {}\n- **Sentry:** {}\n",
        alert.severity,
        name(alert.environment.as_ref()),
        name(alert.release.as_ref()),
        time(alert.last_seen),
        link(alert.url.as_ref(), context.link_hosts),
    )
}
