//! Apps and their installations.

use serde_json::{Map, Value, json};

use super::{maybe_time, node, time, user};
use crate::world::{Access, App, Installation, Permissions, World};

/// What every App here listens to.
const EVENTS: [&str; 6] =
    ["check_run", "check_suite", "issue_comment", "issues", "pull_request", "push"];

pub(crate) fn app(world: &World, app: &App) -> Value {
    let home = format!("{}/apps/{}", world.base, app.slug);
    json!({
        "id": app.id,
        "client_id": app.client_id,
        "slug": app.slug,
        "node_id": node("Integration", app.id),
        // Who owns an App plays no part here.
        "owner": user(world, "ghost"),
        "name": app.slug,
        "description": "",
        "external_url": home,
        "html_url": home,
        "created_at": time(app.created_at),
        "updated_at": time(app.created_at),
        "permissions": permissions(&app.permissions),
        "events": EVENTS,
    })
}

pub(crate) fn installation(world: &World, app: &App, found: &Installation) -> Value {
    let target = world.known_user(&found.account).map_or(0, |user| user.id);
    let selection = if found.repositories.is_some() { "selected" } else { "all" };
    json!({
        "id": found.id,
        "client_id": app.client_id,
        "account": user(world, &found.account),
        "repository_selection": selection,
        "access_tokens_url": format!("{}/app/installations/{}/access_tokens", world.base, found.id),
        "repositories_url": format!("{}/installation/repositories", world.base),
        "html_url": format!("{}/settings/installations/{}", world.base, found.id),
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": target,
        "target_type": "User",
        "permissions": permissions(&app.permissions),
        "events": EVENTS,
        "created_at": time(found.created_at),
        "updated_at": time(found.updated_at),
        "single_file_name": null,
        "has_multiple_single_files": false,
        "single_file_paths": [],
        "suspended_by": found.suspended_at.map(|_| user(world, &found.account)),
        "suspended_at": maybe_time(found.suspended_at),
    })
}

pub(crate) fn permissions(given: &Permissions) -> Value {
    let shown = |access: &Access| Value::from(access.name());
    given.iter().map(|(name, access)| (name.clone(), shown(access))).collect::<Map<_, _>>().into()
}
