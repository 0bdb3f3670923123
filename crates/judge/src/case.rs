//! Tests that ran, as a runner reported them.

use serde::{Deserialize, Serialize};

/// One test that a runner spoke of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCase {
    /// The runner's full name of it, the same on every run: `tests/test_a.py::TestA::test_x`,
    /// `module::tests::it_adds`, `suite > title`, `package.TestName`.
    pub id: String,
    /// Its last part, without parameters: what the test function or block is called in the source.
    pub name: String,
    /// The file it is in, relative to the root, where the runner says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where in the file, from 1: of a failure the failing line, if it is in `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// How it ended.
    pub outcome: Outcome,
    /// One line of why it failed or was skipped. Text from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The failure's whole text, bounded. Text from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ran and held. Also what was expected to fail and did not, unless the runner calls that a
    /// failure.
    Passed,
    /// An assertion did not hold.
    Failed,
    /// It could not be run to its end: set-up, collection, import.
    Errored,
    /// It did not run, or was expected to fail and did.
    Skipped,
}

impl Outcome {
    /// Whether the test speaks against the tree.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Errored)
    }
}

/// What one run of the test command reported. It never decides whether the run succeeded: the exit
/// code does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// Where the cases were read.
    pub source: Source,
    /// Every test that was spoken of, in the runner's order.
    pub cases: Vec<TestCase>,
    /// Whether the report is whole: it was written to its end, every test that ran is among the
    /// cases, and its own totals fit them. What is printed for people often names only what failed:
    /// such a report is not whole, and `totals` has its counts.
    pub is_whole: bool,
    /// What the runner itself counted, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
}

/// How many tests a runner says that it had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// See [`Outcome::Passed`].
    pub passed: u64,
    /// See [`Outcome::Failed`].
    pub failed: u64,
    /// See [`Outcome::Errored`].
    pub errored: u64,
    /// See [`Outcome::Skipped`].
    pub skipped: u64,
}

impl Totals {
    /// What was counted in these cases.
    pub fn of(cases: &[TestCase]) -> Self {
        Self::of_outcomes(cases.iter().map(|case| case.outcome))
    }

    /// How often each outcome is there.
    pub fn of_outcomes(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let mut totals = Self::default();
        for outcome in outcomes {
            *totals.of_outcome(outcome) += 1;
        }
        totals
    }

    /// All of them.
    pub fn all(self) -> u64 {
        self.bad().saturating_add(self.passed).saturating_add(self.skipped)
    }

    /// Those that speak against the tree.
    pub fn bad(self) -> u64 {
        self.failed.saturating_add(self.errored)
    }

    /// The count of one outcome.
    pub fn of_outcome(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Passed => &mut self.passed,
            Outcome::Failed => &mut self.failed,
            Outcome::Errored => &mut self.errored,
            Outcome::Skipped => &mut self.skipped,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed.saturating_add(other.passed),
            failed: self.failed.saturating_add(other.failed),
            errored: self.errored.saturating_add(other.errored),
            skipped: self.skipped.saturating_add(other.skipped),
        }
    }
}

/// Where results were read, the most trustworthy first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A JUnit XML file.
    JUnit,
    /// The runner's own machine-readable output.
    Machine,
    /// What it printed for people.
    Printed,
    /// Nothing: the exit code alone is known.
    #[default]
    ExitCode,
}

impl Results {
    /// How many cases ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.cases.iter().filter(|case| case.outcome == outcome).count()
    }

    /// The cases that speak against the tree.
    pub fn bad(&self) -> impl Iterator<Item = &TestCase> {
        self.cases.iter().filter(|case| case.outcome.is_bad())
    }
}
