//! Git Data: blobs, trees, commits, references.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use gix::ObjectId;
use gix::objs::Kind;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::git::{Edit, Mode, PathFault, Person, check_path, is_sha};
use crate::show;
use crate::world::World;

/// Largest blob that the API takes.
const MAX_BLOB_BYTES: usize = 100 * 1024 * 1024;
/// Entries that a recursive listing shows before it says `truncated`.
const MAX_ENTRIES: usize = 100_000;

pub(super) fn create_blob(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let content = call.required_text("content")?;
    let bytes = match call.text("encoding")?.unwrap_or("utf-8") {
        "utf-8" => content.as_bytes().to_vec(),
        "base64" => {
            let packed: String = content.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            STANDARD
                .decode(packed)
                .map_err(|_| Refusal::unprocessable("content is not valid Base64"))?
        }
        _ => return Err(Refusal::invalid("Blob", "encoding", "invalid")),
    };
    if bytes.len() > MAX_BLOB_BYTES {
        return Err(Refusal::unprocessable("Sorry, your input was too large to process."));
    }
    let repo = world.repo(&call.repo)?;
    let id = repo.git.write_blob(&bytes)?;
    Ok(Answer::created(json!({
        "sha": id.to_string(),
        "url": format!("{}/repos/{}/git/blobs/{id}", world.base, repo.full_name()),
    })))
}

pub(super) fn blob(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let id = find(world, call, "sha", Kind::Blob)?;
    let bytes = repo.git.blob(id)?;
    // GitHub breaks the text into lines of 60.
    let packed = STANDARD.encode(&bytes);
    let lines: Vec<String> = packed
        .as_bytes()
        .chunks(60)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    Ok(Answer::ok(json!({
        "sha": id.to_string(),
        "node_id": show::node("Blob", format!("{}:{id}", repo.id)),
        "size": bytes.len(),
        "url": format!("{}/repos/{}/git/blobs/{id}", world.base, repo.full_name()),
        "content": lines.iter().map(|line| format!("{line}\n")).collect::<String>(),
        "encoding": "base64",
    })))
}

pub(super) fn create_tree(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let entries = match call.body.get("tree") {
        Some(Value::Array(entries)) if !entries.is_empty() => entries,
        _ => return Err(Refusal::unprocessable("Invalid tree info")),
    };
    let base = match call.text("base_tree")? {
        None => None,
        Some(sha) => Some(
            tree_of(world, call, sha)
                .ok_or_else(|| Refusal::unprocessable("base_tree is not a valid tree oid"))?,
        ),
    };
    let mut edits: Vec<(String, Edit)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let entry = entry.as_object().ok_or_else(|| Refusal::unprocessable("Invalid tree info"))?;
        edits.push(tree_edit(world, call, entry)?);
    }
    let bad = || Refusal::unprocessable("GitRPC::BadObjectState");
    let id = repo.git.edit_tree(base, &edits)?.ok_or_else(bad)?;
    let shown = shown_tree(world, call, id, false)?;
    // A tree without entries can't be read back, so GitHub doesn't know it either.
    if repo.git.tree_entries(id)?.is_empty() {
        return Err(Refusal::not_found());
    }
    Ok(Answer::created(shown))
}

/// One member of `tree`, judged in the order GitHub judges it.
fn tree_edit(
    world: &World,
    call: &Call,
    entry: &Map<String, Value>,
) -> Result<(String, Edit), Refusal> {
    let refuse = |message: String| Err(Refusal::unprocessable(message));
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let path = text("path").unwrap_or_default();
    match check_path(path) {
        Ok(()) => {}
        Err(PathFault::LeadingSlash) => {
            return refuse("tree.path cannot start with a slash".into());
        }
        Err(PathFault::Malformed) => {
            return refuse("tree.path contains a malformed path component".into());
        }
    }
    let content = entry.get("content").filter(|content| !content.is_null());
    if entry.contains_key("sha") == content.is_some() {
        return refuse(
            "Must supply either tree.sha or tree.content. Request will be rejected if both are \
             present."
                .into(),
        );
    }
    let git = &world.repo(&call.repo)?.git;
    let kind = text("type").unwrap_or("blob");
    let sha = text("sha").filter(|sha| !sha.is_empty());
    let mut id = None;
    if let Some(sha) = sha {
        id = match kind {
            "commit" => is_sha(sha).then(|| ObjectId::from_hex(sha.as_bytes()).ok()).flatten(),
            "tree" => git.has(sha, Kind::Tree),
            _ => git.has(sha, Kind::Blob),
        };
        if id.is_none() {
            return refuse(format!("tree.sha {sha} is not a valid {kind}"));
        }
    }
    let Some(mode) = text("mode").and_then(Mode::parse) else {
        return refuse("Must supply a valid tree.mode".into());
    };
    let Some(content) = content else {
        return match id {
            None => Ok((path.to_owned(), None)),
            // The mode says one thing and the object is another.
            Some(_) if mode.kind() != kind => refuse("GitRPC::BadObjectState".into()),
            Some(id) => Ok((path.to_owned(), Some((mode, id)))),
        };
    };
    if mode.is_tree() {
        return refuse("A subdirectory may not have content".into());
    }
    let Some(content) = content.as_str() else {
        return Err(Refusal::malformed(format!(
            "For 'properties/content', {content} is not a string."
        )));
    };
    Ok((path.to_owned(), Some((mode, git.write_blob(content.as_bytes())?))))
}

pub(super) fn tree(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let name = call.param("sha");
    let id = tree_of(world, call, name)
        .or_else(|| {
            repo.git.resolve_commit(name).and_then(|id| Some(repo.git.commit(id).ok()?.tree))
        })
        .ok_or_else(Refusal::not_found)?;
    // Any value of the parameter counts, "0" and "false" too.
    shown_tree(world, call, id, call.query("recursive").is_some()).map(Answer::ok)
}

pub(super) fn create_commit(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let message = call.required_text("message")?;
    let tree = call.required_text("tree")?;
    let own = world.person(&call.viewer);
    let author = person(call, "author", &own)?.unwrap_or_else(|| own.clone());
    let committer = person(call, "committer", &author)?.unwrap_or_else(|| author.clone());
    let repo = world.repo(&call.repo)?;
    let tree = match repo.git.kind(tree) {
        Some((id, Kind::Tree, _)) => id,
        Some(_) => return Err(Refusal::unprocessable("Tree SHA is not a tree object")),
        None => return Err(Refusal::unprocessable("Tree SHA does not exist")),
    };
    let mut parents = Vec::new();
    for parent in call.body.get("parents").and_then(Value::as_array).into_iter().flatten() {
        let id =
            parent.as_str().and_then(|sha| repo.git.has(sha, Kind::Commit)).ok_or_else(|| {
                Refusal::unprocessable("Parent SHA does not exist or is not a commit object")
            })?;
        parents.push(id);
    }
    let id = repo.git.write_commit(tree, &parents, &author, &committer, message)?;
    let commit = repo.git.commit(id)?;
    Ok(Answer::created(show::git_commit(world, repo, &commit)))
}

pub(super) fn commit(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let id = find(world, call, "sha", Kind::Commit)?;
    Ok(Answer::ok(show::git_commit(world, repo, &repo.git.commit(id)?)))
}

pub(super) fn create_ref(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let (name, sha) = (call.required_text("ref")?, call.required_text("sha")?);
    if !name.starts_with("refs/") || name.matches('/').count() < 2 {
        return Err(Refusal::unprocessable(
            "Reference name must start with 'refs' and have at least two slashes.",
        ));
    }
    if !is_sha(sha) {
        return Err(Refusal::unprocessable(
            "The sha parameter must be exactly 40 characters and contain only [0-9a-f].",
        ));
    }
    let id = world.create_ref(&call.repo, &call.viewer, name, sha)?;
    Ok(Answer::created(show::reference(world, world.repo(&call.repo)?, name, id)))
}

pub(super) fn update_ref(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let sha = call.required_text("sha")?;
    if !is_sha(sha) {
        return Err(Refusal::unprocessable(
            "The sha parameter must be exactly 40 characters and contain only [0-9a-f].",
        ));
    }
    let force = call.flag("force")?.unwrap_or(false);
    let name = full_ref(call);
    let id = world.update_ref(&call.repo, &call.viewer, &name, sha, force)?;
    Ok(Answer::ok(show::reference(world, world.repo(&call.repo)?, &name, id)))
}

pub(super) fn delete_ref(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    world.delete_ref(&call.repo, &call.viewer, &full_ref(call))?;
    Ok(Answer::no_content())
}

pub(super) fn get_ref(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let name = full_ref(call);
    let id = repo.git.reference(&name).ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(show::reference(world, repo, &name, id)))
}

pub(super) fn matching_refs(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let (repo, now) = (world.repo(&call.repo)?, world.instant());
    let found: Vec<_> = repo
        .git
        .references(&full_ref(call))?
        .into_iter()
        .filter(|(name, _)| repo.ref_visible.get(name).is_none_or(|from| *from <= now))
        .collect();
    // GitHub doesn't cut this list into pages.
    Ok(Answer::ok(found.iter().map(|(name, id)| show::reference(world, repo, name, *id)).collect()))
}

fn full_ref(call: &Call) -> String {
    format!("refs/{}", call.param("ref"))
}

fn find(world: &World, call: &Call, param: &str, kind: Kind) -> Result<ObjectId, Refusal> {
    let sha = call.param(param);
    if !is_sha(sha) {
        return Err(Refusal::unprocessable(
            "The sha parameter must be exactly 40 characters and contain only [0-9a-f].",
        ));
    }
    world.repo(&call.repo)?.git.has(sha, kind).ok_or_else(Refusal::not_found)
}

/// A tree by its own sha or by that of a commit.
fn tree_of(world: &World, call: &Call, sha: &str) -> Option<ObjectId> {
    let git = &world.repo(&call.repo).ok()?.git;
    match git.kind(sha)? {
        (id, Kind::Tree, _) => Some(id),
        (id, Kind::Commit, _) => Some(git.commit(id).ok()?.tree),
        _ => None,
    }
}

fn shown_tree(world: &World, call: &Call, id: ObjectId, recursive: bool) -> Result<Value, Refusal> {
    let repo = world.repo(&call.repo)?;
    let entries = if recursive { repo.git.all_entries(id)? } else { repo.git.tree_entries(id)? };
    let shown: Vec<Value> = entries
        .iter()
        .take(MAX_ENTRIES)
        .map(|entry| show::tree_entry(world, repo, entry))
        .collect();
    Ok(json!({
        "sha": id.to_string(),
        "url": format!("{}/repos/{}/git/trees/{id}", world.base, repo.full_name()),
        "tree": shown,
        "truncated": entries.len() > MAX_ENTRIES,
    }))
}

/// `author` or `committer` of a body; name and email are needed, the date is not.
fn person(call: &Call, name: &str, default: &Person) -> Result<Option<Person>, Refusal> {
    let given = match call.body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(given) => given,
    };
    let field = |field: &str| {
        given
            .get(field)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| Refusal::malformed(format!("\"{field}\" wasn't supplied.")))
    };
    let (seconds, offset) = match given.get("date").and_then(Value::as_str) {
        None => (default.seconds, default.offset),
        Some(date) => {
            let date = DateTime::parse_from_rfc3339(date)
                .map_err(|_| Refusal::malformed(format!("{date} is not a valid date-time.")))?;
            (date.timestamp(), date.offset().local_minus_utc())
        }
    };
    Ok(Some(Person { name: field("name")?, email: field("email")?, seconds, offset }))
}
