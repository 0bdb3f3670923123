//! What a judgement says: one section a stage, and one conclusion.

mod finding;
mod markdown;
mod terminal;

use std::fmt;

use booty_sandbox::{End, RunResult};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use finding::{Finding, Level, Place, Rule};
pub use markdown::{Text, markdown};
pub use terminal::terminal;

/// The version of the report's JSON. Fields are added without a new one.
pub const VERSION: u32 = 1;

/// What a judgement says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`]
    pub version: u32,
    /// What follows from all sections.
    pub conclusion: Conclusion,
    /// It in one line. Ours: it holds numbers and words of our own only.
    pub title: String,
    /// The commit that the head was merged into.
    pub base: String,
    /// The commit that was judged.
    pub head: String,
    /// The tree that was tested; none when the two can't be merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_tree: Option<String>,
    /// Where the commands come from, in one sentence.
    pub commands: String,
    /// One a stage, in their order.
    pub sections: Vec<Section>,
    /// From the first look to the conclusion.
    pub duration_ms: u64,
}

/// What a judgement comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Everything was looked at, and nothing speaks against it.
    Success,
    /// Nothing speaks against it, but not everything could be judged or proven.
    Neutral,
    /// Something speaks against it.
    Failure,
}

impl Conclusion {
    /// As GitHub's checks call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Neutral => "neutral",
            Self::Failure => "failure",
        }
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The stages, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Whether the head can be merged into the base.
    Merge,
    /// What the change may touch, and how large it may be.
    Policy,
    /// Its dependencies.
    Setup,
    /// What does not compile, import or exist.
    Imports,
    /// The tests.
    Tests,
    /// Whether the tests prove anything.
    Evidence,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Merge, Self::Policy, Self::Setup, Self::Imports, Self::Tests, Self::Evidence];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Merge => "Merge",
            Self::Policy => "Policy",
            Self::Setup => "Setup",
            Self::Imports => "Import and compile",
            Self::Tests => "Tests",
            Self::Evidence => "Evidence",
        }
    }

    /// Its word in spans and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Policy => "policy",
            Self::Setup => "setup",
            Self::Imports => "imports",
            Self::Tests => "tests",
            Self::Evidence => "evidence",
        }
    }
}

/// What one stage says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Which one.
    pub stage: Stage,
    /// How it ended.
    pub state: State,
    /// It in one line. Ours, like all of `said`, but for names in it.
    pub headline: String,
    /// More lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
    /// What it found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What it ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Ran>,
    /// How long it took.
    pub duration_ms: u64,
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing to say against it.
    Passed,
    /// It had nothing to do, or was not reached.
    Skipped,
    /// It could not judge.
    Neutral,
    /// It speaks against the change.
    Failed,
}

/// One command that ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// What it was for: `test`, `test on the base`, …
    pub name: String,
    /// The script as its owner wrote it.
    pub script: String,
    /// How it ended.
    pub end: End,
    /// How long it took.
    pub duration_ms: u64,
    /// sha256 of the output that was kept.
    pub output_sha256: String,
    /// How much was printed altogether.
    pub output_bytes: u64,
}

impl Ran {
    /// What to remember of a run.
    pub fn of(name: impl Into<String>, script: impl Into<String>, run: &RunResult) -> Self {
        Self {
            name: name.into(),
            script: script.into(),
            end: run.end,
            duration_ms: millis(run.duration),
            output_sha256: hex::encode(Sha256::digest(&run.output)),
            output_bytes: run.output_bytes,
        }
    }
}

impl Section {
    /// A section that nothing is known of yet.
    pub fn new(stage: Stage) -> Self {
        Self {
            stage,
            state: State::Passed,
            headline: String::new(),
            said: Vec::new(),
            findings: Vec::new(),
            runs: Vec::new(),
            duration_ms: 0,
        }
    }

    /// A stage that had nothing to do.
    pub fn skipped(stage: Stage, why: impl Into<String>) -> Self {
        Self { state: State::Skipped, headline: why.into(), ..Self::new(stage) }
    }

    /// Whether any finding must keep the change out.
    pub fn has_failures(&self) -> bool {
        self.findings.iter().any(|finding| finding.level == Level::Failure)
    }

    /// How many findings weigh so much.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

impl Report {
    /// The section of a stage.
    pub fn section(&self, stage: Stage) -> Option<&Section> {
        self.sections.iter().find(|section| section.stage == stage)
    }

    /// All findings, the weightiest first; among equals in the order of the stages.
    pub fn findings(&self) -> Vec<&Finding> {
        let mut all: Vec<_> = self.sections.iter().flat_map(|section| &section.findings).collect();
        all.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        all
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
