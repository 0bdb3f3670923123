//! Objects as GitHub's JSON: the same for answers and for webhooks.

mod app;
mod check;
mod commit;
mod issue;
mod pull;
mod repository;
mod review;

use base64::Engine as _;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::world::{Hook, Repo, World};
pub(crate) use app::{app, installation, permissions};
pub(crate) use check::{
    annotation, check_run, check_run_in_event, check_suite, check_suite_in_event, simple_status,
    status, status_in_event,
};
pub(crate) use commit::{
    commit_in_list, git_commit, pushed_commit, reference, short_commit, tree_entry,
};
pub(crate) use issue::{comment, happening, issue, label, timeline_comment};
pub(crate) use pull::{file, pull_full, pull_in_list, pull_in_review};
pub(crate) use repository::{repository, repository_in_event};
pub(crate) use review::{legacy_review_comment, review, review_comment, review_in_event};

/// `2024-01-31T12:00:00Z`.
pub(crate) fn time(at: DateTime<Utc>) -> Value {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

pub(crate) fn maybe_time(at: Option<DateTime<Utc>>) -> Value {
    at.map_or(Value::Null, time)
}

/// An opaque global id.
pub(crate) fn node(kind: &str, id: impl std::fmt::Display) -> String {
    let raw = format!("0{}:{kind}{id}", kind.len());
    base64::engine::general_purpose::STANDARD.encode(raw)
}

pub(crate) fn user(world: &World, login: &str) -> Value {
    let (id, login) =
        world.known_user(login).map_or((10_137, "ghost"), |user| (user.id, user.login.as_str()));
    let api = format!("{}/users/{login}", world.base);
    let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
    json!({
        "login": login,
        "id": id,
        "node_id": node("User", id),
        "avatar_url": format!("{}/avatars/u/{id}", world.base),
        "gravatar_id": "",
        "url": api,
        "html_url": format!("{}/{login}", world.base),
        "followers_url": format!("{api}/followers"),
        "following_url": format!("{api}/following{{/other_user}}"),
        "gists_url": format!("{api}/gists{{/gist_id}}"),
        "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{api}/subscriptions"),
        "organizations_url": format!("{api}/orgs"),
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events{{/privacy}}"),
        "received_events_url": format!("{api}/received_events"),
        "type": kind,
        "user_view_type": "public",
        "site_admin": false,
    })
}

pub(crate) fn hook(world: &World, repo: &Repo, hook: &Hook, last: Option<(u16, &str)>) -> Value {
    let api = format!("{}/repos/{}/hooks/{}", world.base, repo.full_name(), hook.id);
    let last = match last {
        None => json!({"code": null, "status": "unused", "message": null}),
        Some((code, message)) => json!({
            "code": code,
            "status": if code < 300 { "active" } else { "invalid" },
            "message": message,
        }),
    };
    json!({
        "type": "Repository",
        "id": hook.id,
        "name": "web",
        "active": true,
        "events": ["*"],
        "config": {
            "content_type": "json",
            "insecure_ssl": "0",
            "secret": "********",
            "url": hook.url,
        },
        "updated_at": time(hook.updated_at),
        "created_at": time(hook.created_at),
        "url": api,
        "test_url": format!("{api}/test"),
        "ping_url": format!("{api}/pings"),
        "deliveries_url": format!("{api}/deliveries"),
        "last_response": last,
    })
}
