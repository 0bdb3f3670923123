//! One more commit on the branch of a pull request of ours.
//!
//! The branch is moved without force, from the commit that the change was made on and from no other:
//! what a person pushed meanwhile stays, and nothing is written then.

use booty_events::v1::UpdatePullRequest;
use booty_github::{
    Endpoint,
    object::{Commit, GitRef, PullRequest},
};
use serde_json::json;

use super::{
    Applied,
    comment::post,
    mark_ready::{check_ours, read},
    open_pull_request::BRANCH_PREFIX,
};
use crate::{commit, outcome::Stop, work::Work, writer::NotSent};

/// The step's name in the record.
const STEP: &str = "branch";

pub(super) async fn apply(work: &mut Work<'_>, write: &UpdatePullRequest) -> Result<Applied, Stop> {
    check(write)?;
    let pull = read(work, write.pull_request).await?;
    check_ours(work, &pull)?;
    (work.record.state.number, work.record.state.url) = (pull.number, pull.html_url.clone());
    if pull.head.branch != write.branch {
        let why = format!("#{} is from branch {}", pull.number, pull.head.branch);
        return Err(Stop::failed("invalid", why));
    }
    if work.record.step(STEP).is_none()
        && let Some(skipped) = push(work, write, &pull).await?
    {
        return Ok(skipped);
    }
    if !write.comment.is_empty() {
        post(work, write.pull_request, &write.comment).await?;
    }
    Ok(Applied::Now)
}

fn check(write: &UpdatePullRequest) -> Result<(), Stop> {
    let invalid = |why: &str| Err(Stop::failed("invalid", why));
    if !write.branch.starts_with(BRANCH_PREFIX) {
        return invalid("the branch does not start with agent/");
    }
    if write.head_sha.is_empty() {
        return invalid("the commit to go on from is missing");
    }
    if write.changes.is_empty() {
        return invalid("there is no change");
    }
    Ok(())
}

/// Makes the commit and moves the branch to it; a word when that is not to be done any more.
async fn push(
    work: &mut Work<'_>,
    write: &UpdatePullRequest,
    pull: &PullRequest,
) -> Result<Option<Applied>, Stop> {
    let tip = work.github.get_branch(&work.repo, &write.branch).await;
    let Some(GitRef { object: tip, .. }) = work.read(tip).await? else {
        let why = format!("branch {} is gone", write.branch);
        return Ok(Some(Applied::Skipped { reason: "branch_gone", why }));
    };
    if is_done(work, write, &tip.sha).await? {
        work.done(STEP, write.branch.as_str()).await?;
        return Ok(None);
    }
    if tip.sha != write.head_sha {
        return Ok(Some(moved(write, &tip.sha)));
    }
    if pull.state != "open" {
        let why = format!("#{} is {}", pull.number, pull.state);
        return Ok(Some(Applied::Skipped { reason: "not_open", why }));
    }
    let sha = commit::make(work, &write.head_sha, &write.commit_message, &write.changes).await?;
    match move_to(work, &write.branch, &sha).await {
        // Somebody pushed between our look and our request; or our own request, whose answer was
        // lost, was done and somebody pushed on top of it.
        Err(NotSent::Github(error @ booty_github::Error::Validation { .. })) => {
            let tip = work.github.get_branch(&work.repo, &write.branch).await;
            match work.read(tip).await? {
                Some(tip) if is_done(work, write, &tip.object.sha).await? => {}
                Some(tip) if tip.object.sha != write.head_sha => {
                    return Ok(Some(moved(write, &tip.object.sha)));
                }
                _ => work.repeatable(Err(NotSent::Github(error))).await?,
            }
        }
        sent => work.repeatable(sent).await?,
    }
    work.done(STEP, write.branch.as_str()).await?;
    Ok(None)
}

fn moved(write: &UpdatePullRequest, tip: &str) -> Applied {
    let why = format!("branch {} moved from {} to {tip}", write.branch, write.head_sha);
    Applied::Skipped { reason: "head_moved", why }
}

/// Whether this effect's commit is on the branch already: as its tip, or right below it. A record may
/// have been lost, so that the commit itself counts as well: by our marker, our account, its parent,
/// and its tree where that is known.
async fn is_done(work: &mut Work<'_>, write: &UpdatePullRequest, tip: &str) -> Result<bool, Stop> {
    if tip == write.head_sha {
        return Ok(false);
    }
    let known = work.record.step("commit").map(str::to_owned);
    if known.as_deref() == Some(tip) {
        return Ok(true);
    }
    let found = work.github.get_commit(&work.repo, tip).await;
    let Some(found) = work.read(found).await? else { return Ok(false) };
    if let Some(known) = known
        && found.parents.iter().any(|parent| parent.sha == known)
    {
        return Ok(true);
    }
    if !is_ours(work, write, &found) {
        return Ok(false);
    }
    commit::adopt(work, &found.sha, &found.commit.tree.sha).await?;
    Ok(true)
}

fn is_ours(work: &Work<'_>, write: &UpdatePullRequest, found: &Commit) -> bool {
    let signed = work.core.markers.of_commit(&found.commit.message, &work.repo);
    let tree = commit::tree(work);
    signed.as_ref() == Some(&work.id)
        && work.is_ours(found.author.as_ref())
        && found.parents.iter().map(|parent| &parent.sha).eq([&write.head_sha])
        && tree.is_none_or(|tree| tree == found.commit.tree.sha)
}

async fn move_to(work: &Work<'_>, branch: &str, sha: &str) -> Result<(), NotSent> {
    let at = Endpoint::repo(&work.repo).at("git").at("refs").at("heads").at_each(branch);
    let body = json!({ "sha": sha, "force": false });
    work.gate.send(|| work.github.patch::<GitRef>(at.clone(), &body)).await.map(drop)
}
