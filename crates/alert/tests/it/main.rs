//! What comes out of the bodies that Sentry sends, and out of those that it should not.

#![allow(clippy::unwrap_used)]

mod anything;
mod fingerprint;
mod shapes;
mod size;

use booty_alert::Alert;
use booty_policy::Untrusted;
use serde_json::{Value, json};

fn alert(body: &Value) -> Alert {
    Alert::parse(body.to_string().as_bytes()).unwrap()
}

/// The alert of a body with this event.
fn of_event(event: Value) -> Alert {
    alert(&json!({"data": {"event": event}}))
}

fn text(text: &Option<Untrusted<String>>) -> Option<&str> {
    text.as_ref().map(|text| text.open("a test").as_str())
}

/// An event with all that is read of one.
fn full() -> Value {
    let frame = |file: &str, line: u32, in_app: bool| json!({"filename": file, "abs_path": format!("/srv/{file}"), "function": "run", "lineno": line, "in_app": in_app});
    json!({
        "action": "triggered",
        "data": {
            "triggered_rule": "Too many errors",
            "issue_alert": {"title": "Too many errors, too"},
            "event": {
                "event_id": "0F1E2D3C4B5A69788796A5B4C3D2E1F0",
                "issue_id": "4501",
                "project": 17,
                "level": "fatal",
                "environment": "production",
                "release": "shop@2.4.1",
                "culprit": "shop.cart in total",
                "fingerprint": ["{{ default }}"],
                "datetime": "2026-05-04T10:20:30.123000Z",
                "first_seen": "2026-05-01T00:00:00Z",
                "web_url": "https://sentry.io/organizations/o/issues/4501/events/1/",
                "exception": {"values": [
                    {"type": "KeyError", "value": "'price'", "stacktrace": {"frames": [frame("old.py", 1, true)]}},
                    {"type": "CartError", "value": "no price", "stacktrace": {"frames": [
                        frame("wsgi.py", 3, false),
                        frame("shop/views.py", 40, true),
                        frame("shop/cart.py", 12, true),
                        frame("lib/decimal.py", 7, false),
                    ]}},
                ]},
                "breadcrumbs": {"values": [
                    {"timestamp": 1777889999.5, "category": "query", "message": "SELECT 1", "level": "info"},
                    {"timestamp": "2026-05-04T10:20:29Z", "type": "http", "data": {"method": "GET", "url": "https://api.example/x?key=1", "status_code": 500}},
                ]},
                "contexts": {"trace": {"trace_id": "0af7651916cd43dd8448eb211c80319c"}},
                "metadata": {"type": "Other", "value": "other", "filename": "other.py"},
            }
        }
    })
}
