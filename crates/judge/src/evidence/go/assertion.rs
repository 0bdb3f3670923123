//! Go's assertions: a failure under a condition, and testify's functions.

use booty_policy::Language;

use crate::evidence::{
    blocks::Around,
    expression::{check, checks, number, pair},
    lex::Tokens,
    source::{Check, Strength},
};

/// A longer assertion's end is not looked at.
const MAX_TOKENS: usize = 4_000;

/// What is asserted here, and where to go on.
pub(super) fn at(tokens: &Tokens<'_>, at: usize, around: Around) -> (Vec<Check>, usize) {
    let none = (Vec::new(), at + 1);
    if !tokens.is_word(at) || tokens.text(at + 1) != "(" {
        return none;
    }
    let close = tokens.close(at + 1).min(at + MAX_TOKENS);
    let (before, owner) = (tokens.before(at, 1), tokens.before(at, 2));
    let name = tokens.text(at);
    let with = |mut made: Check| {
        made.dead = made.dead.or(around.dead);
        made.looped |= around.looped;
        made
    };
    if before == "."
        && matches!(name, "Error" | "Errorf" | "Fatal" | "Fatalf" | "Fail" | "FailNow")
        && matches!(owner, "t" | "b" | "f" | "tb")
    {
        let (made, is_conditional) = match around.condition {
            Some((from, to, outer)) => (failing(tokens, from, to.min(from + MAX_TOKENS)), outer),
            None => {
                let mut made = check(tokens, at, close + 1, Strength::Exact);
                made.subject = "fail".to_owned();
                (made, false)
            }
        };
        let mut made = with(made);
        made.conditional = is_conditional;
        made.line = around.condition.map_or(tokens.line(at), |(from, ..)| tokens.line(from));
        return (vec![made], close + 1);
    }
    let is_testify = before == "." && matches!(owner, "assert" | "require" | "is" | "suite" | "s");
    let is_shared = before != "func"
        && ["assert", "require", "check", "expect", "verify"]
            .iter()
            .any(|start| name.starts_with(start));
    if !is_testify && !is_shared {
        return none;
    }
    let mut made: Vec<Check> = function(tokens, at, name, close).into_iter().map(with).collect();
    for check in &mut made {
        check.conditional |= around.conditional;
        check.line = tokens.line(at);
    }
    if made.is_empty() { none } else { (made, close + 1) }
}

/// `if got != want { t.Error() }` asserts that they are equal.
fn failing(tokens: &Tokens<'_>, from: usize, to: usize) -> Check {
    let operators = ["!=", "==", ">=", "<=", ">", "<"];
    let either = tokens.find(from, to, &["||", "&&"]);
    let Some(at) = tokens.find(from, to, &operators).filter(|_| either.is_none()) else {
        let is_equal = (from..to).any(|at| matches!(tokens.text(at), "DeepEqual" | "Equal"));
        let strength =
            if is_equal || either.is_some() { Strength::Exact } else { Strength::Partial };
        return check(tokens, from, to, strength);
    };
    let right = (at + 1, to);
    let is_nil = tokens.text(at + 1) == "nil";
    let strength = match tokens.text(at) {
        "!=" => Strength::Exact,
        "==" if is_nil => Strength::Exists,
        _ => Strength::Partial,
    };
    pair(tokens, (from, to), (from, at), right, strength)
}

fn function(tokens: &Tokens<'_>, at: usize, name: &str, close: usize) -> Vec<Check> {
    let mut arguments = tokens.split(at + 2, close, ",");
    // The first is the test itself, unless it is bound.
    if arguments
        .first()
        .is_some_and(|(from, to)| to - from == 1 && matches!(tokens.text(*from), "t" | "b" | "tb"))
    {
        arguments.remove(0);
    }
    let whole = (at, close + 1);
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
        [left, right, ..] => pair(tokens, whole, *right, *left, strength),
        _ => of(strength),
    };
    let name = name.trim_end_matches('f');
    match name {
        "True" => match arguments.first() {
            Some((from, to)) => checks(tokens, Language::Go, *from, *to),
            None => Vec::new(),
        },
        "Equal" | "EqualValues" | "Exactly" | "JSONEq" | "YAMLEq" | "ElementsMatch" | "Same" => {
            vec![two(Strength::Exact)]
        }
        "NotNil" | "NotEmpty" => vec![of(Strength::Exists)],
        "NotEqual" | "Contains" | "NotContains" | "Greater" | "GreaterOrEqual" | "Less"
        | "LessOrEqual" | "Regexp" | "IsType" | "Subset" => vec![two(Strength::Partial)],
        "Error" | "Panics" | "Positive" | "NotZero" => vec![of(Strength::Partial)],
        "InDelta" | "InEpsilon" | "InDeltaSlice" => {
            let mut made = two(Strength::Close);
            made.tolerance = arguments.get(2).and_then(|(from, _)| number(tokens.text(*from)));
            vec![made]
        }
        "Run" | "SetT" | "T" | "SetupTest" | "Require" | "Assert" | "New" => Vec::new(),
        _ => vec![of(Strength::Exact)],
    }
}
