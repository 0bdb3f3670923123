//! Text that says what it said and does nothing.
//!
//! GitHub makes mentions, references and links out of the *rendered* text, so that escapes and
//! entities do not hold them back. A zero-width space in the middle of what would be one does.

use crate::{unicode::shown, untrusted::Untrusted};

/// Between two characters it keeps them from being read as one thing.
const BREAK: char = '\u{200b}';
/// GitHub takes 7 to 40 hexadecimal digits for a commit.
const MAX_HEX_RUN: usize = 6;

/// Makes text inert in GitHub's Markdown; at most `max_chars` characters come out. It is rendered as
/// it was written, without any markup of its own; spaces at the start of lines are lost.
pub fn inert(text: &Untrusted<String>, max_chars: usize) -> String {
    let text = shown(text.open("every character is escaped below"));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
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
    broken(&words(&shown(text.open("references are broken below"))), max_chars, |c| match c {
        // Not all that shows a title takes it for text.
        '<' => Escape::Text("<\u{200b}"),
        _ => Escape::No,
    })
}

/// The text on one line of at most `max_chars` characters, with single spaces and an ellipsis where
/// it was cut. It is as untrusted as before.
pub fn one_line(text: &Untrusted<String>, max_chars: usize) -> Untrusted<String> {
    let line = words(&shown(text.open("it stays untrusted")));
    Untrusted::new(match line.char_indices().nth(max_chars) {
        None => line,
        Some(_) => {
            let kept = max_chars.saturating_sub(1);
            let dots = if max_chars > 0 { "…" } else { "" };
            line.chars().take(kept).collect::<String>() + dots
        }
    })
}

/// A name: a path, a function, a release. As a code span, in which GitHub makes nothing of it and
/// from which it can be copied; when there is anything in it that means something elsewhere
/// (GitHub's are not the only eyes: there are mails and chats), as inert text. One line, at most
/// `max_chars` characters.
pub fn name(text: &Untrusted<String>, max_chars: usize) -> String {
    let line = one_line(text, max_chars.saturating_sub(2));
    let tame = line.open("looked at, and put into a code span only without backticks");
    if tame.is_empty() {
        String::new()
    } else if is_tame(tame) {
        format!("`{tame}`")
    } else {
        inert(&line, max_chars)
    }
}

/// Whether nothing in a text is a sign of Markdown or HTML, a mention, a reference or a link.
fn is_tame(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    !text.contains(['`', '@', '#', '!', '<', '>', '[', ']', '&', '|', '$'])
        && !["://", "www.", "mailto:", "xmpp:", "gh-"].iter().any(|sign| lower.contains(sign))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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
    let text = shown(text.open("fenced below, with a fence that is not in it"));
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

#[cfg(test)]
mod tests;
