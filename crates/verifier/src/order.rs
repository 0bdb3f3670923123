//! One job's names: which head it judges, and what its effects and events are called.

use booty_bus::Delivery;
use booty_events::{
    DeliveryId, EffectId, JobId, RepoName,
    v1::{CheckRun, CheckStatus, Effect, Job, effect::Write},
};
use chrono::{DateTime, Utc};

use crate::payload::Asked;

/// What the check run is called, on GitHub and in people's branch rules.
pub const CHECK_NAME: &str = "booty/verifier";

/// Later deliveries have later states, and one delivery has fewer than this.
const STATES_A_DELIVERY: u64 = 8;

/// One head to judge.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) job: JobId,
    pub(crate) delivery: DeliveryId,
    pub(crate) repository: RepoName,
    /// 0 for a personal token.
    pub(crate) installation: u64,
    pub(crate) pull: u64,
    /// The head's sha, as GitHub says it is.
    pub(crate) head: String,
    /// The branch that the pull request goes to.
    pub(crate) base_branch: String,
    /// The delivery's place in the inbox: what comes later is newer.
    pub(crate) sequence: u64,
    /// When the delivery arrived.
    pub(crate) asked_at: DateTime<Utc>,
    /// When this head was first heard of.
    pub(crate) head_seen_at: DateTime<Utc>,
    /// 1 for the first run; a replay after a failure counts up.
    pub(crate) attempt: u32,
    /// The replay that made the attempt; 0 for none.
    pub(crate) replay_of: u64,
}

/// Where a check run is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Queued,
    InProgress,
    Completed,
}

impl Order {
    /// The order of a job that was begun under this delivery, whatever GitHub says of its head by now.
    pub(crate) fn of_begun(asked: &Asked, delivery: &Delivery, job: &Job) -> Self {
        Self {
            job: asked.job.clone(),
            delivery: asked.delivery.clone(),
            repository: asked.repository.clone(),
            installation: asked.installation,
            pull: job.pull_request,
            head: job.head_sha.clone(),
            base_branch: String::new(),
            sequence: delivery.sequence,
            asked_at: delivery.published,
            head_seen_at: delivery.published,
            attempt: job.attempt.max(1),
            replay_of: job.replay_of,
        }
    }

    /// Names this run of the job in journal and event keys.
    pub(crate) fn run(&self) -> String {
        if self.attempt <= 1 {
            self.job.to_string()
        } else {
            format!("{}-a{}", self.job, self.attempt)
        }
    }

    /// The effect that brings the check run into a phase. It depends on the order and on `state` alone,
    /// so that saying it twice says the same.
    pub(crate) fn check(&self, phase: Phase, state: CheckRun) -> Effect {
        let place = match phase {
            Phase::Queued => 1,
            Phase::InProgress => 2,
            Phase::Completed => STATES_A_DELIVERY - 1,
        };
        let version = self.sequence.saturating_mul(STATES_A_DELIVERY) + place;
        let slot = format!("check#{version}");
        let check = CheckRun {
            head_sha: self.head.clone(),
            name: CHECK_NAME.to_owned(),
            external_id: self.job_id_of_the_pull_request(),
            pull_request: self.pull,
            status: match phase {
                Phase::Queued => CheckStatus::Queued,
                Phase::InProgress => CheckStatus::InProgress,
                Phase::Completed => CheckStatus::Completed,
            }
            .into(),
            version,
            ..state
        };
        Effect {
            id: EffectId::new(self.job.as_str(), &slot).to_string(),
            cause: self.job.to_string(),
            slot,
            repository: self.repository.to_string(),
            installation: self.installation,
            created: Some(self.asked_at.into()),
            requested_by: "verifier".to_owned(),
            dry_run: false,
            write: Some(Write::CheckRun(check)),
        }
    }

    /// By this id a request to judge again names its pull request, also a fork's.
    fn job_id_of_the_pull_request(&self) -> String {
        JobId::for_pull_request(self.pull, &self.delivery).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(sequence: u64) -> Order {
        let delivery: DeliveryId = "d".parse().unwrap();
        Order {
            job: JobId::for_pull_request(0, &delivery),
            delivery,
            repository: "o/r".parse().unwrap(),
            installation: 0,
            pull: 7,
            head: "a".repeat(40),
            base_branch: "main".to_owned(),
            sequence,
            asked_at: DateTime::UNIX_EPOCH,
            head_seen_at: DateTime::UNIX_EPOCH,
            attempt: 1,
            replay_of: 0,
        }
    }

    fn check(order: &Order, phase: Phase) -> CheckRun {
        match order.check(phase, CheckRun::default()).write {
            Some(Write::CheckRun(check)) => check,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn states_of_a_later_delivery_are_newer() {
        let phases = [Phase::Queued, Phase::InProgress, Phase::Completed];
        let versions: Vec<u64> = [order(4), order(5)]
            .iter()
            .flat_map(|order| phases.map(|phase| check(order, phase).version))
            .collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    }

    #[test]
    fn a_check_names_its_pull_request_though_the_job_may_not() {
        let check = check(&order(1), Phase::Queued);
        let named: JobId = check.external_id.parse().unwrap();
        assert_eq!(named.pull_request(), Some(7));
    }
}
