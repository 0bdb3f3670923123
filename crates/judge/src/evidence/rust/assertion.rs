//! Rust's assertions: macros.

use booty_policy::Language;

use crate::evidence::{
    expression::{check, checks, pair},
    lex::Tokens,
    source::{Check, Strength},
};

/// A longer assertion's end is not looked at.
const MAX_TOKENS: usize = 4_000;

/// What is asserted here, and where to go on.
pub(super) fn at(tokens: &Tokens<'_>, at: usize) -> (Vec<Check>, usize) {
    let none = (Vec::new(), at + 1);
    let is_call = tokens.text(at + 1) == "!" && matches!(tokens.text(at + 2), "(" | "[" | "{");
    if !tokens.is_word(at) || !is_call {
        return none;
    }
    let (from, close) = (at + 3, tokens.close(at + 2));
    let to = close.min(from + MAX_TOKENS);
    let name = tokens.text(at);
    let kind = name.trim_start_matches("debug_").trim_start_matches("prop_");
    let arguments = tokens.split(from, to, ",");
    let whole = (at, (close + 1).min(to + 1));
    let of = |strength: Strength| {
        let mut made = check(tokens, whole.0, whole.1, strength);
        if let Some((from, to)) = arguments.first() {
            made.subject = tokens.normal(*from, *to);
        }
        if let Some((from, to)) = arguments.get(1) {
            made.expected = Some(tokens.normal(*from, *to));
        }
        made
    };
    let mut made = match (kind, arguments.as_slice()) {
        ("assert", [(from, to), ..]) => {
            let mut made = checks(tokens, Language::Rust, *from, *to);
            for check in &mut made {
                check.text = format!("{name} ! ( {} )", check.text);
            }
            made
        }
        ("assert_eq", [left, right, ..]) => {
            vec![pair(tokens, whole, *left, *right, Strength::Exact)]
        }
        ("assert_ne", [left, right, ..]) => {
            vec![pair(tokens, whole, *left, *right, Strength::Partial)]
        }
        ("assert_matches", _) => vec![of(Strength::Partial)],
        ("panic" | "unreachable", _) => {
            let mut made = of(Strength::Exact);
            made.subject = "fail".to_owned();
            vec![made]
        }
        _ if kind.starts_with("assert") => vec![of(Strength::Exact)],
        _ => return none,
    };
    for check in &mut made {
        check.line = tokens.line(at);
    }
    (made, close + 1)
}
