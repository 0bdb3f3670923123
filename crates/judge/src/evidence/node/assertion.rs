//! Assertions of JavaScript: `expect`, `assert`, and ava's and tap's `t`.

use booty_policy::Language;

use crate::evidence::{
    expression::{check, checks, number, pair},
    lex::{Kind, Tokens},
    source::{Check, Strength},
};

/// A longer assertion's end is not looked at.
const MAX_TOKENS: usize = 4_000;

/// What is asserted here, and where to go on.
pub(super) fn at(tokens: &Tokens<'_>, at: usize) -> (Vec<Check>, usize) {
    let none = (Vec::new(), at + 1);
    if !tokens.is_word(at) || tokens.before(at, 1) == "." && tokens.text(at) != "assert" {
        return should(tokens, at).unwrap_or(none);
    }
    match tokens.text(at) {
        "expect" if tokens.text(at + 1) == "(" => expect(tokens, at),
        "assert" | "t" | "tap" | "chai" if matches!(tokens.text(at + 1), "(" | ".") => {
            let mut name = at;
            let mut next = at + 1;
            while tokens.text(next) == "." && tokens.is_word(next + 1) {
                name = next + 1;
                next += 2;
            }
            if tokens.text(next) != "(" || (name == at && tokens.text(at) != "assert") {
                return none;
            }
            function(tokens, at, tokens.text(name), next).unwrap_or(none)
        }
        name if tokens.text(at + 1) == "(" && tokens.before(at, 1) != "function" => {
            let is_known = matches!(
                name,
                "strictEqual" | "deepEqual" | "deepStrictEqual" | "notEqual" | "rejects" | "throws"
            );
            let is_shared =
                ["assert", "expect", "check", "verify"].iter().any(|start| name.starts_with(start));
            if is_known || is_shared {
                function(tokens, at, name, at + 1).unwrap_or(none)
            } else {
                none
            }
        }
        "fail" if tokens.text(at + 1) == "(" => none,
        _ => none,
    }
}

/// `value.should.equal(…)`.
fn should(tokens: &Tokens<'_>, at: usize) -> Option<(Vec<Check>, usize)> {
    if tokens.text(at) != "should" || tokens.before(at, 1) != "." {
        return None;
    }
    let (matcher, open) = chain(tokens, at + 1);
    let close = tokens.close(open).min(at + MAX_TOKENS);
    let mut made = check(tokens, at, (close + 1).min(tokens.len()), strength(&matcher, false));
    made.subject = tokens.before(at, 2).to_owned();
    made.expected = Some(tokens.normal(open + 1, close));
    Some((vec![made], close + 1))
}

/// The names of a chain, and its last call's bracket.
fn chain<'a>(tokens: &Tokens<'a>, mut at: usize) -> (Vec<&'a str>, usize) {
    let mut names = Vec::new();
    let mut open = at;
    while tokens.text(at) == "." && tokens.is_word(at + 1) && names.len() < 16 {
        if matches!(tokens.text(at + 1), "catch" | "then" | "finally") {
            break;
        }
        names.push(tokens.text(at + 1));
        at += 2;
        open = at;
        if tokens.text(at) == "(" {
            at = tokens.close(at) + 1;
        }
    }
    (names, open)
}

fn expect(tokens: &Tokens<'_>, at: usize) -> (Vec<Check>, usize) {
    let close = tokens.close(at + 1);
    let (names, open) = chain(tokens, close + 1);
    // `expect(x)` alone asserts nothing.
    if names.is_empty() {
        return (
            vec![check(tokens, at, (close + 1).min(at + MAX_TOKENS), Strength::Nothing)],
            close + 1,
        );
    }
    let is_call = tokens.text(open) == "(";
    let end = if is_call { tokens.close(open) } else { open.saturating_sub(1) };
    let whole = (at, (end + 1).min(at + MAX_TOKENS));
    let negated = names.contains(&"not");
    let last = names.last().copied().unwrap_or_default();
    let has_argument = is_call && end > open + 1;
    let mut strength = strength(&names, has_argument);
    if negated {
        strength = match (last, strength) {
            ("toBeNull" | "toBeUndefined" | "null" | "undefined", _) => Strength::Exists,
            (_, Strength::Nothing) => Strength::Nothing,
            (_, strength) => strength.min(Strength::Partial),
        };
    }
    let subject = (at + 2, close.min(at + MAX_TOKENS));
    let mut made = if has_argument {
        pair(tokens, whole, subject, (open + 1, end.min(open + MAX_TOKENS)), strength)
    } else {
        let mut made = check(tokens, whole.0, whole.1, strength);
        made.subject = tokens.normal(subject.0, subject.1);
        made.expected = Some(last.to_owned());
        // `expect(true).toBeTruthy()`
        if crate::evidence::expression::is_literal(tokens, subject) {
            made.strength = Strength::Nothing;
        }
        made
    };
    if last == "toBeCloseTo" {
        let arguments = tokens.split(open + 1, end, ",");
        let digits =
            arguments.get(1).and_then(|(from, _)| number(tokens.text(*from))).unwrap_or(2.0);
        made.tolerance = Some(10_f64.powf(-digits) / 2.0);
    }
    if tokens.starts(end + 1, &[".", "catch", "("]) {
        made.dead = Some("its failure is caught and dropped");
    }
    made.line = tokens.line(at);
    (vec![made], end + 1)
}

fn strength(names: &[&str], has_argument: bool) -> Strength {
    match names.last().copied().unwrap_or_default() {
        "toBeDefined" | "exist" => Strength::Exists,
        "toBeTruthy" | "toBeFalsy" | "ok" => Strength::Truthy,
        "toBeCloseTo" | "closeTo" | "approximately" => Strength::Close,
        "toContain"
        | "toContainEqual"
        | "toMatch"
        | "toMatchObject"
        | "toBeGreaterThan"
        | "toBeGreaterThanOrEqual"
        | "toBeLessThan"
        | "toBeLessThanOrEqual"
        | "toBeInstanceOf"
        | "toHaveBeenCalled"
        | "toHaveProperty"
        | "include"
        | "contain"
        | "contains"
        | "includes"
        | "match"
        | "above"
        | "below"
        | "least"
        | "most"
        | "a"
        | "an"
        | "instanceof"
        | "property"
        | "string"
        | "toSatisfy"
        | "toBeTypeOf" => Strength::Partial,
        "toThrow" | "toThrowError" | "throw" | "throws" | "rejected" if !has_argument => {
            Strength::Partial
        }
        _ => Strength::Exact,
    }
}

/// `assert.equal(a, b)` and its like.
fn function(
    tokens: &Tokens<'_>,
    at: usize,
    name: &str,
    open: usize,
) -> Option<(Vec<Check>, usize)> {
    let close = tokens.close(open);
    let to = close.min(open + MAX_TOKENS);
    let arguments = tokens.split(open + 1, to, ",");
    let whole = (at, (to + 1).min(tokens.len()));
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
    let two = |strength: Strength| match arguments.as_slice() {
        [left, right, ..] => pair(tokens, whole, *left, *right, strength),
        _ => of(strength),
    };
    let mut made = match name {
        "assert" | "ok" | "true" | "truthy" | "isTrue" | "isOk" => {
            let (from, to) = *arguments.first()?;
            let mut made = checks(tokens, Language::Node, from, to);
            for check in &mut made {
                check.text = format!("{name} ( {} )", check.text);
            }
            made
        }
        "equal"
        | "equals"
        | "strictEqual"
        | "deepEqual"
        | "deepStrictEqual"
        | "is"
        | "same"
        | "strictSame"
        | "eql"
        | "looseEqual"
        | "partialDeepStrictEqual" => vec![two(Strength::Exact)],
        "notEqual" | "notStrictEqual" | "notDeepEqual" | "notDeepStrictEqual" | "not" | "match"
        | "doesNotMatch" | "regex" | "include" | "isAbove" | "isBelow" | "isAtLeast"
        | "isAtMost" | "typeOf" | "instanceOf" | "like" => {
            vec![two(Strength::Partial)]
        }
        "exists" | "isDefined" | "isNotNull" => vec![of(Strength::Exists)],
        "falsy" | "false" | "notOk" | "isFalse" => vec![of(Strength::Partial)],
        "throws" | "rejects" | "throwsAsync" => {
            let is_exact = arguments.len() > 1 && tokens.kind(arguments[1].0) != Some(Kind::Text);
            vec![of(if is_exact { Strength::Exact } else { Strength::Partial })]
        }
        "closeTo" | "approximately" => vec![two(Strength::Close)],
        "pass" => vec![of(Strength::Nothing)],
        "fail" => {
            let mut made = of(Strength::Exact);
            made.subject = "fail".to_owned();
            vec![made]
        }
        "plan" | "end" | "test" | "skip" | "todo" | "after" | "before" | "afterEach"
        | "beforeEach" | "diagnostic" | "comment" | "mock" | "fn" | "teardown" | "timeout"
        | "log" | "context" | "use" | "subTest" => return None,
        _ if matches!(tokens.text(at), "t" | "tap" | "chai") => return None,
        _ => vec![of(Strength::Exact)],
    };
    for check in &mut made {
        check.line = tokens.line(at);
    }
    Some((made, close + 1))
}
