//! The shapes in which one thing comes.

use booty_alert::Severity;
use chrono::{DateTime, Utc};
use rstest::rstest;

use super::*;

fn at(time: &str) -> Option<DateTime<Utc>> {
    Some(time.parse().unwrap())
}

#[test]
fn a_full_event() {
    let alert = alert(&full());
    assert_eq!(alert.event_id.as_deref(), Some("0f1e2d3c4b5a69788796a5b4c3d2e1f0"));
    assert_eq!(alert.severity, Severity::Fatal);
    assert_eq!(text(&alert.exception_type), Some("CartError"));
    assert_eq!(text(&alert.message), Some("no price"));
    assert_eq!(text(&alert.culprit), Some("shop.cart in total"));
    assert_eq!(text(&alert.environment), Some("production"));
    assert_eq!(text(&alert.release), Some("shop@2.4.1"));
    assert_eq!(text(&alert.rule), Some("Too many errors"));
    assert_eq!(text(&alert.url), Some("https://sentry.io/organizations/o/issues/4501/events/1/"));
    assert_eq!(alert.first_seen, at("2026-05-01T00:00:00Z"));
    assert_eq!(alert.last_seen, at("2026-05-04T10:20:30.123Z"));
    assert_eq!(alert.trace_id.unwrap().as_str(), "0af7651916cd43dd8448eb211c80319c");

    let files: Vec<_> = alert.frames.iter().map(|frame| text(&frame.file).unwrap()).collect();
    assert_eq!(files, ["lib/decimal.py", "shop/cart.py", "shop/views.py", "wsgi.py"]);
    assert_eq!(alert.frame_count, 4);
    let location = alert.location.unwrap();
    assert_eq!(location.place.open("a test"), "shop/cart.py");
    assert_eq!((location.line, text(&location.function)), (Some(12), Some("run")));

    let [query, request] = &alert.breadcrumbs[..] else { panic!("{:?}", alert.breadcrumbs) };
    assert_eq!(query.time, at("2026-05-04T10:19:59.5Z"));
    assert_eq!((text(&query.category), query.level), (Some("query"), Some(Severity::Info)));
    assert_eq!(text(&request.category), Some("http"));
    assert_eq!(text(&request.message), Some("GET https://api.example/x [500]"));
}

#[test]
fn an_empty_event() {
    let alert = of_event(json!({}));
    assert_eq!(alert.severity, Severity::Error);
    assert!(alert.exception_type.is_none() && alert.location.is_none() && alert.url.is_none());
    assert!(alert.frames.is_empty() && alert.breadcrumbs.is_empty() && alert.last_seen.is_none());
    assert_eq!(alert.facts(), booty_events::v1::AlertFacts::default());
}

#[rstest]
#[case(b"", "the body is no JSON: ")]
#[case(b"{\"data\": {\"event\": {}}", "the body is no JSON: ")]
#[case(b"{\"data\": {\"event\": {}}} x", "the body is no JSON: ")]
#[case(b"[]", "the body is JSON, but no object")]
#[case(b"1e999", "the body is JSON, but no object")]
#[case(b"{}", "the body has no object at data")]
#[case(b"{\"data\": []}", "the body has no object at data")]
fn no_alert(#[case] body: &[u8], #[case] expected: &str) {
    let error = Alert::parse(body).unwrap_err().to_string();
    assert!(error.starts_with(expected), "{error}");
}

#[rstest]
#[case(b"{\"data\": {}}")]
#[case(b"{\"data\": {\"event\": null}}")]
#[case(b"{\"data\": {\"event\": {}, \"event\": 1}}")]
fn a_rule_that_fired_without_an_event_is_an_alert_of_which_nothing_is_known(#[case] body: &[u8]) {
    let alert = Alert::parse(body).unwrap();
    assert_eq!(alert.fingerprint, of_event(json!({})).fingerprint);
    assert!(alert.exception_type.is_none() && alert.location.is_none() && alert.frames.is_empty());
}

#[test]
fn an_error_quotes_nothing() {
    let error = Alert::parse(b"{\"password\": hunter2}").unwrap_err().to_string();
    assert!(error.contains("line 1 column 14") && !error.contains("hunter"), "{error}");
}

#[rstest]
#[case(json!("fatal"), Severity::Fatal)]
#[case(json!("fatal "), Severity::Fatal)]
#[case(json!("WARNING"), Severity::Warning)]
#[case(json!("\tinfo\n"), Severity::Info)]
#[case(json!("debug"), Severity::Debug)]
#[case(json!("sample"), Severity::Error)]
#[case(json!(""), Severity::Error)]
#[case(json!(50), Severity::Error)]
#[case(json!(10), Severity::Error)]
#[case(json!(["fatal"]), Severity::Error)]
#[case(json!({"level": "fatal"}), Severity::Error)]
#[case(json!(true), Severity::Error)]
fn levels(#[case] level: Value, #[case] expected: Severity) {
    let tags = json!([["level", "info"]]);
    assert_eq!(of_event(json!({"level": level, "tags": tags})).severity, expected);
}

#[test]
fn without_a_level_the_tag_is_asked() {
    for level in
        [json!({"tags": [["level", "info"]]}), json!({"level": null, "tags": {"level": "info"}})]
    {
        assert_eq!(of_event(level).severity, Severity::Info);
    }
}

#[rstest]
#[case(json!({"environment": "top", "tags": [["environment", "tag"]]}), Some("top"))]
#[case(json!({"tags": [["a", "b"], null, 1, [], ["environment"], ["environment", "tag", "x"]]}), Some("tag"))]
#[case(json!({"environment": "", "tags": {"environment": "tag"}}), Some("tag"))]
#[case(json!({"environment": {}, "tags": [{"key": "environment", "value": "tag"}]}), Some("tag"))]
#[case(json!({"environment": 5}), Some("5"))]
#[case(json!({"environment": null, "tags": "environment"}), None)]
fn environments(#[case] event: Value, #[case] expected: Option<&str>) {
    assert_eq!(text(&of_event(event).environment), expected);
}

#[rstest]
#[case(json!("a@1"), Some("a@1"))]
#[case(json!({"version": "a@2", "id": 1}), Some("a@2"))]
#[case(json!({"version": null}), Some("tag"))]
#[case(json!(null), Some("tag"))]
#[case(json!([1]), Some("tag"))]
#[case(json!(20261127), Some("20261127"))]
fn releases(#[case] release: Value, #[case] expected: Option<&str>) {
    let event = json!({"release": release, "tags": [["release", "tag"]]});
    assert_eq!(text(&of_event(event).release), expected);
}

#[rstest]
#[case(json!({"exception": {"values": [{"type": "A"}, {"type": "B"}]}}), Some("B"))]
#[case(json!({"exception": {"values": [{"type": "A"}, null, 1, []]}}), Some("A"))]
#[case(json!({"exception": [{"type": "A"}]}), Some("A"))]
#[case(json!({"exception": {"type": "A"}}), Some("A"))]
#[case(json!({"exception": {"values": {}}, "metadata": {"type": "M"}}), Some("M"))]
#[case(json!({"exception": {"values": [{"type": {}}]}, "metadata": {"type": "M"}}), Some("M"))]
#[case(json!({"exception": "A"}), None)]
fn exceptions(#[case] event: Value, #[case] expected: Option<&str>) {
    assert_eq!(text(&of_event(event).exception_type), expected);
}

#[rstest]
#[case(json!({"exception": [{"value": "v"}], "metadata": {"value": "m"}}), "v")]
#[case(json!({"metadata": {"value": "m"}, "message": "n"}), "m")]
#[case(json!({"logentry": {"formatted": "f 1", "message": "f %s"}, "message": "n"}), "f 1")]
#[case(json!({"logentry": {"message": "f %s"}, "message": "n"}), "f %s")]
#[case(json!({"logentry": "x", "message": "n"}), "n")]
#[case(json!({"message": {"formatted": "n 1"}}), "n 1")]
fn messages(#[case] event: Value, #[case] expected: &str) {
    assert_eq!(text(&of_event(event).message), Some(expected));
}

#[rstest]
#[case(json!({"exception": [{"stacktrace": {"frames": []}}], "stacktrace": {"frames": [{"filename": "s"}]}}), "s")]
#[case(json!({"threads": {"values": [
    {"stacktrace": {"frames": [{"filename": "a"}]}, "current": true},
    {"stacktrace": {"frames": [{"filename": "b"}]}, "crashed": true},
    {"stacktrace": {"frames": [{"filename": "c"}]}},
]}}), "b")]
#[case(json!({"threads": [{"stacktrace": {"frames": [{"filename": "a"}]}}, {"stacktrace": null}]}), "a")]
fn stacks(#[case] event: Value, #[case] expected: &str) {
    let alert = of_event(event);
    assert_eq!(text(&alert.frames[0].file), Some(expected));
    assert_eq!(alert.location.unwrap().place.open("a test"), expected);
}

#[rstest]
#[case(json!([{"filename": "a", "in_app": true}, {"filename": "b"}]), "a", None)]
#[case(json!([{"filename": "a"}, {"filename": "b", "lineno": "3"}, {"function": "f", "in_app": true}]), "b", Some(3))]
#[case(json!([{"filename": "", "abs_path": "/a", "in_app": 1, "lineno": 4.0}, {"filename": "b", "in_app": "yes"}]), "/a", Some(4))]
#[case(json!([{"filename": "a", "lineno": -1}, null, 7]), "a", None)]
#[case(json!([{"filename": "a", "lineno": 1_000_000}]), "a", None)]
#[case(json!([{"filename": "a", "lineno": 1e30}]), "a", None)]
#[case(json!([{"function": "f"}]), "meta.py", None)]
#[case(json!("frames"), "meta.py", None)]
fn locations(#[case] frames: Value, #[case] place: &str, #[case] line: Option<u32>) {
    let event = json!({"stacktrace": {"frames": frames}, "metadata": {"filename": "meta.py"}, "culprit": "c"});
    let location = of_event(event).location.unwrap();
    assert_eq!((location.place.open("a test").as_str(), location.line), (place, line));
}

#[test]
fn the_culprit_is_the_last_place() {
    for event in [
        json!({"culprit": "c"}),
        json!({"transaction": "c", "culprit": null, "metadata": {"filename": false}}),
    ] {
        assert_eq!(of_event(event).location.unwrap().place.open("a test"), "c");
    }
}

#[rstest]
#[case(json!({}))]
#[case(json!(null))]
#[case(json!({"values": null}))]
#[case(json!([null, 1, "x", []]))]
#[case(json!([{"level": "debug", "message": "no"}, {"level": " Debug", "message": "no"}]))]
fn no_breadcrumbs(#[case] breadcrumbs: Value) {
    assert!(of_event(json!({"breadcrumbs": breadcrumbs})).breadcrumbs.is_empty());
}

#[test]
fn the_newest_breadcrumbs_are_kept_and_debug_is_not() {
    let list: Vec<Value> = (0..40)
        .map(|n| json!({"message": n, "level": if n % 2 == 0 { "debug" } else { "info" }}))
        .collect();
    for breadcrumbs in [json!(list), json!({"values": list})] {
        let alert = of_event(json!({"breadcrumbs": breadcrumbs}));
        let messages: Vec<_> =
            alert.breadcrumbs.iter().map(|b| text(&b.message).unwrap()).collect();
        assert_eq!(messages, ["25", "27", "29", "31", "33", "35", "37", "39"]);
    }
}

#[rstest]
#[case(json!({"from": "/a?token=1", "to": "/b#x"}), Some("/a → /b"))]
#[case(json!({"to": "/b"}), Some("→ /b"))]
#[case(json!({"url": "/x", "method": ["GET"], "status_code": "404"}), Some("/x [404]"))]
#[case(json!({"reason": "?"}), None)]
#[case(json!("x"), None)]
fn breadcrumbs_without_a_message(#[case] details: Value, #[case] expected: Option<&str>) {
    let alert = of_event(json!({"breadcrumbs": [{"category": "c", "data": details}]}));
    assert_eq!(text(&alert.breadcrumbs[0].message), expected);
}

#[rstest]
#[case(json!({"datetime": "2026-05-04T10:20:30Z", "timestamp": 1}), Some("2026-05-04T10:20:30Z"))]
#[case(json!({"datetime": "soon", "timestamp": 1777890030, "received": 1}), Some("2026-05-04T10:20:30Z"))]
#[case(json!({"timestamp": {}, "received": "1777890030.5"}), Some("2026-05-04T10:20:30.5Z"))]
#[case(json!({"timestamp": 1e300}), None)]
fn last_seen(#[case] event: Value, #[case] expected: Option<&str>) {
    let alert = of_event(event);
    assert_eq!(alert.last_seen, expected.and_then(at));
    assert_eq!(alert.first_seen, alert.last_seen);
}

#[test]
fn first_is_never_after_last() {
    let alert = of_event(json!({"timestamp": 10, "firstSeen": 20}));
    assert_eq!(alert.first_seen, at("1970-01-01T00:00:10Z"));
    let body = json!({"data": {"event": {"timestamp": 10}, "issue": {"firstSeen": "1970-01-01T00:00:05Z"}}});
    assert_eq!(super::alert(&body).first_seen, at("1970-01-01T00:00:05Z"));
}

#[rstest]
#[case(json!({"web_url": "w", "url": "u"}), Some("w"))]
#[case(json!({"web_url": null, "url": "u", "issue_url": "i"}), Some("u"))]
#[case(json!({"url": false, "issue_url": "i"}), Some("i"))]
fn urls(#[case] event: Value, #[case] expected: Option<&str>) {
    assert_eq!(text(&of_event(event).url), expected);
}

#[rstest]
#[case(json!("0AF76519-16CD-43DD-8448-EB211C80319C"), true)]
#[case(json!("00000000000000000000000000000000"), false)]
#[case(json!("0af7651916cd43dd8448eb211c80319"), false)]
#[case(json!(5), false)]
fn traces(#[case] id: Value, #[case] is_one: bool) {
    let alert = of_event(json!({"contexts": {"trace": {"trace_id": id}}}));
    assert_eq!(alert.trace_id.is_some(), is_one);
}

#[test]
fn what_serde_json_would_refuse_elsewhere_is_read() {
    // A number out of range, depth, half a pair, no UTF-8, a byte order mark, the same name twice.
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let mut body = format!(
        "\u{feff}{{\"data\":{{\"event\":{{\"level\":1e999,\"extra\":{deep},\"tags\":{deep},\"culprit\":\"a\\ud83d\",\"release\":\"1\",\"release\":\"2\",\"environment\":\"e"
    )
    .into_bytes();
    body.extend(b"\xff\xfe\"}}}");
    let alert = Alert::parse(&body).unwrap();
    assert_eq!(alert.severity, Severity::Error);
    assert_eq!(text(&alert.culprit), Some("a\u{fffd}"));
    assert_eq!(text(&alert.release), Some("2"));
    assert_eq!(text(&alert.environment), Some("e\u{fffd}\u{fffd}"));
}
