//! One thing that a stage found, with its place.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that a stage found. All text in it may come from outside: it is made inert where it is
/// shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which rule it breaks, or which fact it states.
    pub rule: Rule,
    /// How much it weighs.
    pub level: Level,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// One line: what is wrong, with names.
    pub message: String,
    /// More lines: the compiler's or the test's own text, bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A place in the merged tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Relative to the root.
    pub path: String,
    /// From 1. Of a deleted line: the line where it was.
    pub line: u32,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing.
    Notice,
    /// It keeps a verdict from being success where nothing else decides: see each stage.
    Warning,
    /// The change must not be merged as it is.
    Failure,
}

/// Every rule there is. The word of each is part of the report's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Rule {
    // merge
    MergeConflict,
    // policy
    TooLarge,
    ProtectedPath,
    UnsafePath,
    ModeChange,
    BinaryFile,
    FileKind,
    ConfigInvalid,
    ConfigChanged,
    // setup
    DependenciesNotInstalled,
    // imports
    SyntaxError,
    UnresolvedImport,
    UnknownSymbol,
    HallucinatedDependency,
    CompileError,
    CheckFailed,
    // tests
    TestFailed,
    TestsFailed,
    TestsTimedOut,
    NoTests,
    FlakyTest,
    // evidence
    TestDeleted,
    TestSkipped,
    AssertionRemoved,
    AssertionWeakened,
    RunnerOptionsChanged,
    RunnerTampered,
    EarlyExit,
    TestsDidNotRun,
    BaseTestBroken,
    NoWitness,
    PreExistingFailure,
    CutShort,
}

impl fmt::Display for Rule {
    /// The word that reports use: `unresolved_import`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The derived name is the word; it can't fail for a unit variant.
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(word)) => f.write_str(&word),
            _ => fmt::Debug::fmt(self, f),
        }
    }
}

impl Finding {
    /// Something that must not be merged.
    pub fn failure(rule: Rule, message: impl Into<String>) -> Self {
        Self { rule, level: Level::Failure, place: None, message: message.into(), detail: None }
    }

    /// Something to look at.
    pub fn warning(rule: Rule, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::failure(rule, message) }
    }

    /// Something to know.
    pub fn notice(rule: Rule, message: impl Into<String>) -> Self {
        Self { level: Level::Notice, ..Self::failure(rule, message) }
    }

    /// At this line of this file.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>, line: u32) -> Self {
        self.place = Some(Place { path: path.into(), line: line.max(1) });
        self
    }

    /// With more text.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
