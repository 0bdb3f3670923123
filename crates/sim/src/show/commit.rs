//! Git objects.

use chrono::DateTime;
use gix::ObjectId;
use gix::objs::Kind;
use serde_json::{Value, json};

use super::{node, time, user};
use crate::git::{Commit, GitError, Mode, Person};
use crate::world::{Repo, World};

/// As Git Data shows it.
pub(crate) fn git_commit(world: &World, repo: &Repo, commit: &Commit) -> Value {
    let (api, html) = addresses(world, repo);
    let sha = commit.sha.to_string();
    json!({
        "sha": sha,
        "node_id": node("Commit", format!("{}:{sha}", repo.id)),
        "url": format!("{api}/git/commits/{sha}"),
        "html_url": format!("{html}/commit/{sha}"),
        "author": dated(&commit.author),
        "committer": dated(&commit.committer),
        "tree": {
            "sha": commit.tree.to_string(),
            "url": format!("{api}/git/trees/{}", commit.tree),
        },
        "message": commit.message,
        "parents": commit.parents.iter().map(|parent| json!({
            "sha": parent.to_string(),
            "url": format!("{api}/git/commits/{parent}"),
            "html_url": format!("{html}/commit/{parent}"),
        })).collect::<Vec<_>>(),
        "verification": unsigned(),
    })
}

/// As `/commits/{ref}` and lists show it; its files are added by the caller.
pub(crate) fn commit_in_list(world: &World, repo: &Repo, commit: &Commit) -> Value {
    let (api, html) = addresses(world, repo);
    let sha = commit.sha.to_string();
    json!({
        "sha": sha,
        "node_id": node("Commit", format!("{}:{sha}", repo.id)),
        "commit": {
            "author": dated(&commit.author),
            "committer": dated(&commit.committer),
            "message": commit.message,
            "tree": {
                "sha": commit.tree.to_string(),
                "url": format!("{api}/git/trees/{}", commit.tree),
            },
            "url": format!("{api}/git/commits/{sha}"),
            "comment_count": 0,
            "verification": unsigned(),
        },
        "url": format!("{api}/commits/{sha}"),
        "html_url": format!("{html}/commit/{sha}"),
        "comments_url": format!("{api}/commits/{sha}/comments"),
        "author": account(world, &commit.author),
        "committer": account(world, &commit.committer),
        "parents": commit.parents.iter().map(|parent| json!({
            "sha": parent.to_string(),
            "url": format!("{api}/commits/{parent}"),
            "html_url": format!("{html}/commit/{parent}"),
        })).collect::<Vec<_>>(),
    })
}

/// As branches and webhooks of pushes name it.
pub(crate) fn short_commit(world: &World, repo: &Repo, id: ObjectId) -> Value {
    let (api, _) = addresses(world, repo);
    json!({"sha": id.to_string(), "url": format!("{api}/commits/{id}")})
}

/// An entry of a push event.
pub(crate) fn pushed_commit(world: &World, repo: &Repo, id: ObjectId) -> Result<Value, GitError> {
    let commit = repo.git.commit(id)?;
    let (_, html) = addresses(world, repo);
    let who = |person: &Person| json!({"name": person.name, "email": person.email, "username": person.name});
    let (mut added, mut removed, mut modified) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(parent) = commit.parents.first() {
        for file in repo.git.file_diffs(*parent, id)?.iter() {
            match file.status {
                "added" => added.push(file.path.clone()),
                "removed" => removed.push(file.path.clone()),
                _ => modified.push(file.path.clone()),
            }
        }
    }
    Ok(json!({
        "id": id.to_string(),
        "tree_id": commit.tree.to_string(),
        "distinct": true,
        "message": commit.message,
        "timestamp": date(&commit.committer),
        "url": format!("{html}/commit/{id}"),
        "author": who(&commit.author),
        "committer": who(&commit.committer),
        "added": added,
        "removed": removed,
        "modified": modified,
    }))
}

pub(crate) fn reference(world: &World, repo: &Repo, name: &str, id: ObjectId) -> Value {
    let (api, _) = addresses(world, repo);
    let kind = repo.git.kind(&id.to_string()).map_or(Kind::Commit, |(_, kind, _)| kind);
    json!({
        "ref": name,
        "node_id": node("Ref", format!("{}:{name}", repo.id)),
        "url": format!("{api}/git/{name}"),
        "object": {
            "sha": id.to_string(),
            "type": kind.to_string(),
            "url": format!("{api}/git/{kind}s/{id}"),
        },
    })
}

pub(crate) fn tree_entry(
    world: &World,
    repo: &Repo,
    (path, mode, id): &(String, Mode, ObjectId),
) -> Value {
    let (api, _) = addresses(world, repo);
    let mut body = json!({
        "path": path,
        "mode": mode.digits(),
        "type": mode.kind(),
        "sha": id.to_string(),
    });
    match mode.kind() {
        "commit" => {}
        "tree" => body["url"] = format!("{api}/git/trees/{id}").into(),
        _ => {
            body["size"] = repo.git.kind(&id.to_string()).map_or(0, |(_, _, size)| size).into();
            body["url"] = format!("{api}/git/blobs/{id}").into();
        }
    }
    body
}

fn addresses(world: &World, repo: &Repo) -> (String, String) {
    let full_name = repo.full_name();
    (format!("{}/repos/{full_name}", world.base), format!("{}/{full_name}", world.base))
}

fn dated(person: &Person) -> Value {
    json!({"name": person.name, "email": person.email, "date": date(person)})
}

fn date(person: &Person) -> Value {
    DateTime::from_timestamp(person.seconds, 0).map_or(Value::Null, time)
}

/// The account behind a commit's address, where there is one.
fn account(world: &World, person: &Person) -> Value {
    let login = person
        .email
        .strip_suffix("@users.noreply.github.com")
        .and_then(|local| local.split_once('+'))
        .map(|(_, login)| login);
    login
        .and_then(|login| world.known_user(login))
        .map_or(Value::Null, |found| user(world, &found.login))
}

fn unsigned() -> Value {
    json!({
        "verified": false, "reason": "unsigned", "signature": null, "payload": null,
        "verified_at": null,
    })
}
