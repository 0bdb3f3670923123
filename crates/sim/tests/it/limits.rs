//! Rate limits, with a clock of our own.

use std::sync::{Arc, Mutex};

use booty_sim::{Clock, Paces};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::json;

use crate::house::House;

async fn paced(paces: Paces) -> (House, Arc<Mutex<DateTime<Utc>>>) {
    let now = Arc::new(Mutex::new(Utc::now()));
    let clock = Arc::clone(&now);
    let house = House::with(|settings| {
        settings.clock = Clock::from_fn(move || *clock.lock().unwrap());
        settings.paces = paces;
    })
    .await;
    (house, now)
}

async fn comment(house: &House) -> reqwest::Response {
    house.send(Method::POST, "/issues/1/comments", Some(json!({"body": "x"}))).await
}

#[tokio::test]
async fn content_has_a_pace_of_its_own() {
    let paces = Paces {
        content_per_minute: 3,
        content_per_hour: 5,
        points_per_minute: 900,
        ..Paces::github()
    };
    let (house, now) = paced(paces).await;
    house.post("/issues", json!({"title": "One"})).await;
    *now.lock().unwrap() += TimeDelta::seconds(20);
    comment(&house).await;
    comment(&house).await;
    let refused = comment(&house).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.headers()["retry-after"], "40");
    let text = refused.text().await.unwrap();
    assert!(text.contains("temporarily blocked from content creation"), "{text}");
    let labelled = json!({"labels": ["x"]});
    let label = house.send(Method::POST, "/issues/1/labels", Some(labelled)).await;
    assert_eq!(label.status(), 200, "a label is no content");
    *now.lock().unwrap() += TimeDelta::seconds(40);
    assert_eq!(comment(&house).await.status(), 201);
    *now.lock().unwrap() += TimeDelta::seconds(60);
    assert_eq!(comment(&house).await.status(), 201);
    let refused = comment(&house).await;
    assert_eq!(refused.status(), 403, "five in an hour");
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(wait, 3600 - 120);
}

#[tokio::test]
async fn points_and_the_primary_limit() {
    let paces = Paces { points_per_minute: 11, requests_per_hour: 4, ..Paces::github() };
    let (house, now) = paced(paces).await;
    house.post("/issues", json!({"title": "One"})).await;
    assert_eq!(comment(&house).await.status(), 201);
    let refused = comment(&house).await;
    assert_eq!(refused.status(), 403, "fifteen points");
    assert_eq!(refused.headers()["retry-after"], "60");
    let read = house.send(Method::GET, "/issues/1", None).await;
    assert_eq!(read.headers()["x-ratelimit-remaining"], "0");
    let refused = house.send(Method::GET, "/issues/1", None).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.headers()["x-ratelimit-remaining"], "0");
    assert!(!refused.headers().contains_key("retry-after"));
    assert!(refused.text().await.unwrap().contains("API rate limit exceeded"));
    *now.lock().unwrap() += TimeDelta::hours(1);
    let read = house.send(Method::GET, "/issues/1", None).await;
    assert_eq!(read.headers()["x-ratelimit-remaining"], "3");
}

#[tokio::test]
async fn a_scaled_minute_is_short() {
    let (house, now) = paced(Paces { content_per_minute: 1, ..Paces::scaled(1000.0) }).await;
    house.post("/issues", json!({"title": "One"})).await;
    assert_eq!(comment(&house).await.status(), 403);
    *now.lock().unwrap() += TimeDelta::milliseconds(60);
    assert_eq!(comment(&house).await.status(), 201);
}

#[tokio::test]
async fn too_many_at_once() {
    let (house, _now) = paced(Paces { concurrent: 2, ..Paces::unlimited() }).await;
    let slow = booty_sim::Rule::new(booty_sim::Trouble::Slow { millis: 200 });
    house.sim.add_fault(slow).unwrap();
    let three = tokio::join!(
        house.send(Method::GET, "", None),
        house.send(Method::GET, "", None),
        house.send(Method::GET, "", None),
    );
    let mut statuses = [three.0.status(), three.1.status(), three.2.status()];
    statuses.sort();
    assert_eq!(statuses, [200, 200, 403]);
}
