//! What an agent's report means for its job.

use std::time::Duration;

use booty_policy::Config;
use booty_workspace::{ChangeSet, Checkout};

use super::{Stop, cage, leak, proposal, workplace};
use crate::{
    agent::protocol::{AgentEnd, Report, Verdict},
    outcome::Ending,
    settings::Unfinished,
    shared::Pause,
};

/// What comes of an agent's run.
enum Conclusion {
    Propose(Standing),
    Ended(Ending),
    TryAgain(Pause),
}

/// What a job does in the end.
pub(crate) enum Decision {
    Propose(Standing, ChangeSet),
    Ended(Ending),
    TryAgain(Pause),
}

/// What the operator and the repository say about proposals.
pub(crate) struct Terms<'a> {
    pub(crate) rounds: u32,
    pub(crate) unfinished: Unfinished,
    /// Whether there is a pull request already.
    pub(crate) is_update: bool,
    pub(crate) config: &'a Config,
}

/// What the job does, by what the agent reports and what the tree holds.
pub(crate) async fn decide(
    report: &Report,
    source: &Checkout,
    terms: &Terms<'_>,
) -> Result<Decision, Stop> {
    let standing = match conclude(report, terms.rounds, terms.unfinished, terms.is_update) {
        Conclusion::Propose(standing) => standing,
        Conclusion::Ended(ending) => return Ok(Decision::Ended(ending)),
        Conclusion::TryAgain(why) => return Ok(Decision::TryAgain(why)),
    };
    let changes = source.change_set().await.map_err(|error| workplace::refused(&error))?;
    let refused = proposal::check(&changes, &terms.config.limits, &terms.config.protected());
    Ok(match (refused, standing) {
        (Ok(()), standing) => match leak::check(source, &changes).await {
            Ok(()) => Decision::Propose(standing, changes),
            Err(Stop::End(ending)) => Decision::Ended(ending),
            Err(stop) => return Err(stop),
        },
        // It would not have been a good one: why it is none is the better answer.
        (Err(_), Standing::Failing(ending)) => Decision::Ended(ending),
        (Err(refused), _) => Decision::Ended(refused),
    })
}

/// How good a proposal is.
pub(crate) enum Standing {
    /// All that there is to run passed, and tests prove the change.
    Proven,
    /// All passed, but this no test proves.
    Unproven(Vec<String>),
    /// It does not pass. It is shown because it is the best there is, with the end that the job has.
    Failing(Ending),
}

impl Standing {
    /// Whether the draft may end by itself once the verifier accepts its head.
    pub(crate) fn may_be_promoted(&self) -> bool {
        matches!(self, Self::Proven)
    }
}

/// Nothing that is known to fail is put on a pull request that is there already.
fn conclude(report: &Report, rounds: u32, unfinished: Unfinished, is_update: bool) -> Conclusion {
    if let AgentEnd::TryAgain { why, after_ms } = &report.end {
        let why = why.clone();
        // What a provider asks to wait for is no failure of the job's.
        return Conclusion::TryAgain(match after_ms {
            Some(ms) => Pause::Away { after: Duration::from_millis(*ms), why },
            None => Pause::Failed { why },
        });
    }
    let verdict = report.attempt.as_ref().map(|attempt| &attempt.verdict);
    match verdict {
        Some(Verdict::Passed { witnesses, unproven })
            if witnesses.is_empty() && unproven.is_empty() && !is_finished(&report.end) =>
        {
            let all = "all of it: its model did not come to say that it was done, and no test speaks for it";
            Conclusion::Propose(Standing::Unproven(vec![all.to_owned()]))
        }
        Some(Verdict::Passed { unproven, .. }) if unproven.is_empty() => {
            Conclusion::Propose(Standing::Proven)
        }
        Some(Verdict::Passed { unproven, .. }) => {
            Conclusion::Propose(Standing::Unproven(unproven.clone()))
        }
        Some(Verdict::Failed { .. }) if unfinished == Unfinished::Draft && !is_update => {
            Conclusion::Propose(Standing::Failing(ending(report, rounds)))
        }
        _ => Conclusion::Ended(ending(report, rounds)),
    }
}

fn is_finished(end: &AgentEnd) -> bool {
    matches!(end, AgentEnd::Done | AgentEnd::RoundsUsed)
}

/// Why a job ends without a change that passes.
fn ending(report: &Report, rounds: u32) -> Ending {
    match &report.end {
        AgentEnd::Done | AgentEnd::RoundsUsed => not_green(report, rounds),
        AgentEnd::NoChange => Ending::needs_human(
            "no_change",
            "I changed nothing, and need a person. The model said:",
        )
        .quoting(&report.said),
        AgentEnd::ModelFailed { why } => {
            Ending::gave_up("model_failed", "I gave up because the model could not go on:")
                .quoting(why)
        }
        AgentEnd::SandboxUnavailable { why } => cage::no_sandbox(why),
        AgentEnd::SetupFailed { output } => Ending::needs_human(
            "setup_failed",
            "I did not begin, because the repository's setup command fails:",
        )
        .quoting(output),
        AgentEnd::OutOfBudget { what } => {
            Ending::gave_up("out_of_budget", format!("I gave up because {what}."))
        }
        AgentEnd::Stuck { what } => {
            Ending::gave_up("stuck", format!("I gave up because I went in circles: {what}."))
        }
        AgentEnd::JournalEnds { next: why }
        | AgentEnd::Broken { why }
        | AgentEnd::TryAgain { why, .. } => {
            Ending::gave_up("broken", "I gave up because this job can't be gone on with:")
                .quoting(why)
        }
    }
}

fn not_green(report: &Report, rounds: u32) -> Ending {
    let used = format!("I gave up after {} of {rounds} rounds", report.rounds);
    match report.attempt.as_ref().map(|attempt| &attempt.verdict) {
        Some(Verdict::Failed { kind, how, failing, output }) => {
            let how = how.map(|end| format!(" ({end})")).unwrap_or_default();
            let failing = match failing {
                Some(1) => ", 1 test failing".to_owned(),
                Some(count) => format!(", {count} tests failing"),
                None => String::new(),
            };
            let sentence =
                format!("{used}: `{kind}` still fails{how}{failing}. The end of its output:");
            Ending::gave_up("not_green", sentence).quoting(output)
        }
        _ => Ending::gave_up("not_green", format!("{used}: no attempt may be shown.")),
    }
}
