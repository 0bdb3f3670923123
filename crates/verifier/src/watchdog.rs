//! Completes checks that nobody will complete any more: a crash is mended by the message that comes
//! again, but a message can be purged, or pass the inbox's age.

use std::{sync::Arc, time::Duration};

use booty_events::{
    DeliveryId, JobId, RepoName,
    v1::{Job, JobState},
};
use booty_service::Pause;
use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use crate::{claim, job, order::Order, shared::Shared};

/// Looks again and again until `shutdown`.
pub(crate) async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(shared.settings.watch_interval);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        match look(&shared).await {
            Ok(0) => {}
            Ok(lost) => tracing::warn!(event = "checks_completed", lost, "nobody worked on them"),
            Err(pause) => tracing::debug!(why = pause.why(), "the watchdog could not look"),
        }
    }
}

/// Ends what is lost: how many there were.
async fn look(shared: &Shared) -> Result<usize, Pause> {
    let mut lost = 0;
    for job in shared.jobs.list().await? {
        if !is_lost(&job, (shared.now)(), shared.settings.lost_after) {
            continue;
        }
        if let Some(order) = order(shared, &job).await? {
            job::say_lost(shared, &order).await?;
            lost += 1;
        }
    }
    Ok(lost)
}

fn is_lost(job: &Job, now: DateTime<Utc>, after: Duration) -> bool {
    let is_open = matches!(job.state(), JobState::Queued | JobState::Running);
    let updated: Option<DateTime<Utc>> = job.updated.and_then(|at| at.try_into().ok());
    let age = updated.map_or(TimeDelta::MAX, |updated| now - updated);
    job.service == "verifier"
        && is_open
        && !job.head_sha.is_empty()
        && age.to_std().is_ok_and(|age| age > after)
}

/// The order of a job, as far as it is needed to end it; `None` when a newer one has the pull request:
/// that one's states are newer than any that could be said here, or the head is another.
async fn order(shared: &Shared, job: &Job) -> Result<Option<Order>, Pause> {
    let (Ok(repository), Ok(id), Ok(delivery)) = (
        job.repository.parse::<RepoName>(),
        job.id.parse::<JobId>(),
        job.delivery_id.parse::<DeliveryId>(),
    ) else {
        return Ok(None);
    };
    let claim = claim::current(shared, &repository, job.pull_request).await?;
    let claim = claim.filter(|claim| claim.job == job.id);
    let created = job.created.and_then(|at| at.try_into().ok()).unwrap_or_else(|| (shared.now)());
    Ok(Some(Order {
        job: id,
        delivery,
        repository,
        installation: 0,
        pull: job.pull_request,
        head: job.head_sha.clone(),
        base_branch: String::new(),
        // Without its claim its place is unknown: the lowest never takes a newer state's place.
        sequence: claim.as_ref().map_or(0, |claim| claim.sequence),
        asked_at: created,
        head_seen_at: created,
        attempt: job.attempt.max(1),
        replay_of: job.replay_of,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_open_and_old_is_lost() {
        let now = Utc::now();
        let job = |state: JobState, minutes: i64| Job {
            service: "verifier".to_owned(),
            state: state.into(),
            head_sha: "a".to_owned(),
            updated: Some((now - TimeDelta::minutes(minutes)).into()),
            ..Job::default()
        };
        let lost = |job: &Job| is_lost(job, now, Duration::from_secs(600));
        assert!(lost(&job(JobState::Running, 11)));
        assert!(lost(&job(JobState::Queued, 11)));
        assert!(!lost(&job(JobState::Running, 9)));
        assert!(!lost(&job(JobState::Completed, 11)));
        assert!(!lost(&Job { service: "builder".to_owned(), ..job(JobState::Running, 11) }));
        assert!(!lost(&Job { head_sha: String::new(), ..job(JobState::Running, 11) }));
    }
}
