//! Issues, labels, comments, timelines.

use serde_json::{Value, json};

use super::{maybe_time, node, time, user};
use crate::world::{Comment, Happening, Issue, Label, Repo, World};

pub(crate) fn issue(world: &World, repo: &Repo, issue: &Issue) -> Value {
    let full_name = repo.full_name();
    let repo_api = format!("{}/repos/{full_name}", world.base);
    let api = format!("{repo_api}/issues/{}", issue.number);
    let room = if issue.pull.is_some() { "pull" } else { "issues" };
    let html = format!("{}/{full_name}/{room}/{}", world.base, issue.number);
    let mut body = json!({
        "url": api,
        "repository_url": repo_api,
        "labels_url": format!("{api}/labels{{/name}}"),
        "comments_url": format!("{api}/comments"),
        "events_url": format!("{api}/events"),
        "timeline_url": format!("{api}/timeline"),
        "html_url": html,
        "id": issue.id,
        "node_id": node("Issue", issue.id),
        "number": issue.number,
        "title": issue.title,
        "user": user(world, &issue.author),
        "labels": labels(world, repo, issue),
        "state": if issue.open { "open" } else { "closed" },
        "locked": issue.locked,
        "assignee": null,
        "assignees": [],
        "milestone": null,
        "comments": repo.comments_of(issue.number).count(),
        "created_at": time(issue.created_at),
        "updated_at": time(issue.updated_at),
        "closed_at": maybe_time(issue.closed_at),
        "author_association": repo.association(&issue.author),
        "active_lock_reason": null,
        "body": issue.body,
        "closed_by": issue.closed_by.as_ref().map(|login| user(world, login)),
        "reactions": reactions(&api),
        "performed_via_github_app": null,
        "state_reason": issue.state_reason,
    });
    if let Some(pull) = &issue.pull {
        body["draft"] = pull.draft.into();
        body["pull_request"] = json!({
            "url": format!("{repo_api}/pulls/{}", issue.number),
            "html_url": html,
            "diff_url": format!("{html}.diff"),
            "patch_url": format!("{html}.patch"),
            "merged_at": maybe_time(pull.merged_at),
        });
    }
    body
}

pub(super) fn labels(world: &World, repo: &Repo, issue: &Issue) -> Vec<Value> {
    repo.labels_of(issue).into_iter().map(|found| label(world, repo, found)).collect()
}

pub(crate) fn label(world: &World, repo: &Repo, label: &Label) -> Value {
    let name = url::form_urlencoded::byte_serialize(label.name.as_bytes())
        .collect::<String>()
        .replace('+', "%20");
    json!({
        "id": label.id,
        "node_id": node("Label", label.id),
        "url": format!("{}/repos/{}/labels/{name}", world.base, repo.full_name()),
        "name": label.name,
        "color": label.color,
        "default": false,
        "description": label.description,
    })
}

pub(crate) fn comment(world: &World, repo: &Repo, comment: &Comment) -> Value {
    let full_name = repo.full_name();
    let repo_api = format!("{}/repos/{full_name}", world.base);
    let api = format!("{repo_api}/issues/comments/{}", comment.id);
    let is_pull = repo.issues.get(&comment.issue).is_some_and(|issue| issue.pull.is_some());
    let room = if is_pull { "pull" } else { "issues" };
    json!({
        "url": api,
        "html_url": format!(
            "{}/{full_name}/{room}/{}#issuecomment-{}", world.base, comment.issue, comment.id
        ),
        "issue_url": format!("{repo_api}/issues/{}", comment.issue),
        "id": comment.id,
        "node_id": node("IssueComment", comment.id),
        "user": user(world, &comment.author),
        "created_at": time(comment.created_at),
        "updated_at": time(comment.updated_at),
        "author_association": repo.association(&comment.author),
        "body": comment.body,
        "reactions": reactions(&api),
        "performed_via_github_app": null,
    })
}

/// An entry of `/events`, and of `/timeline`.
pub(crate) fn happening(world: &World, repo: &Repo, happening: &Happening) -> Value {
    let repo_api = format!("{}/repos/{}", world.base, repo.full_name());
    let commit = happening.commit.map(|id| id.to_string());
    let mut body = json!({
        "id": happening.id,
        "node_id": node("Event", happening.id),
        "url": format!("{repo_api}/issues/events/{}", happening.id),
        "actor": user(world, &happening.actor),
        "event": happening.event,
        "commit_id": commit,
        "commit_url": commit.as_ref().map(|sha| format!("{repo_api}/commits/{sha}")),
        "created_at": time(happening.at),
        "performed_via_github_app": null,
    });
    if let Some((name, color)) = &happening.label {
        body["label"] = json!({"name": name, "color": color});
    }
    if let Some((from, to)) = &happening.rename {
        body["rename"] = json!({"from": from, "to": to});
    }
    if happening.event == "locked" {
        body["lock_reason"] = Value::Null;
    }
    if happening.event == "closed" {
        body["state_reason"] = Value::Null;
    }
    body
}

/// A comment as an entry of `/timeline`.
pub(crate) fn timeline_comment(world: &World, repo: &Repo, found: &Comment) -> Value {
    let mut body = comment(world, repo, found);
    body["event"] = "commented".into();
    body["actor"] = user(world, &found.author);
    body
}

pub(super) fn reactions(api: &str) -> Value {
    json!({
        "url": format!("{api}/reactions"),
        "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0,
        "confused": 0, "heart": 0, "rocket": 0, "eyes": 0,
    })
}
