//! The title, by which people tell problems apart.

use booty_alert::Alert;
use booty_policy::{Untrusted, markdown};

use super::{UNKNOWN, safe};

/// GitHub's limit.
const MAX_CHARS: usize = 256;
const MAX_TYPE_CHARS: usize = 90;
const MAX_PLACE_CHARS: usize = 130;

/// `[severity] ExceptionType — path/to/file.py:line`, without the message, which changes. The line
/// is left out when it is not known. One line, at most 256 characters, inert.
pub fn title(alert: &Alert) -> String {
    let of_type = alert.exception_type.as_ref().map(|text| safe::line(text, MAX_TYPE_CHARS));
    let of_type = shown(of_type, MAX_TYPE_CHARS);
    let place = alert.location.as_ref().map(|at| end(&at.place));
    let place = shown(place, MAX_PLACE_CHARS);
    let line = match alert.location.as_ref().and_then(|at| at.line) {
        Some(line) => format!(":{line}"),
        None => String::new(),
    };
    let title = format!("[{}] {of_type} — {place}{line}", alert.severity);
    debug_assert!(title.chars().count() <= MAX_CHARS, "its parts are bounded");
    title
}

/// GitHub renders code spans in titles.
fn shown(text: Option<Untrusted<String>>, max_chars: usize) -> String {
    let text = text.map(|text| text.map(|text| text.replace('`', "'")));
    match text.map(|text| markdown::plain(&text, max_chars)) {
        Some(text) if !text.is_empty() => text,
        _ => UNKNOWN.to_owned(),
    }
}

/// The end of a path says more than its start.
fn end(path: &Untrusted<String>) -> Untrusted<String> {
    const KEPT_CHARS: usize = MAX_PLACE_CHARS - 30;
    safe::line(path, usize::MAX).map(|path| {
        let length = path.chars().count();
        if length <= KEPT_CHARS {
            return path;
        }
        let kept: String = path.chars().skip(length - KEPT_CHARS + 1).collect();
        format!("…{}", kept.trim_start())
    })
}
