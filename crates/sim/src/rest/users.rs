//! Users and their limits.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::rest::Caller;
use crate::show;
use crate::world::World;

pub(super) fn me(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    if matches!(call.caller, Caller::Installation { .. }) {
        return Err(Refusal::not_accessible_by_integration());
    }
    profile(world, &call.viewer).map(Answer::ok)
}

pub(super) fn get(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    profile(world, call.param("login")).map(Answer::ok)
}

pub(super) fn rate_limit(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let now = world.instant();
    let primary = world.limits.primary(&call.viewer, now);
    let core = json!({
        "limit": primary.limit,
        "used": primary.used,
        "remaining": primary.remaining(),
        "reset": primary.reset.timestamp(),
    });
    let other = |limit: u32| json!({"limit": limit, "used": 0, "remaining": limit, "reset": primary.reset.timestamp()});
    Ok(Answer::ok(json!({
        "resources": {"core": core, "search": other(30), "graphql": other(5000)},
        "rate": core,
    })))
}

fn profile(world: &World, login: &str) -> Result<Value, Refusal> {
    let user = world.known_user(login).ok_or_else(Refusal::not_found)?;
    let mut body = show::user(world, login);
    let more = json!({
        "name": user.login, "company": null, "blog": "", "location": null, "email": null,
        "hireable": null, "bio": null, "twitter_username": null, "notification_email": null,
        "public_repos": world.repos.values().filter(|repo| repo.owner == user.login).count(),
        "public_gists": 0, "followers": 0, "following": 0,
        "created_at": show::time(user.created_at),
        "updated_at": show::time(user.created_at),
    });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    Ok(body)
}
