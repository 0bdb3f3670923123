//! Pull requests and their files.

use serde_json::{Map, Value, json};

use super::issue;
use super::{maybe_time, node, repository, time, user};
use crate::git::FileDiff;
use crate::world::{Issue, Pull, Repo, World};

pub(crate) fn pull_in_list(
    world: &World,
    repo: &Repo,
    found: &Issue,
    pull: &Pull,
    viewer: &str,
) -> Value {
    Value::Object(common(world, repo, found, pull, &|repo| repository(world, repo, viewer)))
}

/// As events of reviews show it: without the counts.
pub(crate) fn pull_in_review(world: &World, repo: &Repo, number: u64) -> Option<Value> {
    let found = repo.issues.get(&number)?;
    let shown = |repo: &Repo| super::repository_in_event(world, repo);
    Some(Value::Object(common(world, repo, found, found.pull.as_ref()?, &shown)))
}

/// With the counts that lists leave out.
pub(crate) fn pull_full(world: &World, repo: &Repo, found: &Issue, pull: &Pull) -> Value {
    let shown = |repo: &Repo| super::repository_in_event(world, repo);
    let mut body = common(world, repo, found, pull, &shown);
    let files = pull.files(&repo.git).unwrap_or_default();
    let additions: u64 = files.iter().map(|file| file.additions).sum();
    let deletions: u64 = files.iter().map(|file| file.deletions).sum();
    let commits = repo.git.between(pull.base_sha, pull.head_sha).ok().flatten();
    let more = json!({
        "merged": pull.merged_at.is_some(),
        // GitHub works it out after it answers.
        "mergeable": null,
        "rebaseable": null,
        "mergeable_state": "unknown",
        "merged_by": pull.merged_by.as_ref().map(|login| user(world, login)),
        "comments": repo.comments_of(found.number).count(),
        "review_comments": repo.review_comments.values().filter(|c| c.pull == found.number).count(),
        "maintainer_can_modify": pull.maintainer_can_modify,
        "commits": commits.map_or(0, |commits| commits.len()),
        "additions": additions,
        "deletions": deletions,
        "changed_files": files.len(),
    });
    if let Value::Object(more) = more {
        body.extend(more);
    }
    Value::Object(body)
}

fn common(
    world: &World,
    repo: &Repo,
    found: &Issue,
    pull: &Pull,
    shown: &dyn Fn(&Repo) -> Value,
) -> Map<String, Value> {
    let full_name = repo.full_name();
    let repo_api = format!("{}/repos/{full_name}", world.base);
    let api = format!("{repo_api}/pulls/{}", found.number);
    let issue_api = format!("{repo_api}/issues/{}", found.number);
    let html = format!("{}/{full_name}/pull/{}", world.base, found.number);
    let statuses = format!("{repo_api}/statuses/{}", pull.head_sha);
    let review_comment = format!("{repo_api}/pulls/comments{{/number}}");
    let side = |owner: &str, branch: &str, sha: gix::ObjectId, of: Option<&Repo>| {
        json!({
            "label": format!("{owner}:{branch}"),
            "ref": branch,
            "sha": sha.to_string(),
            "user": user(world, owner),
            "repo": of.map(shown),
        })
    };
    let head_repo = match pull.head_repo {
        Some(id) if id == repo.id => Some(repo),
        Some(id) => world.repo_by_id(id),
        None => None,
    };
    let href = |url: String| json!({"href": url});
    let body = json!({
        "url": api,
        "id": pull.id,
        "node_id": node("PullRequest", pull.id),
        "html_url": html,
        "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"),
        "issue_url": issue_api,
        "number": found.number,
        "state": if found.open { "open" } else { "closed" },
        "locked": found.locked,
        "title": found.title,
        "user": user(world, &found.author),
        "body": found.body,
        "created_at": time(found.created_at),
        "updated_at": time(found.updated_at),
        "closed_at": maybe_time(found.closed_at),
        "merged_at": maybe_time(pull.merged_at),
        "merge_commit_sha": pull.merge_commit.map(|id| id.to_string()),
        "assignee": null,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": issue::labels(world, repo, found),
        "milestone": null,
        "draft": pull.draft,
        "commits_url": format!("{api}/commits"),
        "review_comments_url": format!("{api}/comments"),
        "review_comment_url": review_comment,
        "comments_url": format!("{issue_api}/comments"),
        "statuses_url": statuses,
        "head": side(&pull.head_owner, &pull.head, pull.head_sha, head_repo),
        "base": side(&repo.owner, &pull.base, pull.base_sha, Some(repo)),
        "_links": {
            "self": href(api.clone()),
            "html": href(html.clone()),
            "issue": href(issue_api.clone()),
            "comments": href(format!("{issue_api}/comments")),
            "review_comments": href(format!("{api}/comments")),
            "review_comment": href(format!("{repo_api}/pulls/comments{{/number}}")),
            "commits": href(format!("{api}/commits")),
            "statuses": href(format!("{repo_api}/statuses/{}", pull.head_sha)),
        },
        "author_association": repo.association(&found.author),
        "auto_merge": null,
        "active_lock_reason": null,
    });
    match body {
        Value::Object(body) => body,
        _ => Map::new(),
    }
}

/// One entry of `/pulls/{n}/files`.
pub(crate) fn file(world: &World, repo: &Repo, head: gix::ObjectId, file: &FileDiff) -> Value {
    let full_name = repo.full_name();
    let path = file
        .path
        .split('/')
        .map(|part| {
            url::form_urlencoded::byte_serialize(part.as_bytes())
                .collect::<String>()
                .replace('+', "%20")
        })
        .collect::<Vec<_>>()
        .join("/");
    let mut body = json!({
        "sha": file.sha,
        "filename": file.path,
        "status": file.status,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "blob_url": format!("{}/{full_name}/blob/{head}/{path}", world.base),
        "raw_url": format!("{}/{full_name}/raw/{head}/{path}", world.base),
        "contents_url": format!(
            "{}/repos/{full_name}/contents/{path}?ref={head}", world.base
        ),
    });
    if let Some(patch) = &file.patch {
        body["patch"] = patch.as_str().into();
    }
    if let Some(previous) = &file.previous {
        body["previous_filename"] = previous.as_str().into();
    }
    body
}
