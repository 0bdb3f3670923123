//! Whether a delivery has a head judged. The decision is a list of questions, each with one word for
//! "no"; what the payload says is asked of GitHub again, because a delivery can be late, in the wrong
//! order, or old. Deciding twice decides the same.

use booty_bus::{BucketError, Delivery};
use booty_events::v1::{Job, JobState};
use booty_github::object::PullRequest;
use bytes::Bytes;
use chrono::TimeDelta;
use sha2::{Digest, Sha256};

use crate::{
    claim::{self, Claimed},
    order::Order,
    payload::Asked,
    shared::{Pause, Shared},
};

/// For so long GitHub's own API may be behind its webhooks.
const API_LAG: TimeDelta = TimeDelta::seconds(20);
/// When it is asked again.
const LAG_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// Where a delivery leads.
pub(crate) enum Way {
    /// To a head that is to be judged, or is being judged.
    Judge(Order),
    /// To a judgement that is over.
    Over(Order),
    /// To nothing: one word.
    No(&'static str),
}

/// Decides.
pub(crate) async fn decide(
    shared: &Shared,
    delivery: &Delivery,
    asked: &Asked,
) -> Result<Way, Pause> {
    if !shared.settings.allowed.allows(&asked.repository) {
        return Ok(Way::No("repository"));
    }
    let known = shared.jobs.get(&asked.job).await?;
    if let Some(job) = &known
        && let Some(way) = over(delivery, asked, job)
    {
        return Ok(way);
    }
    if known.is_none() && delivery.replay_of.is_none() {
        if is_too_old(shared, asked) {
            return Ok(Way::No("too_old"));
        }
        if is_duplicate(shared, delivery, asked).await? {
            return Ok(Way::No("duplicate_body"));
        }
    }
    let Some(pull) = find(shared, asked).await? else { return Ok(Way::No("gone")) };
    if pull.state != "open" {
        return Ok(Way::No("closed"));
    }
    if let Some(head) = &asked.head
        && *head != pull.head.sha
    {
        if asked.is_again {
            return Ok(Way::No("superseded"));
        }
        if (shared.now)() - delivery.published < API_LAG && delivery.replay_of.is_none() {
            let why = "GitHub's API does not know the head yet, or knows a newer one".to_owned();
            return Err(Pause::Away { after: LAG_PAUSE, why });
        }
    }
    let mut order = order(delivery, asked, &pull, known.as_ref());
    let github = shared.github(&asked.repository, asked.installation);
    let Some(base) = github.get_branch(&asked.repository, &pull.base.branch).await? else {
        return Ok(Way::No("gone"));
    };
    Ok(match claim::take(shared, &order, &base.object.sha, asked.is_again).await? {
        Claimed::Ours { head_seen_at } => {
            order.head_seen_at = head_seen_at;
            Way::Judge(order)
        }
        Claimed::Superseded => Way::No("superseded"),
        Claimed::SameHead => Way::No("same_head"),
    })
}

/// A job that is over stays so, unless an operator replays one that failed.
fn over(delivery: &Delivery, asked: &Asked, job: &Job) -> Option<Way> {
    let is_over = matches!(job.state(), JobState::Completed | JobState::Failed);
    let is_another_replay = delivery.replay_of.is_some_and(|replay| replay != job.replay_of);
    let runs_again = job.state() == JobState::Failed && is_another_replay;
    if !is_over || runs_again {
        return None;
    }
    if job.head_sha.is_empty() {
        // It was ignored then, and is now.
        return Some(Way::No("repeated"));
    }
    Some(Way::Over(Order::of_begun(asked, delivery, job)))
}

fn order(delivery: &Delivery, asked: &Asked, pull: &PullRequest, known: Option<&Job>) -> Order {
    let replay = delivery.replay_of.unwrap_or(0);
    let attempt = match known {
        Some(job) if job.state() == JobState::Failed && job.replay_of != replay => {
            job.attempt.max(1) + 1
        }
        Some(job) => job.attempt.max(1),
        None => 1,
    };
    Order {
        job: asked.job.clone(),
        delivery: asked.delivery.clone(),
        repository: asked.repository.clone(),
        installation: asked.installation,
        pull: pull.number,
        head: pull.head.sha.clone(),
        base_branch: pull.base.branch.clone(),
        sequence: delivery.sequence,
        asked_at: delivery.published,
        head_seen_at: delivery.published,
        attempt,
        replay_of: replay,
    }
}

fn is_too_old(shared: &Shared, asked: &Asked) -> bool {
    if asked.is_again {
        return false;
    }
    // A payload without a time can't be judged, and is not GitHub's.
    let Some(updated) = asked.updated else { return true };
    let age = (shared.now)() - updated;
    age.to_std().is_ok_and(|age| age > shared.settings.max_event_age)
}

/// Whether another delivery brought the same body first. The id is not signed, the body is.
async fn is_duplicate(shared: &Shared, delivery: &Delivery, asked: &Asked) -> Result<bool, Pause> {
    let key = hex::encode(Sha256::digest(&delivery.payload));
    let ours = Bytes::from(asked.delivery.to_string());
    match shared.bodies.create(&key, ours.clone()).await {
        Ok(_) => Ok(false),
        Err(BucketError::Conflict) => {
            let first = shared.bodies.get(&key).await?;
            Ok(first.is_none_or(|entry| entry.value != ours))
        }
        Err(BucketError::Other(error)) => Err(error.into()),
    }
}

/// The pull request; one that is known by its head alone is looked for among the open ones, because
/// GitHub does not name a fork's.
async fn find(shared: &Shared, asked: &Asked) -> Result<Option<PullRequest>, Pause> {
    let github = shared.github(&asked.repository, asked.installation);
    if let Some(number) = asked.pull {
        return Ok(github.get_pull(&asked.repository, number).await?);
    }
    let Some(head) = &asked.head else { return Ok(None) };
    let mut open = github.list_pulls(&asked.repository, None, "open").await?;
    open.retain(|pull| pull.head.sha == *head);
    Ok(open.into_iter().min_by_key(|pull| pull.number))
}
