//! Repositories, branches, commits, permissions.

use std::sync::Arc;

use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::show;
use crate::world::{Permission, Repo, World};

pub(super) fn get(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    Ok(Answer::ok(show::repository(world, world.repo(&call.repo)?, &call.viewer)))
}

pub(super) fn branches(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let (repo, now) = (world.repo(&call.repo)?, world.instant());
    let found: Vec<_> = repo
        .git
        .references("refs/heads/")?
        .into_iter()
        .filter(|(name, _)| repo.ref_visible.get(name).is_none_or(|from| *from <= now))
        .collect();
    Ok(call.page(found, |(name, id)| {
        let branch = name.trim_start_matches("refs/heads/");
        json!({
            "name": branch,
            "commit": show::short_commit(world, repo, id),
            "protected": repo.protected.contains(branch),
        })
    }))
}

pub(super) fn branch(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let name = call.param("branch");
    let id = repo
        .git
        .branch(name)
        .ok_or_else(|| Refusal::new(http::StatusCode::NOT_FOUND, "Branch not found"))?;
    let commit = repo.git.commit(id)?;
    let api = format!("{}/repos/{}/branches/{name}", world.base, repo.full_name());
    let protected = repo.protected.contains(name);
    Ok(Answer::ok(json!({
        "name": name,
        "commit": show::commit_in_list(world, repo, &commit),
        "_links": {
            "self": api,
            "html": format!("{}/{}/tree/{name}", world.base, repo.full_name()),
        },
        "protected": protected,
        "protection": {
            "enabled": protected,
            "required_status_checks":
                {"enforcement_level": "off", "contexts": [], "checks": []},
        },
        "protection_url": format!("{api}/protection"),
    })))
}

pub(super) fn permission(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    if call.permission < Permission::Write {
        return Err(Refusal::forbidden("Must have push access to view collaborator permission."));
    }
    let login = call.param("login");
    world.known_user(login).ok_or_else(Refusal::not_found)?;
    let permission = repo.permission(login);
    let mut user = show::user(world, login);
    let may = |least: Permission| permission >= least;
    user["role_name"] = permission.role().into();
    user["permissions"] = json!({
        "admin": may(Permission::Admin), "maintain": may(Permission::Admin),
        "push": may(Permission::Write), "triage": may(Permission::Triage),
        "pull": may(Permission::Read),
    });
    Ok(Answer::ok(json!({
        "permission": permission.legacy(),
        "role_name": permission.role(),
        "user": user,
    })))
}

pub(super) fn commit(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    let name = call.param("ref");
    let id = repo
        .git
        .resolve_commit(name)
        .ok_or_else(|| Refusal::unprocessable(format!("No commit found for SHA: {name}")))?;
    let commit = repo.git.commit(id)?;
    let mut body = show::commit_in_list(world, repo, &commit);
    let files = files_of(repo, &commit)?;
    let (additions, deletions) = files
        .iter()
        .fold((0, 0), |(more, less), file| (more + file.additions, less + file.deletions));
    body["stats"] = json!({
        "total": additions + deletions, "additions": additions, "deletions": deletions,
    });
    body["files"] =
        files.iter().map(|file| show::file(world, repo, id, file)).collect::<Vec<_>>().into();
    Ok(Answer::ok(body))
}

fn files_of(
    repo: &Repo,
    commit: &crate::git::Commit,
) -> Result<Arc<Vec<crate::git::FileDiff>>, Refusal> {
    let from = match commit.parents.first() {
        Some(parent) => *parent,
        None => gix::ObjectId::empty_tree(gix::hash::Kind::Sha1),
    };
    Ok(repo.git.file_diffs(from, commit.sha)?)
}
