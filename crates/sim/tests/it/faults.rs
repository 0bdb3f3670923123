//! Trouble on demand.

use std::time::Duration;

use booty_sim::{Rule, Trouble};
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, REPO};

fn issue(n: usize) -> Option<Value> {
    Some(json!({"title": format!("Issue {n}")}))
}

#[tokio::test]
async fn a_dropped_answer_leaves_the_object() {
    let house = House::new().await;
    let rule = Rule::new(Trouble::DropAfterCommit).method("POST").path("/repos/*/issues").times(1);
    house.sim.add_fault(rule).unwrap();
    let dropped = house.send_as(&house.writer, Method::POST, "/issues", issue(1)).await;
    let error = dropped.unwrap_err();
    assert!(error.is_request(), "no byte of an answer: {error:?}");
    let listed = house.get("/issues").await;
    assert_eq!(listed[0]["title"], "Issue 1");
    let seen = house.sim.snapshot().unwrap();
    assert_eq!(seen.requests[0].status, 0);
    assert_eq!(seen.faults_struck, 1);
    house.post("/issues", issue(2).unwrap()).await;
}

#[tokio::test]
async fn a_third_of_all_answers_is_lost_and_nothing_else() {
    let house = House::new().await;
    house.sim.add_fault(Rule::new(Trouble::DropAfterCommit).writes().probability(0.3)).unwrap();
    let mut lost = 0;
    for n in 0..100 {
        let sent = house.send_as(&house.writer, Method::POST, "/issues", issue(n)).await;
        lost += usize::from(sent.is_err());
    }
    assert!((15..=45).contains(&lost), "{lost} of 100");
    assert_eq!(house.sim.snapshot().unwrap().repo(REPO).unwrap().issues.len(), 100);
}

#[tokio::test]
async fn failures_before_and_after() {
    let house = House::new().await;
    house.sim.add_fault(Rule::new(Trouble::Fail { status: 502 }).times(1)).unwrap();
    house.sim.add_fault(Rule::new(Trouble::FailAfterCommit { status: 500 }).times(1)).unwrap();
    house.sim.add_fault(Rule::new(Trouble::DropBeforeCommit).times(1)).unwrap();
    assert_eq!(house.send(Method::POST, "/issues", issue(1)).await.status(), 502);
    assert_eq!(house.send(Method::POST, "/issues", issue(2)).await.status(), 500);
    assert!(house.send_as(&house.writer, Method::POST, "/issues", issue(3)).await.is_err());
    assert_eq!(house.send(Method::POST, "/issues", issue(4)).await.status(), 201);
    let seen = house.sim.snapshot().unwrap();
    let titles: Vec<&str> =
        seen.repo(REPO).unwrap().issues.iter().map(|issue| issue.title.as_str()).collect();
    assert_eq!(titles, ["Issue 2", "Issue 4"]);
}

#[tokio::test]
async fn limits_on_demand_carry_githubs_headers() {
    let house = House::new().await;
    house.sim.add_fault(Rule::new(Trouble::PrimaryLimit { seconds: 90 }).times(1)).unwrap();
    let secondary = Trouble::SecondaryLimit { status: 429, seconds: 7 };
    house.sim.add_fault(Rule::new(secondary).times(1)).unwrap();
    let primary = house.send(Method::POST, "/issues", issue(1)).await;
    assert_eq!(primary.status(), 403);
    assert_eq!(primary.headers()["x-ratelimit-remaining"], "0");
    let reset: i64 = primary.headers()["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
    let wait = reset - chrono::Utc::now().timestamp();
    assert!((60..=91).contains(&wait), "{wait} s");
    assert!(primary.text().await.unwrap().contains("API rate limit exceeded"));
    let secondary = house.send(Method::POST, "/issues", issue(1)).await;
    assert_eq!(secondary.status(), 429);
    assert_eq!(secondary.headers()["retry-after"], "7");
    assert!(secondary.text().await.unwrap().contains("secondary rate limit"));
    assert_eq!(house.get("/issues").await, json!([]), "nothing was made");
}

#[tokio::test]
async fn what_is_new_shows_up_in_lists_later() {
    let now = std::sync::Arc::new(std::sync::Mutex::new(chrono::Utc::now()));
    let clock = std::sync::Arc::clone(&now);
    let house = House::with(|settings| {
        settings.clock = booty_sim::Clock::from_fn(move || *clock.lock().unwrap());
    })
    .await;
    house.sim.delay_lists(5_000).unwrap();
    house.post("/issues", issue(1).unwrap()).await;
    house.post("/issues/1/comments", json!({"body": "x"})).await;
    house.branch("ahead", "a.txt", "a").await;
    house.post("/pulls", json!({"title": "t", "head": "ahead", "base": "main"})).await;
    assert_eq!(house.get("/issues/1").await["number"], 1, "by number it is there");
    assert_eq!(house.get("/pulls/2").await["number"], 2);
    assert_eq!(house.get("/git/ref/heads/ahead").await["ref"], "refs/heads/ahead");
    let lists = ["/issues", "/issues/1/comments", "/pulls", "/git/matching-refs/heads/ahead"];
    for list in lists {
        assert_eq!(house.get(list).await, json!([]), "{list}");
    }
    *now.lock().unwrap() += chrono::TimeDelta::seconds(5);
    for list in lists {
        assert_ne!(house.get(list).await, json!([]), "{list}");
    }
}

#[tokio::test]
async fn slow_and_down_until_lifted() {
    let house = House::new().await;
    house.sim.add_fault(Rule::new(Trouble::Slow { millis: 300 }).times(1)).unwrap();
    let request = house.send_as(&house.writer, Method::GET, "", None);
    let answered = tokio::time::timeout(Duration::from_millis(200), request).await;
    assert!(answered.is_err(), "still waiting");
    house.sim.set_down(true).unwrap();
    assert!(house.send_as(&house.writer, Method::GET, "", None).await.is_err());
    house.sim.client().set_down(false).await.unwrap();
    assert_eq!(house.send(Method::GET, "", None).await.status(), 200);
    house.sim.add_fault(Rule::new(Trouble::Fail { status: 503 })).unwrap();
    assert_eq!(house.send(Method::GET, "", None).await.status(), 503);
    house.sim.clear_faults().unwrap();
    assert_eq!(house.send(Method::GET, "", None).await.status(), 200);
}
