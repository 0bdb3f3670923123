//! Python's logical lines, and which of them belong to which.

use crate::evidence::lex::Tokens;

/// A statement, or the head of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// Twice the indentation; what follows a colon on the same line is one deeper.
    pub(super) indent: u32,
    pub(super) from: usize,
    pub(super) to: usize,
    /// The next line that is not inside of this one.
    pub(super) next: usize,
}

const HEADS: [&str; 13] = [
    "if", "elif", "else", "for", "while", "try", "except", "finally", "with", "def", "class",
    "async", "match",
];

pub(super) fn lines(tokens: &Tokens<'_>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let indent = tokens.list[at].indent.unwrap_or(0) * 2;
        let end = physical_end(tokens, at);
        statements(tokens, indent, at, end, &mut lines);
        at = end;
    }
    // Each line's end is where the first line that is no deeper starts: found from the back, each
    // line is stepped over once.
    for n in (0..lines.len()).rev() {
        let mut next = n + 1;
        while lines.get(next).is_some_and(|line| line.indent > lines[n].indent) {
            next = lines[next].next;
        }
        lines[n].next = next;
    }
    lines
}

/// Where the next token starts a line outside of all brackets.
fn physical_end(tokens: &Tokens<'_>, from: usize) -> usize {
    let mut at = tokens.after(from);
    while at < tokens.len() && tokens.list[at].indent.is_none() {
        at = tokens.after(at);
    }
    at.min(tokens.len())
}

fn statements(
    tokens: &Tokens<'_>,
    mut indent: u32,
    from: usize,
    end: usize,
    lines: &mut Vec<Line>,
) {
    let mut start = from;
    let mut at = from;
    let mut lambdas = 0_u32;
    let is_head = HEADS.contains(&tokens.text(from));
    let mut is_inline = false;
    while at < end {
        match tokens.text(at) {
            "lambda" => lambdas += 1,
            ":" if lambdas > 0 => lambdas -= 1,
            ":" if is_head && !is_inline => {
                lines.push(Line { indent, from: start, to: at + 1, next: 0 });
                start = at + 1;
                is_inline = true;
                indent += 1;
            }
            ";" => {
                if start < at {
                    lines.push(Line { indent, from: start, to: at, next: 0 });
                }
                start = at + 1;
            }
            _ => {}
        }
        at = tokens.after(at);
    }
    if start < end {
        lines.push(Line { indent, from: start, to: end, next: 0 });
    }
}
