//! Check runs, check suites, commit statuses.

use gix::ObjectId;
use serde_json::{Value, json};

use super::{app, maybe_time, node, time, user};
use crate::git::GitError;
use crate::world::{Annotation, CheckRun, CheckSuite, Issue, Pull, Repo, Status, World};

/// As answers carry it.
pub(crate) fn check_run(world: &World, repo: &Repo, run: &CheckRun) -> Value {
    let api = format!("{}/repos/{}/check-runs/{}", world.base, repo.full_name(), run.id);
    let html = format!("{}/{}/runs/{}", world.base, repo.full_name(), run.id);
    let found = world.apps.get(&run.app);
    let home = found.map(|app| format!("{}/apps/{}", world.base, app.slug));
    json!({
        "id": run.id,
        "name": run.name,
        "node_id": node("CheckRun", run.id),
        "head_sha": run.head_sha.to_string(),
        "external_id": run.external_id,
        "url": api,
        "html_url": html,
        "details_url": run.details_url.clone().or(home),
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": time(run.started_at),
        "completed_at": maybe_time(run.completed_at),
        "output": {
            "title": run.title,
            "summary": run.summary,
            "text": run.text,
            "annotations_count": run.annotations.len(),
            "annotations_url": format!("{api}/annotations"),
        },
        "check_suite": {"id": run.suite},
        "app": found.map(|found| app(world, found)),
        "pull_requests": pulls(world, repo, run.head_sha),
    })
}

/// As webhooks carry it: with the whole suite.
pub(crate) fn check_run_in_event(world: &World, repo: &Repo, run: &CheckRun) -> Value {
    let mut body = check_run(world, repo, run);
    if let Some(suite) = repo.suites.get(&run.suite) {
        body["check_suite"] = simple_suite(world, repo, suite);
    }
    body
}

/// As answers carry it.
pub(crate) fn check_suite(
    world: &World,
    repo: &Repo,
    suite: &CheckSuite,
    inner: &Value,
) -> Result<Value, GitError> {
    let mut body = simple_suite(world, repo, suite);
    body["repository"] = inner.clone();
    complete_suite(world, repo, suite, &mut body)?;
    Ok(body)
}

/// As webhooks carry it.
pub(crate) fn check_suite_in_event(world: &World, repo: &Repo, suite: &CheckSuite) -> Value {
    let mut body = simple_suite(world, repo, suite);
    if let Err(error) = complete_suite(world, repo, suite, &mut body) {
        tracing::error!(%error, "a check suite's commit can't be read");
    }
    body
}

fn complete_suite(
    world: &World,
    repo: &Repo,
    suite: &CheckSuite,
    body: &mut Value,
) -> Result<(), GitError> {
    let commit = repo.git.commit(suite.head_sha)?;
    let who = |person: &crate::git::Person| json!({"name": person.name, "email": person.email});
    let when = chrono::DateTime::from_timestamp(commit.committer.seconds, 0);
    body["head_commit"] = json!({
        "id": suite.head_sha.to_string(),
        "tree_id": commit.tree.to_string(),
        "message": commit.message,
        "timestamp": maybe_time(when),
        "author": who(&commit.author),
        "committer": who(&commit.committer),
    });
    body["latest_check_runs_count"] =
        repo.runs_of(suite.id).filter(|run| repo.is_latest(run)).count().into();
    body["check_runs_url"] =
        format!("{}/repos/{}/check-suites/{}/check-runs", world.base, repo.full_name(), suite.id)
            .into();
    body["rerequestable"] = true.into();
    body["runs_rerequestable"] = true.into();
    Ok(())
}

fn simple_suite(world: &World, repo: &Repo, suite: &CheckSuite) -> Value {
    let (status, conclusion) = repo.suite_state(suite);
    json!({
        "id": suite.id,
        "node_id": node("CheckSuite", suite.id),
        "head_branch": suite.head_branch,
        "head_sha": suite.head_sha.to_string(),
        "status": status,
        "conclusion": conclusion,
        "url": format!("{}/repos/{}/check-suites/{}", world.base, repo.full_name(), suite.id),
        "before": suite.before.map(|id| id.to_string()),
        "after": suite.head_sha.to_string(),
        "pull_requests": pulls(world, repo, suite.head_sha),
        "app": world.apps.get(&suite.app).map(|found| app(world, found)),
        "created_at": time(suite.created_at),
        "updated_at": time(suite.updated_at),
    })
}

pub(crate) fn annotation(
    world: &World,
    repo: &Repo,
    run: &CheckRun,
    annotation: &Annotation,
) -> Value {
    json!({
        "path": annotation.path,
        "blob_href": format!(
            "{}/{}/blob/{}/{}", world.base, repo.full_name(), run.head_sha, annotation.path
        ),
        "start_line": annotation.start_line,
        "start_column": annotation.start_column,
        "end_line": annotation.end_line,
        "end_column": annotation.end_column,
        "annotation_level": annotation.level,
        "title": annotation.title,
        "message": annotation.message,
        "raw_details": annotation.raw_details,
    })
}

fn pulls(world: &World, repo: &Repo, head: ObjectId) -> Vec<Value> {
    repo.pulls_at(head).map(|(issue, pull)| minimal_pull(world, repo, issue, pull)).collect()
}

fn minimal_pull(world: &World, repo: &Repo, issue: &Issue, pull: &Pull) -> Value {
    let api = format!("{}/repos/{}", world.base, repo.full_name());
    let inner = json!({"id": repo.id, "name": repo.name, "url": api});
    json!({
        "id": pull.id,
        "number": issue.number,
        "url": format!("{api}/pulls/{}", issue.number),
        "head": {"ref": pull.head, "sha": pull.head_sha.to_string(), "repo": inner},
        "base": {"ref": pull.base, "sha": pull.base_sha.to_string(), "repo": inner},
    })
}

pub(crate) fn status(world: &World, repo: &Repo, status: &Status) -> Value {
    let mut body = simple_status(world, repo, status);
    body["creator"] = user(world, &status.creator);
    body
}

/// As the combined status lists it: without its creator.
pub(crate) fn simple_status(world: &World, repo: &Repo, status: &Status) -> Value {
    let api = format!("{}/repos/{}", world.base, repo.full_name());
    let creator = world.known_user(&status.creator).map_or(0, |user| user.id);
    json!({
        "url": format!("{api}/statuses/{}", status.sha),
        "avatar_url": format!("{}/avatars/u/{creator}", world.base),
        "id": status.id,
        "node_id": node("StatusContext", status.id),
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": time(status.at),
        "updated_at": time(status.at),
    })
}

/// The members of a `status` event.
pub(crate) fn status_in_event(
    world: &World,
    repo: &Repo,
    status: &Status,
) -> Result<Value, GitError> {
    let commit = repo.git.commit(status.sha)?;
    let creator = world.known_user(&status.creator).map_or(0, |user| user.id);
    let branches: Vec<Value> = repo
        .git
        .references("refs/heads/")?
        .into_iter()
        .filter(|(_, id)| *id == status.sha)
        .map(|(name, id)| {
            let name = name.trim_start_matches("refs/heads/");
            json!({
                "name": name,
                "commit": super::short_commit(world, repo, id),
                "protected": repo.protected.contains(name),
            })
        })
        .collect();
    Ok(json!({
        "id": status.id,
        "sha": status.sha.to_string(),
        "name": repo.full_name(),
        "avatar_url": format!("{}/avatars/u/{creator}", world.base),
        "target_url": status.target_url,
        "context": status.context,
        "description": status.description,
        "state": status.state,
        "commit": super::commit_in_list(world, repo, &commit),
        "branches": branches,
        "created_at": time(status.at),
        "updated_at": time(status.at),
    }))
}
