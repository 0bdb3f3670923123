//! What is thought of an attempt: the repository's own commands judge it, and exit codes decide.

use booty_sandbox::RunResult;
use tokio::io::AsyncWrite;

use super::{
    bench::Bench,
    conversation::Halt,
    link::Link,
    proof,
    protocol::{CommandName, FailureKind, Run},
    runner::{Runner, Trees},
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
                FailureKind::Weakened => false,
                FailureKind::Format
                | FailureKind::Check
                | FailureKind::Lint
                | FailureKind::Test => true,
            },
        }
    }
}

/// Format, check, lint, tests, and what they prove. Each run is added to `runs`.
pub(crate) async fn judge<W: AsyncWrite + Unpin>(
    link: &mut Link<W>,
    runner: &mut Runner,
    bench: &mut Bench,
    round: u32,
    runs: &mut Vec<Run>,
) -> Result<Judged, Halt> {
    use CommandName as Name;
    let mut unformatted = None;
    if let Some(result) = runner.run_on_files(link, bench, Name::Format).await? {
        runs.push(Run::of(round, Name::Format, &result));
        unformatted = Some(result).filter(|result| !result.succeeded());
    }
    // Reading costs nothing, and a change that bends the tests is not worth a run of them; nor may one
    // be shown to anybody because something else is wrong with it, too.
    let read = proof::read(runner, bench).await?;
    if let Some(failure) = read.as_ref().and_then(proof::weakened) {
        return Ok(Judged::Failed(failure));
    }
    if let Some(result) = unformatted {
        return Ok(failed(FailureKind::Format, result));
    }
    if let Some(result) = runner.run(link, bench, Name::Check).await? {
        runs.push(Run::of(round, Name::Check, &result));
        if !result.succeeded() {
            return Ok(failed(FailureKind::Check, result));
        }
    }
    if let Some(result) = runner.run_on_files(link, bench, Name::Lint).await? {
        runs.push(Run::of(round, Name::Lint, &result));
        if !result.succeeded() {
            return Ok(failed(FailureKind::Lint, result));
        }
    }
    let Some(tested) = runner.test(link, bench, Trees::Change).await? else {
        return Ok(Judged::Passed(Proof::default()));
    };
    runs.push(Run::of(round, Name::Test, &tested.result));
    if !tested.result.succeeded() {
        return Ok(Judged::Failed(Failure {
            kind: FailureKind::Test,
            failing: tested.failing(),
            first: tested.first(),
            result: Some(tested.result),
        }));
    }
    match &read {
        Some(read) => proof::prove(link, runner, bench, read, &tested, (round, runs)).await,
        None => Ok(Judged::Passed(Proof::default())),
    }
}

fn failed(kind: FailureKind, result: RunResult) -> Judged {
    Judged::Failed(Failure { kind, result: Some(result), failing: None, first: Vec::new() })
}
