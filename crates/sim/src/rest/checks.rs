//! Check runs and check suites.

use std::cmp::Reverse;

use gix::objs::Kind;
use serde_json::{Map, Value, json};

use super::Caller;
use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::git::is_sha;
use crate::show;
use crate::world::{Annotation, CheckEdit, CheckOutput, CheckRun, Repo, World, is_web};

/// Annotations that one request may bring.
const MAX_ANNOTATIONS: usize = 50;
/// Longest summary and text, in characters and in bytes.
const MAX_OUTPUT: usize = 65_535;
/// Longest message and raw details of an annotation, in bytes.
const MAX_ANNOTATION_BYTES: usize = 64 * 1024;
/// Longest title of an annotation.
const MAX_TITLE_CHARS: usize = 255;
const STATUSES: [&str; 3] = ["queued", "in_progress", "completed"];
/// `stale` is GitHub's own to set.
const CONCLUSIONS: [&str; 7] =
    ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"];
const LEVELS: [&str; 3] = ["notice", "warning", "failure"];

pub(super) fn create(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let app = app(call)?;
    let name = call.required_text("name")?;
    let sha = call.required_text("head_sha")?;
    if name.trim().is_empty() {
        return Err(Refusal::invalid("CheckRun", "name", "missing_field"));
    }
    let edit = edit(call)?;
    let repo = world.repo(&call.repo)?;
    let head = is_sha(sha)
        .then(|| repo.git.has(sha, Kind::Commit))
        .flatten()
        .ok_or_else(|| Refusal::unprocessable(format!("No commit found for SHA: {sha}")))?;
    let id = world.create_check_run(&call.repo, app, head, edit)?;
    Ok(Answer::created(one(world, call, id)?))
}

pub(super) fn update(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let id = own(world, call)?;
    let edit = edit(call)?;
    world.update_check_run(&call.repo, id, edit)?;
    Ok(Answer::ok(one(world, call, id)?))
}

pub(super) fn get(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    Ok(Answer::ok(one(world, call, call.number("id")?)?))
}

pub(super) fn annotations(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let run = world.check_run(&call.repo, call.number("id")?)?;
    let repo = world.repo(&call.repo)?;
    Ok(call
        .page(run.annotations.iter().collect(), |found| show::annotation(world, repo, run, found)))
}

pub(super) fn rerequest(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let id = own(world, call)?;
    world.rerequest_check_run(&call.repo, id, &call.viewer)?;
    let mut answer = Answer::created(json!({}));
    answer.headers.clear();
    Ok(answer)
}

pub(super) fn of_ref(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let head = head(repo, call)?;
    let app = call.query("app_id").and_then(|id| id.parse::<u64>().ok());
    let found = repo
        .checks
        .values()
        .filter(|run| run.head_sha == head)
        .filter(|run| app.is_none_or(|app| run.app == app));
    list(world, call, repo, found)
}

pub(super) fn of_suite(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let id = call.number("id")?;
    repo.suites.get(&id).ok_or_else(Refusal::not_found)?;
    list(world, call, repo, repo.runs_of(id))
}

pub(super) fn suite(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let suite = repo.suites.get(&call.number("id")?).ok_or_else(Refusal::not_found)?;
    let inner = show::repository(world, repo, &call.viewer);
    Ok(Answer::ok(show::check_suite(world, repo, suite, &inner)?))
}

pub(super) fn suites_of_ref(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let head = head(repo, call)?;
    let app = call.query("app_id").and_then(|id| id.parse::<u64>().ok());
    let name = call.query("check_name");
    let inner = show::repository(world, repo, &call.viewer);
    let mut found = Vec::new();
    for suite in repo.suites.values() {
        let named = name.is_none_or(|name| repo.runs_of(suite.id).any(|run| run.name == name));
        if suite.head_sha == head && named && app.is_none_or(|app| suite.app == app) {
            found.push(show::check_suite(world, repo, suite, &inner)?);
        }
    }
    Ok(call.page_in("check_suites", found, |suite| suite))
}

/// Newest first, narrowed as the query says.
fn list<'a>(
    world: &World,
    call: &Call,
    repo: &'a Repo,
    runs: impl Iterator<Item = &'a CheckRun>,
) -> Result<Answer, Refusal> {
    let all = match call.query("filter") {
        None | Some("latest") => false,
        Some("all") => true,
        Some(_) => return Err(Refusal::invalid("CheckRun", "filter", "invalid")),
    };
    let (name, status) = (call.query("check_name"), call.query("status"));
    let mut found: Vec<&CheckRun> = runs
        .filter(|run| all || repo.is_latest(run))
        .filter(|run| name.is_none_or(|name| run.name == name))
        .filter(|run| status.is_none_or(|status| run.status == status))
        .collect();
    found.sort_by_key(|run| Reverse(run.id));
    Ok(call.page_in("check_runs", found, |run| show::check_run(world, repo, run)))
}

fn head(repo: &Repo, call: &Call) -> Result<gix::ObjectId, Refusal> {
    let name = call.param("ref");
    repo.git
        .resolve_commit(name)
        .ok_or_else(|| Refusal::unprocessable(format!("No commit found for SHA: {name}")))
}

fn one(world: &World, call: &Call, id: u64) -> Result<Value, Refusal> {
    let run = world.check_run(&call.repo, id)?;
    Ok(show::check_run(world, world.repo(&call.repo)?, run))
}

fn app(call: &Call) -> Result<u64, Refusal> {
    match &call.caller {
        Caller::Installation { grant, .. } => Ok(grant.app),
        _ => Err(Refusal::forbidden("You must authenticate via a GitHub App.")),
    }
}

/// A run may be changed by the App that made it alone.
fn own(world: &World, call: &Call) -> Result<u64, Refusal> {
    let id = call.number("id")?;
    if world.check_run(&call.repo, id)?.app != app(call)? {
        return Err(Refusal::forbidden(
            "Invalid app_id `check_run` - the check run was created by another GitHub App.",
        ));
    }
    Ok(id)
}

fn edit(call: &Call) -> Result<CheckEdit, Refusal> {
    let status = one_of(call, "status", &STATUSES)?;
    let conclusion = one_of(call, "conclusion", &CONCLUSIONS)?;
    let completed_at = call.time("completed_at")?;
    if conclusion.is_none() && (status.as_deref() == Some("completed") || completed_at.is_some()) {
        return Err(Refusal::malformed("\"conclusion\" wasn't supplied."));
    }
    let details_url = call.text("details_url")?;
    if details_url.is_some_and(|url| !is_web(url)) {
        return Err(Refusal::custom(
            "CheckRun",
            Some("details_url"),
            "details_url must use http or https scheme",
        ));
    }
    if call.list("actions")?.is_some_and(|actions| actions.len() > 3) {
        let count = call.list("actions")?.map_or(0, Vec::len);
        return Err(Refusal::malformed(format!(
            "No more than 3 items are allowed; {count} were supplied."
        )));
    }
    Ok(CheckEdit {
        name: call.text("name")?.map(str::to_owned),
        details_url: details_url.map(str::to_owned),
        external_id: call.text("external_id")?.map(str::to_owned),
        status,
        conclusion,
        started_at: call.time("started_at")?,
        completed_at,
        output: call.object("output")?.map(output).transpose()?,
    })
}

fn one_of(call: &Call, name: &str, allowed: &[&str]) -> Result<Option<String>, Refusal> {
    match call.text(name)? {
        Some(word) if !allowed.contains(&word) => Err(no_member(name, word, allowed)),
        word => Ok(word.map(str::to_owned)),
    }
}

fn no_member(name: &str, word: &str, allowed: &[&str]) -> Refusal {
    Refusal::malformed(format!(
        "For 'properties/{name}', {word} is not a member of {}.",
        json!(allowed)
    ))
}

fn output(given: &Map<String, Value>) -> Result<CheckOutput, Refusal> {
    supplied(given, &["summary", "title"])?;
    let annotations = match given.get("annotations") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(items)) => items.as_slice(),
        Some(other) => {
            return Err(Refusal::malformed(format!(
                "For 'properties/annotations', {other} is not an array."
            )));
        }
    };
    if annotations.len() > MAX_ANNOTATIONS {
        return Err(Refusal::malformed(format!(
            "No more than {MAX_ANNOTATIONS} items are allowed; {} were supplied.",
            annotations.len()
        )));
    }
    let title = text(given, "title")?.unwrap_or_default();
    let summary = long_text(given, "summary")?.unwrap_or_default();
    let details = long_text(given, "text")?;
    let annotations = annotations.iter().map(annotation).collect::<Result<_, _>>()?;
    Ok(CheckOutput { title, summary, text: details, annotations })
}

fn annotation(given: &Value) -> Result<Annotation, Refusal> {
    let given = given
        .as_object()
        .ok_or_else(|| Refusal::malformed(format!("For 'items', {given} is not an object.")))?;
    supplied(given, &["annotation_level", "end_line", "message", "path", "start_line"])?;
    let number = |name: &str| match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| {
            Refusal::malformed(format!("For 'properties/{name}', {value} is not an integer."))
        }),
    };
    let wrong =
        |field: &str, message: &str| Err(Refusal::custom("CheckAnnotation", Some(field), message));
    let (start_line, end_line) =
        (number("start_line")?.unwrap_or_default(), number("end_line")?.unwrap_or_default());
    let (start_column, end_column) = (number("start_column")?, number("end_column")?);
    if start_line == 0 {
        return wrong("start_line", "start_line must be greater than 0");
    }
    if end_line < start_line {
        return wrong("end_line", "end_line must be greater than or equal to start_line");
    }
    if start_line != end_line && (start_column.is_some() || end_column.is_some()) {
        return wrong(
            "start_column",
            "start_column and end_column are only supported on annotations of a single line",
        );
    }
    let level = text(given, "annotation_level")?.unwrap_or_default();
    if !LEVELS.contains(&level.as_str()) {
        return Err(no_member("annotation_level", &level, &LEVELS));
    }
    let path = text(given, "path")?.unwrap_or_default();
    if path.is_empty() {
        return wrong("path", "path can't be blank");
    }
    let message = text(given, "message")?.unwrap_or_default();
    if message.is_empty() {
        return wrong("message", "message can't be blank");
    }
    if message.len() > MAX_ANNOTATION_BYTES {
        return wrong("message", "message exceeds a maximum bytesize of 65536");
    }
    let raw_details = text(given, "raw_details")?;
    if raw_details.as_ref().is_some_and(|text| text.len() > MAX_ANNOTATION_BYTES) {
        return wrong("raw_details", "raw_details exceeds a maximum bytesize of 65536");
    }
    let title = text(given, "title")?;
    if title.as_ref().is_some_and(|title| title.chars().count() > MAX_TITLE_CHARS) {
        return wrong("title", "title is too long (maximum is 255 characters)");
    }
    Ok(Annotation {
        path,
        start_line,
        end_line,
        start_column,
        end_column,
        level,
        message,
        title,
        raw_details,
    })
}

/// All members that must be there, missing ones in one sentence.
fn supplied(given: &Map<String, Value>, names: &[&str]) -> Result<(), Refusal> {
    let missing: Vec<String> = names
        .iter()
        .filter(|name| given.get(**name).is_none_or(Value::is_null))
        .map(|name| format!("\"{name}\""))
        .collect();
    match missing.as_slice() {
        [] => Ok(()),
        [one] => Err(Refusal::malformed(format!("{one} wasn't supplied."))),
        many => Err(Refusal::malformed(format!("{} weren't supplied.", many.join(", ")))),
    }
}

fn text(given: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => {
            Err(Refusal::malformed(format!("For 'properties/{name}', {other} is not a string.")))
        }
    }
}

/// A summary or a text: GitHub counts its characters, and then its bytes.
fn long_text(given: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    let found = text(given, name)?;
    let chars = found.as_deref().map_or(0, |text| text.chars().count());
    if chars > MAX_OUTPUT {
        return Err(Refusal::malformed(format!(
            "Only {MAX_OUTPUT} characters are allowed; {chars} were supplied."
        )));
    }
    if found.as_ref().is_some_and(|text| text.len() > MAX_OUTPUT) {
        return Err(Refusal::custom(
            "CheckRun",
            Some(name),
            format!("{name} exceeds a maximum bytesize of {MAX_OUTPUT}"),
        ));
    }
    Ok(found)
}
