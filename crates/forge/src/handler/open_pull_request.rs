//! Branch, commit, pull request, its labels, and what is said on the issue.

use async_trait::async_trait;
use booty_events::v1::OpenPullRequest;
use booty_github::{Endpoint, object::PullRequest};
use serde_json::{Value, json};

use super::issue_outcome;
use crate::{
    branch, commit, labels,
    marker::Kind,
    once::{Creation, Made, once},
    outcome::Stop,
    work::Work,
    writer::NotSent,
};

/// Branches that Booty works on start with this; no effect can name another.
pub(super) const BRANCH_PREFIX: &str = "agent/";

/// GitHub's limit on titles, in characters.
const LONGEST_TITLE: usize = 256;

/// What a title starts with where there are no drafts.
pub(super) const WIP: &str = "WIP: ";

/// Set when the repository offers no drafts.
const NO_DRAFTS: &str = "no_drafts";

pub(super) async fn apply(work: &mut Work<'_>, write: &OpenPullRequest) -> Result<(), Stop> {
    check(write)?;
    let sha = commit::make(work, &write.base_sha, &write.commit_message, &write.changes).await?;
    let branch = branch::point(work, &write.branch, &sha).await?;
    let made = open(work, write, &branch).await?;
    (work.record.state.number, work.record.state.url) = (made.id, made.url.clone());
    let mut wanted = write.labels.clone();
    if work.record.step(NO_DRAFTS).is_some() {
        wanted.push(labels::DRAFT.to_owned());
    }
    labels::add(work, made.id, &wanted, &[]).await?;
    match &write.outcome {
        Some(outcome) => {
            let number = made.id.to_string();
            let text = outcome.comment.replace("{number}", &number).replace("{url}", &made.url);
            issue_outcome::say(work, outcome, &text).await
        }
        None => Ok(()),
    }
}

fn check(write: &OpenPullRequest) -> Result<(), Stop> {
    let invalid = |why: &str| Err(Stop::failed("invalid", why));
    if !write.branch.starts_with(BRANCH_PREFIX) {
        return invalid("the branch does not start with agent/");
    }
    if write.branch == write.base_branch || write.base_branch.is_empty() {
        return invalid("the base branch is missing or the branch itself");
    }
    if write.changes.is_empty() {
        return invalid("there is no change");
    }
    Ok(())
}

async fn open(work: &mut Work<'_>, write: &OpenPullRequest, branch: &str) -> Result<Made, Stop> {
    let draft = write.draft && work.record.step(NO_DRAFTS).is_none();
    let opened = once(work, &Pull { write, branch, draft }).await;
    match opened {
        Err(Stop::Failed { why, .. }) if draft && says_no_drafts(&why) => {
            work.done(NO_DRAFTS, "422").await?;
            once(work, &Pull { write, branch, draft: false }).await
        }
        opened => opened,
    }
}

/// GitHub's words: "Draft pull requests are not supported in this repository."
fn says_no_drafts(why: &str) -> bool {
    why.to_ascii_lowercase().contains("draft pull requests are not supported")
}

struct Pull<'a> {
    write: &'a OpenPullRequest,
    branch: &'a str,
    draft: bool,
}

#[async_trait]
impl Creation for Pull<'_> {
    fn step(&self) -> &'static str {
        "pull"
    }

    /// Also closed and merged ones: a person may have been quicker than the answer.
    async fn look_up(&self, work: &Work<'_>) -> Result<Vec<Made>, booty_github::Error> {
        let pulls = work.github.list_pulls(&work.repo, Some(self.branch), "all").await?;
        let ours = pulls.into_iter().filter(|pull| {
            let body = pull.body.as_deref().unwrap_or_default();
            let marked = work.core.markers.of_body(body, Kind::PullRequest, &work.repo);
            marked.as_ref() == Some(&work.id) && work.is_ours(pull.user.as_ref())
        });
        Ok(ours.map(made).collect())
    }

    async fn create(&self, work: &Work<'_>) -> Result<Made, booty_github::Error> {
        let prefix = if self.write.draft && !self.draft { WIP } else { "" };
        let title: String =
            format!("{prefix}{}", self.write.title).chars().take(LONGEST_TITLE).collect();
        let markers = &work.core.markers;
        let body = json!({
            "title": title,
            "head": self.branch,
            "base": self.write.base_branch,
            "body": markers.mark(&self.write.body, Kind::PullRequest, &work.repo, &work.id),
            "draft": self.draft,
            "maintainer_can_modify": true,
        });
        let at = Endpoint::repo(&work.repo).at("pulls");
        Ok(made(work.github.post::<PullRequest>(at, &body).await?.body))
    }

    async fn remove(&self, work: &Work<'_>, surplus: &Made) -> Result<(), NotSent> {
        let at = Endpoint::repo(&work.repo).at("pulls").at(surplus.id);
        let body = json!({ "state": "closed" });
        let request = || work.github.patch::<Value>(at.clone(), &body);
        work.gate.send(request).await.map(drop)
    }
}

fn made(pull: PullRequest) -> Made {
    Made { id: pull.number, url: pull.html_url }
}
