//! `booty send`: posts a payload to ingress, signed as its sender would.

use std::io::{Read as _, Write as _};

use anyhow::{Context as _, bail};
use booty_github::signature::Signature;
use booty_service::{Env, Exit};
use secrecy::SecretString;
use serde_json::Value;

use crate::cli::{SendGithub, SendSentry};

/// Larger than anything GitHub sends.
const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;

pub(crate) async fn github(args: SendGithub) -> anyhow::Result<Exit> {
    let secret = secret("WEBHOOK_SECRET")?;
    let body = read(&args.file)?;
    let event = match args.event {
        Some(event) => event,
        None => guess_event(&body)?,
    };
    let delivery = args.delivery.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let headers = [
        ("user-agent", "GitHub-Hookshot/booty".to_owned()),
        ("x-github-event", event.clone()),
        ("x-github-delivery", delivery.clone()),
        ("x-hub-signature-256", Signature::sign(&secret, &body).to_header()),
    ];
    let what = format!("{event} {delivery}");
    post(&args.url, "/webhooks/github", &headers, body, &what, args.json).await
}

pub(crate) async fn sentry(args: SendSentry) -> anyhow::Result<Exit> {
    let secret = secret("SENTRY_WEBHOOK_SECRET")?;
    let body = read(&args.file)?;
    // Sentry names each try anew.
    let request = uuid::Uuid::new_v4().simple().to_string();
    let headers = [
        ("request-id", request.clone()),
        ("sentry-hook-resource", args.resource.clone()),
        ("sentry-hook-timestamp", chrono::Utc::now().timestamp().to_string()),
        ("sentry-hook-signature", Signature::sign(&secret, &body).to_hex()),
    ];
    let what = format!("{} {request}", args.resource);
    post(&args.url, "/webhooks/sentry", &headers, body, &what, args.json).await
}

/// The first of the secrets in a variable: the one that is in use while they rotate.
fn secret(variable: &str) -> anyhow::Result<SecretString> {
    let mut env = Env::from_process();
    let secrets = env.secret_list(variable);
    if secrets.is_empty() {
        env.problem(variable, "is not set; it signs the payload");
    }
    env.finish()?;
    secrets.into_iter().next().context("no secret")
}

/// Posts, and prints the answer.
async fn post(
    ingress: &str,
    path: &str,
    headers: &[(&'static str, String)],
    body: Vec<u8>,
    what: &str,
    json: bool,
) -> anyhow::Result<Exit> {
    let url = format!("{}{path}", ingress.trim_end_matches('/'));
    let mut request = reqwest::Client::new().post(&url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response = request.body(body).send().await.with_context(|| {
        format!("ingress does not answer at {url}; is it running, is --url right?")
    })?;

    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{text}")?;
    } else {
        writeln!(out, "{what} -> {status} {text}")?;
    }
    Ok(if status.is_success() { Exit::Success } else { Exit::Failure })
}

fn read(file: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().take(MAX_FILE_BYTES).read_to_end(&mut body)?;
    } else {
        let name = file.display();
        std::fs::File::open(file)
            .with_context(|| format!("{name} can't be opened"))?
            .take(MAX_FILE_BYTES)
            .read_to_end(&mut body)
            .with_context(|| format!("{name} can't be read"))?;
    }
    Ok(body)
}

/// The event that a payload of this shape belongs to. The most telling member comes first: an
/// `issue_comment` has an `issue` as well.
fn guess_event(body: &[u8]) -> anyhow::Result<String> {
    const SHAPES: [(&str, &str); 8] = [
        ("comment", "issue_comment"),
        ("check_run", "check_run"),
        ("check_suite", "check_suite"),
        ("review", "pull_request_review"),
        ("pull_request", "pull_request"),
        ("issue", "issues"),
        ("pusher", "push"),
        ("zen", "ping"),
    ];
    let value: Value = serde_json::from_slice(body)
        .context("the payload is not JSON; name its event with --event to send it all the same")?;
    match SHAPES.iter().find(|(member, _)| value.get(member).is_some()) {
        Some((_, event)) => Ok((*event).to_owned()),
        None => bail!("the payload's shape tells no event; name it with --event"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_shape_tells_the_event() {
        for (body, event) in [
            (r#"{"action":"labeled","issue":{},"label":{}}"#, "issues"),
            (r#"{"action":"created","issue":{},"comment":{}}"#, "issue_comment"),
            (r#"{"action":"opened","pull_request":{}}"#, "pull_request"),
            (r#"{"zen":"x","hook_id":1}"#, "ping"),
        ] {
            assert_eq!(super::guess_event(body.as_bytes()).unwrap(), event);
        }
        assert!(super::guess_event(b"{}").unwrap_err().to_string().contains("--event"));
    }
}
