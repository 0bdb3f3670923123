//! Reviews and their comments on lines.

use serde_json::{Value, json};

use super::{node, time, user};
use crate::world::{Repo, Review, ReviewComment, World};

/// As the API answers it.
pub(crate) fn review(world: &World, repo: &Repo, found: &Review) -> Value {
    let mut body = review_in_event(world, repo, found);
    // Here in capitals, and never null.
    body["state"] = found.state.name().to_uppercase().into();
    body["body"] = found.body.as_str().into();
    body
}

/// As webhooks say it.
pub(crate) fn review_in_event(world: &World, repo: &Repo, found: &Review) -> Value {
    let full_name = repo.full_name();
    let pull = format!("{}/repos/{full_name}/pulls/{}", world.base, found.pull);
    let html =
        format!("{}/{full_name}/pull/{}#pullrequestreview-{}", world.base, found.pull, found.id);
    json!({
        "id": found.id,
        "node_id": node("PullRequestReview", found.id),
        "user": user(world, &found.author),
        "body": Some(found.body.as_str()).filter(|body| !body.is_empty()),
        "commit_id": found.commit.to_string(),
        "submitted_at": time(found.submitted_at),
        "state": found.state.name(),
        "html_url": html,
        "pull_request_url": pull,
        "author_association": repo.association(&found.author),
        "_links": { "html": { "href": html }, "pull_request": { "href": pull } },
    })
}

/// A comment on a line. Once the diff is another one GitHub does not know the line any more.
pub(crate) fn review_comment(world: &World, repo: &Repo, found: &ReviewComment) -> Value {
    let full_name = repo.full_name();
    let pull = format!("{}/repos/{full_name}/pulls/{}", world.base, found.pull);
    let api = format!("{}/repos/{full_name}/pulls/comments/{}", world.base, found.id);
    let html = format!("{}/{full_name}/pull/{}#discussion_r{}", world.base, found.pull, found.id);
    let head = repo.issues.get(&found.pull).and_then(|issue| Some(issue.pull.as_ref()?.head_sha));
    let is_current = head == Some(found.commit);
    json!({
        "url": api,
        "pull_request_review_id": found.review,
        "id": found.id,
        "node_id": node("PullRequestReviewComment", found.id),
        "diff_hunk": found.diff_hunk,
        "path": found.path,
        "position": is_current.then_some(found.position),
        "original_position": found.position,
        "commit_id": head.unwrap_or(found.commit).to_string(),
        "original_commit_id": found.commit.to_string(),
        "user": user(world, &found.author),
        "body": found.body,
        "created_at": time(found.at),
        "updated_at": time(found.at),
        "html_url": html,
        "pull_request_url": pull,
        "author_association": repo.association(&found.author),
        "_links": {
            "self": { "href": api }, "html": { "href": html }, "pull_request": { "href": pull },
        },
        "reactions": super::issue::reactions(&api),
        "start_line": null,
        "original_start_line": null,
        "start_side": null,
        "line": is_current.then_some(found.line),
        "original_line": found.line,
        "side": "RIGHT",
        "subject_type": "line",
    })
}

/// The same in the list of one review's comments, which leaves the lines out.
pub(crate) fn legacy_review_comment(world: &World, repo: &Repo, found: &ReviewComment) -> Value {
    let mut body = review_comment(world, repo, found);
    if let Some(members) = body.as_object_mut() {
        for name in [
            "start_line",
            "original_start_line",
            "start_side",
            "line",
            "original_line",
            "side",
            "subject_type",
        ] {
            members.remove(name);
        }
    }
    body
}
