//! What the GitHub issue of an alert says.
//!
//! Nothing of the event gets here but by [`safe`]: redacted first, then inert. Lengths of all parts
//! are bounded, so that no text has to be cut as a whole, where a cut could open what was closed.

mod body;
mod comment;
mod link;
mod safe;
mod title;

use booty_events::TraceId;
use chrono::{DateTime, Utc};

pub use body::body;
pub use comment::{counter, reopened};
pub use link::DEFAULT_LINK_HOST;
pub use title::title;

/// What an issue says that is not the alert's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// Booty's own trace, in which the alert came in.
    pub trace_id: Option<&'a TraceId>,
    /// The hosts that the link may lead to, each with its subdomains; none: no link. A host with a
    /// port, as in `sentry.example:9000`, allows that port alone.
    pub link_hosts: &'a [String],
    /// When Booty saw the problem first. The earlier of this and what the alert says is shown.
    pub first_seen: Option<DateTime<Utc>>,
}

/// What stands for what an event does not say.
const UNKNOWN: &str = "unknown";

/// A time for people: to the second, which is all that they compare.
fn time(time: Option<DateTime<Utc>>) -> String {
    time.map_or_else(|| UNKNOWN.to_owned(), |t| t.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// In groups of three: seven digits alone could be a commit.
fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
