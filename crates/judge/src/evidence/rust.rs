//! Rust: test functions, in modules of their own or beside code.

mod assertion;

use booty_policy::Language;

use super::{
    blocks,
    lex::{Kind, Tokens, content},
    source::{Region, Sign, Source, Unit},
};
use crate::report::Rule;

/// `all_tests`: everything in the file is about tests.
pub(super) fn read(text: &str, all_tests: bool) -> Source {
    let tokens = Tokens::of(Language::Rust, text);
    let mut reader = Reader { tokens: &tokens, out: Source::default(), all_tests };
    reader.items();
    let mut out = reader.out;
    let mut at = 0;
    for region in &out.regions {
        out.code.push_str(&tokens.normal(at, region.from));
        out.code.push('\n');
        at = region.to;
    }
    out.code.push_str(&tokens.normal(at, tokens.len()));
    out
}

/// Nothing honest nests modules deeper.
const MAX_DEPTH: usize = 32;

struct Reader<'a> {
    tokens: &'a Tokens<'a>,
    out: Source,
    all_tests: bool,
}

/// A module that is open.
struct Module<'a> {
    name: &'a str,
    end: usize,
    is_test: bool,
}

impl<'a> Reader<'a> {
    fn items(&mut self) {
        let tokens = self.tokens;
        let mut open: Vec<Module<'a>> = Vec::new();
        let mut marks: Vec<(usize, usize)> = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            while open.last().is_some_and(|module| module.end <= at) {
                open.pop();
            }
            let in_tests = self.all_tests || open.iter().any(|module| module.is_test);
            match tokens.text(at) {
                "#" if tokens.text(at + 1) == "[" => {
                    let end = tokens.close(at + 1);
                    marks.push((at + 2, end));
                    at = end + 1;
                    continue;
                }
                "#" if tokens.text(at + 1) == "!" && tokens.text(at + 2) == "[" => {
                    self.inner_mark(at, &open);
                    at = tokens.close(at + 2) + 1;
                    continue;
                }
                "mod" if tokens.is_word(at + 1) => {
                    let brace = at + 2;
                    let is_test = marks.iter().any(|mark| is_cfg_test(tokens, *mark));
                    let path = path(&open, Some(tokens.text(at + 1)));
                    self.marks_of(&marks, &path, in_tests || is_test, false);
                    if tokens.text(brace) == ";" && open.is_empty() {
                        self.out.modules.push((path.clone(), tokens.line(at)));
                    }
                    if tokens.text(brace) == "{" && open.len() < MAX_DEPTH {
                        let end = tokens.close(brace);
                        if is_test && !in_tests {
                            let from = marks.first().map_or(at, |mark| mark.0 - 2);
                            self.region(path, from, end + 1);
                        }
                        open.push(Module { name: tokens.text(at + 1), end, is_test });
                    }
                    at = brace + 1;
                }
                "fn" if tokens.is_word(at + 1) => {
                    at = self.function(at, &marks, &open, in_tests);
                }
                "struct" | "enum" | "trait" | "type" | "const" | "static" | "union"
                    if tokens.is_word(at + 1) =>
                {
                    if !in_tests {
                        self.out.defines.push(tokens.text(at + 1).to_owned());
                    }
                    at += 2;
                    marks.clear();
                    continue;
                }
                "macro_rules" => {
                    at = tokens.after(at + 3);
                }
                // What may stand between an attribute and its item.
                "pub" | "async" | "unsafe" | "extern" | "crate" | "(" | ")" | "super" | "in"
                | "default" => {
                    at += 1;
                    continue;
                }
                _ => {
                    at += 1;
                }
            }
            marks.clear();
        }
    }

    fn region(&mut self, path: String, from: usize, to: usize) {
        let tokens = self.tokens;
        let bytes = |at: usize, end: bool| match tokens.list.get(at) {
            Some(token) if end => token.start + token.text.len(),
            Some(token) => token.start,
            None => tokens.list.last().map_or(0, |token| token.start + token.text.len()),
        };
        let range = (bytes(from, false), bytes(to - 1, true));
        self.out.regions.push(Region {
            path,
            from,
            to: to.min(tokens.len()),
            bytes: range.0..range.1,
        });
    }

    /// `#![cfg(…)]` at the top of a file or module.
    fn inner_mark(&mut self, at: usize, open: &[Module<'_>]) {
        let tokens = self.tokens;
        let (from, to) = (at + 3, tokens.close(at + 2));
        if tokens.text(from) == "cfg"
            && !is_cfg_test(tokens, (from, to))
            && (self.all_tests || !open.is_empty())
        {
            let mut sign = Sign::new(
                Rule::TestSkipped,
                format!("#![{}]", tight(&tokens.normal(from, to))),
                tokens.line(at),
            );
            sign.owner = (!open.is_empty()).then(|| path(open, None));
            self.out.signs.push(sign);
        }
    }

    /// What attributes do to a test or a module of tests.
    fn marks_of(&mut self, marks: &[(usize, usize)], owner: &str, in_tests: bool, is_test: bool) {
        let tokens = self.tokens;
        for &(from, to) in marks {
            let has = |word: &str| (from..to).any(|at| tokens.text(at) == word);
            let is_cfg = tokens.text(from) == "cfg" && !is_cfg_test(tokens, (from, to));
            let counts = match tokens.text(from) {
                "ignore" | "should_panic" => is_test,
                "cfg" => is_cfg && in_tests,
                "cfg_attr" => is_test && (has("ignore") || has("should_panic")),
                _ => false,
            };
            if counts {
                let what = format!("#[{}]", tight(&tokens.normal(from, to)));
                let mut sign = Sign::new(Rule::TestSkipped, what, tokens.line(from));
                sign.owner = Some(owner.to_owned());
                self.out.signs.push(sign);
            }
        }
    }

    fn function(
        &mut self,
        at: usize,
        marks: &[(usize, usize)],
        open: &[Module<'_>],
        in_tests: bool,
    ) -> usize {
        let tokens = self.tokens;
        let name = tokens.text(at + 1);
        let mut brace = at + 2;
        while brace < tokens.len() && !matches!(tokens.text(brace), "{" | ";") {
            brace = tokens.after(brace);
        }
        if tokens.text(brace) != "{" {
            return brace + 1;
        }
        let end = tokens.close(brace);
        let is_test = marks.iter().any(|mark| is_test_mark(tokens, *mark));
        let cases = marks
            .iter()
            .filter(|(from, _)| matches!(tokens.text(*from), "case" | "test_case"))
            .count();
        let scope = (!open.is_empty()).then(|| path(open, None));
        let mut unit = Unit {
            name: name.to_owned(),
            scope,
            line: tokens.line(at),
            is_test,
            rows: cases.max(1),
            ..Unit::default()
        };
        for &(from, to) in
            marks.iter().filter(|(from, _)| matches!(tokens.text(*from), "case" | "test_case"))
        {
            unit.table.push_str(&tokens.normal(from, to));
        }
        let in_tests = in_tests || is_test;
        if !in_tests {
            self.out.defines.push(name.to_owned());
        }
        let full = unit.full();
        self.marks_of(marks, &full, in_tests, is_test);
        unit.body = tokens.normal(brace + 1, end);
        unit.words = (brace..end)
            .filter(|at| tokens.is_word(*at))
            .map(|at| tokens.text(at).to_owned())
            .collect();
        unit.words.sort_unstable();
        unit.words.dedup();
        let mut checks = Vec::new();
        let mut signs: Vec<Sign> = Vec::new();
        let mut returned: Option<usize> = None;
        blocks::walk(tokens, Language::Rust, brace + 1, end, |at, around| {
            if tokens.text(at) == "return"
                && !around.nested
                && !around.conditional
                && !around.looped
                && around.dead.is_none()
            {
                returned.get_or_insert(at);
            }
            sign(tokens, at, in_tests, name, &mut signs);
            let (made, next) = assertion::at(tokens, at);
            let is_first_return = returned.is_some();
            for mut check in made {
                check.dead = check.dead.or(around.dead);
                check.conditional |= around.conditional;
                check.looped |= around.looped;
                checks.push((check, is_first_return));
            }
            next
        });
        let returns_early = returned
            .filter(|_| is_test && !checks.is_empty() && checks.iter().all(|(_, after)| *after));
        if let Some(at) = returned.filter(|_| returns_early.is_some()) {
            signs.push(Sign::new(
                Rule::TestSkipped,
                "return before anything is asserted",
                tokens.line(at),
            ));
        }
        unit.checks = checks.into_iter().map(|(check, _)| check).collect();
        for mut sign in signs {
            sign.owner = Some(full.clone());
            self.out.signs.push(sign);
        }
        self.out.units.push(unit);
        end + 1
    }
}

fn sign(tokens: &Tokens<'_>, at: usize, in_tests: bool, function: &str, out: &mut Vec<Sign>) {
    let line = tokens.line(at);
    if tokens.kind(at) == Some(Kind::Text) {
        if in_tests && content(tokens.text(at)).contains("BOOTY_REPORT_DIR") {
            out.push(Sign::new(Rule::RunnerTampered, "the runner's report", line));
        }
        return;
    }
    let (before, owner) = (tokens.before(at, 1), tokens.before(at, 2));
    let made = match tokens.text(at) {
        "exit" | "abort" if before == "::" && matches!(owner, "process" | "libc") => {
            let is_failure = tokens.text(at + 1) == "("
                && tokens.kind(at + 2) == Some(Kind::Number)
                && tokens.text(at + 2) != "0";
            let sign = Sign::new(Rule::EarlyExit, format!("process::{}", tokens.text(at)), line);
            match (in_tests, is_failure, function) {
                (_, true, _) | (false, _, "main") => return,
                (true, ..) => sign,
                (false, ..) => sign.warning(),
            }
        }
        "set_hook" if before == "::" && in_tests => {
            Sign::new(Rule::RunnerTampered, "panic::set_hook", line)
        }
        "catch_unwind" if in_tests && tokens.text(at + 1) == "(" => {
            Sign::new(Rule::AssertionWeakened, "catch_unwind around assertions", line).warning()
        }
        "cfg" if !in_tests && tokens.starts(at + 1, &["!", "(", "test", ")"]) => {
            Sign::new(Rule::RunnerTampered, "code that behaves differently under tests", line)
                .warning()
        }
        _ => return,
    };
    out.push(made);
}

fn path(open: &[Module<'_>], name: Option<&str>) -> String {
    open.iter().map(|module| module.name).chain(name).collect::<Vec<_>>().join("::")
}

/// `cfg(test)`, or `cfg(all(test, …))` with a feature alone.
fn is_cfg_test(tokens: &Tokens<'_>, (from, to): (usize, usize)) -> bool {
    tokens.text(from) == "cfg" && tokens.normal(from, to) == "cfg ( test )"
}

fn is_test_mark(tokens: &Tokens<'_>, (from, to): (usize, usize)) -> bool {
    let name_end = (from..to).find(|at| tokens.text(*at) == "(").unwrap_or(to);
    let last = tokens.before(name_end, 1);
    tokens.text(from) != "cfg"
        && (matches!(
            last,
            "test"
                | "rstest"
                | "test_case"
                | "quickcheck"
                | "wasm_bindgen_test"
                | "test_log"
                | "proptest"
        ) || last.ends_with("_test"))
}

/// Attributes without the spaces between their tokens.
fn tight(text: &str) -> String {
    text.replace(" (", "(").replace("( ", "(").replace(" )", ")").replace(" ,", ",")
}
