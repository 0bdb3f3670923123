//! What takes tests of JavaScript away, bends the runner, or ends it early.

use crate::{
    evidence::{
        blocks::Around,
        lex::{Kind, Tokens, content},
        source::Sign,
    },
    report::Rule,
};

/// Modules that a runner is made of.
const RUNNERS: [&str; 12] = [
    "assert",
    "node:assert",
    "node:test",
    "expect",
    "jest",
    "@jest/globals",
    "vitest",
    "chai",
    "mocha",
    "ava",
    "node:process",
    "process",
];
/// Names that a runner gives.
const GIVEN: [&str; 10] = [
    "expect",
    "assert",
    "it",
    "test",
    "describe",
    "beforeEach",
    "afterEach",
    "beforeAll",
    "afterAll",
    "jest",
];

/// In a test.
pub(super) fn in_test(tokens: &Tokens<'_>, at: usize) -> Option<Sign> {
    let line = tokens.line(at);
    let (before, owner) = (tokens.before(at, 1), tokens.before(at, 2));
    let is_skip = matches!(tokens.text(at), "skip" | "todo" | "pending")
        && tokens.text(at + 1) == "("
        && (before == "." && matches!(owner, "this" | "t" | "ctx" | "context" | "test" | "it")
            || tokens.text(at) == "pending");
    if is_skip {
        return Some(Sign::new(
            Rule::TestSkipped,
            format!("{owner}{before}{}", tokens.text(at)),
            line,
        ));
    }
    exit(tokens, at).or_else(|| tamper(tokens, at))
}

/// Outside of tests. In a program, what runs at import counts.
pub(super) fn in_module(
    tokens: &Tokens<'_>,
    at: usize,
    around: Around,
    is_test: bool,
    is_script: bool,
) -> Option<Sign> {
    if is_test {
        return exit(tokens, at).or_else(|| tamper(tokens, at));
    }
    let sign = exit(tokens, at)?;
    match (around.nested, around.conditional || is_script) {
        (true, _) => None,
        (false, true) => Some(sign.warning()),
        (false, false) => Some(sign),
    }
}

fn exit(tokens: &Tokens<'_>, at: usize) -> Option<Sign> {
    let (before, owner) = (tokens.before(at, 1), tokens.before(at, 2));
    if before != "." || owner != "process" {
        return None;
    }
    let line = tokens.line(at);
    let number = |at: usize| tokens.kind(at) == Some(Kind::Number) && tokens.text(at) != "0";
    match tokens.text(at) {
        "exit" | "reallyExit" | "abort" if tokens.text(at + 1) == "(" && !number(at + 2) => {
            Some(Sign::new(Rule::EarlyExit, format!("process.{}", tokens.text(at)), line))
        }
        "exitCode" if tokens.text(at + 1) == "=" && !number(at + 2) => {
            Some(Sign::new(Rule::EarlyExit, "process.exitCode is set", line))
        }
        "kill" if tokens.starts(at + 1, &["(", "process", ".", "pid"]) => {
            Some(Sign::new(Rule::EarlyExit, "process.kill of itself", line))
        }
        _ => None,
    }
}

fn tamper(tokens: &Tokens<'_>, at: usize) -> Option<Sign> {
    let line = tokens.line(at);
    let made = |what: String| Some(Sign::new(Rule::RunnerTampered, what, line));
    if tokens.kind(at) == Some(Kind::Text) {
        return if content(tokens.text(at)).contains("BOOTY_REPORT_DIR") {
            made("the runner's report".to_owned())
        } else {
            None
        };
    }
    let (before, owner, next) = (tokens.before(at, 1), tokens.before(at, 2), tokens.text(at + 1));
    let text = tokens.text(at);
    match text {
        "on" | "once" | "addListener" | "prependListener"
            if before == "." && owner == "process" && next == "(" =>
        {
            let event = content(tokens.text(at + 2));
            let counts =
                matches!(event, "exit" | "beforeExit" | "uncaughtException" | "unhandledRejection");
            if counts { made(format!("process.on('{event}')")) } else { None }
        }
        "BOOTY_REPORT_DIR" => made("the runner's report".to_owned()),
        "exit" if before == "." && owner == "process" && next == "=" => {
            made("process.exit is replaced".to_owned())
        }
        "mock" | "doMock" | "unstable_mockModule" if before == "." && next == "(" => {
            let name = content(tokens.text(at + 2));
            if RUNNERS.contains(&name) { made(format!("{name} is mocked")) } else { None }
        }
        "extend" if before == "." && owner == "expect" => {
            made("expect.extend".to_owned()).map(Sign::warning)
        }
        "_load" | "_extensions" if before == "." => made(format!("Module.{text}")),
        "require" if before == "." && next == "=" => made("require is replaced".to_owned()),
        _ if GIVEN.contains(&text) && next == "=" => {
            let is_global = before == "." && matches!(owner, "global" | "globalThis" | "window");
            // `const assert = require('assert')` is how it is brought in.
            let is_brought = matches!(before, "const" | "let" | "var" | ",")
                && matches!(tokens.text(at + 2), "require" | "chai" | "await" | "import");
            let is_declared = matches!(before, "const" | "let" | "var");
            // A local `test` or `it` is nobody's but the function's.
            let is_local = is_declared && !matches!(text, "expect" | "assert");
            if is_brought
                || is_local
                || (!is_declared && before != "." && !matches!(text, "expect" | "assert"))
                || (before == "." && !is_global)
                || is_declared && tokens.text(at + 3) == "."
            {
                return None;
            }
            made(format!("{text} is replaced"))
        }
        // `assert.equal = …`
        _ if before == "."
            && next == "="
            && matches!(owner, "assert" | "expect")
            && tokens.is_word(at) =>
        {
            made(format!("{owner}.{text} is replaced"))
        }
        _ => None,
    }
}
