//! Commit statuses.

use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::git::is_sha;
use crate::show;
use crate::world::{NewStatus, World};

pub(super) fn create(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let sha = call.param("sha");
    let repo = world.repo(&call.repo)?;
    let id =
        is_sha(sha).then(|| repo.git.resolve_commit(sha)).flatten().ok_or_else(|| none(sha))?;
    let new = NewStatus {
        state: call.required_text("state")?,
        context: call.text("context")?.unwrap_or("default"),
        description: call.text("description")?,
        target_url: call.text("target_url")?,
    };
    let made = world.create_status(&call.repo, &call.viewer, id, &new)?;
    Ok(Answer::created(show::status(world, world.repo(&call.repo)?, &made)))
}

pub(super) fn list(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let name = call.param("ref");
    let id = repo.git.resolve_commit(name).ok_or_else(|| none(name))?;
    let found = repo.statuses_at(id).collect();
    Ok(call.page(found, |status| show::status(world, repo, status)))
}

/// One word for all contexts of a commit.
pub(super) fn combined(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let name = call.param("ref");
    let id = repo.git.resolve_commit(name).ok_or_else(|| none(name))?;
    let found = repo.latest_statuses(id);
    let any = |state: &str| found.iter().any(|status| status.state == state);
    let state = if any("error") || any("failure") {
        "failure"
    } else if found.is_empty() || any("pending") {
        "pending"
    } else {
        "success"
    };
    let api = format!("{}/repos/{}/commits/{id}", world.base, repo.full_name());
    let more = json!({
        "state": state,
        "sha": id.to_string(),
        "repository": show::repository_in_event(world, repo),
        "commit_url": api,
        "url": format!("{api}/status"),
    });
    let mut answer =
        call.page_in("statuses", found, |status| show::simple_status(world, repo, status));
    if let (Some(body), Some(more)) =
        (answer.body.as_mut().and_then(|body| body.as_object_mut()), more.as_object())
    {
        body.extend(more.clone());
    }
    Ok(answer)
}

fn none(name: &str) -> Refusal {
    Refusal::unprocessable(format!("No commit found for SHA: {name}"))
}
