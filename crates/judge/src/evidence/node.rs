//! JavaScript and TypeScript: jest, vitest, mocha, node:test, ava.

mod assertion;
mod sign;

use booty_policy::Language;

use super::{
    blocks,
    lex::{Kind, Tokens, content},
    source::{Sign, Source, Unit},
};
use crate::report::Rule;

/// What opens a test.
const TESTS: [&str; 6] = ["it", "test", "specify", "xit", "xtest", "fit"];
/// What opens a block of tests.
const BLOCKS: [&str; 6] = ["describe", "context", "suite", "xdescribe", "fdescribe", "xcontext"];

/// `is_test`: the file is of tests, not of the program.
pub(super) fn read(text: &str, is_test: bool) -> Source {
    let tokens = Tokens::of(Language::Node, text);
    let mut reader = Reader {
        tokens: &tokens,
        out: Source::default(),
        is_test,
        tests_before: tests_before(&tokens),
    };
    if is_test {
        reader.tests();
    }
    reader.functions();
    reader.module(text.starts_with("#!"));
    let mut out = reader.out;
    out.code = tokens.normal(0, tokens.len());
    out
}

struct Reader<'a> {
    tokens: &'a Tokens<'a>,
    out: Source,
    is_test: bool,
    /// Up to each token: how many calls there are that open a test.
    tests_before: Vec<u32>,
}

/// A call that opens a test or a block of them.
struct Call<'a> {
    name: &'a str,
    modifiers: Vec<&'a str>,
    open: usize,
    close: usize,
    /// `test.each` with a table.
    table: Option<(usize, usize)>,
}

impl<'a> Reader<'a> {
    fn tests(&mut self) {
        let tokens = self.tokens;
        let mut blocks: Vec<(usize, String)> = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            while blocks.last().is_some_and(|(end, _)| *end <= at) {
                blocks.pop();
            }
            let Some(call) = self.call(at) else {
                at += 1;
                continue;
            };
            let arguments = tokens.split(call.open + 1, call.close, ",");
            let title =
                arguments.first().map_or_else(String::new, |(from, to)| match tokens.kind(*from) {
                    Some(Kind::Text) if to - from == 1 => content(tokens.text(*from)).to_owned(),
                    _ => tokens.normal(*from, *to),
                });
            let scope =
                blocks.iter().map(|(_, title)| title.as_str()).collect::<Vec<_>>().join(" > ");
            if BLOCKS.contains(&call.name) {
                let owner =
                    if scope.is_empty() { title.clone() } else { format!("{scope} > {title}") };
                self.modifier_signs(&call, &arguments, &owner, at);
                // Nothing honest nests deeper.
                if blocks.len() < 32 {
                    blocks.push((call.close, title));
                }
                at = call.open + 1;
                continue;
            }
            self.test(&call, &arguments, title, (!scope.is_empty()).then_some(scope), at);
            at = call.close + 1;
        }
    }

    fn call(&self, at: usize) -> Option<Call<'a>> {
        let tokens = self.tokens;
        let name = tokens.text(at);
        let is_name = tokens.is_word(at) && (TESTS.contains(&name) || BLOCKS.contains(&name));
        if !is_name
            || matches!(tokens.before(at, 1), "." | "function" | "import" | "{" | "," if tokens.text(at + 1) != "(" && tokens.text(at + 1) != ".")
            || tokens.before(at, 1) == "."
            || tokens.before(at, 1) == "function"
        {
            return None;
        }
        let mut modifiers = Vec::new();
        let mut next = at + 1;
        let mut table = None;
        loop {
            match tokens.text(next) {
                "." if tokens.is_word(next + 1) => {
                    modifiers.push(tokens.text(next + 1));
                    next += 2;
                }
                "(" => {
                    let close = tokens.close(next);
                    let is_table = modifiers
                        .last()
                        .is_some_and(|last| matches!(*last, "each" | "for" | "skipIf" | "runIf"));
                    if is_table
                        && table.is_none()
                        && (tokens.text(close + 1) == "(" || tokens.text(close + 1) == ".")
                    {
                        table = Some((next + 1, close));
                        next = close + 1;
                        continue;
                    }
                    return Some(Call { name, modifiers, open: next, close, table });
                }
                // A table as a template.
                _ if tokens.kind(next) == Some(Kind::Text) && modifiers.last() == Some(&"each") => {
                    table = Some((next, next + 1));
                    next += 1;
                }
                _ => return None,
            }
        }
    }

    fn modifier_signs(
        &mut self,
        call: &Call<'_>,
        arguments: &[(usize, usize)],
        owner: &str,
        at: usize,
    ) {
        let tokens = self.tokens;
        let line = tokens.line(at);
        let mut add = |what: String| {
            let mut sign = Sign::new(Rule::TestSkipped, what, line);
            sign.owner = Some(owner.to_owned());
            self.out.signs.push(sign);
        };
        if matches!(call.name, "xit" | "xtest" | "xdescribe" | "xcontext") {
            add(call.name.to_owned());
        }
        if matches!(call.name, "fit" | "fdescribe") {
            add(format!("{} leaves out all others", call.name));
        }
        for modifier in &call.modifiers {
            match *modifier {
                "skip" | "todo" | "skipIf" | "runIf" | "failing" | "fails" | "fixme" => {
                    add(format!("{}.{modifier}", call.name))
                }
                "only" => add(format!("{}.only leaves out all others", call.name)),
                _ => {}
            }
        }
        for &(from, to) in arguments.iter().skip(1).filter(|(from, _)| tokens.text(*from) == "{") {
            for at in from..to {
                let is_set = tokens.text(at + 1) == ":" && tokens.text(at + 2) != "false";
                if is_set && matches!(tokens.text(at), "skip" | "todo" | "only" | "fails") {
                    add(format!("{{ {}: … }}", tokens.text(at)));
                }
            }
        }
    }

    fn test(
        &mut self,
        call: &Call<'_>,
        arguments: &[(usize, usize)],
        title: String,
        scope: Option<String>,
        at: usize,
    ) {
        let tokens = self.tokens;
        let body_from = arguments.get(1).map_or(call.close, |(from, _)| *from);
        let mut unit = Unit {
            name: title,
            scope,
            line: tokens.line(at),
            is_test: true,
            rows: 1,
            ..Unit::default()
        };
        if let Some((from, to)) = call.table {
            unit.table = tokens.normal(from, to);
            unit.rows = self.rows(from, to);
        }
        self.modifier_signs(call, arguments, &unit.full_title(), at);
        self.fill(unit, body_from, call.close);
    }

    fn rows(&self, from: usize, to: usize) -> usize {
        let tokens = self.tokens;
        match tokens.kind(from) {
            Some(Kind::Text) => tokens.text(from).matches('\n').count().saturating_sub(1).max(1),
            _ if tokens.text(from) == "[" => {
                tokens.split(from + 1, tokens.close(from).min(to), ",").len().max(1)
            }
            _ => 1,
        }
    }

    /// The body's checks and signs.
    fn fill(&mut self, mut unit: Unit, from: usize, to: usize) {
        let tokens = self.tokens;
        unit.body = tokens.normal(from, to);
        unit.words = (from..to)
            .filter(|at| tokens.is_word(*at))
            .map(|at| tokens.text(at).to_owned())
            .collect();
        unit.words.sort_unstable();
        unit.words.dedup();
        let owner = unit.full_title();
        let mut checks = Vec::new();
        let mut signs = Vec::new();
        let mut returned: Option<usize> = None;
        let mut depth_of_body: Option<usize> = None;
        blocks::walk(tokens, Language::Node, from, to, |at, around| {
            // The first function is the test itself.
            if tokens.text(at) == "return"
                && !around.conditional
                && !around.looped
                && around.dead.is_none()
            {
                let line_ends = matches!(tokens.text(at + 1), ";" | "}")
                    || tokens.line(at + 1) > tokens.line(at);
                if line_ends && depth_of_body.is_none() && checks.is_empty() {
                    returned.get_or_insert(at);
                    depth_of_body = Some(at);
                }
            }
            if let Some(sign) = sign::in_test(tokens, at) {
                signs.push(sign);
            }
            let (made, next) = assertion::at(tokens, at);
            for mut check in made {
                check.dead = check.dead.or(around.dead);
                check.conditional |= around.conditional;
                check.looped |= around.looped;
                checks.push(check);
            }
            next
        });
        let all_dead = !checks.is_empty() && checks.iter().all(|check| check.dead.is_some());
        if let Some(at) = returned.filter(|_| all_dead && unit.is_test) {
            signs.push(Sign::new(
                Rule::TestSkipped,
                "return before anything is asserted",
                tokens.line(at),
            ));
        }
        unit.checks = checks;
        for mut sign in signs {
            sign.owner = Some(owner.clone());
            self.out.signs.push(sign);
        }
        self.out.units.push(unit);
    }

    /// Functions by name: of a program what it defines, of tests what they share.
    fn functions(&mut self) {
        let tokens = self.tokens;
        let mut at = 0;
        while at < tokens.len() {
            let name = tokens.text(at + 1);
            let is_declared = tokens.is_word(at + 1) && tokens.before(at, 1) != ".";
            match tokens.text(at) {
                "function" | "class" if is_declared => {
                    self.out.defines.push(name.to_owned());
                    if self.is_test && tokens.text(at) == "function" {
                        let open = tokens
                            .find(at + 2, (at + 200).min(tokens.len()), &["{", ";"])
                            .unwrap_or(tokens.len());
                        at = self.shared(name, at, open);
                        continue;
                    }
                }
                "const" | "let" | "var" if is_declared && tokens.text(at + 2) == "=" => {
                    self.out.defines.push(name.to_owned());
                    let arrow = tokens.find(at + 3, (at + 40).min(tokens.len()), &["=>", ";", "{"]);
                    let is_arrow = arrow.is_some_and(|arrow| {
                        tokens.text(arrow) == "=>" && tokens.text(arrow + 1) == "{"
                    });
                    if let Some(arrow) = arrow.filter(|_| self.is_test && is_arrow) {
                        at = self.shared(name, at, arrow + 1);
                        continue;
                    }
                }
                "interface" | "type" | "enum" if is_declared => {
                    self.out.defines.push(name.to_owned())
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn shared(&mut self, name: &str, at: usize, open: usize) -> usize {
        let tokens = self.tokens;
        if tokens.text(open) != "{" {
            return at + 1;
        }
        let unit =
            Unit { name: name.to_owned(), line: tokens.line(at), rows: 1, ..Unit::default() };
        let close = tokens.close(open);
        // Tests inside of a function are tests: what they say is theirs.
        let count = |at: usize| {
            self.tests_before.get(at).or(self.tests_before.last()).copied().unwrap_or(0)
        };
        let has_tests = count(close) > count(open);
        if has_tests {
            return open + 1;
        }
        self.fill(unit, open + 1, close);
        close + 1
    }

    /// What stands outside of tests.
    fn module(&mut self, is_script: bool) {
        let tokens = self.tokens;
        let is_test = self.is_test;
        let mut signs = Vec::new();
        blocks::walk(tokens, Language::Node, 0, tokens.len(), |at, around| {
            signs.extend(sign::in_module(tokens, at, around, is_test, is_script));
            at + 1
        });
        // Those of tests were found there, with the test's name.
        let known: std::collections::HashSet<(Rule, u32)> =
            self.out.signs.iter().map(|sign| (sign.rule, sign.line)).collect();
        self.out
            .signs
            .extend(signs.into_iter().filter(|sign| !known.contains(&(sign.rule, sign.line))));
    }
}

fn tests_before(tokens: &Tokens<'_>) -> Vec<u32> {
    let mut sum = 0;
    let mut out = vec![0];
    for at in 0..tokens.len() {
        sum +=
            u32::from(TESTS.contains(&tokens.text(at)) && matches!(tokens.text(at + 1), "(" | "."));
        out.push(sum);
    }
    out
}

impl Unit {
    /// As runners show a test in its blocks.
    fn full_title(&self) -> String {
        self.full()
    }
}
