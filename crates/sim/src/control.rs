//! `/_sim/…`: the same verbs for another process.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;
use secrecy::ExposeSecret;
use serde_json::Value;
use subtle::ConstantTimeEq;

use crate::answer::{Answer, Refusal};
use crate::call::parse_body;
use crate::server::{Shared, json};
use crate::verbs::Command;

/// Answers `GET /_sim/state` and `POST /_sim/<verb>`.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    method: Method,
    path: String,
    headers: HeaderMap,
    raw: Bytes,
) -> Response<Full<Bytes>> {
    let job = move || {
        let result = command(&shared, &method, &path, &headers, &raw)
            .and_then(|command| shared.world().run(command));
        shared.changed.tell();
        result
    };
    let result = match tokio::task::spawn_blocking(job).await {
        Ok(result) => result,
        Err(error) => Err(Refusal::server(error)),
    };
    json(&match result {
        Ok(value) => Answer::ok(value),
        Err(refusal) => refusal.into_answer(""),
    })
}

fn command(
    shared: &Shared,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    raw: &Bytes,
) -> Result<Command, Refusal> {
    let expected = format!("Bearer {}", shared.control_token.expose_secret());
    let given = headers.get("authorization").map(|value| value.as_bytes()).unwrap_or_default();
    if !bool::from(given.ct_eq(expected.as_bytes())) {
        return Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "send the simulator's control token as a bearer token",
        ));
    }
    let verb = match (method.as_str(), path.trim_start_matches("/_sim/")) {
        ("GET", "state") => "snapshot",
        ("POST", verb) => verb,
        _ => return Err(Refusal::not_found()),
    };
    let mut body = parse_body(raw)?;
    body.insert("verb".to_owned(), verb.into());
    serde_json::from_value(Value::Object(body))
        .map_err(|error| Refusal::unprocessable(error.to_string()))
}
