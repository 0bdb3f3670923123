//! Pull requests from forks, what git serves of them, and drafts.

use reqwest::Method;
use serde_json::{Value, json};

use crate::apps::installed;
use crate::clone::git;
use crate::hooks::{delivered, with_receiver};
use crate::house::{House, REPO};

const FORK: &str = "carol/shop";

/// A pull request from a fork's branch; its number and its head.
async fn from_fork(house: &House) -> (u64, String) {
    assert_eq!(house.sim.create_fork(REPO, "carol").unwrap(), FORK);
    let head =
        house.sim.push_files(FORK, "carol", "fix", "Fix", &[("b.txt", "b", "100644")]).unwrap();
    let number = house.sim.open_pull(REPO, "carol", "Fix", "", "carol:fix", "main").unwrap();
    (number, head)
}

#[tokio::test]
async fn a_fork_lends_its_commits() {
    let (house, receiver) = with_receiver().await;
    let (number, head) = from_fork(&house).await;
    let pull = house.get(&format!("/pulls/{number}")).await;
    assert_eq!(pull["head"]["sha"], head.as_str());
    assert_eq!(pull["head"]["label"], "carol:fix");
    assert_eq!(pull["head"]["repo"]["full_name"], FORK);
    assert_eq!(pull["head"]["repo"]["fork"], true);
    assert_eq!(pull["base"]["repo"]["full_name"], REPO);
    assert_eq!(pull["mergeable"], true);
    assert_eq!(house.get(&format!("/commits/{head}/pulls")).await[0]["number"], number);

    let next =
        house.sim.push_files(FORK, "carol", "fix", "More", &[("c.txt", "c", "100644")]).unwrap();
    // ping, opened, synchronize
    delivered(&house, 3).await;
    let all = receiver.all();
    let moved = all.iter().find(|got| got.what() == "pull_request.synchronize").unwrap().json();
    assert_eq!((moved["before"].as_str(), moved["after"].as_str()), (Some(&*head), Some(&*next)));
    assert_eq!(moved["pull_request"]["head"]["repo"]["full_name"], FORK);
    assert_eq!(moved["pull_request"]["mergeable"], Value::Null);
    assert_eq!(moved["repository"]["full_name"], REPO);

    house.sim.delete_fork(FORK).unwrap();
    let pull = house.get(&format!("/pulls/{number}")).await;
    assert_eq!((&pull["head"]["repo"], pull["state"].as_str()), (&Value::Null, Some("open")));
    assert_eq!(pull["head"]["sha"], next.as_str());
    // The base still serves what the fork had.
    let url = format!("{}/{REPO}.git", house.sim.api_url());
    let into = house.dir.path().join("checkout");
    let into = into.to_str().unwrap();
    git(&house, None, &["init", "-q", into]).await;
    for what in [format!("refs/pull/{number}/head"), format!("refs/pull/{number}/merge"), head] {
        let done = git(&house, None, &["-C", into, "fetch", "-q", "--depth=1", &url, &what]).await;
        assert!(done.status.success(), "{what}: {}", String::from_utf8_lossy(&done.stderr));
    }
    house.sim.close_pull(REPO, number, "carol").unwrap();
    let refused = house.sim.reopen(REPO, number, "carol").unwrap_err().to_string();
    assert!(refused.contains("has been deleted"), "{refused}");
}

#[tokio::test]
async fn who_may_open_from_where() {
    let house = House::new().await;
    let carol = house.sim.create_token("carol", booty_sim::Scope::Write).unwrap();
    house.sim.create_fork(REPO, "carol").unwrap();
    house.sim.push_files(FORK, "carol", "fix", "Fix", &[("b.txt", "b", "100644")]).unwrap();
    house.branch("ahead", "a.txt", "a").await;
    let open = async |token: &str, head: &str| {
        let body = Some(json!({"title": "t", "head": head, "base": "main"}));
        house.send_as(token, Method::POST, "/pulls", body).await.unwrap().status().as_u16()
    };
    assert_eq!(open(&carol, "ahead").await, 403);
    assert_eq!(open(&house.stranger, "carol:fix").await, 403);
    assert_eq!(open(&carol, "carol:nothing").await, 422);
    assert_eq!(open(&house.writer, "nobody:fix").await, 422);
    assert_eq!(open(&carol, "carol:fix").await, 201);
    assert_eq!(open(&carol, "carol:fix").await, 422, "there is one already");
}

#[tokio::test]
async fn a_fork_is_never_named_in_a_check() {
    let house = House::new().await;
    let (_, _, token) = installed(&house).await;
    let (_, foreign) = from_fork(&house).await;
    let own = house.branch("ahead", "a.txt", "a").await;
    let number = house.sim.open_pull(REPO, "robot", "Ahead", "", "ahead", "main").unwrap();
    let make = async |sha: &str| -> Value {
        let body = Some(json!({"name": "booty/verifier", "head_sha": sha}));
        let answer = house.send_as(&token, Method::POST, "/check-runs", body).await.unwrap();
        assert_eq!(answer.status(), 201);
        answer.json().await.unwrap()
    };
    assert_eq!(make(&foreign).await["pull_requests"], json!([]));
    assert_eq!(make(&own).await["pull_requests"][0]["number"], number);
}

#[tokio::test]
async fn a_forced_push_is_told() {
    let (house, receiver) = with_receiver().await;
    house.branch("ahead", "a.txt", "a").await;
    let number = house.sim.open_pull(REPO, "robot", "Ahead", "", "ahead", "main").unwrap();
    let other = house.branch("other", "b.txt", "b").await;
    house.sim.force_push(REPO, "robot", "ahead", &other).unwrap();
    // ping, twice create and push, opened, push, synchronize
    delivered(&house, 8).await;
    let all = receiver.all();
    let moved = all.iter().find(|got| got.what() == "pull_request.synchronize").unwrap().json();
    assert_eq!(moved["after"], other.as_str());
    assert!(all.iter().any(|got| got.what() == "push._" && got.json()["forced"] == true));
    house.sim.add_label(REPO, number, "ready", "alice").unwrap();
    let events = house.get(&format!("/issues/{number}/events")).await;
    let seen: Vec<&str> =
        events.as_array().unwrap().iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(seen, ["head_ref_force_pushed", "labeled"]);
    assert_eq!(events[1]["actor"]["login"], "alice");
    let own = house
        .send(Method::PATCH, "/git/refs/pull/1/head", Some(json!({"sha": other, "force": true})))
        .await;
    assert_eq!(own.status(), 422, "what GitHub keeps of pull requests is not to be moved");
}

const READY: &str = "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) \
                     { pullRequest { id isDraft number } } }";

async fn graphql(house: &House, token: &str, query: &str, variables: Value) -> Value {
    let body = Some(json!({"query": query, "variables": variables}));
    let answer = house.send_as(token, Method::POST, "//graphql", body).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

#[tokio::test]
async fn only_graphql_ends_a_draft() {
    let (house, receiver) = with_receiver().await;
    house.branch("ahead", "a.txt", "a").await;
    let body = json!({"title": "t", "head": "ahead", "base": "main", "draft": true});
    let number = house.post("/pulls", body).await["number"].as_u64().unwrap();
    let path = format!("/pulls/{number}");
    let patched = house.send(Method::PATCH, &path, Some(json!({"draft": false}))).await;
    let pull: Value = patched.json().await.unwrap();
    assert_eq!(pull["draft"], true, "REST ignores it");
    let query = "query($n: Int!) { repository(owner: \"acme\", name: \"shop\") \
                 { pullRequest(number: $n) { id isDraft state headRefOid } } }";
    let found = graphql(&house, &house.writer, query, json!({"n": number})).await;
    let seen = &found["data"]["repository"]["pullRequest"];
    assert_eq!((&seen["id"], &seen["isDraft"]), (&pull["node_id"], &json!(true)));
    let id = json!({"id": pull["node_id"]});

    // GitHub wants contents too, although none change.
    let (_, installation, weak) = installed(&house).await;
    let refused = graphql(&house, &weak, READY, id.clone()).await;
    assert_eq!(refused["data"]["markPullRequestReadyForReview"], Value::Null);
    assert_eq!(refused["errors"][0]["type"], "FORBIDDEN");
    assert_eq!(refused["errors"][0]["path"], json!(["markPullRequestReadyForReview"]));
    assert_eq!(refused["errors"][0]["message"], "Resource not accessible by integration");
    house.sim.uninstall_app(installation).unwrap();
    let permissions = [("pull_requests", "write"), ("contents", "write")];
    let app = house.sim.create_app("finisher", &permissions).unwrap();
    let installation = house.sim.install_app(app.id, "acme", &[]).unwrap();
    let mint = format!("//app/installations/{installation}/access_tokens");
    let minted = house.send_as(&crate::apps::jwt(&app), Method::POST, &mint, None).await.unwrap();
    let minted: Value = minted.json().await.unwrap();
    let strong = minted["token"].as_str().unwrap();
    let wrong = READY.replace("isDraft", "draft");
    let refused = graphql(&house, strong, &wrong, id.clone()).await;
    assert_eq!(refused["errors"][0]["extensions"]["fieldName"], "draft", "and nothing is done");
    let done = graphql(&house, strong, READY, id.clone()).await;
    let done = &done["data"]["markPullRequestReadyForReview"]["pullRequest"];
    assert_eq!((&done["isDraft"], &done["number"]), (&json!(false), &json!(number)));
    assert_eq!(house.sim.snapshot().unwrap().writes("mutation markPullRequestReadyForReview"), 1);
    delivered(&house, 5).await;
    let told = receiver.all().into_iter().find(|got| got.what() == "pull_request.ready_for_review");
    assert_eq!(told.unwrap().json()["sender"]["login"], "finisher[bot]");

    let missing = graphql(&house, strong, READY, json!({"id": "nonsense"})).await;
    assert_eq!(missing["errors"][0]["type"], "NOT_FOUND");
    assert_eq!(
        missing["errors"][0]["message"],
        "Could not resolve to a node with the global id of 'nonsense'"
    );
    let foreign = graphql(&house, &house.stranger, READY, id.clone()).await;
    assert_eq!(foreign["errors"][0]["type"], "FORBIDDEN");
    house.sim.draft_pull(REPO, number, "robot").unwrap();
    assert!(house.sim.snapshot().unwrap().repo(REPO).unwrap().pull(number).unwrap().draft);
    let unknown = graphql(&house, strong, "{ viewer { nothing } }", json!({})).await;
    assert_eq!(unknown["errors"][0]["extensions"]["code"], "undefinedField");
}
