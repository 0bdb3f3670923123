//! What is thought of an attempt: the repository's own commands judge it, and exit codes decide.

use booty_sandbox::RunResult;
use tokio::io::AsyncWrite;

use super::{
    bench::Bench,
    conversation::Halt,
    link::Link,
    protocol::{CommandName, FailureKind, Run},
    runner::Runner,
};

/// The judgement on one state of the tree.
#[derive(Debug, Clone)]
pub(crate) enum Judged {
    /// All that there is to run ended with 0.
    Passed(Proof),
    Failed(Failure),
}

/// What shows that a change that passes is right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Tests that fail without the change and pass with it.
    pub(crate) witnesses: Vec<String>,
    /// What no test shows, in words for the model and for people; empty when all is proven.
    pub(crate) unproven: Vec<String>,
}

/// Why an attempt is not accepted.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// The run that failed; `None` where reading alone found it.
    pub(crate) result: Option<RunResult>,
    /// How many tests failed, where the output says it in a way that is known.
    pub(crate) failing: Option<usize>,
    /// What failed first, one text for each: name, place and why. From outside.
    pub(crate) first: Vec<String>,
}

impl Judged {
    /// Whether the state may be shown to people, if need be as an attempt that failed.
    pub(crate) fn is_proposable(&self) -> bool {
        match self {
            Self::Passed(_) => true,
            Self::Failed(failure) => match failure.kind {
                FailureKind::Check | FailureKind::Test => true,
            },
        }
    }
}

/// Check, then the tests. Each run is added to `runs`.
pub(crate) async fn judge<W: AsyncWrite + Unpin>(
    link: &mut Link<W>,
    runner: &mut Runner,
    bench: &mut Bench,
    round: u32,
    runs: &mut Vec<Run>,
) -> Result<Judged, Halt> {
    let commands =
        [(FailureKind::Check, CommandName::Check), (FailureKind::Test, CommandName::Test)];
    for (kind, name) in commands {
        let Some(result) = runner.run(link, bench, name).await? else { continue };
        let duration_ms = u64::try_from(result.duration.as_millis()).unwrap_or(u64::MAX);
        runs.push(Run { round, name, end: result.end, duration_ms });
        if !result.succeeded() {
            return Ok(Judged::Failed(Failure {
                kind,
                result: Some(result),
                failing: None,
                first: Vec::new(),
            }));
        }
    }
    Ok(Judged::Passed(Proof::default()))
}
