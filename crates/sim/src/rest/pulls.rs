//! Pull requests.

use serde_json::{Value, json};

use super::issues::state;
use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::show;
use crate::world::{Issue, IssueEdit, NewPull, Permission, World};

pub(super) fn list(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let (repo, now) = (world.repo(&call.repo)?, world.instant());
    let state = call.query("state").unwrap_or("open");
    // A head without its owner is no filter at all.
    let head = call.query("head").and_then(|head| head.split_once(':'));
    let base = call.query("base");
    let mut found: Vec<(&Issue, _)> = repo
        .issues
        .values()
        .filter_map(|issue| Some((issue, issue.pull.as_ref()?)))
        .filter(|(issue, _)| issue.visible_from <= now)
        .filter(|(issue, _)| state == "all" || issue.open == (state != "closed"))
        .filter(|(_, pull)| base.is_none_or(|base| pull.base == base))
        .filter(|(_, pull)| {
            head.is_none_or(|(owner, head)| {
                owner.eq_ignore_ascii_case(&pull.head_owner) && pull.head == head
            })
        })
        .collect();
    let sort = call.query("sort").unwrap_or("created");
    if sort == "updated" {
        found.sort_by_key(|(issue, _)| (issue.updated_at, issue.number));
    }
    let newest_first = if sort == "created" { "desc" } else { "asc" };
    if call.query("direction").unwrap_or(newest_first) == "desc" {
        found.reverse();
    }
    Ok(call.page(found, |(issue, pull)| show::pull_in_list(world, repo, issue, pull, &call.viewer)))
}

pub(super) fn create(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let (head, base) = (call.required_text("head")?, call.required_text("base")?);
    if call.permission < Permission::Write && !is_own(world, call, head) {
        return Err(Refusal::not_accessible());
    }
    let title = call
        .text("title")?
        .ok_or_else(|| Refusal::invalid("PullRequest", "title", "missing_field"))?;
    let new = NewPull {
        title,
        body: call.text("body")?,
        head,
        base,
        draft: call.flag("draft")?.unwrap_or(false),
        maintainer_can_modify: call.flag("maintainer_can_modify")?.unwrap_or(false),
    };
    let number = world.open_pull(&call.repo, &call.viewer, &new)?;
    Ok(Answer::created(one(world, call, number)?))
}

pub(super) fn get(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let number = call.number("number")?;
    let open = world.issue(&call.repo, number)?.open;
    let draft = world.pull(&call.repo, number)?.draft;
    let merged = if open { world.try_merge(&call.repo, number)? } else { None };
    let mut body = one(world, call, number)?;
    if open {
        body["mergeable"] = merged.is_some().into();
        body["rebaseable"] = merged.is_some().into();
        body["mergeable_state"] = match (merged.is_some(), draft) {
            (false, _) => "dirty",
            (true, true) => "draft",
            (true, false) => "clean",
        }
        .into();
        body["merge_commit_sha"] = merged.map(|id| id.to_string()).into();
    }
    Ok(Answer::ok(body))
}

pub(super) fn edit(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let number = call.number("number")?;
    world.pull(&call.repo, number)?;
    let is_author = world.issue(&call.repo, number)?.author == call.viewer;
    if !is_author && call.permission < Permission::Write {
        return Err(Refusal::not_accessible());
    }
    let edit = IssueEdit {
        title: call.text("title")?.map(str::to_owned),
        body: call.text("body")?.map(str::to_owned),
        open: state(call, "PullRequest")?,
        state_reason: None,
    };
    if let Some(base) = call.text("base")? {
        world.set_pull_base(&call.repo, number, &call.viewer, base)?;
    }
    world.edit_issue(&call.repo, number, &call.viewer, edit)?;
    Ok(Answer::ok(one(world, call, number)?))
}

pub(super) fn files(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let number = call.number("number")?;
    let files = world.pull_files(&call.repo, number)?;
    let (repo, pull) = (world.repo(&call.repo)?, world.pull(&call.repo, number)?);
    Ok(call.page(files.iter().collect(), |file| show::file(world, repo, pull.head_sha, file)))
}

pub(super) fn commits(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let pull = world.pull(&call.repo, call.number("number")?)?;
    let repo = world.repo(&call.repo)?;
    let mut ids = repo.git.between(pull.base_sha, pull.head_sha)?.unwrap_or_default();
    ids.reverse();
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.push(repo.git.commit(id)?);
    }
    Ok(call.page(found, |commit| show::commit_in_list(world, repo, &commit)))
}

/// Of a commit.
pub(super) fn of_commit(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let name = call.param("ref");
    let id = repo
        .git
        .resolve_commit(name)
        .ok_or_else(|| Refusal::unprocessable(format!("No commit found for SHA: {name}")))?;
    let mut found = Vec::new();
    for number in world.pulls_with(&call.repo, id)? {
        found.push((world.issue(&call.repo, number)?, world.pull(&call.repo, number)?));
    }
    Ok(call.page(found, |(issue, pull)| show::pull_in_list(world, repo, issue, pull, &call.viewer)))
}

pub(super) fn merge(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let number = call.number("number")?;
    if let Some(sha) = call.text("sha")? {
        let head = world.pull(&call.repo, number)?.head_sha.to_string();
        if sha != head {
            return Err(Refusal::new(
                http::StatusCode::CONFLICT,
                "Head branch was modified. Review and try the merge again.",
            ));
        }
    }
    let merged = world.merge_pull(&call.repo, number, &call.viewer)?;
    Ok(Answer::ok(json!({
        "sha": merged.to_string(),
        "merged": true,
        "message": "Pull Request successfully merged",
    })))
}

/// Whether a head is a branch of the viewer's own fork.
fn is_own(world: &World, call: &Call, head: &str) -> bool {
    let Some((owner, _)) = head.split_once(':') else { return false };
    world.head_repository(&call.repo, owner).is_some_and(|key| {
        key != call.repo
            && world.repo(&key).is_ok_and(|fork| fork.permission(&call.viewer) >= Permission::Write)
    })
}

fn one(world: &World, call: &Call, number: u64) -> Result<Value, Refusal> {
    let repo = world.repo(&call.repo)?;
    let (issue, pull) = (world.issue(&call.repo, number)?, world.pull(&call.repo, number)?);
    Ok(show::pull_full(world, repo, issue, pull))
}
