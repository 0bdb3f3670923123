//! Go: the package `testing`, and testify.

mod assertion;

use booty_policy::Language;

use super::{
    blocks,
    lex::{Kind, Tokens, content},
    source::{Sign, Source, Unit},
};
use crate::report::Rule;

/// `is_test`: the file's name ends with `_test.go`.
pub(super) fn read(text: &str, is_test: bool) -> Source {
    let tokens = Tokens::of(Language::Go, text);
    let mut out = Source::default();
    if is_test {
        build_tags(text, &mut out);
    }
    let mut at = 0;
    while at < tokens.len() {
        match tokens.text(at) {
            "func" => at = function(&tokens, at, is_test, &mut out),
            "type" | "const" | "var" if tokens.is_word(at + 1) => {
                out.defines.push(tokens.text(at + 1).to_owned());
                at += 2;
            }
            _ => at = tokens.after(at),
        }
    }
    out.code = tokens.normal(0, tokens.len());
    out
}

/// Lines above the package that leave the file out of the build.
fn build_tags(text: &str, out: &mut Source) {
    for (line, content) in (1..).zip(text.lines()) {
        if content.starts_with("package ") {
            return;
        }
        let tags = content.strip_prefix("//go:build ").or(content.strip_prefix("// +build "));
        if let Some(tags) = tags {
            out.signs.push(Sign::new(
                Rule::TestSkipped,
                format!("//go:build {}", tags.trim()),
                line,
            ));
        }
    }
}

fn function(tokens: &Tokens<'_>, at: usize, is_test: bool, out: &mut Source) -> usize {
    let is_method = tokens.text(at + 1) == "(";
    let name_at = if is_method { tokens.close(at + 1) + 1 } else { at + 1 };
    if !tokens.is_word(name_at) {
        return at + 1;
    }
    let name = tokens.text(name_at);
    let open = body(tokens, name_at + 1);
    let Some(open) = open else { return name_at + 1 };
    let close = tokens.close(open);
    out.defines.push(name.to_owned());
    let scope =
        is_method.then(|| tokens.before(name_at, 2).to_owned()).filter(|scope| scope != "(");
    let runs = ["Test", "Fuzz", "Example"].iter().any(|start| {
        name.strip_prefix(start).is_some_and(|rest| !rest.starts_with(|c: char| c.is_lowercase()))
    });
    // A method is run by testify's suite.
    let is_main = name == "TestMain";
    let takes_t =
        is_method || tokens.close(name_at + 1) > name_at + 2 || name.starts_with("Example");
    let mut unit = Unit {
        name: name.to_owned(),
        scope,
        line: tokens.line(at),
        is_test: is_test && runs && !is_main && takes_t,
        rows: 1,
        body: tokens.normal(open + 1, close),
        ..Unit::default()
    };
    unit.words = (open..close)
        .filter(|at| tokens.is_word(*at))
        .map(|at| tokens.text(at).to_owned())
        .collect();
    unit.words.sort_unstable();
    unit.words.dedup();
    let mut checks = Vec::new();
    let mut signs: Vec<Sign> = Vec::new();
    let mut returned: Option<usize> = None;
    let calls_run = unit.words.binary_search_by(|word| word.as_str().cmp("Run")).is_ok();
    blocks::walk(tokens, Language::Go, open + 1, close, |at, around| {
        let is_plain =
            !around.nested && !around.conditional && !around.looped && around.dead.is_none();
        if tokens.text(at) == "return" && is_plain && checks.is_empty() {
            returned.get_or_insert(at);
        }
        signs.extend(sign(tokens, at, is_test, name, calls_run, is_plain));
        let (made, next) = assertion::at(tokens, at, around);
        checks.extend(made);
        next
    });
    if let Some(at) = returned.filter(|_| unit.is_test && !checks.is_empty()) {
        signs.push(Sign::new(
            Rule::TestSkipped,
            "return before anything is asserted",
            tokens.line(at),
        ));
    }
    unit.checks = checks;
    let full = unit.full();
    for mut sign in signs {
        sign.owner = Some(full.clone());
        out.signs.push(sign);
    }
    out.units.push(unit);
    close + 1
}

/// Where a function's body opens: past its parameters and results.
fn body(tokens: &Tokens<'_>, from: usize) -> Option<usize> {
    let line = tokens.line(from);
    let mut at = from;
    while at < tokens.len() {
        match tokens.text(at) {
            // `interface{}` and `struct{}` in a signature are types.
            "{" if !matches!(tokens.before(at, 1), "interface" | "struct") => return Some(at),
            "func" if tokens.line(at) > line => return None,
            _ => at = tokens.after(at),
        }
    }
    None
}

fn sign(
    tokens: &Tokens<'_>,
    at: usize,
    is_test: bool,
    function: &str,
    calls_run: bool,
    is_plain: bool,
) -> Option<Sign> {
    let line = tokens.line(at);
    if tokens.kind(at) == Some(Kind::Text) {
        let is_report = is_test && content(tokens.text(at)).contains("BOOTY_REPORT_DIR");
        return is_report.then(|| Sign::new(Rule::RunnerTampered, "the runner's report", line));
    }
    let (before, owner, next) = (tokens.before(at, 1), tokens.before(at, 2), tokens.text(at + 1));
    match tokens.text(at) {
        "Skip" | "Skipf" | "SkipNow" if is_test && before == "." && next == "(" => {
            Some(Sign::new(Rule::TestSkipped, format!("{owner}.{}", tokens.text(at)), line))
        }
        "Exit" if before == "." && matches!(owner, "os" | "syscall") && next == "(" => {
            let is_failure =
                tokens.kind(at + 2) == Some(Kind::Number) && tokens.text(at + 2) != "0";
            let is_zero = tokens.starts(at + 2, &["0", ")"]);
            match (is_test, function) {
                _ if is_failure => None,
                // `os.Exit(m.Run())`
                (true, "TestMain") if calls_run && !is_zero => None,
                (true, "TestMain") => Some(Sign::new(
                    Rule::RunnerTampered,
                    "os.Exit without what the tests said",
                    line,
                )),
                (true, _) => Some(Sign::new(Rule::EarlyExit, "os.Exit", line)),
                (false, "main") => None,
                (false, "init") if is_plain => Some(Sign::new(Rule::EarlyExit, "os.Exit", line)),
                (false, _) => Some(Sign::new(Rule::EarlyExit, "os.Exit", line).warning()),
            }
        }
        "Goexit" if is_test && before == "." && owner == "runtime" => {
            Some(Sign::new(Rule::EarlyExit, "runtime.Goexit", line))
        }
        "Set"
            if is_test
                && before == "."
                && owner == "flag"
                && content(tokens.text(at + 2)).starts_with("test.") =>
        {
            Some(Sign::new(Rule::RunnerTampered, "the runner's flags", line))
        }
        "Args"
            if is_test
                && before == "."
                && owner == "os"
                && next == "="
                && matches!(function, "TestMain" | "init") =>
        {
            Some(Sign::new(Rule::RunnerTampered, "the runner's arguments", line))
        }
        "recover" if is_test && next == "(" => {
            Some(Sign::new(Rule::AssertionWeakened, "recover() around assertions", line).warning())
        }
        "Testing" if !is_test && before == "." && owner == "testing" => Some(
            Sign::new(Rule::RunnerTampered, "code that behaves differently under tests", line)
                .warning(),
        ),
        _ => None,
    }
}
