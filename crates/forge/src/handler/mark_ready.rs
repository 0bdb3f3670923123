//! The end of a pull request's draft.

use booty_events::v1::MarkReady;
use booty_github::{Endpoint, object::PullRequest};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Applied, open_pull_request::WIP};
use crate::{labels, marker::Kind, outcome::Stop, work::Work, writer::NotSent};

/// Only the GraphQL API can do it.
const MUTATION: &str = "mutation($id: ID!) { \
     markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } } }";

pub(super) async fn apply(work: &mut Work<'_>, write: &MarkReady) -> Result<Applied, Stop> {
    let pull = read(work, write.pull_request).await?;
    check_ours(work, &pull)?;
    (work.record.state.number, work.record.state.url) = (pull.number, pull.html_url.clone());
    if pull.state != "open" {
        let why = format!("#{} is {}", pull.number, pull.state);
        return Ok(Applied::Skipped { reason: "not_open", why });
    }
    if pull.head.sha != write.head_sha {
        let why = format!("the head of #{} moved to {}", pull.number, pull.head.sha);
        return Ok(Applied::Skipped { reason: "head_moved", why });
    }
    if pull.draft {
        end_draft(work, &pull).await?;
    }
    // Opened where there are no drafts. The label goes last: it says that the title is to be mended.
    if pull.labels.iter().any(|label| label.name.eq_ignore_ascii_case(labels::DRAFT)) {
        if let Some(title) = pull.title.strip_prefix(WIP) {
            let at = Endpoint::repo(&work.repo).at("pulls").at(pull.number);
            let body = json!({ "title": title });
            let request = || work.github.patch::<Value>(at.clone(), &body);
            let sent = work.gate.send(request).await;
            work.repeatable(sent).await?;
        }
        labels::take_away(work, pull.number, labels::DRAFT).await?;
    }
    Ok(Applied::Now)
}

pub(super) async fn read(work: &mut Work<'_>, number: u64) -> Result<PullRequest, Stop> {
    let pull = work.github.get_pull(&work.repo, number).await;
    let gone = || Stop::failed("not_found", format!("there is no pull request #{number}"));
    work.read(pull).await?.ok_or_else(gone)
}

/// Written by our account under one of our markers, from a branch of the repository's own.
pub(super) fn check_ours(work: &Work<'_>, pull: &PullRequest) -> Result<(), Stop> {
    let body = pull.body.as_deref().unwrap_or_default();
    let marked = work.core.markers.of_body(body, Kind::PullRequest, &work.repo);
    let is_inside = pull.head.is_in(work.repo.as_str());
    if marked.is_some() && is_inside && work.is_ours(pull.user.as_ref()) {
        return Ok(());
    }
    Err(Stop::failed("not_ours", format!("#{} is not a pull request of Booty's", pull.number)))
}

async fn end_draft(work: &mut Work<'_>, pull: &PullRequest) -> Result<(), Stop> {
    let variables = json!({ "id": pull.node_id });
    let request = || work.github.graphql::<Marked>(MUTATION, &variables);
    let sent = work.gate.send(request).await;
    // A person, or our own request whose answer was lost, may have been quicker.
    if let Err(NotSent::Github(booty_github::Error::Validation { .. })) = &sent
        && !read(work, pull.number).await?.draft
    {
        return Ok(());
    }
    let marked = work.repeatable(sent).await?;
    if marked.result.pull_request.is_draft {
        return Err(Stop::failed("still_draft", "GitHub says done, and it is a draft still"));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Marked {
    #[serde(rename = "markPullRequestReadyForReview")]
    result: MarkedPull,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MarkedPull {
    pull_request: Draft,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Draft {
    is_draft: bool,
}
