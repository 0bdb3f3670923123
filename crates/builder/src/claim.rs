//! One active job per issue: a durable claim, held from a job's acceptance to its end.

use booty_bus::{BucketError, Delivery};
use booty_events::{IssueNumber, JobId, RepoName, bucket, v1::JobState};
use bytes::Bytes;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::{
    order::Order,
    shared::{Pause, Shared},
};

/// A claim whose job was never written down is a crash's leftover when it is this much older than the
/// delivery that meets it. (Its own delivery, redelivered, goes on with it at once.)
const ORPHANED_AFTER: TimeDelta = TimeDelta::hours(1);

/// The value behind [`bucket::issue_claim_key`].
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    job: String,
}

/// What came of asking for the claim.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// It is the order's job's.
    Ours,
    /// This job has it, and is not over.
    By(String),
}

/// Takes the issue for the order's job, or finds that it has it already.
pub(crate) async fn take(
    shared: &Shared,
    order: &Order,
    delivery: &Delivery,
) -> Result<Claimed, Pause> {
    let key = bucket::issue_claim_key(&order.repository, order.issue);
    let ours = value(order);
    match shared.claims.create(&key, ours.clone()).await {
        Ok(_) => return Ok(Claimed::Ours),
        Err(BucketError::Conflict) => {}
        Err(BucketError::Other(error)) => return Err(error.into()),
    }
    let Some(entry) = shared.claims.get(&key).await? else {
        // Released in between.
        return Err(Pause::away("the issue's claim changed hands"));
    };
    let holder = serde_json::from_slice::<Claim>(&entry.value).map(|claim| claim.job);
    // An unreadable claim is nobody's.
    let holder = holder.unwrap_or_default();
    if holder == order.job.as_str() {
        return Ok(Claimed::Ours);
    }
    let job = match holder.parse::<JobId>() {
        Ok(job) => shared.jobs.get(&job).await?,
        Err(_) => None,
    };
    let is_over = match job.map(|job| job.state()) {
        Some(JobState::Completed | JobState::Failed) => true,
        Some(_) => false,
        None => delivery.published - entry.created > ORPHANED_AFTER,
    };
    if !is_over {
        return Ok(Claimed::By(holder));
    }
    match shared.claims.update(&key, ours, entry.revision).await {
        Ok(_) => Ok(Claimed::Ours),
        Err(BucketError::Conflict) => Err(Pause::away("the issue's claim changed hands")),
        Err(BucketError::Other(error)) => Err(error.into()),
    }
}

/// Gives the issue back, if the order's job has it.
pub(crate) async fn release(shared: &Shared, order: &Order) -> Result<(), Pause> {
    let key = bucket::issue_claim_key(&order.repository, order.issue);
    let Some(entry) = shared.claims.get(&key).await? else { return Ok(()) };
    if entry.value != value(order) {
        return Ok(());
    }
    match shared.claims.delete(&key, entry.revision).await {
        // Somebody took it over in between: then it is not ours to give back.
        Ok(()) | Err(BucketError::Conflict) => Ok(()),
        Err(BucketError::Other(error)) => Err(error.into()),
    }
}

/// The job that has the issue, over or not.
pub(crate) async fn holder(
    shared: &Shared,
    repository: &RepoName,
    issue: IssueNumber,
) -> Result<Option<JobId>, Pause> {
    let entry = shared.claims.get(&bucket::issue_claim_key(repository, issue)).await?;
    let claim = entry.and_then(|entry| serde_json::from_slice::<Claim>(&entry.value).ok());
    Ok(claim.and_then(|claim| claim.job.parse().ok()))
}

fn value(order: &Order) -> Bytes {
    // A struct of one string always has a JSON form.
    serde_json::to_vec(&Claim { job: order.job.to_string() }).unwrap_or_default().into()
}
