//! Text that says what it said and does nothing.
//!
//! GitHub makes mentions, references and links out of the *rendered* text, so that escapes and
//! entities do not hold them back. A zero-width space in the middle of what would be one does.

use crate::{unicode::visible, untrusted::Untrusted};

/// Between two characters it keeps them from being read as one thing.
const BREAK: char = '\u{200b}';
/// GitHub takes 7 to 40 hexadecimal digits for a commit.
const MAX_HEX_RUN: usize = 6;

/// Makes text inert in GitHub's Markdown; at most `max_chars` characters come out. It is rendered as
/// it was written, without any markup of its own; spaces at the start of lines are lost.
pub fn inert(text: &Untrusted<String>, max_chars: usize) -> String {
    let shown = visible(text.open("every character is escaped below"));
    let lines: Vec<&str> = shown.lines().map(str::trim).collect();
    broken(&lines.join("\n"), max_chars, |c| match c {
        '&' => Escape::Text("&amp;"),
        '<' => Escape::Text("&lt;"),
        '>' => Escape::Text("&gt;"),
        // At the end of a number they make a list of it; elsewhere they read better bare.
        ',' | ';' | '\'' | '"' | '/' | '?' => Escape::No,
        c if c.is_ascii_punctuation() => Escape::Backslash,
        _ => Escape::No,
    })
}

/// Makes text inert where GitHub renders no Markdown, but still makes references: titles and commit
/// messages. One line, at most `max_chars` characters.
pub fn plain(text: &Untrusted<String>, max_chars: usize) -> String {
    let shown = visible(text.open("references are broken below"));
    let words: Vec<&str> = shown.split_whitespace().collect();
    broken(&words.join(" "), max_chars, |_| Escape::No)
}

enum Escape {
    No,
    Backslash,
    Text(&'static str),
}

/// Breaks what would be a mention, a reference, a commit or a link, and escapes the rest.
fn broken(text: &str, max_chars: usize, escape: impl Fn(char) -> Escape) -> String {
    let mut out = String::new();
    let mut length = 0;
    let mut hex_run = 0;
    let mut word = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let mut piece = String::new();
        hex_run = if c.is_ascii_hexdigit() { hex_run + 1 } else { 0 };
        if hex_run > MAX_HEX_RUN {
            piece.push(BREAK);
            hex_run = 1;
        }
        if c == '.' && word.eq_ignore_ascii_case("www") {
            piece.push(BREAK);
        }
        match escape(c) {
            Escape::No => piece.push(c),
            Escape::Backslash => piece.extend(['\\', c]),
            Escape::Text(entity) => piece.push_str(entity),
        }
        let ends_word = !c.is_ascii_alphanumeric();
        let breaks = match c {
            // mentions, addresses, issue references, mathematics, emoji
            '@' | '#' | '$' => true,
            // schemes, with or without slashes
            ':' => rest.peek().is_some_and(|next| !next.is_whitespace()),
            // `GH-1`
            '-' => word.len() >= 2 && word[word.len() - 2..].eq_ignore_ascii_case("gh"),
            _ => false,
        };
        if breaks {
            piece.push(BREAK);
        }
        if ends_word {
            word.clear();
        } else {
            word.push(c);
        }
        let is_last = rest.peek().is_none();
        let added = piece.chars().count();
        if length + added + usize::from(!is_last) > max_chars {
            if max_chars > length {
                out.push('…');
            }
            return out;
        }
        length += added;
        out.push_str(&piece);
    }
    out
}

/// A code block that nothing in the text can end; at most `max_chars` characters come out, head
/// and tail kept. Terminal colours and other control sequences are taken out.
pub fn code_block(text: &Untrusted<String>, max_chars: usize) -> String {
    let text = without_escapes(text.open("fenced below, with a fence that is not in it"));
    let text = visible(&text);
    let text = text.trim_end_matches('\n');
    let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
    let frame = 2 * fence.len() + "text\n\n".len();
    let Some(room) = max_chars.checked_sub(frame) else { return String::new() };
    let inside = head_and_tail(text, room);
    format!("{fence}text\n{inside}\n{fence}")
}

/// Cuts the middle out of a text that is longer than `max_chars`, with a line that says so.
pub fn head_and_tail(text: &str, max_chars: usize) -> String {
    let length = text.chars().count();
    if length <= max_chars {
        return text.to_owned();
    }
    let mark = format!("\n[… {length} characters, cut …]\n");
    let Some(room) = max_chars.checked_sub(mark.chars().count()) else {
        return text.chars().take(max_chars).collect();
    };
    let (head, tail) = (room / 2, room - room / 2);
    let start = text.char_indices().nth(head).map_or(text.len(), |(at, _)| at);
    let end = text.char_indices().nth(length - tail).map_or(text.len(), |(at, _)| at);
    format!("{}{mark}{}", &text[..start], &text[end..])
}

fn longest_run(text: &str, of: char) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == of { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Takes out terminal control sequences: `ESC [ … letter`, `ESC ] … BEL` and `ESC` with one more.
fn without_escapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            kept.push(c);
            continue;
        }
        match rest.next() {
            Some('[') => while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {},
            // The text of such a sequence never has a line end.
            Some(']') => {
                while rest.next_if(|c| !matches!(c, '\u{7}' | '\u{1b}' | '\n')).is_some() {}
            }
            _ => continue,
        }
        rest.next_if(|c| *c != '\n');
    }
    kept
}

#[cfg(test)]
mod tests;
