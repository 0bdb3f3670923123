//! Check runs and commit statuses.

use booty_sim::{NewApp, Rule, Trouble};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::apps::installed;
use crate::hooks::{delivered, with_receiver};
use crate::house::{House, REPO};

struct Bench {
    house: House,
    app: NewApp,
    token: String,
    head: String,
}

impl Bench {
    async fn new() -> Self {
        Self::on(House::new().await).await
    }

    async fn on(house: House) -> Self {
        let (app, _, token) = installed(&house).await;
        let head = house.branch("ahead", "a.txt", "a").await;
        Self { house, app, token, head }
    }

    async fn say(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = (method != Method::GET).then_some(body);
        let answer = self.house.send_as(&self.token, method, path, body).await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn made(&self, body: Value) -> Value {
        let mut whole = json!({"name": "booty/verifier", "head_sha": self.head});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let (status, body) = self.say(Method::POST, "/check-runs", whole).await;
        assert_eq!(status, 201, "{body}");
        body
    }
}

fn annotation(line: u64) -> Value {
    json!({
        "path": "a.txt", "start_line": line, "end_line": line,
        "annotation_level": "failure", "message": format!("line {line}"),
    })
}

#[tokio::test]
async fn a_run_goes_from_queued_to_its_conclusion() {
    let bench = Bench::new().await;
    let made = bench.made(json!({"external_id": "job-1"})).await;
    assert_eq!((made["status"].as_str(), &made["conclusion"]), (Some("queued"), &Value::Null));
    let path = format!("/check-runs/{}", made["id"]);
    let (_, begun) = bench.say(Method::PATCH, &path, json!({"status": "in_progress"})).await;
    assert_eq!(begun["status"], "in_progress");
    for batch in [1..51u64, 51..53] {
        let notes: Vec<Value> = batch.map(annotation).collect();
        let output = json!({"title": "t", "summary": "s", "text": "x", "annotations": notes});
        let (status, body) = bench.say(Method::PATCH, &path, json!({"output": output})).await;
        assert_eq!(status, 200, "{body}");
    }
    let (_, done) = bench.say(Method::PATCH, &path, json!({"conclusion": "failure"})).await;
    assert_eq!(
        (done["status"].as_str(), done["conclusion"].as_str()),
        (Some("completed"), Some("failure"))
    );
    assert_eq!(done["output"]["annotations_count"], 52, "later ones are added to earlier ones");
    assert_eq!(done["app"]["slug"], "booty-verifier");
    assert_eq!(done["external_id"], "job-1");
    let (_, second) =
        bench.say(Method::GET, &format!("{path}/annotations?per_page=50&page=2"), json!({})).await;
    assert_eq!(second.as_array().unwrap().len(), 2);
    assert_eq!(second[1]["message"], "line 52");
    let seen = bench.house.sim.snapshot().unwrap();
    let run = seen.repo(REPO).unwrap().check_runs("booty/verifier", &bench.head)[0].clone();
    assert_eq!((run.updates, run.created, run.annotations.len()), (4, 1, 52));
    assert_eq!((run.title.as_deref(), run.text.as_deref()), (Some("t"), Some("x")));
}

#[tokio::test]
async fn runs_are_found_by_their_commit() {
    let bench = Bench::new().await;
    let old = bench.made(json!({"conclusion": "failure"})).await;
    let new = bench.made(json!({"conclusion": "success"})).await;
    bench.made(json!({"name": "other"})).await;
    let list = async |query: &str| {
        let path = format!("/commits/ahead/check-runs{query}");
        let (status, body) = bench.say(Method::GET, &path, json!({})).await;
        assert_eq!(status, 200, "{body}");
        let ids: Vec<u64> = body["check_runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["id"].as_u64().unwrap())
            .collect();
        (body["total_count"].as_u64().unwrap(), ids)
    };
    let (old, new) = (old["id"].as_u64().unwrap(), new["id"].as_u64().unwrap());
    assert_eq!(list("?check_name=booty/verifier").await, (1, vec![new]));
    assert_eq!(list("?check_name=booty/verifier&filter=all").await, (2, vec![new, old]));
    assert_eq!(list("?status=completed").await, (1, vec![new]));
    assert_eq!(list("?per_page=1&page=2").await, (2, vec![new]));
    assert_eq!(list("?app_id=1").await, (0, vec![]));
    assert_eq!(list(&format!("?app_id={}", bench.app.id)).await.0, 2);
    let (_, suites) = bench.say(Method::GET, "/commits/ahead/check-suites", json!({})).await;
    assert_eq!(suites["total_count"], 1);
    assert_eq!(suites["check_suites"][0]["status"], "in_progress");
    let (status, body) = bench.say(Method::GET, "/commits/nowhere/check-runs", json!({})).await;
    assert_eq!((status, body["message"].as_str()), (422, Some("No commit found for SHA: nowhere")));
    // Everybody who may look may look at checks, and nobody but an App may write them.
    bench.house.get("/commits/ahead/check-runs").await;
    let body = Some(json!({"name": "x", "head_sha": bench.head}));
    let answer = bench.house.send(Method::POST, "/check-runs", body).await;
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("You must authenticate via a GitHub App."));
}

#[rstest]
#[case::nameless(json!({"name": null}), "nil is not a string")]
#[case::no_commit(json!({"head_sha": "0123456789012345678901234567890123456789"}), "No commit found for SHA: 0123")]
#[case::short(json!({"head_sha": "abc"}), "No commit found for SHA: abc")]
#[case::unconcluded(json!({"status": "completed"}), "wasn't supplied")]
#[case::status(json!({"status": "done"}), "is not a member of")]
#[case::conclusion(json!({"conclusion": "good"}), "is not a member of")]
#[case::stale(json!({"conclusion": "stale"}), "is not a member of")]
#[case::untitled(json!({"output": {"summary": "s"}}), "\\\"title\\\" wasn't supplied.")]
#[case::unsummed(json!({"output": {"title": "t"}}), "\\\"summary\\\" wasn't supplied.")]
#[case::long(json!({"output": {"title": "t", "summary": "s".repeat(65_536)}}), "Only 65535 characters are allowed; 65536 were supplied.")]
#[case::wide(json!({"output": {"title": "t", "summary": "s", "text": "é".repeat(40_000)}}), "text exceeds a maximum bytesize of 65535")]
#[case::many(json!({"output": {"title": "t", "summary": "s", "annotations": vec![annotation(1); 51]}}), "No more than 50 items are allowed; 51 were supplied.")]
#[case::bare(json!({"output": {"title": "t", "summary": "s", "annotations": [{"path": "a", "start_line": 1, "end_line": 1}]}}), "\\\"annotation_level\\\", \\\"message\\\" weren't supplied.")]
#[case::backwards(json!({"output": {"title": "t", "summary": "s", "annotations": [{"path": "a", "start_line": 2, "end_line": 1, "annotation_level": "notice", "message": "m"}]}}), "end_line")]
#[case::level(json!({"output": {"title": "t", "summary": "s", "annotations": [{"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "error", "message": "m"}]}}), "is not a member of")]
#[case::url(json!({"details_url": "javascript:x"}), "details_url must use http or https scheme")]
#[tokio::test]
async fn refused_runs(#[case] body: Value, #[case] words: &str) {
    let bench = Bench::new().await;
    let mut whole = json!({"name": "booty/verifier", "head_sha": bench.head});
    whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let (status, body) = bench.say(Method::POST, "/check-runs", whole).await;
    assert_eq!(status, 422);
    assert!(body.to_string().contains(words), "{body}");
    assert!(bench.house.sim.snapshot().unwrap().repo(REPO).unwrap().checks.is_empty());
}

#[tokio::test]
async fn another_app_keeps_its_hands_off() {
    let bench = Bench::new().await;
    let made = bench.made(json!({})).await;
    let other = bench.house.sim.create_app("other", &[("checks", "write")]).unwrap();
    let installation = bench.house.sim.install_app(other.id, "acme", &[]).unwrap();
    let path = format!("//app/installations/{installation}/access_tokens");
    let jwt = crate::apps::jwt(&other);
    let answer = bench.house.send_as(&jwt, Method::POST, &path, None).await.unwrap();
    let token: Value = answer.json().await.unwrap();
    let path = format!("/check-runs/{}", made["id"]);
    let body = Some(json!({"conclusion": "success"}));
    let token = token["token"].as_str().unwrap();
    let answer = bench.house.send_as(token, Method::PATCH, &path, body).await.unwrap();
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn the_app_is_told() {
    let (house, receiver) = with_receiver().await;
    let bench = Bench::on(house).await;
    let made = bench.made(json!({"status": "in_progress"})).await;
    let id = made["id"].as_u64().unwrap();
    let path = format!("/check-runs/{id}");
    bench.say(Method::PATCH, &path, json!({"conclusion": "neutral"})).await;
    bench.house.sim.rerequest_check_run(REPO, id, "alice").unwrap();
    bench.house.sim.rerequest_check_suite(REPO, &bench.head, "alice").unwrap();
    // ping, create, push, requested, created, completed, suite completed, twice again
    delivered(&bench.house, 9).await;
    let all = receiver.all();
    let one = |what: &str| all.iter().find(|got| got.what() == what).unwrap().json();
    for what in [
        "check_suite.requested",
        "check_run.created",
        "check_run.completed",
        "check_suite.completed",
    ] {
        assert_eq!(one(what)["repository"]["full_name"], REPO, "{what}");
    }
    let again = one("check_run.rerequested");
    assert_eq!(
        (again["sender"]["login"].as_str(), &again["check_run"]["id"]),
        (Some("alice"), &json!(id))
    );
    assert_eq!(again["check_run"]["check_suite"]["head_sha"], bench.head.as_str());
    let again = one("check_suite.rerequested");
    assert_eq!(
        (again["check_suite"]["status"].as_str(), &again["check_suite"]["conclusion"]),
        (Some("queued"), &Value::Null)
    );
    let push = all.iter().find(|got| got.what() == "push._").unwrap();
    assert!(push.json()["installation"]["id"].is_u64());
    assert_eq!(push.header("x-github-hook-installation-target-type"), "integration");
    assert_eq!(push.header("x-github-hook-installation-target-id"), bench.app.id.to_string());
}

#[tokio::test]
async fn a_lost_answer_leaves_its_run_behind() {
    let bench = Bench::new().await;
    let rule = Rule::new(Trouble::DropAfterCommit).method("POST").path("*/check-runs").times(1);
    bench.house.sim.add_fault(rule).unwrap();
    let body = json!({"name": "booty/verifier", "head_sha": bench.head});
    let lost =
        bench.house.send_as(&bench.token, Method::POST, "/check-runs", Some(body.clone())).await;
    assert!(lost.is_err());
    bench.made(json!({})).await;
    let seen = bench.house.sim.snapshot().unwrap();
    assert_eq!(seen.repo(REPO).unwrap().checks[1].created, 2);
    assert_eq!(seen.writes("POST /repos/{owner}/{repo}/check-runs"), 2);
}

#[tokio::test]
async fn statuses_of_a_commit() {
    let bench = Bench::new().await;
    let path = format!("/statuses/{}", bench.head);
    for (state, context) in [("pending", "ci"), ("success", "ci"), ("success", "lint")] {
        let body = json!({"state": state, "context": context, "description": "d", "target_url": "https://x.test/"});
        let (status, body) = bench.say(Method::POST, &path, body).await;
        assert_eq!(status, 201, "{body}");
    }
    let (_, all) = bench.say(Method::GET, "/commits/ahead/statuses", json!({})).await;
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(all[0]["creator"]["login"], "booty-verifier[bot]");
    let (_, one) = bench.say(Method::GET, "/commits/ahead/status", json!({})).await;
    assert_eq!((one["state"].as_str(), one["total_count"].as_u64()), (Some("success"), Some(2)));
    bench.say(Method::POST, &path, json!({"state": "error"})).await;
    let (_, one) = bench.say(Method::GET, "/commits/ahead/status", json!({})).await;
    assert_eq!(one["state"], "failure");
    for (body, words) in [
        (json!({"state": "good"}), "state is not included in the list"),
        (json!({"state": "success", "description": "d".repeat(141)}), "maximum is 140 characters"),
        (json!({"state": "success", "target_url": "ftp://x"}), "http(s)"),
    ] {
        let (status, body) = bench.say(Method::POST, &path, body).await;
        assert_eq!(status, 422);
        assert!(body.to_string().contains(words), "{body}");
    }
    let (status, _) = bench.say(Method::POST, "/statuses/abc", json!({"state": "success"})).await;
    assert_eq!(status, 422);
    assert_eq!(bench.house.sim.snapshot().unwrap().repo(REPO).unwrap().statuses.len(), 4);
}
