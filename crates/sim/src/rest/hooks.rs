//! Webhooks and their deliveries.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::hooks::Sent;
use crate::show;
use crate::world::{Hook, Repo, World};

pub(super) fn list(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    Ok(call.page(repo.hooks.iter().collect(), |hook| shown(world, call, repo, hook)))
}

pub(super) fn get(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let repo = world.repo(&call.repo)?;
    Ok(Answer::ok(shown(world, call, repo, find(repo, call)?)))
}

pub(super) fn deliveries(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let hook = find(world.repo(&call.repo)?, call)?.id;
    let failed = match call.query("status") {
        None => None,
        Some("success") => Some(false),
        Some("failure") => Some(true),
        Some(_) => return Err(Refusal::invalid("HookDelivery", "status", "invalid")),
    };
    let number = |name: &str| call.query(name).and_then(|text| text.parse::<u64>().ok());
    let found: Vec<Sent> = world
        .outbox
        .sent(&call.repo)
        .into_iter()
        .filter(|sent| sent.delivery.hook.id == hook)
        .filter(|sent| failed.is_none_or(|failed| (sent.status >= 400) == failed))
        // The cursor is the id of the next delivery: this list has no pages.
        .skip_while(|sent| number("cursor").is_some_and(|cursor| sent.delivery.id != cursor))
        .collect();
    let per_page = number("per_page").unwrap_or(30).clamp(1, 100) as usize;
    let next = found.get(per_page).map(|sent| sent.delivery.id);
    let answer = Answer::ok(found.iter().take(per_page).map(item).collect());
    Ok(match next {
        None => answer,
        Some(id) => answer.header(
            "link",
            format!("<{}{}?per_page={per_page}&cursor={id}>; rel=\"next\"", call.base, call.path),
        ),
    })
}

pub(super) fn delivery(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    let hook = find(world.repo(&call.repo)?, call)?.id;
    let id = call.number("id")?;
    let sent = world
        .outbox
        .sent(&call.repo)
        .into_iter()
        .find(|sent| sent.delivery.id == id && sent.delivery.hook.id == hook)
        .ok_or_else(Refusal::not_found)?;
    let mut body = item(&sent);
    body["url"] = sent.delivery.hook.url.as_str().into();
    body["request"] = json!({
        "headers": sent.request_headers,
        "payload": serde_json::from_slice::<Value>(&sent.delivery.body).unwrap_or_default(),
    });
    body["response"] = json!({
        "headers": sent.response_headers,
        "payload": sent.response_body,
    });
    Ok(Answer::ok(body))
}

pub(super) fn redeliver(world: &mut World, call: &Call) -> Result<Answer, Refusal> {
    find(world.repo(&call.repo)?, call)?;
    let id = call.number("id")?;
    world.redeliver(&call.repo, id).ok_or_else(Refusal::not_found)?;
    Ok(Answer::accepted(json!({})))
}

fn find<'a>(repo: &'a Repo, call: &Call) -> Result<&'a Hook, Refusal> {
    let id = call.number("hook")?;
    repo.hooks.iter().find(|hook| hook.id == id).ok_or_else(Refusal::not_found)
}

fn shown(world: &World, call: &Call, repo: &Repo, hook: &Hook) -> Value {
    let sent = world.outbox.sent(&call.repo);
    let last = sent.iter().find(|sent| sent.delivery.hook.id == hook.id);
    show::hook(world, repo, hook, last.map(|sent| (sent.status, sent.status_text.as_str())))
}

fn item(sent: &Sent) -> Value {
    json!({
        "id": sent.delivery.id,
        "guid": sent.delivery.guid.to_string(),
        "delivered_at": show::time(sent.at),
        "redelivery": sent.delivery.redelivery,
        "duration": (sent.duration.as_secs_f64() * 100.0).round() / 100.0,
        "status": sent.status_text,
        "status_code": sent.status,
        "event": sent.delivery.event,
        "action": sent.delivery.action,
        "installation_id": sent.delivery.installation.map(|(id, _)| id),
        "repository_id": sent.delivery.repo_id,
        "throttled_at": null,
    })
}
