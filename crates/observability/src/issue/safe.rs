//! The one way for text of an event into an issue.

use booty_policy::{Redact, Untrusted, markdown, redacted};

/// Redacted, and on one line of at most `max_chars` characters. It still has to be made inert.
pub(super) fn line(text: &Untrusted<String>, max_chars: usize) -> Untrusted<String> {
    markdown::one_line(&redacted(text, Redact::PERSONAL), max_chars)
}

/// A name, as code where it can be.
pub(super) fn name(text: &Untrusted<String>, max_chars: usize) -> String {
    markdown::name(&line(text, max_chars), max_written(max_chars))
}

/// Words, of which at most `max_chars` characters are shown.
pub(super) fn words(text: &Untrusted<String>, max_chars: usize) -> String {
    markdown::inert(&line(text, max_chars), max_written(max_chars))
}

/// The most characters that so many become when each is escaped and broken.
fn max_written(shown: usize) -> usize {
    shown * 5 + 2
}
