//! Bad inputs in what is signed: rows 21 to 39.

use booty_events::{Message as _, v1::Event};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    delivery::{Delivery, labelled},
    world::World,
};

fn changed(pointer: &str, value: Value) -> Vec<u8> {
    let mut body = labelled(7);
    *body.pointer_mut(pointer).unwrap() = value;
    body.to_string().into_bytes()
}

fn replaced(from: &str, to: &str) -> Vec<u8> {
    let body = labelled(7).to_string();
    assert!(body.contains(from), "{from} in {body}");
    body.replacen(from, to, 1).into_bytes()
}

fn deep(depth: usize) -> Vec<u8> {
    replaced(
        "\"action\"",
        &format!("\"deep\":{}{},\"action\"", "[".repeat(depth), "]".repeat(depth)),
    )
}

/// What is signed and can't be understood: 400, JSON, and not a word of the body in it.
#[rstest]
#[case::row_21_not_utf8([b"{\"sEcReT\":\"\xff\xfe\"}".as_slice()].concat())]
#[case::row_22_bom([b"\xef\xbb\xbf".as_slice(), labelled(7).to_string().as_bytes()].concat())]
#[case::row_23_depth_129(deep(129))]
#[case::row_23_depth_100_000(deep(100_000))]
#[case::row_24_action_twice(replaced("\"action\"", "\"action\":\"opened\",\"action\""))]
#[case::row_25_number_1e400(replaced("\"number\":7", "\"number\":1e400"))]
#[case::row_25_number_minus_zero(replaced("\"number\":7", "\"number\":-0"))]
#[case::row_25_number_2_64(replaced("\"number\":7", "\"number\":18446744073709551616"))]
#[case::row_25_huge_where_nobody_reads(replaced("\"action\"", "\"x\":1e400,\"action\""))]
#[case::row_26_lone_surrogate(replaced("See the log.", "\\ud800"))]
#[case::row_27_null(b"null".to_vec())]
#[case::row_27_list(b"[]".to_vec())]
#[case::row_27_text(b"\"x\"".to_vec())]
#[case::row_27_empty_object(b"{}".to_vec())]
#[case::row_30_pull_request_body(replaced("\"issue\"", "\"pull_request\""))]
#[case::cut_off(labelled(7).to_string().into_bytes()[..100].to_vec())]
#[case::not_json(b"sEcReT".to_vec())]
#[case::unpaired(b"{\"sEcReT\":sEcReT}".to_vec())]
#[tokio::test(flavor = "multi_thread")]
async fn not_understood(#[case] body: Vec<u8>) {
    let world = World::start().await.ready().await;
    let delivery = Delivery::good().body(body);
    let (status, answer) = world.deliver(&delivery).await;
    assert_eq!((status, answer["status"].as_str()), (400, Some("error")), "{answer}");
    assert!(!answer.to_string().contains("sEcReT"), "{answer}");
    assert!(world.inbox(&delivery).await.is_none());
    world.takes_good_ones().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_json_is_named_by_line_and_column() {
    let world = World::start().await.ready().await;
    let (_, answer) = world.deliver(&Delivery::good().body("{\n \"a\" 1}")).await;
    assert_eq!(answer["reason"], "not_json");
    assert!(answer["message"].as_str().unwrap().contains("line 2 column 6"), "{answer}");
}

/// What is understood and not wanted: 200, the reason, and a durable fact.
#[rstest]
#[case::row_28_issue_null(Delivery::good().body(changed("/issue", Value::Null)), "no_issue")]
#[case::row_28_label_null(Delivery::good().body(changed("/label", Value::Null)), "no_label")]
#[case::row_28_user_null(Delivery::good().body(changed("/issue/user", Value::Null)), "no_user")]
#[case::row_28_sender_null(Delivery::good().body(changed("/sender", Value::Null)), "no_user")]
#[case::row_29_unknown_event(Delivery::good().event("quantum_leap").body("{}"), "event")]
#[case::row_29_unknown_action(Delivery::good().body(changed("/action", json!("beamed"))), "event")]
#[case::row_29_event_of_another_world(Delivery::good().event("a.*.>").body("{}"), "event")]
#[case::other_label(Delivery::good().body(changed("/label/name", json!("bug"))), "label")]
#[case::row_35_wildcard_repository(Delivery::good().body(changed("/repository/full_name", json!("octo/gh.>"))), "repository")]
#[case::row_35_no_slash(Delivery::good().body(changed("/repository/full_name", json!("octo"))), "repository")]
#[case::row_38_stranger(Delivery::good().body(changed("/repository/full_name", json!("evil/hello"))), "repository")]
#[tokio::test(flavor = "multi_thread")]
async fn not_wanted(#[case] delivery: Delivery, #[case] reason: &str) {
    let world = World::start().await.ready().await;
    let (status, answer) = world.deliver(&delivery).await;
    assert_eq!((status, &answer), (200, &json!({"status": "ignored", "reason": reason})));
    let fact = world.ignored(&delivery).await.expect("the reason is on record");
    let fact = Event::decode(fact.payload).unwrap();
    assert_eq!((fact.reason.as_str(), &fact.delivery_id), (reason, &delivery.id));
    assert_eq!((fact.service.as_str(), fact.name.as_str()), ("ingress", "ignored"));
    assert!(world.inbox(&delivery).await.is_none());
    let (_, metrics) = world.admin("/metrics").await;
    assert!(metrics.contains(&format!(
        "booty_ingress_ignored_total{{reason=\"{reason}\",source=\"github\"}} 1"
    )));
    world.takes_good_ones().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_38_an_installation_that_is_not_on_the_list() {
    let world = World::with(|settings| {
        settings.allowed =
            booty_ingress::AllowList::new(&["octo/*".to_owned()], Some([5].into())).unwrap();
    })
    .await
    .ready()
    .await;
    let stranger = Delivery::good().body(changed("/installation/id", json!(6)));
    assert_eq!(world.deliver(&stranger).await.1["reason"], "installation");
    world.takes_good_ones().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_allow_list_everything_is_ignored() {
    let world = World::with(|settings| {
        settings.allowed = booty_ingress::AllowList::nobody();
    })
    .await
    .ready()
    .await;
    assert_eq!(world.deliver(&Delivery::good()).await.1["reason"], "repository");
    let other_label = Delivery::good().body(changed("/label/name", json!("bug")));
    assert_eq!(world.deliver(&other_label).await.1["reason"], "label", "the label comes first");
}

#[rstest]
#[case::row_25_number_2_63(changed("/issue/number", json!(1_u64 << 63)), "9223372036854775808")]
#[case::row_35_dots(changed("/repository/full_name", json!("octo/a.b.c")), "7")]
#[case::row_35_100_characters(changed("/repository/full_name", json!(format!("octo/{}", "n".repeat(100)))), "7")]
#[case::row_35_upper_case_twin(changed("/repository/full_name", json!("OCTO/HELLO")), "7")]
#[case::escapes_are_fine(replaced("See the log.", "\\ud83e\\udd80 \\u0000 \\n"), "7")]
#[tokio::test(flavor = "multi_thread")]
async fn odd_and_good(#[case] body: Vec<u8>, #[case] issue: &str) {
    let world = World::start().await.ready().await;
    let delivery = Delivery::good().body(body);
    let (status, answer) = world.deliver(&delivery).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer["job_id"], format!("{issue}-{}", delivery.id));
    assert_eq!(world.inbox(&delivery).await.unwrap().payload, delivery.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_31_a_ping_is_answered() {
    let world = World::start().await.ready().await;
    let ping = json!({"zen": "Design for failure.", "hook_id": 1, "hook": {"type": "Repository"}});
    let delivery = Delivery::good().event("ping").json(&ping);
    assert_eq!(world.deliver(&delivery).await, (200, json!({"status": "pong"})));
    assert!(world.ignored(&delivery).await.is_none());
}

#[rstest]
#[case::missing(None)]
#[case::empty(Some(""))]
#[case::ten_kilobytes(Some("aaaaaaaaaa"))]
#[case::line_break(Some("a\r\n b"))]
#[case::star(Some("*"))]
#[case::angle(Some(">"))]
#[case::traversal(Some("../"))]
#[case::dot(Some("a.b"))]
#[case::emoji(Some("🦀"))]
#[tokio::test(flavor = "multi_thread")]
async fn row_34_delivery_ids(#[case] id: Option<&str>) {
    let world = World::start().await.ready().await;
    let line = match id {
        None => String::new(),
        Some("aaaaaaaaaa") => format!("x-github-delivery: {}\r\n", "a".repeat(10_000)),
        Some(id) => format!("x-github-delivery: {id}\r\n"),
    };
    let delivery = Delivery::good();
    let request = String::from_utf8(delivery.http1()).unwrap();
    let request = request.replace(&format!("x-github-delivery: {}\r\n", delivery.id), &line);
    assert_eq!(world.raw(request.as_bytes()).await, 400);
    // The signature comes first: a stranger learns nothing about ids.
    let request = request.replace(&delivery.signature(), &format!("sha256={}", "0".repeat(64)));
    let expected = if id == Some("a\r\n b") { 400 } else { 403 };
    assert_eq!(world.raw(request.as_bytes()).await, expected);
    world.takes_good_ones().await;
}

/// Row 33 and row 39 are the consumer's to judge; ingress hands it what it needs for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_carries_the_exact_bytes_and_the_facts_about_them() {
    use booty_events::header;
    use sha2::Digest as _;

    let world = World::start().await.ready().await;
    // White space and key order are the sender's.
    let body = format!("  {}\n", labelled(7).to_string().replacen('{', "{ ", 1));
    let delivery = Delivery::good().body(body);
    assert_eq!(world.deliver(&delivery).await.0, 202);
    let stored = world.inbox(&delivery).await.unwrap();
    assert_eq!(stored.payload, delivery.body);
    let sha256 = hex::encode(sha2::Sha256::digest(&delivery.body));
    for (name, value) in [
        (header::CE_ID, delivery.id.as_str()),
        (header::CE_SOURCE, "https://github.com/webhooks"),
        (header::CE_TYPE, "com.github.issues.labeled"),
        (header::CE_SPECVERSION, "1.0"),
        (header::CONTENT_TYPE, "application/json"),
        (header::BODY_SHA256, sha256.as_str()),
        (header::JOB_ID, format!("7-{}", delivery.id).as_str()),
        (header::DELIVERY_ID, delivery.id.as_str()),
    ] {
        assert_eq!(stored.headers.get(name), Some(value), "{name}");
    }
    let time = stored.headers.get(header::CE_TIME).unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
}
