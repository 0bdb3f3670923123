//! What one file's tests are, whatever the language.

use crate::report::{Level, Rule};

/// All that counts in one file.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Tests, and the functions that they may share.
    pub(super) units: Vec<Unit>,
    /// What takes tests away or bends them.
    pub(super) signs: Vec<Sign>,
    /// What the file defines: functions, classes, types.
    pub(super) defines: Vec<String>,
    /// All outside of tests, normalised: of a file with tests in it, whether its code changed.
    pub(super) code: String,
    /// Of Rust: the modules in files of their own that this file names, and where.
    pub(super) modules: Vec<(String, u32)>,
    /// Modules of tests inside of code, in order.
    pub(super) regions: Vec<Region>,
}

/// A module of tests in a file of code.
#[derive(Debug, Clone)]
pub(super) struct Region {
    /// The module's path.
    pub(super) path: String,
    /// Its tokens, with its attributes.
    pub(super) from: usize,
    /// One past the last.
    pub(super) to: usize,
    /// Where it is in the text.
    pub(super) bytes: std::ops::Range<usize>,
}

/// A test, or a function beside tests.
#[derive(Debug, Clone, Default)]
pub(super) struct Unit {
    pub(super) name: String,
    /// Class, module path, titles of blocks around it.
    pub(super) scope: Option<String>,
    pub(super) line: u32,
    /// Whether the runner runs it.
    pub(super) is_test: bool,
    /// Normalised, without name and marks.
    pub(super) body: String,
    pub(super) checks: Vec<Check>,
    /// What it calls, and whatever else it names.
    pub(super) words: Vec<String>,
    /// How many rows it is run with; 1 of a plain test.
    pub(super) rows: usize,
    /// The rows, normalised.
    pub(super) table: String,
}

impl Unit {
    /// As people name it.
    pub(super) fn full(&self) -> String {
        match &self.scope {
            Some(scope) => format!("{scope}::{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// How much an assertion says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// It can't fail.
    Nothing,
    /// Something is there.
    Exists,
    /// Something is true-ish.
    Truthy,
    /// A bound, a part, a type.
    Partial,
    /// Equal within a tolerance.
    Close,
    /// Equal.
    Exact,
}

/// One assertion.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Check {
    /// As written, for people and to find the same again.
    pub(super) text: String,
    pub(super) line: u32,
    pub(super) strength: Strength,
    /// What is looked at.
    pub(super) subject: String,
    /// What it must be.
    pub(super) expected: Option<String>,
    /// How far off it may be.
    pub(super) tolerance: Option<f64>,
    /// Why it has no effect here: unreachable, or its failure is swallowed.
    pub(super) dead: Option<&'static str>,
    /// It runs only if something holds.
    pub(super) conditional: bool,
    /// It runs any number of times.
    pub(super) looped: bool,
}

/// Something that takes a test away or bends how it runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sign {
    pub(super) rule: Rule,
    /// Of a new one.
    pub(super) level: Level,
    /// What is there, for people: `pytest.mark.skip`.
    pub(super) what: String,
    /// What makes it another one, if it is.
    pub(super) text: String,
    pub(super) line: u32,
    /// The unit or class that it is about.
    pub(super) owner: Option<String>,
}

impl Sign {
    pub(super) fn new(rule: Rule, what: impl Into<String>, line: u32) -> Self {
        Self {
            rule,
            level: Level::Failure,
            what: what.into(),
            text: String::new(),
            line,
            owner: None,
        }
    }

    pub(super) fn warning(self) -> Self {
        Self { level: Level::Warning, ..self }
    }
}
