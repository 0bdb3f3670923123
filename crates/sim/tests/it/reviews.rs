//! Reviews, and what is read of them.

use booty_sim::{Permission, ReviewState};
use reqwest::Method;

use crate::house::{House, REPO, Receiver, secret};

const PRICE: &str = "def total(a, b):\n    return a + b\n";

#[tokio::test]
async fn a_review_is_told_and_read_with_its_lines() {
    let receiver = Receiver::start().await;
    let house =
        House::with(|settings| *settings = settings.clone().webhook(receiver.url(), secret()))
            .await;
    let sim = &house.sim;
    sim.set_permission(REPO, "ann", Permission::Write).unwrap();
    house.branch("plus", "src/price.py", PRICE).await;
    let pull = sim.open_pull(REPO, "robot", "Add", "", "plus", "main").unwrap();
    let comments = [("src/price.py", 2, "Why not `sum`?")];
    let state = ReviewState::ChangesRequested;
    let review = sim.review(REPO, pull, "ann", state, "", &comments).unwrap();

    let read = house.get(&format!("/pulls/{pull}/reviews/{review}")).await;
    assert_eq!(
        (read["state"].as_str(), read["body"].as_str()),
        (Some("CHANGES_REQUESTED"), Some(""))
    );
    assert_eq!(read["user"]["login"], "ann");
    let listed = house.get(&format!("/pulls/{pull}/reviews")).await;
    assert_eq!(listed[0]["id"], review);
    let comments = house.get(&format!("/pulls/{pull}/comments?sort=created&direction=desc")).await;
    assert_eq!((&comments[0]["line"], &comments[0]["path"]), (&2.into(), &"src/price.py".into()));
    assert_eq!(comments[0]["pull_request_review_id"], review);
    assert!(comments[0]["diff_hunk"].as_str().unwrap().ends_with("+    return a + b"));
    // As on github.com.
    let of_one = house.get(&format!("/pulls/{pull}/reviews/{review}/comments")).await;
    assert!(of_one[0].get("line").is_none() && of_one[0]["position"] == 3, "{of_one}");

    // On another diff the line is only the original one.
    sim.push_files(REPO, "robot", "plus", "Sum", &[("src/price.py", "total = sum\n", "100644")])
        .unwrap();
    let comments = house.get(&format!("/pulls/{pull}/comments")).await;
    assert!(comments[0]["line"].is_null() && comments[0]["original_line"] == 2);

    sim.edit_review(REPO, review, "Not yet.").unwrap();
    sim.dismiss_review(REPO, review, "ann").unwrap();
    let read = house.get(&format!("/pulls/{pull}/reviews/{review}")).await;
    assert_eq!(
        (read["state"].as_str(), read["body"].as_str()),
        (Some("DISMISSED"), Some("Not yet."))
    );

    let told = |action: &'static str| {
        sim.wait_for(std::time::Duration::from_secs(10), move |seen| {
            let is_it = |sent: &&booty_sim::DeliveryView| {
                sent.event == "pull_request_review" && sent.action.as_deref() == Some(action)
            };
            seen.deliveries.iter().find(is_it).cloned()
        })
    };
    for action in ["submitted", "edited", "dismissed"] {
        told(action).await.unwrap();
    }
    let bodies = receiver.bodies("pull_request_review");
    let first = &bodies[0];
    assert_eq!(first["review"]["state"], "changes_requested");
    assert!(first["review"]["body"].is_null(), "{first}");
    assert_eq!(first["pull_request"]["number"], pull);
    assert_eq!(receiver.bodies("pull_request_review_comment").len(), 1);
}

#[tokio::test]
async fn what_github_refuses_of_a_review_is_refused() {
    let house = House::new().await;
    let sim = &house.sim;
    house.branch("plus", "src/price.py", PRICE).await;
    let pull = sim.open_pull(REPO, "robot", "Add", "", "plus", "main").unwrap();
    let state = ReviewState::ChangesRequested;
    for (author, body, comments, why) in [
        ("robot", "No.", &[][..], "Can not request changes on your own pull request"),
        ("ann", " ", &[], "Body cannot be blank"),
        ("ann", "", &[("README.md", 1, "x")], "Path could not be resolved"),
        ("ann", "", &[("src/price.py", 9, "x")], "Line could not be resolved"),
    ] {
        let refused = sim.review(REPO, pull, author, state, body, comments).unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let review = sim.review(REPO, pull, "stranger", state, "No.", &[]).unwrap();
    assert!(sim.dismiss_review(REPO, review, "stranger").is_err());
    let other =
        house.send(Method::GET, &format!("/pulls/{}/reviews/{review}", pull + 1), None).await;
    assert_eq!(other.status(), 404);
}

#[tokio::test]
async fn comments_are_edited_and_deleted() {
    let house = House::new().await;
    let issue = house.sim.open_issue(REPO, "stranger", "One", "").unwrap();
    let comment = house.sim.comment(REPO, issue, "stranger", "hello").unwrap();
    house.sim.edit_comment(REPO, comment, "stranger", "bye").unwrap();
    let read = house.get(&format!("/issues/comments/{comment}")).await;
    assert_eq!(read["body"], "bye");
    house.sim.delete_comment(REPO, comment, "stranger").unwrap();
    let gone = house.send(Method::GET, &format!("/issues/comments/{comment}"), None).await;
    assert_eq!(gone.status(), 404);
}
