//! What is retryable, final, unknown or a wait.

use std::{sync::atomic::Ordering, time::Duration};

use booty_github::{Endpoint, Error, Kind};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use crate::server::{Rude, Scripted, TOKEN, answer, answer_with, client, rude};

fn at() -> Endpoint {
    Endpoint::new(["thing"])
}

#[rstest]
#[case::not_found(answer(404, "{}"), Kind::FailFast, "not_found")]
#[case::gone(answer(410, "{}"), Kind::FailFast, "gone")]
#[case::bad_token(answer(401, r#"{"message":"Bad credentials"}"#), Kind::FailFast, "unauthorized")]
#[case::forbidden(answer(403, r#"{"message":"no"}"#), Kind::FailFast, "forbidden")]
#[case::refused(
    answer(422, r#"{"message":"Validation Failed","errors":["x"]}"#),
    Kind::FailFast,
    "refused"
)]
#[case::conflict(answer(409, "{}"), Kind::FailFast, "refused")]
#[case::internal(answer(500, "oops"), Kind::Retryable, "server_error")]
#[case::unavailable(answer(503, ""), Kind::Retryable, "server_error")]
#[case::gateway(answer(502, "<html>"), Kind::Unknown, "server_error")]
#[case::gateway_time(answer(504, ""), Kind::Unknown, "server_error")]
#[case::teapot(answer(418, ""), Kind::FailFast, "unexpected")]
#[case::not_json(answer(201, "<html>"), Kind::Unknown, "odd_answer")]
#[case::secondary(
    answer_with(403, &[("retry-after", "7")], r#"{"message":"You have exceeded a secondary rate limit"}"#),
    Kind::Wait(Duration::from_secs(7)), "rate_limited")]
#[case::archived(
    answer(403, r#"{"message":"Repository was archived so is read-only."}"#),
    Kind::FailFast,
    "archived"
)]
#[case::locked(
    answer(403, r#"{"message":"Unable to create comment because issue is locked."}"#),
    Kind::FailFast,
    "locked"
)]
#[case::unnamed(
    answer(403, r#"{"message":"You have exceeded a secondary rate limit"}"#),
    Kind::Wait(Duration::from_secs(60)),
    "rate_limited"
)]
#[case::too_many(answer_with(429, &[("retry-after", "9")], ""), Kind::Wait(Duration::from_secs(9)), "rate_limited")]
#[tokio::test]
async fn a_post_is_sent_once_and_its_end_is_sorted(
    #[case] reply: crate::server::Answer,
    #[case] kind: Kind,
    #[case] word: &str,
) {
    let server = Scripted::start(vec![reply]).await;
    let error = client(&server.url).post::<Value>(at(), &json!({"a": 1})).await.unwrap_err();
    assert_eq!(error.kind(), kind);
    let word = if word == "unexpected" { "odd_answer" } else { word };
    assert_eq!(error.word(), word);
    assert_eq!(server.seen().len(), 1);
    assert!(!format!("{error} {error:?}").contains(TOKEN));
}

#[rstest]
#[case::hang_up(Rude::HangUp)]
#[case::stall(Rude::Stall)]
#[case::cut_body(Rude::CutBody)]
#[tokio::test]
async fn a_lost_answer_is_unknown_for_a_post_and_tried_again_for_a_read(#[case] how: Rude) {
    let (url, requests) = rude(how).await;
    let error = client(&url).post::<Value>(at(), &json!({})).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unknown, "{error:?}");
    assert_eq!(requests.load(Ordering::SeqCst), 1, "a POST is sent once");

    let error = client(&url).put::<Value>(at(), &json!({})).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retryable, "setting a whole twice is setting it once");
    assert_eq!(requests.load(Ordering::SeqCst), 2);

    let error = client(&url).get::<Value>(at()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retryable);
    assert_eq!(requests.load(Ordering::SeqCst), 5, "one read and two more tries");
}

#[tokio::test]
async fn no_connection_means_that_nothing_was_done() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", free.local_addr().unwrap())).unwrap();
    drop(free);
    let error = client(&url).post::<Value>(at(), &json!({})).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retryable);
    assert!(matches!(error, Error::Network { sent: false, .. }), "{error:?}");
}

#[tokio::test]
async fn nothing_is_sent_before_the_time_that_github_names() {
    let limited =
        answer_with(403, &[("retry-after", "3600")], r#"{"message":"secondary rate limit"}"#);
    let server = Scripted::start(vec![limited, answer(200, "{}")]).await;
    let client = client(&server.url);
    assert!(client.post::<Value>(at(), &json!({})).await.is_err());
    for _ in 0..3 {
        let error = client.get::<Value>(at()).await.unwrap_err();
        assert!(matches!(error.kind(), Kind::Wait(wait) if wait > Duration::from_secs(3500)));
    }
    assert_eq!(server.seen().len(), 1);
    assert!(client.closed_for().is_some());
}

#[tokio::test]
async fn the_last_request_of_a_window_is_the_last() {
    let date = "Thu, 01 Jan 1970 00:01:40 GMT";
    let last = answer_with(
        200,
        &[("date", date), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "4000")],
        "{}",
    );
    let server = Scripted::start(vec![last]).await;
    let client = client(&server.url);
    client.get::<Value>(at()).await.unwrap();
    let error = client.get::<Value>(at()).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Wait(wait) if wait > Duration::from_secs(3800)));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn refusals_tell_what_exists_already() {
    let listed = r#"{"message":"Validation Failed","errors":[{"resource":"Label","code":"already_exists","field":"name"}]}"#;
    let said = r#"{"message":"Reference already exists"}"#;
    let pull = r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"A pull request already exists for octo:x."}]}"#;
    let other = r#"{"message":"Validation Failed","errors":[{"resource":"Label","code":"missing_field","field":"name"}]}"#;
    let server =
        Scripted::start([listed, said, pull, other].map(|b| answer(422, b)).to_vec()).await;
    let client = client(&server.url);
    for exists in [true, true, true, false] {
        let error = client.post::<Value>(at(), &json!({})).await.unwrap_err();
        assert_eq!(error.is_already_exists(), exists, "{error}");
    }
}
