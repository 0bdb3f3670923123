//! A client with typed models reads what we say.

use ::octocrab::Octocrab;
use ::octocrab::params::State;
use serde_json::json;

use crate::house::House;

#[tokio::test]
async fn octocrab_reads_every_object() {
    let house = House::new().await;
    let github = Octocrab::builder()
        .base_uri(house.sim.api_url())
        .unwrap()
        .personal_token(house.writer.clone())
        .build()
        .unwrap();
    let me = github.current().user().await.unwrap();
    assert_eq!(me.login, "robot");
    github.ratelimit().get().await.unwrap();
    let repo = github.repos("acme", "shop").get().await.unwrap();
    assert_eq!(repo.default_branch.as_deref(), Some("main"));

    let issues = github.issues("acme", "shop");
    let labels = vec!["agent:builder".to_owned()];
    let issue = Box::pin(issues.create("One").body("text").labels(labels).send()).await.unwrap();
    assert_eq!(issue.labels[0].name, "agent:builder");
    issues.create_comment(issue.number, "hello").await.unwrap();
    let comments = issues.list_comments(issue.number).send().await.unwrap();
    assert_eq!(comments.items[0].body.as_deref(), Some("hello"));
    issues.add_labels(issue.number, &["x".to_owned()]).await.unwrap();
    issues.replace_all_labels(issue.number, &["y".to_owned()]).await.unwrap();
    issues.remove_label(issue.number, "y").await.unwrap();
    issues.create_label("z", "ff0000", "a label").await.unwrap();
    let listed = issues.list().state(State::All).send().await.unwrap();
    assert_eq!(listed.items.len(), 1);
    let timeline = issues.list_timeline_events(issue.number).send().await.unwrap();
    assert_eq!(timeline.items.len(), 7);

    house.branch("ahead", "a.txt", "a").await;
    let pulls = github.pulls("acme", "shop");
    let pull = pulls.create("Ahead", "ahead", "main").draft(true).send().await.unwrap();
    assert_eq!(pull.draft, Some(true));
    let read = pulls.get(pull.number).await.unwrap();
    assert_eq!(read.mergeable, Some(true));
    let files = pulls.list_files(pull.number).await.unwrap();
    assert_eq!(files.items[0].filename, "a.txt");
    let found = pulls.list().head("acme:ahead").state(State::Open).send().await.unwrap();
    assert_eq!(found.items.len(), 1);
    let reference = ::octocrab::params::repos::Reference::Branch("ahead".to_owned());
    github.repos("acme", "shop").get_ref(&reference).await.unwrap();

    let refused: ::octocrab::Result<serde_json::Value> =
        github.post("/repos/acme/shop/issues", Some(&json!({"title": ""}))).await;
    let ::octocrab::Error::GitHub { source, .. } = refused.unwrap_err() else { panic!() };
    assert_eq!(source.status_code, 422);
    assert_eq!(source.message, "Validation Failed");
}
