//! Apps, seen by themselves.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Caller;
use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::show;
use crate::world::{Access, App, Grant, Permissions, World};

pub(super) fn me(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let app = caller(world, call)?;
    let mut body = show::app(world, app);
    body["installations_count"] =
        world.installations.values().filter(|found| found.app == app.id).count().into();
    Ok(Answer::ok(body))
}

pub(super) fn installations(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let app = caller(world, call)?;
    let found = world.installations.values().filter(|found| found.app == app.id).collect();
    Ok(call.page(found, |found| show::installation(world, app, found)))
}

pub(super) fn installation(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let app = caller(world, call)?;
    let found = world.installation_of(app.id, call.number("id")?)?;
    Ok(Answer::ok(show::installation(world, app, found)))
}

pub(super) fn of_repository(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let app = caller(world, call)?;
    let repo = world.repo(&format!("{}/{}", call.param("owner"), call.param("repo")))?;
    let found = world.installation_on(app.id, repo).ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(show::installation(world, app, found)))
}

pub(super) fn create_token(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let (app, id) = (caller(world, call)?.id, call.number("id")?);
    let installation = world.installation_of(app, id)?;
    let selected = installation.repositories.is_some();
    let repositories = narrowed(world, call, id)?;
    let permissions = permissions(call)?;
    let (token, grant) =
        world.create_installation_token(app, id, permissions, repositories.clone())?;
    let mut body = json!({
        "token": token,
        "expires_at": show::time(grant.expires_at),
        "permissions": show::permissions(&grant.permissions),
        "repository_selection": if selected || repositories.is_some() { "selected" } else { "all" },
    });
    if repositories.is_some() {
        body["repositories"] = world
            .granted(&grant)
            .into_iter()
            .map(|repo| show::repository(world, repo, &call.viewer))
            .collect::<Vec<Value>>()
            .into();
    }
    Ok(Answer::created(body))
}

pub(super) fn repositories(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let grant = grant(
        call,
        "You must authenticate with an installation access token in order to list repositories \
         for an installation.",
    )?;
    let selected = world
        .installations
        .get(&grant.installation)
        .is_some_and(|found| found.repositories.is_some());
    let found = world.granted(grant);
    let mut answer =
        call.page_in("repositories", found, |repo| show::repository(world, repo, &call.viewer));
    if let Some(body) = &mut answer.body {
        let narrow = selected || grant.repositories.is_some();
        body["repository_selection"] = if narrow { "selected" } else { "all" }.into();
    }
    Ok(answer)
}

/// Ends the token that asks for it.
pub(super) fn revoke(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    grant(call, "You must authenticate with an installation access token.")?;
    world.tokens.remove(&call.token);
    Ok(Answer::no_content())
}

fn caller<'a>(world: &'a World, call: &Call) -> Result<&'a App, Refusal> {
    match call.caller {
        Caller::App { id, .. } => world.app(id),
        _ => Err(Refusal::not_found()),
    }
}

fn grant<'a>(call: &'a Call, otherwise: &str) -> Result<&'a Grant, Refusal> {
    match &call.caller {
        Caller::Installation { grant, .. } => Ok(grant),
        _ => Err(Refusal::forbidden(otherwise)),
    }
}

/// The repositories that a body names, by name or by id.
fn narrowed(
    world: &World,
    call: &Call,
    installation: u64,
) -> Result<Option<BTreeSet<u64>>, Refusal> {
    let missing = || {
        Refusal::unprocessable(
            "There is at least one repository that does not exist or is not accessible to the \
             parent installation.",
        )
    };
    let (names, ids) = (call.list("repositories")?, call.list("repository_ids")?);
    if names.is_none() && ids.is_none() {
        return Ok(None);
    }
    let installation = world.installations.get(&installation).ok_or_else(Refusal::not_found)?;
    let mut chosen = BTreeSet::new();
    for name in names.into_iter().flatten() {
        let name = name.as_str().ok_or_else(missing)?;
        let repo = world
            .repo(&format!("{}/{name}", installation.account))
            .ok()
            .filter(|repo| installation.covers(repo))
            .ok_or_else(missing)?;
        chosen.insert(repo.id);
    }
    for id in ids.into_iter().flatten() {
        let id = id.as_u64().ok_or_else(missing)?;
        let known = world.repos.values().any(|repo| repo.id == id && installation.covers(repo));
        if !known {
            return Err(missing());
        }
        chosen.insert(id);
    }
    // Lists without a repository narrow nothing.
    Ok((!chosen.is_empty()).then_some(chosen))
}

fn permissions(call: &Call) -> Result<Option<Permissions>, Refusal> {
    let Some(asked) = call.object("permissions")?.filter(|asked| !asked.is_empty()) else {
        return Ok(None);
    };
    let mut permissions = Permissions::new();
    for (name, access) in asked {
        let access = access.as_str().and_then(Access::parse).ok_or_else(|| {
            Refusal::malformed(format!(
                "For 'properties/{name}', {access} is not a member of [\"read\", \"write\"]."
            ))
        })?;
        permissions.insert(name.clone(), access);
    }
    Ok(Some(permissions))
}
