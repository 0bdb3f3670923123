//! An issue becomes a pull request.

use std::time::Duration;

use booty_sim::Permission;
use reqwest::Method;
use serde_json::json;

use crate::house::{House, REPO, Receiver, secret};

#[tokio::test]
async fn an_issue_becomes_a_merged_pull_request() {
    let receiver = Receiver::start().await;
    let house =
        House::with(|settings| *settings = settings.clone().webhook(receiver.url(), secret()))
            .await;
    let sim = &house.sim;

    // A person opens an issue and labels it.
    let number = sim.open_issue(REPO, "stranger", "total() subtracts", "It should add.").unwrap();
    sim.add_label(REPO, number, "agent:builder", "robot").unwrap();
    let issue = house.get(&format!("/issues/{number}")).await;
    assert_eq!(issue["title"], "total() subtracts");
    assert_eq!(issue["labels"][0]["name"], "agent:builder");
    assert_eq!(issue["user"]["login"], "stranger");
    assert_eq!(issue["author_association"], "NONE");

    // Whoever labelled it is asked for by name.
    let events = house.get(&format!("/issues/{number}/events")).await;
    assert_eq!(events[0]["event"], "labeled");
    assert_eq!(events[0]["actor"]["login"], "robot");
    let permission = house.get("/collaborators/robot/permission").await;
    assert_eq!(permission["permission"], "write");

    // Tree with a change, a new file, a deletion and a mode; commit; reference.
    let main = house.get("/git/ref/heads/main").await;
    let parent = main["object"]["sha"].clone();
    let tree = house
        .post(
            "/git/trees",
            json!({"base_tree": parent, "tree": [
                {"path": "src/price.py", "mode": "100644", "type": "blob",
                 "content": "def total(a, b):\n    return a + b\n"},
                {"path": "tests/test_price.py", "mode": "100644", "type": "blob", "content": "#\n"},
                {"path": "bin/run", "mode": "100755", "type": "blob", "sha": null},
            ]}),
        )
        .await;
    let commit = house
        .post(
            "/git/commits",
            json!({"message": "Add, don't subtract", "tree": tree["sha"], "parents": [parent]}),
        )
        .await;
    assert_eq!(commit["author"]["name"], "robot");
    let branch = json!({"ref": "refs/heads/agent/issue-1", "sha": commit["sha"]});
    house.post("/git/refs", branch).await;
    let pull = house
        .post(
            "/pulls",
            json!({"title": "Add, don't subtract", "head": "agent/issue-1", "base": "main",
                   "body": "Closes #1", "draft": true}),
        )
        .await;
    assert_eq!(pull["number"], number + 1, "issues and pull requests share their numbers");
    assert_eq!(pull["draft"], true);
    assert_eq!(pull["changed_files"], 3);
    assert_eq!(pull["commits"], 1);

    // Labels, a comment, and one read back.
    let path = format!("/issues/{}", number + 1);
    house.post(&format!("{path}/labels"), json!({"labels": ["booty"]})).await;
    let comment = house.post(&format!("{path}/comments"), json!({"body": "Ready."})).await;
    let patched = house
        .send(
            Method::PATCH,
            &format!("/issues/comments/{}", comment["id"]),
            Some(json!({"body": "Ready!"})),
        )
        .await;
    assert_eq!(patched.status(), 200);
    let listed = house.get("/pulls?head=acme:agent/issue-1&state=open").await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["head"]["sha"], commit["sha"]);
    let files = house.get(&format!("/pulls/{}/files", number + 1)).await;
    let mut names: Vec<(&str, &str)> = files
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["filename"].as_str().unwrap(), file["status"].as_str().unwrap()))
        .collect();
    names.sort_unstable();
    let expected =
        [("bin/run", "removed"), ("src/price.py", "modified"), ("tests/test_price.py", "added")];
    assert_eq!(names, expected);

    // The inside agrees.
    let snapshot = sim.snapshot().unwrap();
    let repo = snapshot.repo(REPO).unwrap();
    let seen = repo.pull(number + 1).unwrap();
    assert!(seen.draft && seen.open);
    assert_eq!(seen.labels, ["booty"]);
    assert_eq!(seen.comments[0].body, "Ready!");
    assert_eq!(seen.comments[0].author, "robot");
    assert_eq!(snapshot.writes("POST /repos/{owner}/{repo}/pulls"), 1);
    let diff = sim.pull_diff(REPO, number + 1).unwrap();
    assert!(diff.contains("-    return a - b\n+    return a + b\n"), "{diff}");

    // A person merges it.
    sim.merge_pull(REPO, number + 1, "acme").unwrap();
    let fixed = sim.read_file(REPO, "main", "src/price.py").unwrap().unwrap();
    assert!(fixed.contains("a + b"));
    assert_eq!(sim.read_file(REPO, "main", "bin/run").unwrap(), None);

    // And the outside heard all of it.
    let wanted = [
        "ping._",
        "issues.opened",
        "label.created",
        "issues.labeled",
        "create._",
        "push._",
        "pull_request.opened",
        "label.created",
        "pull_request.labeled",
        "issue_comment.created",
        "issue_comment.edited",
        "pull_request.ready_for_review",
        "pull_request.closed",
        "push._",
    ];
    let arrived = sim
        .wait_for(Duration::from_secs(10), |seen| {
            (seen.deliveries.len() == wanted.len()).then(|| seen.deliveries.clone())
        })
        .await
        .unwrap();
    assert!(arrived.unwrap().iter().all(|delivery| delivery.status == 202));
    let mut heard: Vec<String> = receiver.all().iter().map(|got| got.what()).collect();
    let mut wanted = wanted.map(str::to_owned).to_vec();
    heard.sort();
    wanted.sort();
    assert_eq!(heard, wanted);
}

#[tokio::test]
async fn a_foreign_label_and_a_state_set_with_one_call() {
    let house = House::new().await;
    let number = house.sim.open_issue(REPO, "acme", "One", "").unwrap();
    house.sim.add_label(REPO, number, "bug", "acme").unwrap();
    let path = format!("/issues/{number}");
    let set = house
        .send(Method::PUT, &format!("{path}/labels"), Some(json!({"labels": ["bug", "done"]})))
        .await;
    assert_eq!(set.status(), 200);
    house.send(Method::DELETE, &format!("{path}/labels/bug"), None).await;
    let snapshot = house.sim.snapshot().unwrap();
    assert_eq!(snapshot.repo(REPO).unwrap().issue(number).unwrap().labels, ["done"]);
    let timeline = house.get(&format!("{path}/timeline")).await;
    let happened: Vec<_> = timeline
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["event"].as_str().unwrap(), entry["label"]["name"].as_str().unwrap()))
        .collect();
    assert_eq!(happened, [("labeled", "bug"), ("labeled", "done"), ("unlabeled", "bug")]);
}

#[tokio::test]
async fn lists_come_in_pages_and_reads_know_their_etag() {
    let house = House::new().await;
    for n in 0..5 {
        house.sim.open_issue(REPO, "acme", &format!("Issue {n}"), "").unwrap();
    }
    let first = house.send(Method::GET, "/issues?per_page=2", None).await;
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    assert!(link.contains("page=2") && link.contains("rel=\"next\""), "{link}");
    assert!(link.contains("page=3") && link.contains("rel=\"last\""), "{link}");
    let etag = first.headers()["etag"].clone();
    let remaining = first.headers()["x-ratelimit-remaining"].clone();
    let again = house
        .http
        .get(format!("{}/repos/{REPO}/issues?per_page=2", house.sim.api_url()))
        .bearer_auth(&house.writer)
        .header("if-none-match", &etag)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);
    assert_eq!(again.headers()["x-ratelimit-remaining"], remaining, "a 304 costs nothing");
    let last = house.send(Method::GET, "/issues?per_page=2&page=3", None).await;
    assert!(!last.headers()["link"].to_str().unwrap().contains("next"));
    let issues: serde_json::Value = last.json().await.unwrap();
    assert_eq!(issues[0]["number"], 1, "newest first");
}

#[tokio::test]
async fn another_process_drives_it_with_the_same_verbs() {
    let house = House::new().await;
    let client = house.sim.client();
    client.create_repo("acme/other", &[("a", "1\n", "100644")], "trunk").await.unwrap();
    client.set_permission("acme/other", "robot", Permission::Triage).await.unwrap();
    let number = client.open_issue("acme/other", "robot", "Hello", "there").await.unwrap();
    client.add_label("acme/other", number, "x", "robot").await.unwrap();
    let found = client
        .wait_for(Duration::from_secs(5), |seen| {
            seen.repo("acme/other")?.issue(number)?.labels.first().cloned()
        })
        .await
        .unwrap();
    assert_eq!(found.as_deref(), Some("x"));
    let refused = client.add_label("acme/none", 1, "x", "robot").await.unwrap_err();
    assert!(refused.to_string().contains("404"), "{refused}");

    let without = house
        .http
        .get(format!("{}/_sim/state", house.sim.api_url()))
        .bearer_auth(&house.writer)
        .send()
        .await
        .unwrap();
    assert_eq!(without.status(), 401, "a GitHub token is no control token");
}
