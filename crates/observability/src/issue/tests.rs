//! What people read, and that nothing in it acts.

mod hostile;
mod reader;
mod snapshots;

use booty_alert::Alert;
use serde_json::{Value, json};

use super::*;

fn alert(event: &Value) -> Alert {
    Alert::parse(json!({"data": {"event": event}}).to_string().as_bytes()).unwrap()
}

fn trace_id() -> TraceId {
    "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap()
}

/// The body, with a link to sentry.io allowed.
fn body_of(alert: &Alert) -> String {
    let trace_id = trace_id();
    let hosts = [DEFAULT_LINK_HOST.to_owned()];
    body(alert, &Context { trace_id: Some(&trace_id), link_hosts: &hosts, first_seen: None })
}

fn reopened_of(alert: &Alert) -> String {
    let hosts = [DEFAULT_LINK_HOST.to_owned()];
    reopened(alert, &Context { link_hosts: &hosts, ..Context::default() })
}

/// An event with `text` wherever text of an event is shown.
fn saying(text: &str) -> Value {
    let frame = json!({"filename": text, "function": text, "lineno": 7, "in_app": true});
    json!({
        "issue_id": "1",
        "level": text,
        "environment": text,
        "release": text,
        "web_url": text,
        "culprit": text,
        "datetime": "2026-05-04T10:20:30Z",
        "exception": [{"type": text, "value": text, "stacktrace": {"frames": [frame, frame]}}],
        "breadcrumbs": [
            {"category": text, "message": text, "timestamp": 1777889999, "level": text},
            {"type": text, "data": {"url": text, "method": text, "status_code": text}},
            {"data": {"from": text, "to": text}},
        ],
        "contexts": {"trace": {"trace_id": text}},
    })
}
