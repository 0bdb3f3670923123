//! The newest head of each pull request: who judges it, and since when it is known. Changed by
//! compare-and-set, so that of several verifiers one judges.

use booty_bus::BucketError;
use booty_events::{JobId, bucket, v1::JobState};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    order::Order,
    shared::{Pause, Shared},
};

/// How often a claim is looked at anew because somebody else wrote in between.
const MAX_RACES: u32 = 10;

/// The value behind [`bucket::pull_claim_key`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// The job that judges the head.
    pub(crate) job: String,
    /// Its delivery's place in the inbox.
    pub(crate) sequence: u64,
    /// The head.
    pub(crate) head: String,
    /// The base branch's tip when the job began.
    pub(crate) base: String,
    /// When the head was first heard of.
    pub(crate) head_seen_at: DateTime<Utc>,
}

/// What came of asking for the claim.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// The head is the order's to judge; since when it is known.
    Ours { head_seen_at: DateTime<Utc> },
    /// A newer delivery has taken the pull request.
    Superseded,
    /// This head is judged already, or being judged, on the same base.
    SameHead,
}

/// Takes the pull request for the order's head, or finds that it has it already.
pub(crate) async fn take(
    shared: &Shared,
    order: &Order,
    base: &str,
    is_again: bool,
) -> Result<Claimed, Pause> {
    // Door and worker of one delivery meet here, and both are right.
    for _ in 0..MAX_RACES {
        if let Some(claimed) = try_take(shared, order, base, is_again).await? {
            return Ok(claimed);
        }
    }
    Err(Pause::away("the pull request's claim kept changing hands"))
}

/// `None`: somebody else was faster.
async fn try_take(
    shared: &Shared,
    order: &Order,
    base: &str,
    is_again: bool,
) -> Result<Option<Claimed>, Pause> {
    let key = bucket::pull_claim_key(&order.repository, order.pull);
    let entry = shared.claims.get(&key).await?;
    // An unreadable claim is nobody's.
    let known = entry.as_ref().and_then(|entry| serde_json::from_slice::<Claim>(&entry.value).ok());
    let mut head_seen_at = order.asked_at;
    if let Some(known) = &known {
        let same = known.head == order.head;
        if same {
            head_seen_at = known.head_seen_at.min(order.asked_at);
        }
        if known.job == order.job.as_str() && same {
            return Ok(Some(Claimed::Ours { head_seen_at }));
        }
        if known.job != order.job.as_str() && known.sequence > order.sequence {
            return Ok(Some(Claimed::Superseded));
        }
        if same && !is_again && known.base == base && !has_failed(shared, &known.job).await? {
            return Ok(Some(Claimed::SameHead));
        }
    }
    let claim = Claim {
        job: order.job.to_string(),
        sequence: order.sequence,
        head: order.head.clone(),
        base: base.to_owned(),
        head_seen_at,
    };
    // A struct of plain fields always has a JSON form.
    let value = Bytes::from(serde_json::to_vec(&claim).unwrap_or_default());
    let written = match entry {
        Some(entry) => shared.claims.update(&key, value, entry.revision).await,
        None => shared.claims.create(&key, value).await,
    };
    match written {
        Ok(_) => Ok(Some(Claimed::Ours { head_seen_at })),
        Err(BucketError::Conflict) => Ok(None),
        Err(BucketError::Other(error)) => Err(error.into()),
    }
}

/// The claim on a pull request, as it is now.
pub(crate) async fn current(
    shared: &Shared,
    repository: &booty_events::RepoName,
    pull: u64,
) -> Result<Option<Claim>, Pause> {
    let key = bucket::pull_claim_key(repository, pull);
    let entry = shared.claims.get(&key).await?;
    Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
}

/// Returns when somebody else has the pull request, or the order's own job has another head of it.
pub(crate) async fn lost(shared: &Shared, order: &Order) -> String {
    loop {
        tokio::time::sleep(shared.settings.look_interval).await;
        match current(shared, &order.repository, order.pull).await {
            Ok(Some(claim)) if claim.job != order.job.as_str() || claim.head != order.head => {
                return claim.head;
            }
            // Away: what is in hand goes on, under its lease.
            Ok(_) | Err(_) => {}
        }
    }
}

async fn has_failed(shared: &Shared, job: &str) -> Result<bool, Pause> {
    let Ok(job) = job.parse::<JobId>() else { return Ok(true) };
    let state = shared.jobs.get(&job).await?;
    Ok(state.is_some_and(|job| job.state() == JobState::Failed))
}
