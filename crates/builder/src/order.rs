//! One job's names: what it is about, and what its events, effects and journal are called.

use booty_events::{CommitSha, DeliveryId, EffectId, IssueNumber, JobId, RepoName, v1::Job};
use booty_github::{Scope, object::PullRequest};
use chrono::{DateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};

/// What a delivery asks for.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) job: JobId,
    pub(crate) delivery: DeliveryId,
    pub(crate) repository: RepoName,
    /// 0 for a personal token.
    pub(crate) installation: u64,
    pub(crate) issue: IssueNumber,
    /// 1 for the first run; a replay after a failure counts up.
    pub(crate) attempt: u32,
    /// The replay that made the attempt; 0 for none.
    pub(crate) replay_of: u64,
    /// When a person last asked for it.
    pub(crate) asked: Asked,
    /// What the attempt goes back to; `None` for one that is to open a pull request.
    pub(crate) follow_up: Option<FollowUp>,
}

/// When a person asked for something, by GitHub's clock, which knows whole seconds; within one the
/// delivery that came later is the later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) at: DateTime<Utc>,
    /// The delivery's place in the inbox.
    pub(crate) sequence: u64,
}

impl Asked {
    /// Asked for at a time, in a delivery.
    pub(crate) fn new(at: DateTime<Utc>, sequence: u64) -> Self {
        Self { at: at.trunc_subsecs(0), sequence }
    }

    /// As a job's state has it. What was accepted before there was such a note counts from its beginning.
    pub(crate) fn of(job: &Job) -> Self {
        let at = job.asked.as_ref().or(job.created.as_ref());
        let at = at.and_then(|at| DateTime::from_timestamp(at.seconds, at.nanos.try_into().ok()?));
        Self::new(at.unwrap_or_default(), job.asked_sequence)
    }

    /// Notes it in a job's state.
    pub(crate) fn note(self, job: &mut Job) {
        job.asked = Some(self.at.into());
        job.asked_sequence = self.sequence;
    }
}

/// What is to be repaired on a pull request of the job's own.
#[derive(Debug, Clone)]
pub(crate) struct FollowUp {
    /// The verdict (the verifier's job), or the job id of a person's delivery.
    pub(crate) cause: String,
    /// Whoever asked for it; `None` for the verifier.
    pub(crate) by: Option<String>,
    pub(crate) pull_request: u64,
    /// The attempt that opened it.
    pub(crate) opener: u32,
    pub(crate) branch: String,
    /// The commit that is not good yet; the follow-up's own comes on top of it.
    pub(crate) head: CommitSha,
    /// What the verifier found, or what was asked for; from outside as far as trust goes.
    pub(crate) findings: String,
    /// The how manieth of its kind it is, counted from 1, of how many.
    pub(crate) number: u32,
    pub(crate) of: u32,
}

impl FollowUp {
    /// `follow-up 1 of 2` after a verdict, `request 1 of 5` after a person's words.
    pub(crate) fn counted(&self) -> String {
        let kind = if self.by.is_some() { "request" } else { "follow-up" };
        format!("{kind} {} of {}", self.number, self.of)
    }
}

impl Order {
    /// Names this run of the job in journal and event keys.
    pub(crate) fn run(&self) -> String {
        Self::run_of(&self.job, self.attempt)
    }

    pub(crate) fn run_of(job: &JobId, attempt: u32) -> String {
        if attempt <= 1 { job.to_string() } else { format!("{job}-a{attempt}") }
    }

    /// The id of the effect in a slot; a later run has slots of its own.
    pub(crate) fn effect_id(&self, slot: &str) -> EffectId {
        EffectId::new(self.job.as_str(), &self.slot(slot))
    }

    /// The slot's name.
    pub(crate) fn slot(&self, slot: &str) -> String {
        if self.attempt <= 1 { slot.to_owned() } else { format!("{slot}#{}", self.attempt) }
    }

    /// What the job's tokens are for.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            installation: Some(self.installation).filter(|id| *id != 0),
            repository: Some(self.repository.clone()),
        }
    }

    /// The branch that a pull request for the issue wants.
    pub(crate) fn branch(&self) -> String {
        branch_for(self.issue)
    }
}

/// `agent/issue-<n>`
pub(crate) fn branch_for(issue: IssueNumber) -> String {
    format!("agent/issue-{issue}")
}

/// Whether a pull request is ours for the issue. A fork's branch may have any name, so that anybody
/// could keep an issue from being worked on with one.
pub(crate) fn is_pull_for(pull: &PullRequest, order: &Order) -> bool {
    pull.head.is_in(order.repository.as_str()) && is_branch_for(&pull.head.branch, order.issue)
}

/// Whether a branch was made for the issue: `agent/issue-<n>` or `agent/issue-<n>-<k>`.
fn is_branch_for(branch: &str, issue: IssueNumber) -> bool {
    match branch.strip_prefix(&branch_for(issue)) {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('-')
            .is_some_and(|k| !k.is_empty() && k.bytes().all(|b| b.is_ascii_digit())),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_run_has_names_of_its_own() {
        let issue = IssueNumber::new(7).unwrap();
        let delivery: DeliveryId = "d".parse().unwrap();
        let first = Order {
            job: JobId::for_issue(issue, &delivery),
            delivery,
            repository: "o/r".parse().unwrap(),
            installation: 0,
            issue,
            attempt: 1,
            replay_of: 0,
            asked: Asked::default(),
            follow_up: None,
        };
        let second = Order { attempt: 2, ..first.clone() };
        assert_eq!((first.run().as_str(), second.run().as_str()), ("7-d", "7-d-a2"));
        assert_eq!(first.effect_id("outcome"), EffectId::new("7-d", "outcome"));
        assert_ne!(first.effect_id("outcome"), second.effect_id("outcome"));
    }

    #[test]
    fn a_fork_s_branch_is_nobody_s_pull_request() {
        let delivery: DeliveryId = "d".parse().unwrap();
        let issue = IssueNumber::new(7).unwrap();
        let order = Order {
            job: JobId::for_issue(issue, &delivery),
            delivery,
            repository: "octo/calc".parse().unwrap(),
            installation: 0,
            issue,
            attempt: 1,
            replay_of: 0,
            asked: Asked::default(),
            follow_up: None,
        };
        for (repo, expected) in [
            (serde_json::json!({ "full_name": "Octo/calc" }), true),
            (serde_json::json!({ "full_name": "mallory/calc" }), false),
            (serde_json::Value::Null, false),
        ] {
            let pull = serde_json::json!({
                "number": 1,
                "head": { "ref": "agent/issue-7", "sha": "a", "repo": repo },
                "base": { "ref": "main", "sha": "b" },
            });
            let pull: PullRequest = serde_json::from_value(pull).unwrap();
            assert_eq!(is_pull_for(&pull, &order), expected, "{repo}");
        }
    }

    #[test]
    fn branches_of_an_issue_are_known() {
        let issue = IssueNumber::new(7).unwrap();
        for (branch, expected) in [
            ("agent/issue-7", true),
            ("agent/issue-7-2", true),
            ("agent/issue-77", false),
            ("agent/issue-7-", false),
            ("agent/issue-7-x", false),
            ("issue-7", false),
        ] {
            assert_eq!(is_branch_for(branch, issue), expected, "{branch}");
        }
    }
}
