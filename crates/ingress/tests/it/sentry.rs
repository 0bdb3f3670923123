//! Sentry's deliveries: signed without a prefix, named by their body, routed by a header that anybody
//! could have written.

use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use booty_events::{Message as _, header, v1::Event};
use booty_github::signature::Signature;
use rstest::rstest;
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{
    delivery::Delivery,
    world::{ANSWER_LIMIT, World, all_in_inbox, connect, eventually, own_broker, settings},
};

const SECRET: &str = "a client secret";
/// Nobody listens there.
const NO_BROKER: &str = "nats://127.0.0.1:1";

/// One delivery of Sentry's; each method changes one thing about a good one.
#[derive(Clone)]
struct Alert {
    body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Alert {
    /// A good one about issue 1117540176, with an event of its own.
    fn good() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let event =
            format!("{:08x}{:024x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self::of(triggered(&event).to_string())
    }

    fn of(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let signature = Signature::sign(&SecretString::from(SECRET), &body).to_hex();
        let headers = [
            ("content-type", "application/json"),
            ("sentry-hook-resource", "event_alert"),
            ("sentry-hook-timestamp", "1566248777"),
            ("request-id", "0f8fad5b-d9cb-469f-a165-70867728950e"),
            ("sentry-hook-signature", &signature),
        ];
        let owned = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { body, headers: owned.into() }
    }

    fn resource(self, resource: &str) -> Self {
        self.without("sentry-hook-resource").with("sentry-hook-resource", resource)
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| header != name);
        self
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn signed(self, signature: &str) -> Self {
        self.without("sentry-hook-signature").with("sentry-hook-signature", signature)
    }

    fn timed(self, time: &str) -> Self {
        self.without("sentry-hook-timestamp").with("sentry-hook-timestamp", time)
    }

    fn signature(&self) -> &str {
        let found = self.headers.iter().find(|(name, _)| name == "sentry-hook-signature");
        &found.unwrap().1
    }

    fn id(&self) -> String {
        hex::encode(Sha256::digest(&self.body))[..32].to_owned()
    }

    fn subject(&self) -> String {
        format!("booty.inbox.sentry.event_alert.triggered.{}", self.id())
    }

    async fn post(&self, world: &World) -> (u16, Value) {
        let mut request = world.client.post(world.url("/webhooks/sentry")).body(self.body.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    /// What the inbox has of it.
    async fn kept(&self, world: &World) -> Option<booty_bus::Stored> {
        world.bus.last_message("BOOTY_INBOX", &self.subject()).await.unwrap()
    }
}

fn triggered(event: &str) -> Value {
    json!({
        "action": "triggered",
        "actor": {"id": "sentry", "name": "Sentry", "type": "application"},
        "data": {
            "event": {
                "event_id": event, "issue_id": "1117540176", "level": "error", "platform": "python",
                "exception": {"values": [{"type": "KeyError", "value": "'x'", "stacktrace": {"frames": [
                    {"filename": "app.py", "function": "main", "lineno": 3, "in_app": true}]}}]},
            },
            "triggered_rule": "Very Important Alert Rule!",
        },
        "installation": {"uuid": "a8e5d37a-696c-4c54-adb5-b3f28d64c7de"},
    })
}

async fn world() -> World {
    World::with(|settings| settings.sentry_secrets = vec![SECRET.into()]).await.ready().await
}

/// The point of every bad input: the next good one is accepted, and is in the inbox.
async fn takes_good_ones(world: &World) {
    let good = Alert::good();
    let (status, answer) = good.post(world).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(good.kept(world).await.unwrap().payload, good.body);
    world.takes_good_ones().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_kept_as_it_came_with_the_facts_about_it() {
    let world = world().await;
    // White space and key order are the sender's, and so is the signature over them.
    let alert = Alert::of(format!(" {}\n", triggered(&uuid::Uuid::new_v4().simple().to_string())));
    let (status, answer) = alert.post(&world).await;
    assert_eq!((status, &answer["status"]), (202, &json!("accepted")));
    let job = answer["job_id"].as_str().unwrap().to_owned();
    let fingerprint = booty_alert::Alert::parse(&alert.body).unwrap().fingerprint;
    assert_eq!(job, format!("alert-{}-{}", fingerprint.short(), alert.id()));

    let kept = alert.kept(&world).await.unwrap();
    assert_eq!(kept.payload, alert.body);
    let sha256 = hex::encode(Sha256::digest(&alert.body));
    for (name, value) in [
        (header::CE_ID, alert.id().as_str()),
        (header::CE_SOURCE, "https://sentry.io/webhooks"),
        (header::CE_TYPE, "io.sentry.event_alert.triggered"),
        (header::CONTENT_TYPE, "application/json"),
        (header::BODY_SHA256, sha256.as_str()),
        (header::JOB_ID, job.as_str()),
        (header::DELIVERY_ID, alert.id().as_str()),
        (header::SENTRY_TIMESTAMP, "1566248777"),
        (header::SENTRY_REQUEST_ID, "0f8fad5b-d9cb-469f-a165-70867728950e"),
    ] {
        assert_eq!(kept.headers.get(name), Some(value), "{name}");
    }
    let found = booty_service::JobStore::new(&world.bus).find(&job.parse().unwrap()).await.unwrap();
    assert_eq!(found.unwrap().delivery_id, alert.id(), "the job can be asked for at once");
    takes_good_ones(&world).await;
}

#[rstest]
#[case::row_1_no_signature(|alert: Alert| alert.without("sentry-hook-signature"), 401)]
#[case::row_3_empty(|alert: Alert| alert.signed(""), 403)]
#[case::row_3_short(|alert: Alert| alert.signed("00"), 403)]
#[case::row_3_odd(|alert: Alert| { let s = alert.signature()[..63].to_owned(); alert.signed(&s) }, 403)]
#[case::row_3_upper_case(|alert: Alert| { let s = alert.signature().to_uppercase(); alert.signed(&s) }, 403)]
#[case::row_3_not_hex(|alert: Alert| alert.signed(&"g".repeat(64)), 403)]
#[case::row_4_two(|alert: Alert| { let s = alert.signature().to_owned(); alert.with("sentry-hook-signature", &s) }, 403)]
#[case::githubs_form(|alert: Alert| { let s = format!("sha256={}", alert.signature()); alert.signed(&s) }, 403)]
#[case::githubs_secret(|alert: Alert| { let s = Signature::sign(&crate::delivery::SECRET.into(), &alert.body); alert.signed(&s.to_hex()) }, 403)]
#[case::githubs_header(|alert: Alert| { let s = format!("sha256={}", alert.signature()); alert.without("sentry-hook-signature").with("x-hub-signature-256", &s) }, 401)]
#[case::row_6_a_byte_more(|mut alert: Alert| { alert.body.push(b' '); alert }, 403)]
#[case::row_14_gzip(|alert: Alert| alert.with("content-encoding", "gzip"), 415)]
#[case::row_15_form(|alert: Alert| alert.without("content-type").with("content-type", "application/x-www-form-urlencoded"), 415)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sentrys_is_refused(#[case] change: fn(Alert) -> Alert, #[case] expected: u16) {
    let world = world().await;
    let good = Alert::good();
    let (status, answer) = change(good.clone()).post(&world).await;
    assert_eq!((status, answer["status"].as_str()), (expected, Some("error")), "{answer}");
    assert!(good.kept(&world).await.is_none());
    takes_good_ones(&world).await;
}

/// A body that can't be parsed is refused for its signature alone.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_parsed_before_the_signature_fits() {
    let world = world().await;
    let forged = Alert::of("{").without("sentry-hook-resource").signed(&"0".repeat(64));
    assert_eq!(forged.post(&world).await.1["reason"], "signature");
    assert_eq!(Alert::of("{").post(&world).await.1["reason"], "not_json");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_5_secrets_rotate_with_no_refused_delivery() {
    let both = World::with(|s| s.sentry_secrets = vec!["new".into(), SECRET.into()]).await;
    let both = both.ready().await;
    assert_eq!(Alert::good().post(&both).await.0, 202);
    let only_new = World::with(|s| s.sentry_secrets = vec!["new".into()]).await.ready().await;
    assert_eq!(Alert::good().post(&only_new).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_there_is_no_path() {
    let world = World::start().await.ready().await;
    assert_eq!(Alert::good().post(&world).await.0, 404);
    world.takes_good_ones().await;
}

#[rstest]
#[case::row_16_get("GET", "/webhooks/sentry", 405)]
#[case::row_16_put("PUT", "/webhooks/sentry", 405)]
#[case::row_20_traversal("POST", "/webhooks/sentry/../x", 404)]
#[case::row_20_slash("POST", "/webhooks/sentry/", 404)]
#[tokio::test(flavor = "multi_thread")]
async fn methods_and_paths(#[case] method: &str, #[case] path: &str, #[case] expected: u16) {
    let world = world().await;
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(world.raw(head.as_bytes()).await, expected);
    takes_good_ones(&world).await;
}

/// Row 41, and the unsigned header that names the resource.
#[rstest]
#[case::installation("installation", json!({"action": "created", "data": {"installation": {"uuid": "u"}}}))]
#[case::metric_alert("metric_alert", json!({"action": "critical", "data": {"metric_alert": {}}}))]
#[case::comment("comment", json!({"action": "created", "data": {"comment": "c"}}))]
#[case::issue("issue", json!({"action": "resolved", "data": {"issue": {}}}))]
#[case::error("error", json!({"action": "created", "data": {"error": {}}}))]
#[case::seer("seer", json!({"action": "root_cause_started", "data": {}}))]
#[case::unheard_of("quantum_leap", json!({}))]
#[tokio::test(flavor = "multi_thread")]
async fn row_41_other_resources_are_ignored_on_record(
    #[case] resource: &str,
    #[case] mut body: Value,
) {
    let world = world().await;
    body["salt"] = uuid::Uuid::new_v4().to_string().into();
    let alert = Alert::of(body.to_string()).resource(resource);
    let expected = (200, json!({"status": "ignored", "reason": "resource"}));
    assert_eq!(alert.post(&world).await, expected);
    let subject = format!("booty.event.ingress.ignored.{}", alert.id());
    let fact = world.bus.last_message("BOOTY_EVENTS", &subject).await.unwrap().unwrap();
    let fact = Event::decode(fact.payload).unwrap();
    assert_eq!((fact.reason.as_str(), fact.delivery_id), ("resource", alert.id()));
    assert_eq!(fact.attributes["resource"], resource);
    let (_, metrics) = world.admin("/metrics").await;
    let counted = "booty_ingress_ignored_total{reason=\"resource\",source=\"sentry\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    // Under the header of an alert it is none, and is not kept as one.
    assert_eq!(alert.clone().resource("event_alert").post(&world).await.0, 400);
    assert!(alert.kept(&world).await.is_none());
    takes_good_ones(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_does_not_disappear_under_another_header() {
    let world = world().await;
    let alert = Alert::good();
    for resource in ["installation", "quantum_leap", ""] {
        assert_eq!(alert.clone().resource(resource).post(&world).await.0, 400, "{resource}");
    }
    assert_eq!(alert.post(&world).await.0, 202, "nothing of that counts against it");
}

#[rstest]
#[case::row_7_empty("".into())]
#[case::row_21_not_utf8(b"{\"action\":\"triggered\xff\"}".to_vec())]
#[case::row_22_byte_order_mark(format!("\u{feff}{}", triggered("e")).into())]
#[case::row_23_deep(format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)).into())]
#[case::row_24_action_twice(triggered("e").to_string().replacen('{', r#"{"action":"x","#, 1).into())]
#[case::row_25_huge_number(triggered("e").to_string().replacen('{', r#"{"x":1e400,"#, 1).into())]
#[case::row_26_lone_surrogate(triggered("e").to_string().replace("KeyError", "\\ud800").into())]
#[case::row_27_null("null".into())]
#[case::row_27_list("[]".into())]
#[case::row_27_empty_object("{}".into())]
#[case::data_of_another_type(r#"{"action":"triggered","data":7}"#.into())]
#[tokio::test(flavor = "multi_thread")]
async fn not_understood(#[case] body: Vec<u8>) {
    let world = world().await;
    let alert = Alert::of(body);
    let (status, answer) = alert.post(&world).await;
    assert_eq!((status, answer["status"].as_str()), (400, Some("error")), "{answer}");
    assert!(!answer.to_string().contains("KeyError"), "{answer}");
    assert!(alert.kept(&world).await.is_none());
    takes_good_ones(&world).await;
}

#[rstest]
#[case::row_40_long_ago(|alert: Alert| alert.timed("0"), Some("0"))]
#[case::row_40_far_off(|alert: Alert| alert.timed("4102444800"), Some("4102444800"))]
#[case::row_40_no_time(|alert: Alert| alert.timed("abc"), None)]
#[case::row_40_two(|alert: Alert| alert.with("sentry-hook-timestamp", "7"), None)]
#[case::row_40_endless(|alert: Alert| alert.timed(&"9".repeat(5000)), None)]
#[case::row_40_absent(|alert: Alert| alert.without("sentry-hook-timestamp"), None)]
#[tokio::test(flavor = "multi_thread")]
async fn row_40_the_unsigned_time_is_recorded_at_most(
    #[case] change: fn(Alert) -> Alert,
    #[case] recorded: Option<&str>,
) {
    let world = world().await;
    let alert = change(Alert::good());
    assert_eq!(alert.post(&world).await.0, 202);
    let kept = alert.kept(&world).await.unwrap();
    assert_eq!(kept.headers.get(header::SENTRY_TIMESTAMP), recorded);
}

/// Rows 42 to 45: what to make of it is for the service that takes it.
#[rstest]
#[case::row_42_no_event(|event: &mut Value| *event = json!([event["event_id"]]))]
#[case::row_42_no_exception(|event: &mut Value| { event.as_object_mut().unwrap().remove("exception"); })]
#[case::row_42_nothing_but_an_id(|event: &mut Value| *event = json!({"event_id": event["event_id"]}))]
#[case::row_44_level_number(|event: &mut Value| event["level"] = 7.into())]
#[case::row_45_odd_title(|event: &mut Value| event["title"] = "a\n`b` @org/team ![x](http://e) \u{202e}<!-- -->".into())]
#[case::issue_id_list(|event: &mut Value| event["issue_id"] = json!(["x"]))]
#[tokio::test(flavor = "multi_thread")]
async fn odd_and_good(#[case] change: fn(&mut Value)) {
    let world = world().await;
    let mut body = triggered(&uuid::Uuid::new_v4().simple().to_string());
    change(&mut body["data"]["event"]);
    let alert = Alert::of(body.to_string());
    let (status, answer) = alert.post(&world).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(alert.kept(&world).await.unwrap().payload, alert.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_43_ten_thousand_frames_and_a_megabyte_of_text_are_taken() {
    let world = world().await;
    let mut body = triggered(&uuid::Uuid::new_v4().simple().to_string());
    let event = &mut body["data"]["event"];
    let frame = json!({"filename": "app/a.py", "function": "f", "lineno": 3, "in_app": true});
    event["exception"]["values"][0]["stacktrace"]["frames"] = vec![frame; 10_000].into();
    event["exception"]["values"][0]["value"] = "x".repeat(1 << 20).into();
    event["breadcrumbs"] =
        json!({"values": vec![json!({"category": "q", "message": "m"}); 50_000]});
    let alert = Alert::of(body.to_string());
    assert!(alert.body.len() > 3 << 20);
    let (status, answer) = alert.post(&world).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(alert.kept(&world).await.unwrap().payload, alert.body);
    takes_good_ones(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_32_the_same_body_is_the_same_delivery_whatever_its_request_id() {
    let world = world().await;
    let alert = Alert::good();
    let posts = (0..64).map(|n| {
        let (alert, world) = (alert.clone().without("request-id"), &world);
        async move { alert.with("request-id", &format!("try-{n}")).post(world).await }
    });
    let answers = futures_util::future::join_all(posts).await;
    let accepted = answers.iter().filter(|(status, _)| *status == 202).count();
    let known = answers.iter().filter(|(_, a)| a["status"] == "already_processed").count();
    assert_eq!((accepted, known), (1, 63));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_an_alert_is_on_disk_before_it_is_answered() {
    let dir = TempDir::new().unwrap();
    let with_sentry = || {
        let mut settings = settings(&dir);
        settings.sentry_secrets = vec![SECRET.into()];
        settings
    };
    let mut away = World::serve(with_sentry(), connect(NO_BROKER).await).await;
    let (alert, delivery) = (Alert::good(), Delivery::good());
    let began = Instant::now();
    assert_eq!(alert.post(&away).await.0, 202);
    assert!(began.elapsed() < ANSWER_LIMIT);
    assert_eq!(away.deliver(&delivery).await.0, 202);
    let file = fs::read_to_string(dir.path().join("spool/0000000001.jsonl")).unwrap();
    assert!(file.lines().next().unwrap().contains(&alert.subject()));
    away.stop().await;

    let broker = own_broker(&dir).await;
    let back = World::serve(with_sentry(), connect(&broker.url()).await).await.ready().await;
    eventually("both are in the inbox", || async { all_in_inbox(&back.bus).await.len() == 2 })
        .await;
    assert_eq!(all_in_inbox(&back.bus).await, [alert.subject(), delivery.inbox_subject()]);
    assert_eq!(alert.kept(&back).await.unwrap().payload, alert.body);
    assert_eq!(alert.post(&back).await.1["status"], "already_processed");
}
