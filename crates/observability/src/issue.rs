//! What the GitHub issue of an alert says.

use booty_alert::Alert;

/// `[severity] ExceptionType — path/to/file.py:line`, without the message, which changes.
pub fn title(alert: &Alert) -> String {
    format!("[{}]", alert.severity)
}

/// The text.
pub fn body(alert: &Alert) -> String {
    alert.severity.to_string()
}
