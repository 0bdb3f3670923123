//! The GraphQL API: errors come with status 200.

use std::time::Duration;

use booty_github::Kind;
use rstest::rstest;
use serde_json::{Value, json};

use crate::server::{Scripted, answer, answer_with, client};

#[tokio::test]
async fn a_question_goes_out_with_its_variables() {
    let server = Scripted::start(vec![answer(200, r#"{"data":{"node":{"id":"PR_1"}}}"#)]).await;
    let query = "query($id: ID!) { node(id: $id) { id } }";
    let variables = json!({ "id": "PR_1" });
    let said = client(&server.url).graphql::<Value>(query, &variables).await.unwrap();
    assert_eq!(said.body["node"]["id"], "PR_1");
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/graphql"));
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body, json!({ "query": query, "variables": variables }));
}

#[rstest]
#[case::gone("NOT_FOUND", "not_found")]
#[case::forbidden("FORBIDDEN", "forbidden")]
#[case::scopes("INSUFFICIENT_SCOPES", "forbidden")]
#[case::broken("INTERNAL", "server_error")]
#[case::refused("UNPROCESSABLE", "refused")]
#[tokio::test]
async fn errors_are_sorted(#[case] kind: &str, #[case] word: &str) {
    let body = json!({ "data": { "x": null }, "errors": [{ "type": kind, "message": "no" }] });
    let server = Scripted::start(vec![answer(200, &body.to_string())]).await;
    let error = client(&server.url).graphql::<Value>("{ x }", &json!({})).await.unwrap_err();
    assert_eq!(error.word(), word, "{error}");
}

#[tokio::test]
async fn a_limit_is_waited_for() {
    let body = r#"{"errors":[{"type":"RATE_LIMITED","message":"slow"}]}"#;
    let server = Scripted::start(vec![answer_with(200, &[("retry-after", "30")], body)]).await;
    let error = client(&server.url).graphql::<Value>("{ x }", &json!({})).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Wait(Duration::from_secs(30)));
}
