//! What goes right.

use booty_events::RepoName;
use booty_github::{Endpoint, Error, Scope, payload};
use serde_json::{Value, json};

use crate::server::{Scripted, TOKEN, answer, answer_with, client};

fn repo() -> RepoName {
    "octo/hello".parse().unwrap()
}

#[tokio::test]
async fn reads_say_who_they_are_and_survive_two_failures() {
    let issue = r#"{"number":7,"title":"t","labels":[{"name":"bug"}],"user":null,"more":1}"#;
    let server = Scripted::start(vec![answer(500, ""), answer(503, ""), answer(200, issue)]).await;
    let issue = client(&server.url).get_issue(&repo(), 7).await.unwrap().unwrap();
    assert_eq!((issue.number, issue.labels[0].name.as_str()), (7, "bug"));
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[2].path, "/repos/octo/hello/issues/7");
    assert_eq!(seen[2].headers["authorization"], format!("Bearer {TOKEN}"));
    assert!(seen[2].headers["user-agent"].to_str().unwrap().starts_with("booty/"));
}

#[tokio::test]
async fn what_is_gone_is_none() {
    let server = Scripted::start(vec![answer(404, "{}"), answer(410, "{}")]).await;
    let client = client(&server.url);
    assert!(client.get_issue(&repo(), 7).await.unwrap().is_none());
    assert!(client.get_repository(&repo()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_unchanged_answer_comes_from_the_cache_and_each_scope_has_its_own() {
    let first = answer_with(200, &[("etag", "\"a\"")], r#"{"login":"booty","id":1}"#);
    let server = Scripted::start(vec![first.clone(), answer(304, ""), first]).await;
    let client = client(&server.url);
    assert_eq!(client.current_user().await.unwrap().login, "booty");
    assert_eq!(client.current_user().await.unwrap().login, "booty");
    let other = client.scoped(Scope { installation: Some(9), repository: None });
    assert_eq!(other.current_user().await.unwrap().login, "booty");
    let seen = server.seen();
    assert!(!seen[0].headers.contains_key("if-none-match"));
    assert_eq!(seen[1].headers["if-none-match"], "\"a\"");
    assert!(!seen[2].headers.contains_key("if-none-match"));
}

#[tokio::test]
async fn listings_are_followed_to_their_end() {
    let more =
        answer_with(200, &[("link", "<http://x/?page=2>; rel=\"next\"")], r#"[{"name":"a"}]"#);
    let server = Scripted::start(vec![more, answer(200, r#"[{"name":"b"}]"#)]).await;
    let labels = client(&server.url).list_labels_of_issue(&repo(), 7).await.unwrap();
    assert_eq!(labels.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(server.seen()[1].path.ends_with("per_page=100&page=2"));
}

#[tokio::test]
async fn a_renamed_repository_is_followed_with_the_same_method_and_body() {
    let moved = answer_with(307, &[("location", "/repositories/1/issues")], "");
    let server = Scripted::start(vec![moved, answer(201, r#"{"number":3}"#)]).await;
    let at = Endpoint::repo(&repo()).at("issues");
    let made = client(&server.url).post::<Value>(at, &json!({"title": "t"})).await.unwrap();
    assert_eq!((made.status, &made.body["number"]), (201, &json!(3)));
    let seen = server.seen();
    assert_eq!(
        (seen[1].method.as_str(), seen[1].path.as_str()),
        ("POST", "/repositories/1/issues")
    );
    assert_eq!(seen[0].body, seen[1].body);
}

#[tokio::test]
async fn the_token_is_not_carried_to_another_host() {
    let elsewhere = Scripted::start(vec![answer(200, "{}")]).await;
    let moved = answer_with(302, &[("location", elsewhere.url.as_str())], "");
    let server = Scripted::start(vec![moved]).await;
    let error = client(&server.url).current_user().await.unwrap_err();
    assert!(matches!(error, Error::Unexpected { status: 302, .. }), "{error:?}");
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn endless_redirects_end() {
    let server = Scripted::start(vec![answer_with(301, &[("location", "/again")], "")]).await;
    assert!(client(&server.url).current_user().await.is_err());
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn nothing_to_read_is_fine_where_nothing_is_expected() {
    let server = Scripted::start(vec![answer(204, "")]).await;
    let client = client(&server.url);
    client.delete(Endpoint::repo(&repo()).at("labels").at("a b")).await.unwrap();
    assert_eq!(server.seen()[0].path, "/repos/octo/hello/labels/a%20b");
}

/// A body of GitHub's with everything in it that is usually there.
#[test]
fn a_real_looking_body_is_read() {
    let body = json!({
        "action": "labeled",
        "issue": {
            "number": 7, "title": "t", "body": null, "state": "open",
            "updated_at": "2026-01-01T00:00:00Z", "user": {"login": "a", "id": 1, "type": "User"},
            "labels": [{"name": "agent:builder", "color": "0366d6"}], "reactions": {"+1": 0}
        },
        "label": {"name": "agent:builder"},
        "repository": {"id": 1, "full_name": "octo/hello", "default_branch": "main",
            "clone_url": "https://github.com/octo/hello.git", "private": false,
            "owner": {"login": "octo"}},
        "sender": {"login": "a", "id": 1, "type": "User"},
        "installation": {"id": 9, "node_id": "x"}
    })
    .to_string();
    let envelope = payload::Envelope::parse(body.as_bytes()).unwrap();
    assert!(payload::shape_matches("issues", &envelope));
    assert_eq!(envelope.repository_name(), Some("octo/hello"));
    assert_eq!(envelope.sender_login(), Some("a"));
    assert_eq!(envelope.installation.value().unwrap().id, 9);
}

#[tokio::test]
async fn check_runs_are_listed_to_their_end() {
    let run = |id| json!({ "total_count": 2, "check_runs": [{ "id": id, "name": "a b" }] });
    let next = [("link", "<http://x/?page=2>; rel=\"next\"")];
    let first = answer_with(200, &next, &run(1).to_string());
    let server = Scripted::start(vec![first, answer(200, &run(2).to_string())]).await;
    let runs = client(&server.url).list_check_runs(&repo(), "c0ffee", "a b").await.unwrap();
    assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(
        server.seen()[1].path,
        "/repos/octo/hello/commits/c0ffee/check-runs?check_name=a+b&filter=all&per_page=100&page=2"
    );
}
