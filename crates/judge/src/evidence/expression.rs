//! How much a condition says: `a == b` more than `a in b`, `a in b` more than `a`.

use booty_policy::config::Language;

use super::{
    lex::{Kind, Tokens, content},
    source::{Check, Strength},
};

/// Deeper nesting of conditions is read as one condition.
const MAX_DEPTH: u32 = 16;

/// The checks that a condition makes: one for each part of a conjunction.
pub(super) fn checks(
    tokens: &Tokens<'_>,
    language: Language,
    from: usize,
    to: usize,
) -> Vec<Check> {
    let mut out = Vec::new();
    conjuncts(tokens, language, from, to, MAX_DEPTH, &mut out);
    out
}

fn conjuncts(
    tokens: &Tokens<'_>,
    language: Language,
    from: usize,
    to: usize,
    depth: u32,
    out: &mut Vec<Check>,
) {
    let whole = (from, to);
    let (from, to) = tokens.bare(from, to);
    // A tuple is true, whatever is in it.
    if language == Language::Python
        && (from, to) != whole
        && tokens.find(from, to, &[","]).is_some()
    {
        return out.push(check(tokens, from, to, Strength::Nothing));
    }
    let word = if language == Language::Python { "and" } else { "&&" };
    let parts = tokens.split(from, to, word);
    if parts.len() > 1 && depth > 0 && tokens.find(from, to, &["or", "||"]).is_none() {
        for (from, to) in parts {
            conjuncts(tokens, language, from, to, depth - 1, out);
        }
        return;
    }
    out.push(one(tokens, language, from, to));
}

fn one(tokens: &Tokens<'_>, language: Language, from: usize, to: usize) -> Check {
    if is_true(tokens, language, from, to) {
        return check(tokens, from, to, Strength::Nothing);
    }
    for word in ["or", "||"] {
        let parts = tokens.split(from, to, word);
        if parts.len() < 2 {
            continue;
        }
        let is_nothing = parts.iter().any(|(from, to)| {
            let (from, to) = tokens.bare(*from, *to);
            is_true(tokens, language, from, to)
        });
        return check(
            tokens,
            from,
            to,
            if is_nothing { Strength::Nothing } else { Strength::Truthy },
        );
    }
    let operators: &[&str] = if language == Language::Python {
        &["==", "!=", ">=", "<=", ">", "<", "in", "is"]
    } else {
        &["===", "!==", "==", "!=", ">=", "<=", ">", "<", "instanceof", "in"]
    };
    if let Some(at) = tokens.find(from, to, operators) {
        return compared(tokens, from, at, to);
    }
    if tokens.text(from) == "not" || tokens.text(from) == "!" {
        return check(tokens, from, to, Strength::Partial);
    }
    let last_call = tokens.before(to, 1) == ")";
    let name = last_call.then(|| called(tokens, from, to)).flatten().unwrap_or_default();
    let strength = match name {
        "is_ok" | "is_some" | "is_err" | "is_none" if language == Language::Rust => {
            Strength::Exists
        }
        "bool" | "Boolean" | "len" => Strength::Truthy,
        "DeepEqual" | "equal" | "Equal" | "isclose" if last_call => Strength::Exact,
        _ if last_call => Strength::Partial,
        _ => Strength::Truthy,
    };
    check(tokens, from, to, strength)
}

fn compared(tokens: &Tokens<'_>, from: usize, at: usize, to: usize) -> Check {
    let mut right = at + 1;
    let strength = match tokens.text(at) {
        "==" | "===" => Strength::Exact,
        "is" if tokens.text(at + 1) == "not" => {
            right += 1;
            if tokens.text(at + 2) == "None" { Strength::Exists } else { Strength::Partial }
        }
        "is" => Strength::Exact,
        "!=" | "!==" if is_none(tokens.text(at + 1)) && at + 2 == to => Strength::Exists,
        _ => Strength::Partial,
    };
    let left_end = if tokens.before(at, 1) == "not" { at - 1 } else { at };
    pair(tokens, (from, to), (from, left_end), (right, to), strength)
}

/// A comparison of two: which of them is what is looked at, and how exactly.
pub(super) fn pair(
    tokens: &Tokens<'_>,
    whole: (usize, usize),
    left: (usize, usize),
    right: (usize, usize),
    strength: Strength,
) -> Check {
    let (mut actual, mut expected) = (left, right);
    if is_literal(tokens, actual) && !is_literal(tokens, expected) {
        std::mem::swap(&mut actual, &mut expected);
    }
    let mut made = check(tokens, whole.0, whole.1, strength);
    made.subject = tokens.normal(actual.0, actual.1);
    made.expected = Some(tokens.normal(expected.0, expected.1));
    // A bound or part of itself can't fail either; only `!=` could.
    let is_self = made.expected.as_deref() == Some(made.subject.as_str());
    let both_literal = is_literal(tokens, actual) && is_literal(tokens, expected);
    if strength >= Strength::Close && (is_self || both_literal) {
        made.strength = Strength::Nothing;
    } else if strength == Strength::Partial && made.subject.contains("abs") {
        // `(a - b).abs() < 1e-9`
        made.tolerance = number(tokens.text(expected.0)).filter(|_| expected.1 == expected.0 + 1);
    } else if strength == Strength::Exact {
        for side in [actual, expected] {
            if let Some(tolerance) = approximate(tokens, side) {
                made.strength = Strength::Close;
                made.tolerance = Some(tolerance);
            }
        }
    }
    made
}

/// A check with its text alone.
pub(super) fn check(tokens: &Tokens<'_>, from: usize, to: usize, strength: Strength) -> Check {
    let text = tokens.normal(from, to);
    Check {
        subject: text.clone(),
        text,
        line: tokens.line(from),
        strength,
        expected: None,
        tolerance: None,
        dead: None,
        conditional: false,
        looped: false,
    }
}

/// Whether a condition is a constant that holds.
pub(super) fn is_true(tokens: &Tokens<'_>, language: Language, from: usize, to: usize) -> bool {
    let (from, to) = tokens.bare(from, to);
    match to.saturating_sub(from) {
        1 => match tokens.kind(from) {
            Some(Kind::Number) => {
                tokens.text(from).bytes().any(|byte| (b'1'..=b'9').contains(&byte))
            }
            Some(Kind::Text) => !content(tokens.text(from)).is_empty(),
            _ => matches!(tokens.text(from), "True" | "true" | "..." | "Ellipsis"),
        },
        2 if matches!(tokens.text(from), "not" | "!") => is_false(tokens, language, from + 1, to),
        _ => false,
    }
}

/// Whether a condition is a constant that does not hold.
pub(super) fn is_false(tokens: &Tokens<'_>, language: Language, from: usize, to: usize) -> bool {
    let (from, to) = tokens.bare(from, to);
    match to.saturating_sub(from) {
        1 => match tokens.kind(from) {
            Some(Kind::Number) => {
                !tokens.text(from).bytes().any(|byte| (b'1'..=b'9').contains(&byte))
            }
            Some(Kind::Text) => content(tokens.text(from)).is_empty(),
            _ => is_none(tokens.text(from)) || matches!(tokens.text(from), "False" | "false"),
        },
        2 if matches!(tokens.text(from), "[" | "{" | "(") => true,
        2 if matches!(tokens.text(from), "not" | "!") => is_true(tokens, language, from + 1, to),
        3 => {
            let (left, right) = (tokens.text(from), tokens.text(from + 2));
            let are_literal =
                is_literal(tokens, (from, from + 1)) && is_literal(tokens, (from + 2, to));
            are_literal
                && match tokens.text(from + 1) {
                    "==" | "===" => left != right,
                    "!=" | "!==" => left == right,
                    _ => false,
                }
        }
        _ => false,
    }
}

fn is_none(text: &str) -> bool {
    matches!(text, "None" | "nil" | "null" | "undefined")
}

/// Nothing but literals and brackets.
pub(super) fn is_literal(tokens: &Tokens<'_>, (from, to): (usize, usize)) -> bool {
    from < to
        && (from..to).all(|at| match tokens.kind(at) {
            Some(Kind::Word) => {
                is_none(tokens.text(at))
                    || matches!(
                        tokens.text(at),
                        "True" | "False" | "true" | "false" | "vec" | "Some" | "Ok" | "Err"
                    )
            }
            Some(Kind::Punct) => matches!(
                tokens.text(at),
                "(" | ")" | "[" | "]" | "{" | "}" | "," | ":" | "-" | "+" | "!" | "&" | "."
            ),
            _ => true,
        })
}

/// The name of the call that the range ends with.
fn called<'a>(tokens: &Tokens<'a>, from: usize, to: usize) -> Option<&'a str> {
    let mut name = None;
    let mut at = from;
    while at < to {
        if tokens.text(at) == "(" && tokens.close(at) + 1 == to {
            return Some(name.unwrap_or_default());
        }
        if tokens.is_word(at) {
            name = Some(tokens.text(at));
        }
        at = tokens.after(at);
    }
    None
}

/// `approx(…)`: how far off it lets things be, relative or absolute, whichever is more.
fn approximate(tokens: &Tokens<'_>, (from, to): (usize, usize)) -> Option<f64> {
    let at = (from..to).find(|at| tokens.text(*at) == "approx" && tokens.text(at + 1) == "(")?;
    Some(named_tolerance(tokens, at + 2, tokens.close(at + 1)).unwrap_or(1e-6))
}

/// The largest of `abs=`, `rel=`, `atol=`, `rtol=`, `delta=`, `places=`.
pub(super) fn named_tolerance(tokens: &Tokens<'_>, from: usize, to: usize) -> Option<f64> {
    let mut found: Option<f64> = None;
    for at in from..to {
        let name = tokens.text(at);
        if tokens.text(at + 1) != "=" {
            continue;
        }
        let value = number(tokens.text(at + 2));
        let value = match name {
            "abs" | "rel" | "atol" | "rtol" | "delta" | "abs_tol" | "rel_tol" => {
                value.unwrap_or(f64::INFINITY)
            }
            "places" => 10_f64.powf(-value.unwrap_or(0.0)),
            _ => continue,
        };
        found = Some(found.unwrap_or(0.0).max(value));
    }
    found
}

pub(super) fn number(text: &str) -> Option<f64> {
    text.replace('_', "").parse().ok()
}
