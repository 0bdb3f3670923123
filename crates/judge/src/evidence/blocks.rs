//! Blocks in braces: what surrounds each token of Rust, Go and JavaScript.

use booty_policy::Language;

use super::{
    expression,
    lex::{Kind, Tokens},
};

/// What surrounds a token.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Around {
    pub(super) dead: Option<&'static str>,
    pub(super) conditional: bool,
    pub(super) looped: bool,
    /// In a function inside of what is looked at.
    pub(super) nested: bool,
    /// The condition of the nearest `if`, and whether that `if` itself was conditional.
    pub(super) condition: Option<(usize, usize, bool)>,
}

struct Frame {
    end: usize,
    around: Around,
    is_function: bool,
    /// From here on, nothing is reached.
    left_at: Option<usize>,
}

/// Visits the tokens of a range. The visitor says where to go on.
pub(super) fn walk(
    tokens: &Tokens<'_>,
    language: Language,
    from: usize,
    to: usize,
    mut visit: impl FnMut(usize, Around) -> usize,
) {
    let doubts = doubts(tokens, language, from, to);
    let mut frames =
        vec![Frame { end: to, around: Around::default(), is_function: true, left_at: None }];
    let mut head: Option<usize> = None;
    let mut at = from;
    while at < to.min(tokens.len()) {
        while frames.len() > 1 && frames.last().is_some_and(|frame| frame.end <= at) {
            frames.pop();
            head = None;
        }
        let Some(top) = frames.last() else { return };
        let mut around = top.around;
        if top.left_at.is_some_and(|left| at >= left) {
            around.dead = around.dead.or(Some("it is never reached"));
        }
        let text = if tokens.kind(at) == Some(Kind::Text) { "" } else { tokens.text(at) };
        match text {
            "if" | "for" | "while" | "else" | "try" | "match" | "switch" | "loop" | "select"
                if tokens.before(at, 1) != "." =>
            {
                head = Some(at);
                if let Some(frame) = single(tokens, language, at, around) {
                    frames.push(frame);
                }
            }
            "=>" if language == Language::Node => head = Some(at),
            "function" | "func" | "fn" | "forEach" => head = Some(at),
            // `if got := f(); got != 1 {`
            ";" if language == Language::Go
                && head
                    .is_some_and(|head| matches!(tokens.text(head), "if" | "for" | "switch")) => {}
            ";" | "}" => head = None,
            "return" => leave(tokens, language, at, &mut frames),
            // `range []int{1, 2} {`: a literal in the head of a block.
            "{" if language == Language::Go
                && head.is_some()
                && tokens.text(tokens.close(at) + 1) == "{" =>
            {
                at = tokens.close(at) + 1;
                continue;
            }
            "{" => {
                let (around, is_function) =
                    inside(tokens, language, head, at, around, (&doubts, from));
                frames.push(Frame { end: tokens.close(at), around, is_function, left_at: None });
                head = None;
                at += 1;
                continue;
            }
            _ => {}
        }
        at = visit(at, around).max(at + 1);
    }
}

/// Marks what follows a `return` in its block.
fn leave(tokens: &Tokens<'_>, language: Language, at: usize, frames: &mut [Frame]) {
    let depth = frames.len();
    let Some(top) = frames.last_mut().filter(|top| top.left_at.is_none()) else { return };
    top.left_at = Some(statement_end(tokens, language, at));
    let mut is_within = !top.is_function && (top.around.conditional || top.around.looped);
    for frame in frames.iter_mut().take(depth.saturating_sub(1)).rev() {
        if !is_within {
            break;
        }
        frame.around.conditional = true;
        is_within = !frame.is_function;
    }
}

/// A longer statement is taken to end here.
const MAX_STATEMENT: usize = 2_000;

/// Where a statement ends: at its semicolon, or in two of the languages at its line.
pub(super) fn statement_end(tokens: &Tokens<'_>, language: Language, at: usize) -> usize {
    let mut line = tokens.line(at);
    let mut next = at + 1;
    while next < tokens.len().min(at + MAX_STATEMENT) {
        let text = tokens.text(next);
        let breaks =
            language != Language::Rust && tokens.line(next) > line && !matches!(text, "." | "?.");
        if matches!(text, ";" | "}") || breaks {
            return next;
        }
        let after = tokens.after(next);
        line = tokens.line(after.saturating_sub(1));
        next = after;
    }
    next
}

/// JavaScript's `if (…) statement`, without braces.
fn single(tokens: &Tokens<'_>, language: Language, at: usize, around: Around) -> Option<Frame> {
    let is_head = matches!(tokens.text(at), "if" | "for" | "while") && tokens.text(at + 1) == "(";
    let start = tokens.close(at + 1) + 1;
    if language != Language::Node || !is_head || tokens.text(start) == "{" {
        return None;
    }
    let around = conditioned(tokens, language, at, (at + 2, start.saturating_sub(1)), around);
    let end = statement_end(tokens, language, start);
    Some(Frame { end, around, is_function: false, left_at: None })
}

fn inside(
    tokens: &Tokens<'_>,
    language: Language,
    head: Option<usize>,
    open: usize,
    around: Around,
    (doubts, base): (&[u32], usize),
) -> (Around, bool) {
    let Some(head) = head else { return (around, false) };
    let mut inner = around;
    match tokens.text(head) {
        "function" | "func" | "fn" | "=>" => {
            inner.nested = true;
            return (inner, true);
        }
        "forEach" => {
            inner.nested = true;
            inner.looped = true;
            return (inner, true);
        }
        "loop" => inner.looped = true,
        "else" | "match" | "switch" | "select" => inner.conditional = true,
        "try" => {
            let catch = tokens.close(open) + 1;
            if language == Language::Node && tokens.text(catch) == "catch" {
                let block = if tokens.text(catch + 1) == "(" {
                    tokens.close(catch + 1) + 1
                } else {
                    catch + 1
                };
                let count = |at: usize| {
                    doubts.get(at.saturating_sub(base)).or(doubts.last()).copied().unwrap_or(0)
                };
                if count(tokens.close(block)) <= count(block) {
                    inner.dead = inner.dead.or(Some("its failure is caught and dropped"));
                }
            }
        }
        _ => {
            let (from, to) = if language == Language::Node {
                (head + 2, tokens.close(head + 1))
            } else {
                // Of `if x := f(); x > 1 {` the last part is the condition.
                let from = head + 1;
                (tokens.split(from, open, ";").last().map_or(from, |(from, _)| *from), open)
            };
            inner = conditioned(tokens, language, head, (from, to), inner);
        }
    }
    (inner, false)
}

fn conditioned(
    tokens: &Tokens<'_>,
    language: Language,
    head: usize,
    (from, to): (usize, usize),
    around: Around,
) -> Around {
    let mut inner = around;
    match tokens.text(head) {
        "for" => {
            inner.looped = true;
            let last = tokens.split(from, to, "in").last().copied().unwrap_or((from, to));
            let last = tokens.split(last.0, last.1, "of").last().copied().unwrap_or(last);
            if last.1 == last.0 + 2 && tokens.text(last.0) == "[" {
                inner.dead = inner.dead.or(Some("its loop has no rounds"));
            }
        }
        word => {
            inner.looped |= word == "while";
            inner.condition = Some((from, to, around.conditional));
            if expression::is_false(tokens, language, from, to) {
                inner.dead = inner.dead.or(Some("its condition never holds"));
            } else if !expression::is_true(tokens, language, from, to) {
                inner.conditional = true;
            }
        }
    }
    inner
}

/// Up to each token of the range: how many words there are that pass a failure on.
fn doubts(tokens: &Tokens<'_>, language: Language, from: usize, to: usize) -> Vec<u32> {
    if language != Language::Node {
        return Vec::new();
    }
    let mut sum = 0;
    let mut out = vec![0];
    for at in from..to {
        sum += u32::from(matches!(
            tokens.text(at),
            "throw" | "assert" | "expect" | "fail" | "reject" | "done" | "t" | "should"
        ));
        out.push(sum);
    }
    out
}
