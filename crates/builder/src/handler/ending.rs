//! What a stop meets: the job that is at work on an issue, or waits for a place.

use booty_bus::Delivery;
use booty_events::{
    IssueNumber, RepoName,
    v1::{Job, JobState},
};

use super::labeled::is_over;
use crate::{
    claim, job,
    order::{Asked, FollowUp, Order},
    shared::{Pause, Shared},
    stop::Stopped,
};

/// What a stop meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// A job that ends by it.
    Job,
    /// A job whose change is on its way to GitHub.
    Proposed,
    /// One that was asked for after the stop.
    Later,
    Nothing,
}

impl Met {
    const ALL: [Self; 4] = [Self::Job, Self::Proposed, Self::Later, Self::Nothing];

    /// One word, for job states.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Job => "stopped",
            Self::Proposed => "too_late",
            Self::Later => "later_job",
            Self::Nothing => "no_job",
        }
    }

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|met| met.word() == word)
    }
}

/// Where a stop goes.
pub(super) struct Target<'a> {
    pub(super) repository: &'a RepoName,
    pub(super) installation: u64,
    pub(super) issue: IssueNumber,
    /// Only the work on this pull request.
    pub(super) pull_request: Option<u64>,
}

impl Target<'_> {
    /// Whether a job has the issue.
    pub(super) async fn is_claimed(&self, shared: &Shared) -> Result<bool, Pause> {
        Ok(claim::holder(shared, self.repository, self.issue).await?.is_some())
    }

    /// What there is to end.
    pub(super) async fn meet(&self, shared: &Shared, stopped: &Stopped) -> Result<Met, Pause> {
        Ok(match self.job(shared).await? {
            None => Met::Nothing,
            Some((_, job)) if !stopped.ends(Asked::of(&job)) => Met::Later,
            Some((_, job)) if job.step.ends_with("proposed") => Met::Proposed,
            Some(_) => Met::Job,
        })
    }

    /// Ends what waits for a place and is in nobody's hands. Who works on it, or will, sees the stop.
    pub(super) async fn end(
        &self,
        shared: &Shared,
        delivery: &Delivery,
        stopped: &Stopped,
    ) -> Result<(), Pause> {
        let Some((order, job)) = self.job(shared).await? else { return Ok(()) };
        if job.state() != JobState::Queued || !stopped.ends(Asked::of(&job)) {
            return Ok(());
        }
        job::end_stopped(shared, &order, delivery, stopped).await
    }

    async fn job(&self, shared: &Shared) -> Result<Option<(Order, Job)>, Pause> {
        let Some(id) = claim::holder(shared, self.repository, self.issue).await? else {
            return Ok(None);
        };
        let Some(job) = shared.jobs.get(&id).await? else { return Ok(None) };
        let is_at_it = !is_over(&job);
        let is_there = self.pull_request.is_none_or(|number| number == follows_up(&job));
        let Some(delivery) = id.delivery().filter(|_| is_at_it && is_there) else {
            return Ok(None);
        };
        let order = Order {
            job: id,
            delivery,
            repository: self.repository.clone(),
            installation: self.installation,
            issue: self.issue,
            attempt: job.attempt.max(1),
            replay_of: job.replay_of,
            asked: Asked::of(&job),
            follow_up: follow_up(shared, &job),
        };
        Ok(Some((order, job)))
    }
}

/// The pull request that a job is back at; 0 for one that is to open any.
fn follows_up(job: &Job) -> u64 {
    if job.verdict.is_empty() { 0 } else { job.pull_request }
}

/// As far as the end of one that was not begun needs it.
fn follow_up(shared: &Shared, job: &Job) -> Option<FollowUp> {
    if job.verdict.is_empty() {
        return None;
    }
    let by = Some(job.requested_by.clone()).filter(|by| !by.is_empty());
    let (number, of) = match by {
        Some(_) => (job.requests, shared.settings.requests),
        None => (job.follow_ups, shared.settings.follow_ups),
    };
    Some(FollowUp {
        cause: job.verdict.clone(),
        by,
        pull_request: job.pull_request,
        opener: 1,
        branch: String::new(),
        head: job.head_sha.parse().ok()?,
        findings: String::new(),
        number,
        of: of.max(number),
    })
}
