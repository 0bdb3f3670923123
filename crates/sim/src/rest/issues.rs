//! Issues, their comments and their timelines.

use serde_json::Value;

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::show;
use crate::world::{Comment, Issue, IssueEdit, Permission, World};

pub(super) fn list(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let (repo, now) = (world.repo(&call.repo)?, world.instant());
    let state = call.query("state").unwrap_or("open");
    if !["open", "closed", "all"].contains(&state) {
        return Err(Refusal::invalid("Issue", "state", "invalid"));
    }
    let labels: Vec<&str> =
        call.query("labels").map(|names| names.split(',').collect()).unwrap_or_default();
    let has_labels = |issue: &Issue| {
        let of_issue = repo.labels_of(issue);
        labels.iter().all(|name| of_issue.iter().any(|found| found.name.eq_ignore_ascii_case(name)))
    };
    let creator = call.query("creator");
    let mut found: Vec<&Issue> = repo
        .issues
        .values()
        .filter(|issue| issue.visible_from <= now)
        .filter(|issue| state == "all" || issue.open == (state == "open"))
        .filter(|issue| creator.is_none_or(|login| issue.author.eq_ignore_ascii_case(login)))
        .filter(|issue| call.since().is_none_or(|since| issue.updated_at >= since))
        .filter(|issue| has_labels(issue))
        .collect();
    match call.query("sort") {
        Some("updated") => found.sort_by_key(|issue| (issue.updated_at, issue.number)),
        Some("comments") => found.sort_by_key(|issue| repo.comments_of(issue.number).count()),
        _ => {}
    }
    if call.query("direction") != Some("asc") {
        found.reverse();
    }
    Ok(call.page(found, |issue| show::issue(world, repo, issue)))
}

pub(super) fn create(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let title = match call.body.get("title") {
        Some(Value::Number(number)) => number.to_string(),
        _ => call.required_text("title")?.to_owned(),
    };
    let body = call.text("body")?;
    let mut labels = call.label_names()?.unwrap_or_default();
    if call.permission < Permission::Triage {
        // Who may not set labels has them dropped without a word.
        labels.clear();
    }
    let number = world.open_issue(&call.repo, &call.viewer, &title, body, &labels)?;
    Ok(Answer::created(one(world, call, number)?))
}

pub(super) fn get(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    one(world, call, call.number("number")?).map(Answer::ok)
}

pub(super) fn edit(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let number = call.number("number")?;
    let is_author = world.issue(&call.repo, number)?.author == call.viewer;
    let may_triage = call.permission >= Permission::Triage;
    if !is_author && !may_triage {
        return Err(Refusal::not_accessible());
    }
    let open = state(call, "Issue")?;
    let labels = call.label_names()?.filter(|_| may_triage);
    let edit = IssueEdit {
        title: call.text("title")?.map(str::to_owned),
        body: call.text("body")?.map(str::to_owned),
        open,
        state_reason: call.text("state_reason")?.map(str::to_owned),
    };
    world.edit_issue(&call.repo, number, &call.viewer, edit)?;
    if let Some(names) = labels {
        let ids = world.label_ids(&call.repo, &call.viewer, &names)?;
        world.set_labels(&call.repo, number, &call.viewer, ids)?;
    }
    one(world, call, number).map(Answer::ok)
}

pub(super) fn lock(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    world.set_locked(&call.repo, call.number("number")?, &call.viewer, true)?;
    Ok(Answer::no_content())
}

pub(super) fn unlock(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    world.set_locked(&call.repo, call.number("number")?, &call.viewer, false)?;
    Ok(Answer::no_content())
}

pub(super) fn comments(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let number = call.number("number")?;
    world.issue(&call.repo, number)?;
    let (repo, now) = (world.repo(&call.repo)?, world.instant());
    let found: Vec<&Comment> = repo
        .comments_of(number)
        .filter(|comment| comment.visible_from <= now)
        .filter(|comment| call.since().is_none_or(|since| comment.updated_at >= since))
        .collect();
    Ok(call.page(found, |comment| show::comment(world, repo, comment)))
}

pub(super) fn all_comments(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let (repo, now) = (world.repo(&call.repo)?, world.instant());
    let mut found: Vec<&Comment> = repo
        .comments
        .values()
        .filter(|comment| comment.visible_from <= now)
        .filter(|comment| call.since().is_none_or(|since| comment.updated_at >= since))
        .collect();
    if call.query("sort") == Some("updated") {
        found.sort_by_key(|comment| (comment.updated_at, comment.id));
    }
    if call.query("sort").is_some() && call.query("direction") != Some("asc") {
        found.reverse();
    }
    Ok(call.page(found, |comment| show::comment(world, repo, comment)))
}

pub(super) fn comment(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let number = call.number("number")?;
    let body = call.required_text("body")?;
    let permission = call.permission;
    // An App is nobody's collaborator, whatever it may write.
    let may_talk = permission >= Permission::Write && !call.caller.is_app();
    if world.issue(&call.repo, number)?.locked && !may_talk {
        return Err(Refusal::forbidden("Unable to create comment because issue is locked."));
    }
    let id = world.comment(&call.repo, number, &call.viewer, body)?;
    Ok(Answer::created(one_comment(world, call, id)?))
}

pub(super) fn get_comment(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    one_comment(world, call, call.number("id")?).map(Answer::ok)
}

pub(super) fn edit_comment(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let id = own_comment(world, call)?;
    let body = call.required_text("body")?;
    world.edit_comment(&call.repo, id, &call.viewer, body)?;
    one_comment(world, call, id).map(Answer::ok)
}

pub(super) fn delete_comment(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let id = own_comment(world, call)?;
    world.delete_comment(&call.repo, id, &call.viewer)?;
    Ok(Answer::no_content())
}

pub(super) fn events(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let issue = world.issue(&call.repo, call.number("number")?)?;
    let repo = world.repo(&call.repo)?;
    let found = issue.history.iter().collect();
    Ok(call.page(found, |entry| show::happening(world, repo, entry)))
}

pub(super) fn timeline(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let issue = world.issue(&call.repo, call.number("number")?)?;
    let (repo, now) = (world.repo(&call.repo)?, world.instant());
    let mut found: Vec<(u64, Value)> =
        issue.history.iter().map(|entry| (entry.id, show::happening(world, repo, entry))).collect();
    found.extend(
        repo.comments_of(issue.number)
            .filter(|comment| comment.visible_from <= now)
            .map(|comment| (comment.id, show::timeline_comment(world, repo, comment))),
    );
    // Ids are given in the order things happen.
    found.sort_by_key(|(id, _)| *id);
    Ok(call.page(found, |(_, entry)| entry))
}

/// `state` of a body: open or closed.
pub(super) fn state(call: &Call, resource: &str) -> Result<Option<bool>, Refusal> {
    match call.text("state")? {
        None => Ok(None),
        Some("open") => Ok(Some(true)),
        Some("closed") => Ok(Some(false)),
        Some(_) => Err(Refusal::invalid(resource, "state", "invalid")),
    }
}

fn own_comment(world: &World, call: &Call) -> Result<u64, Refusal> {
    let id = call.number("id")?;
    let repo = world.repo(&call.repo)?;
    let comment = repo.comments.get(&id).ok_or_else(Refusal::not_found)?;
    if comment.author != call.viewer && call.permission < Permission::Write {
        return Err(Refusal::not_accessible());
    }
    Ok(id)
}

fn one(world: &World, call: &Call, number: u64) -> Result<Value, Refusal> {
    let repo = world.repo(&call.repo)?;
    Ok(show::issue(world, repo, world.issue(&call.repo, number)?))
}

fn one_comment(world: &World, call: &Call, id: u64) -> Result<Value, Refusal> {
    let repo = world.repo(&call.repo)?;
    let comment = repo.comments.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(show::comment(world, repo, comment))
}
