//! What GitHub refuses, with its status and its words.

use booty_sim::Permission;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::house::{House, REPO};

/// The writer's request, the status, and a part of the answer.
#[rstest]
#[case::no_title("POST", "/issues", json!({"body": "x"}), 422, "wasn't supplied")]
#[case::blank_title("POST", "/issues", json!({"title": " "}), 422, "missing_field")]
#[case::long_title("POST", "/issues", json!({"title": "t".repeat(257)}), 422, "title is too long (maximum is 256 characters)")]
#[case::long_body("POST", "/issues", json!({"title": "t", "body": "b".repeat(65_537)}), 422, "body is too long (maximum is 65536 characters)")]
#[case::body_is_no_text("POST", "/issues", json!({"title": "t", "body": 1}), 422, "is not a string")]
#[case::long_comment("POST", "/issues/1/comments", json!({"body": "b".repeat(65_537)}), 422, "body is too long")]
#[case::blank_comment("POST", "/issues/1/comments", json!({"body": ""}), 422, "Body cannot be blank")]
#[case::comment_on_nothing("POST", "/issues/99/comments", json!({"body": "x"}), 404, "Not Found")]
#[case::issue_is_no_number("GET", "/issues/one", Value::Null, 404, "Not Found")]
#[case::no_such_route("GET", "/issues/1/nothing", Value::Null, 404, "Not Found")]
#[case::no_such_label("GET", "/labels/none", Value::Null, 404, "Not Found")]
#[case::label_not_on_issue(
    "DELETE",
    "/issues/1/labels/none",
    Value::Null,
    404,
    "Label does not exist"
)]
#[case::label_exists("POST", "/labels", json!({"name": "BUG", "color": "ff0000"}), 422, "already_exists")]
#[case::label_color("POST", "/labels", json!({"name": "x", "color": "#ff000"}), 422, "invalid")]
#[case::label_name("POST", "/issues/1/labels", json!({"labels": ["l".repeat(51)]}), 422, "name is too long")]
#[case::tree_empty("POST", "/git/trees", json!({"tree": []}), 422, "Invalid tree info")]
#[case::tree_base("POST", "/git/trees", json!({"base_tree": "0".repeat(40), "tree": [{"path": "a", "mode": "100644", "content": "x"}]}), 422, "base_tree is not a valid tree oid")]
#[case::tree_slash("POST", "/git/trees", json!({"tree": [{"path": "/a", "mode": "100644", "content": "x"}]}), 422, "tree.path cannot start with a slash")]
#[case::tree_dots("POST", "/git/trees", json!({"tree": [{"path": "a/../b", "mode": "100644", "content": "x"}]}), 422, "tree.path contains a malformed path component")]
#[case::tree_git("POST", "/git/trees", json!({"tree": [{"path": ".Git/config", "mode": "100644", "content": "x"}]}), 422, "tree.path contains a malformed path component")]
#[case::tree_no_path("POST", "/git/trees", json!({"tree": [{"path": "", "mode": "100644", "content": "x"}]}), 422, "tree.path contains a malformed path component")]
#[case::tree_mode("POST", "/git/trees", json!({"tree": [{"path": "a", "mode": "100664", "content": "x"}]}), 422, "Must supply a valid tree.mode")]
#[case::tree_sha("POST", "/git/trees", json!({"tree": [{"path": "a", "mode": "100644", "type": "blob", "sha": "1".repeat(40)}]}), 422, "is not a valid blob")]
#[case::tree_both("POST", "/git/trees", json!({"tree": [{"path": "a", "mode": "100644", "sha": null, "content": "x"}]}), 422, "Must supply either tree.sha or tree.content")]
#[case::tree_folder_content("POST", "/git/trees", json!({"tree": [{"path": "a", "mode": "040000", "content": "x"}]}), 422, "A subdirectory may not have content")]
#[case::tree_delete_missing("POST", "/git/trees", json!({"base_tree": "HEAD", "tree": [{"path": "none", "mode": "100644", "sha": null}]}), 422, "GitRPC::BadObjectState")]
#[case::blob_base64("POST", "/git/blobs", json!({"content": "***", "encoding": "base64"}), 422, "not valid Base64")]
#[case::commit_tree("POST", "/git/commits", json!({"message": "m", "tree": "1".repeat(40)}), 422, "Tree SHA does not exist")]
#[case::commit_parent("POST", "/git/commits", json!({"message": "m", "tree": "TREE", "parents": ["1".repeat(40)]}), 422, "Parent SHA does not exist or is not a commit object")]
#[case::commit_message("POST", "/git/commits", json!({"tree": "TREE"}), 422, "\\\"message\\\" wasn't supplied")]
#[case::ref_exists("POST", "/git/refs", json!({"ref": "refs/heads/main", "sha": "HEAD"}), 422, "Reference already exists")]
#[case::ref_short("POST", "/git/refs", json!({"ref": "main", "sha": "HEAD"}), 422, "Reference name")]
#[case::ref_unknown("POST", "/git/refs", json!({"ref": "refs/heads/x", "sha": "1".repeat(40)}), 422, "Object does not exist")]
#[case::ref_below_a_branch("POST", "/git/refs", json!({"ref": "refs/heads/main/x", "sha": "HEAD"}), 422, "Reference update failed")]
#[case::ref_bad_name("POST", "/git/refs", json!({"ref": "refs/heads/a..b", "sha": "HEAD"}), 422, "Reference update failed")]
#[case::ref_missing("PATCH", "/git/refs/heads/none", json!({"sha": "HEAD"}), 422, "Reference does not exist")]
#[case::ref_not_forward("PATCH", "/git/refs/heads/ahead", json!({"sha": "HEAD"}), 422, "Update is not a fast forward")]
#[case::ref_protected("PATCH", "/git/refs/heads/main", json!({"sha": "AHEAD"}), 422, "Cannot update this protected ref.")]
#[case::ref_delete_missing(
    "DELETE",
    "/git/refs/heads/none",
    Value::Null,
    422,
    "Reference does not exist"
)]
#[case::pull_same("POST", "/pulls", json!({"title": "t", "head": "same", "base": "main"}), 422, "No commits between main and same")]
#[case::pull_exists("POST", "/pulls", json!({"title": "t", "head": "acme:ahead", "base": "main"}), 422, "A pull request already exists for acme:ahead.")]
#[case::pull_head("POST", "/pulls", json!({"title": "t", "head": "none", "base": "main"}), 422, "\"field\":\"head\"")]
#[case::pull_base("POST", "/pulls", json!({"title": "t", "head": "ahead", "base": "none"}), 422, "\"field\":\"base\"")]
#[case::pull_body("POST", "/pulls", json!({"title": "t", "head": "ahead", "base": "main", "body": "b".repeat(65_537)}), 422, "body is too long")]
#[case::pull_of_issue("GET", "/pulls/1", Value::Null, 404, "Not Found")]
#[case::hooks_of_others("GET", "/hooks", Value::Null, 404, "Not Found")]
#[tokio::test]
async fn refused(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: Value,
    #[case] status: u16,
    #[case] words: &str,
) {
    let house = House::new().await;
    house.sim.open_issue(REPO, "acme", "One", "").unwrap();
    house.post("/labels", json!({"name": "bug", "color": "d73a4a"})).await;
    let ahead = house.branch("ahead", "a.txt", "a").await;
    house.sim.open_pull(REPO, "robot", "Ahead", "", "ahead", "main").unwrap();
    house.sim.set_protected(REPO, "main", true).unwrap();
    let main = house.get("/git/ref/heads/main").await["object"]["sha"].clone();
    house.post("/git/refs", json!({"ref": "refs/heads/same", "sha": main})).await;
    let commit = house.get(&format!("/git/commits/{}", main.as_str().unwrap())).await;
    let body = body
        .to_string()
        .replace("AHEAD", &ahead)
        .replace("\"HEAD\"", &main.to_string())
        .replace("\"TREE\"", &commit["tree"]["sha"].to_string());
    let body: Value = serde_json::from_str(&body).unwrap();
    let before = house.sim.snapshot().unwrap();

    let body = (!body.is_null()).then_some(body);
    let answer = house.send(method.parse().unwrap(), path, body).await;

    assert_eq!(answer.status(), status);
    assert!(answer.headers().contains_key("x-github-request-id"));
    assert!(answer.headers().contains_key("x-ratelimit-remaining"));
    let text = answer.text().await.unwrap();
    assert!(text.contains(words), "{text}");
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["status"], status.to_string());
    assert!(json["documentation_url"].as_str().unwrap().starts_with("https://docs.github.com/"));
    let after = house.sim.snapshot().unwrap();
    assert_eq!(before.writes, after.writes, "a refusal changes nothing");
    assert_eq!(
        before.repo(REPO).unwrap().refs,
        after.repo(REPO).unwrap().refs,
        "a refusal moves nothing"
    );
}

/// Who may do what: token, method, path, status, words.
#[rstest]
#[case::unknown("nonsense", "GET", "", 401, "Bad credentials")]
#[case::reader_comments(
    "reader",
    "POST",
    "/issues/1/comments",
    403,
    "Resource not accessible by personal access token"
)]
#[case::reader_labels(
    "reader",
    "POST",
    "/issues/1/labels",
    403,
    "Resource not accessible by personal access token"
)]
#[case::reader_trees(
    "reader",
    "POST",
    "/git/trees",
    403,
    "Resource not accessible by personal access token"
)]
#[case::stranger_labels(
    "stranger",
    "POST",
    "/issues/1/labels",
    403,
    "Resource not accessible by personal access token"
)]
#[case::stranger_permission(
    "stranger",
    "GET",
    "/collaborators/robot/permission",
    403,
    "Must have push access"
)]
#[case::stranger_closes(
    "stranger",
    "PATCH",
    "/issues/1",
    403,
    "Resource not accessible by personal access token"
)]
#[case::nobody_known("writer", "GET", "/collaborators/nobody/permission", 404, "Not Found")]
#[tokio::test]
async fn not_allowed(
    #[case] who: &str,
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
    #[case] words: &str,
) {
    let house = House::new().await;
    house.sim.open_issue(REPO, "acme", "One", "").unwrap();
    let token = match who {
        "reader" => &house.reader,
        "writer" => &house.writer,
        "stranger" => &house.stranger,
        other => other,
    };
    let body = (method != "GET").then(|| json!({"body": "x", "labels": ["x"]}));
    let answer = house.send_as(token, method.parse().unwrap(), path, body).await.unwrap();
    assert_eq!(answer.status(), status);
    let text = answer.text().await.unwrap();
    assert!(text.contains(words), "{text}");
}

#[tokio::test]
async fn a_private_repository_is_not_there_for_strangers() {
    let house = House::new().await;
    let public = house.send_as(&house.stranger, Method::GET, "", None).await.unwrap();
    assert_eq!(public.status(), 200);
    house.sim.set_private(REPO, true).unwrap();
    for path in ["", "/issues", "/git/ref/heads/main"] {
        let hidden = house.send_as(&house.stranger, Method::GET, path, None).await.unwrap();
        assert_eq!(hidden.status(), 404, "{path}");
    }
    let write = Some(json!({"title": "x"}));
    let hidden = house.send_as(&house.stranger, Method::POST, "/issues", write).await.unwrap();
    assert_eq!(hidden.status(), 404, "not even a 403");
    house.sim.set_permission(REPO, "stranger", Permission::Read).unwrap();
    let seen = house.send_as(&house.stranger, Method::GET, "/issues", None).await.unwrap();
    assert_eq!(seen.status(), 200);
}

#[tokio::test]
async fn requests_that_are_no_requests() {
    let house = House::new().await;
    let url = format!("{}/repos/{REPO}/issues", house.sim.api_url());
    let nameless = reqwest::Client::new();
    let answer = nameless.get(&url).bearer_auth(&house.writer).send().await.unwrap();
    assert_eq!(answer.status(), 403, "no User-Agent");
    let anonymous = house.http.get(&url).send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
    for (body, words) in [("{", "Problems parsing JSON"), ("1", "Body should be a JSON object")] {
        let answer =
            house.http.post(&url).bearer_auth(&house.writer).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 400);
        assert!(answer.text().await.unwrap().contains(words));
    }
}

#[tokio::test]
async fn locked_conversations_and_missing_drafts() {
    let house = House::new().await;
    let number = house.sim.open_issue(REPO, "acme", "One", "").unwrap();
    house.sim.set_locked(REPO, number, "acme", true).unwrap();
    let path = format!("/issues/{number}/comments");
    let body = || Some(json!({"body": "x"}));
    let answer = house.send_as(&house.stranger, Method::POST, &path, body()).await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("issue is locked"));
    let answer = house.send_as(&house.writer, Method::POST, &path, body()).await.unwrap();
    assert_eq!(answer.status(), 201, "who may push may also speak");

    house.branch("ahead", "a.txt", "a").await;
    house.sim.set_drafts(REPO, false).unwrap();
    let pull = json!({"title": "t", "head": "ahead", "base": "main", "draft": true});
    let answer = house.send(Method::POST, "/pulls", Some(pull)).await;
    assert_eq!(answer.status(), 422);
    let text = answer.text().await.unwrap();
    assert!(text.contains("Draft pull requests are not supported in this repository."), "{text}");
}

#[tokio::test]
async fn labels_of_those_who_may_not_set_them_are_dropped() {
    let house = House::new().await;
    let body = json!({"title": "x", "labels": ["agent:builder"]});
    let answer =
        house.send_as(&house.stranger, Method::POST, "/issues", Some(body.clone())).await.unwrap();
    assert_eq!(answer.status(), 201);
    let issue: Value = answer.json().await.unwrap();
    assert_eq!(issue["labels"], json!([]));
    let issue = house.post("/issues", body).await;
    assert_eq!(issue["labels"][0]["name"], "agent:builder", "made without a word");
}
