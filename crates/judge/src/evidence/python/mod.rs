//! Python: tests of pytest and unittest.

mod assertion;
mod lines;
mod sign;

use std::collections::{HashMap, HashSet};

use booty_policy::config::Language;

use super::{
    lex::Tokens,
    source::{Check, Source, Unit},
};
use lines::Line;

/// What a file is to the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Tests.
    Test,
    /// What tests share.
    Shared,
    /// A `conftest.py`.
    Conftest,
    /// The program.
    Code,
}

pub(super) fn read(text: &str, role: Role) -> Source {
    let tokens = Tokens::of(Language::Python, text);
    let lines = lines::lines(&tokens);
    let mut reader = Reader {
        tokens: &tokens,
        lines: &lines,
        role,
        doubts: doubts(&tokens),
        classes: HashSet::new(),
        skips: HashMap::new(),
        out: Source::default(),
    };
    reader.block(0, lines.len(), &[]);
    let mut out = reader.out;
    keep_last(&mut out.units);
    out.code = tokens.normal(0, tokens.len());
    out
}

pub(super) struct Reader<'a> {
    tokens: &'a Tokens<'a>,
    lines: &'a [Line],
    role: Role,
    /// Up to each token: how many words there are that pass a failure on.
    doubts: Vec<u32>,
    /// Paths of the classes so far.
    classes: HashSet<String>,
    /// Marks that skip and have a name, and what each is.
    skips: HashMap<String, String>,
    out: Source,
}

/// What surrounds a statement.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Around {
    pub(super) dead: Option<&'static str>,
    pub(super) conditional: bool,
    pub(super) looped: bool,
    /// In a function of its own inside of a test.
    pub(super) nested: bool,
    /// Inside of `with pytest.raises(SystemExit)`.
    pub(super) exits: bool,
    /// Inside of `if __name__ == "__main__"`.
    pub(super) main: bool,
}

/// Nothing honest nests deeper; it bounds the stack.
const MAX_CLASSES: usize = 16;

impl Reader<'_> {
    /// Module level, or a class's inside.
    fn block(&mut self, from: usize, to: usize, scope: &[&str]) {
        let mut marks: Vec<usize> = Vec::new();
        // Blocks whose inside is on this level still: `if`, `try`, `with`.
        let mut guards: Vec<(usize, Around)> = Vec::new();
        let mut at = from;
        while at < to {
            while guards.last().is_some_and(|(end, _)| *end <= at) {
                guards.pop();
            }
            let around = guards.last().map_or_else(Around::default, |(_, around)| *around);
            let line = self.lines[at];
            let start = self.head(line);
            match self.tokens.text(start) {
                "@" => {
                    marks.push(at);
                    at += 1;
                    continue;
                }
                "def" => {
                    self.function(at, start, scope, &marks, around);
                    at = line.next;
                }
                "class" => {
                    self.class(at, start, scope, &marks);
                    at = line.next;
                }
                _ => {
                    let path = scope.join("::");
                    let owners = [path.as_str()];
                    let is_named = !scope.is_empty() && self.role != Role::Code;
                    self.statement_signs(at, if is_named { &owners } else { &[] }, around);
                    if line.next > at + 1 {
                        guards.push((line.next, self.inside(at, around)));
                    } else if scope.is_empty() {
                        self.define_assigned(line);
                    }
                    at += 1;
                }
            }
            marks.clear();
        }
    }

    /// Past `async`.
    fn head(&self, line: Line) -> usize {
        line.from + usize::from(self.tokens.text(line.from) == "async")
    }

    fn define_assigned(&mut self, line: Line) {
        if self.tokens.is_word(line.from) && matches!(self.tokens.text(line.from + 1), "=" | ":") {
            self.out.defines.push(self.tokens.text(line.from).to_owned());
        }
    }

    fn class(&mut self, at: usize, start: usize, scope: &[&str], marks: &[usize]) {
        let tokens = self.tokens;
        let line = self.lines[at];
        let name = tokens.text(start + 1);
        self.out.defines.push(name.to_owned());
        let mut inner = scope.to_vec();
        inner.push(name);
        // A class of that name takes the earlier one's place.
        let path = inner.join("::");
        let is_within = |scope: &Option<String>| {
            scope.as_deref().is_some_and(|scope| {
                scope == path
                    || scope.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with("::"))
            })
        };
        if !self.classes.insert(path.clone()) {
            self.out.units.retain(|unit| !is_within(&unit.scope));
        }
        let first = self.out.units.len();
        for mark in marks {
            self.mark_signs(*mark, &path);
        }
        self.class_signs(start);
        if scope.len() < MAX_CLASSES {
            self.block(at + 1, line.next, &inner);
        }
        let has_bases = tokens.text(start + 2) == "(" && tokens.close(start + 2) > start + 3;
        let is_collected = has_bases || name.starts_with("Test");
        if !is_collected {
            for unit in self.out.units.iter_mut().skip(first) {
                unit.is_test &= !is_within(&unit.scope);
            }
        }
    }

    fn function(
        &mut self,
        at: usize,
        start: usize,
        scope: &[&str],
        marks: &[usize],
        around: Around,
    ) {
        let tokens = self.tokens;
        let line = self.lines[at];
        let name = tokens.text(start + 1);
        if scope.is_empty() {
            self.out.defines.push(name.to_owned());
        }
        let scope_text = (!scope.is_empty()).then(|| scope.join("::"));
        let is_fixture = marks.iter().any(|mark| {
            (self.lines[*mark].from..self.lines[*mark].to).any(|at| tokens.text(at) == "fixture")
        });
        let mut unit = Unit {
            name: name.to_owned(),
            scope: scope_text,
            line: tokens.line(line.from),
            is_test: name.starts_with("test") && self.role == Role::Test && !is_fixture,
            rows: 1,
            ..Unit::default()
        };
        let full = unit.full();
        for mark in marks {
            self.mark_signs(*mark, &full);
            let mark = self.lines[*mark];
            if let Some(parametrize) =
                (mark.from..mark.to).find(|at| tokens.text(*at) == "parametrize")
            {
                unit.rows = unit.rows.saturating_mul(self.rows(parametrize + 1));
                unit.table.push_str(&tokens.normal(parametrize, mark.to));
            }
        }
        self.function_signs(at, start, marks, &full);
        if around.dead.is_some() && unit.is_test {
            unit.is_test = false;
        }
        let mut body_from = at + 1;
        // A docstring says nothing.
        let is_text = |line: Line| {
            line.to == line.from + 1
                && tokens.kind(line.from) == Some(crate::evidence::lex::Kind::Text)
        };
        if body_from < line.next && is_text(self.lines[body_from]) {
            body_from += 1;
        }
        let end = self.lines.get(line.next).map_or(tokens.len(), |next| next.from);
        let from = self.lines.get(body_from).map_or(tokens.len(), |line| line.from).min(end);
        unit.body = tokens.normal(from, end);
        unit.words = (line.from..end)
            .filter(|at| tokens.is_word(*at))
            .map(|at| tokens.text(at).to_owned())
            .collect();
        unit.words.sort_unstable();
        unit.words.dedup();
        unit.checks = self.body(body_from, line.next, &full, around);
        self.out.units.push(unit);
    }

    /// How many rows `(names, [rows])` has.
    fn rows(&self, open: usize) -> usize {
        let tokens = self.tokens;
        let arguments = tokens.split(open + 1, tokens.close(open), ",");
        let rows = arguments.iter().find_map(|(from, _)| {
            let is_list = matches!(tokens.text(*from), "[" | "(");
            let list = if is_list { *from } else { *from + 2 };
            let is_named = tokens.text(*from) == "argvalues" && tokens.text(*from + 1) == "=";
            let is_first = arguments.first().is_some_and(|(first, _)| first == from);
            ((is_list && !is_first) || is_named)
                .then(|| tokens.split(list + 1, tokens.close(list), ",").len())
        });
        rows.unwrap_or(1)
    }

    /// A function's statements, with what surrounds each.
    fn body(&mut self, from: usize, to: usize, owner: &str, around: Around) -> Vec<Check> {
        let tokens = self.tokens;
        let mut checks: Vec<Check> = Vec::new();
        let mut guards: Vec<(usize, Around)> = vec![(to, Around { main: false, ..around })];
        let owners = [owner];
        let mut at = from;
        while at < to {
            while guards.len() > 1 && guards.last().is_some_and(|(end, _)| *end <= at) {
                guards.pop();
            }
            let (end, around) =
                guards.last().map_or((to, Around::default()), |(end, around)| (*end, *around));
            let line = self.lines[at];
            self.statement_signs(at, &owners, around);
            let start = self.head(line);
            for mut check in self.assertions(line) {
                check.dead = check.dead.or(around.dead);
                check.conditional |= around.conditional;
                check.looped |= around.looped;
                checks.push(check);
            }
            if line.next > at + 1 {
                guards.push((line.next, self.inside(at, around)));
            } else if !around.nested && around.dead.is_none() && self.leaves(start) {
                // What follows in this block is never reached; in the block around it, sometimes.
                let depth = guards.len();
                if let Some((_, last)) = guards.last_mut() {
                    last.dead = Some("it is never reached");
                }
                if depth > 1 && !matches!(tokens.text(start), "raise" | "continue" | "break") {
                    for (_, outer) in guards.iter_mut().take(depth - 1) {
                        outer.conditional = true;
                    }
                }
                if end == to && depth == 1 && tokens.text(start) == "return" {
                    self.early_return(start, owner, at, to, checks.is_empty());
                }
            }
            at += 1;
        }
        checks
    }

    /// Whether a statement ends the function: nothing after it in its block runs.
    fn leaves(&self, start: usize) -> bool {
        let tokens = self.tokens;
        matches!(tokens.text(start), "return" | "raise" | "continue" | "break")
            || tokens.starts(start, &["pytest", ".", "skip", "("])
            || tokens.starts(start, &["self", ".", "skipTest", "("])
    }

    /// What a block's head makes of its inside.
    pub(super) fn inside(&self, at: usize, around: Around) -> Around {
        let tokens = self.tokens;
        let line = self.lines[at];
        let start = self.head(line);
        let (from, to) = (start + 1, line.to.saturating_sub(1));
        let mut inner = around;
        let is_false = crate::evidence::expression::is_false(tokens, Language::Python, from, to);
        match tokens.text(start) {
            "if" | "elif" | "while" => {
                if tokens.text(start) == "while" {
                    inner.looped = true;
                }
                if is_false {
                    inner.dead = Some("its condition never holds");
                } else if (from..to).any(|at| tokens.text(at) == "__name__") {
                    inner.main = true;
                } else if !crate::evidence::expression::is_true(tokens, Language::Python, from, to)
                {
                    inner.conditional = true;
                }
            }
            "else" | "case" => inner.conditional = true,
            "for" => {
                inner.looped = true;
                let sequence = tokens.find(from, to, &["in"]).unwrap_or(from);
                let is_empty = crate::evidence::expression::is_false(
                    tokens,
                    Language::Python,
                    sequence + 1,
                    to,
                ) || tokens.starts(sequence + 1, &["range", "(", "0", ")"]);
                if is_empty {
                    inner.dead = Some("its loop has no rounds");
                }
            }
            "try" if self.swallows(at) => inner.dead = Some("its failure is caught and dropped"),
            "with" => {
                let has = |word: &str| (from..to).any(|at| tokens.text(at) == word);
                let is_broad =
                    ["AssertionError", "Exception", "BaseException"].into_iter().any(has);
                if has("suppress") && is_broad {
                    inner.dead = Some("its failure is caught and dropped");
                }
                let raises = ["raises", "assertRaises", "assertRaisesRegex"].into_iter().any(has);
                if raises && is_broad {
                    inner.dead = Some("its failure is expected");
                }
                inner.exits |= raises && has("SystemExit");
            }
            "def" | "class" => inner.nested = true,
            _ => {}
        }
        inner
    }

    /// Whether one of a `try`'s handlers drops failed assertions.
    fn swallows(&self, at: usize) -> bool {
        let tokens = self.tokens;
        let indent = self.lines[at].indent;
        let mut next = self.lines[at].next;
        while let Some(line) = self.lines.get(next).filter(|line| line.indent == indent) {
            let end = self.lines.get(line.next).map_or(tokens.len(), |next| next.from);
            match tokens.text(line.from) {
                "except" => {
                    let is_bare = line.to == line.from + 2;
                    let is_broad = (line.from..line.to).any(|at| {
                        matches!(tokens.text(at), "Exception" | "BaseException" | "AssertionError")
                    });
                    let passes_on =
                        self.doubts[end.min(tokens.len())] > self.doubts[line.to.min(tokens.len())];
                    if (is_bare || is_broad) && !passes_on {
                        return true;
                    }
                }
                "else" | "finally" => {}
                _ => return false,
            }
            next = line.next;
        }
        false
    }
}

/// Of several of one name, the last is the one that runs.
fn keep_last(units: &mut Vec<Unit>) {
    let mut seen = HashSet::new();
    let mut kept: Vec<Unit> = Vec::with_capacity(units.len());
    for unit in std::mem::take(units).into_iter().rev() {
        if seen.insert((unit.scope.clone(), unit.name.clone())) {
            kept.push(unit);
        }
    }
    kept.reverse();
    *units = kept;
}

fn doubts(tokens: &Tokens<'_>) -> Vec<u32> {
    let mut sum = 0;
    let mut out = Vec::with_capacity(tokens.len() + 1);
    out.push(0);
    for at in 0..tokens.len() {
        let word = tokens.text(at);
        sum += u32::from(matches!(word, "raise" | "assert" | "fail") || word.starts_with("assert"));
        out.push(sum);
    }
    out
}
