//! Webhooks: signed, sent once, sent again only on request.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::Value;
use sha2::Sha256;

use crate::house::{House, REPO, Receiver, SECRET, secret};

pub(crate) async fn with_receiver() -> (House, Receiver) {
    let receiver = Receiver::start().await;
    let house =
        House::with(|settings| *settings = settings.clone().webhook(receiver.url(), secret()))
            .await;
    (house, receiver)
}

pub(crate) async fn delivered(house: &House, count: usize) {
    let seen = house
        .sim
        .wait_for(Duration::from_secs(10), |seen| (seen.deliveries.len() >= count).then_some(()))
        .await
        .unwrap();
    assert!(seen.is_some(), "{:?}", house.sim.snapshot().unwrap().deliveries);
}

#[tokio::test]
async fn a_label_is_told_with_githubs_headers_and_a_true_signature() {
    let (house, receiver) = with_receiver().await;
    let number = house.sim.open_issue(REPO, "acme", "One", "text").unwrap();
    house.sim.add_label(REPO, number, "agent:builder", "robot").unwrap();
    delivered(&house, 4).await;
    let all = receiver.all();
    let got = all.iter().find(|got| got.what() == "issues.labeled").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&got.body);
    let expected = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    assert_eq!(got.header("x-hub-signature-256"), expected);
    assert!(got.header("user-agent").starts_with("GitHub-Hookshot/"));
    assert_eq!(got.header("content-type"), "application/json");
    assert_eq!(got.header("x-github-hook-installation-target-type"), "repository");
    assert_eq!(got.header("x-github-delivery").len(), 36);
    let body = got.json();
    assert_eq!(body["label"]["name"], "agent:builder");
    assert_eq!(body["issue"]["number"], number);
    assert_eq!(body["repository"]["full_name"], REPO);
    assert_eq!(body["sender"]["login"], "robot");
    assert!(body.get("installation").is_none());
}

#[tokio::test]
async fn a_lost_delivery_is_listed_and_sent_again_with_its_guid() {
    let (house, receiver) = with_receiver().await;
    delivered(&house, 1).await;
    house.sim.lose_deliveries(1, 0.0).unwrap();
    house.sim.open_issue(REPO, "acme", "One", "").unwrap();
    delivered(&house, 2).await;
    assert_eq!(receiver.all().len(), 1, "only the ping arrived");

    let house_ref = &house;
    let owner = |method: Method, path: String| async move {
        house_ref.send_as(&house_ref.owner, method, &path, None).await.unwrap()
    };
    let hooks: Value = owner(Method::GET, "/hooks".into()).await.json().await.unwrap();
    let hook = hooks[0]["id"].as_u64().unwrap();
    let list: Value = owner(Method::GET, format!("/hooks/{hook}/deliveries?status=failure"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["status_code"], 502);
    let id = list[0]["id"].as_u64().unwrap();
    let again = owner(Method::POST, format!("/hooks/{hook}/deliveries/{id}/attempts")).await;
    assert_eq!(again.status(), 202);
    delivered(&house, 3).await;
    let got = receiver.all().pop().unwrap();
    assert_eq!(got.header("x-github-delivery"), list[0]["guid"].as_str().unwrap());
    let list: Value =
        owner(Method::GET, format!("/hooks/{hook}/deliveries")).await.json().await.unwrap();
    assert_eq!(list[0]["redelivery"], true);
    assert_eq!(list[0]["status"], "OK");
    let one: Value = owner(Method::GET, format!("/hooks/{hook}/deliveries/{}", list[0]["id"]))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(one["request"]["payload"]["action"], "opened");
    assert_eq!(one["response"]["payload"], "ok");
    let shown = serde_json::to_string(&hooks).unwrap() + &serde_json::to_string(&one).unwrap();
    assert!(!shown.contains(SECRET), "the secret is never shown");
}

#[tokio::test]
async fn nobody_answers_and_nothing_is_sent_again() {
    let (house, _receiver) = with_receiver().await;
    delivered(&house, 1).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    drop(silent);
    house.sim.set_webhook_url(&url).unwrap();
    house.sim.open_issue(REPO, "acme", "One", "").unwrap();
    delivered(&house, 2).await;
    let seen = house.sim.snapshot().unwrap();
    assert_eq!(seen.deliveries[1].status, 502);
    assert_eq!(seen.deliveries.len(), 2);
}

#[tokio::test]
async fn a_moved_branch_is_told_to_its_pull_request() {
    let (house, receiver) = with_receiver().await;
    house.branch("ahead", "a.txt", "a").await;
    house.sim.open_pull(REPO, "robot", "Ahead", "", "ahead", "main").unwrap();
    house.sim.push_files(REPO, "robot", "ahead", "more", &[("b.txt", "b", "100644")]).unwrap();
    // ping, create, push, opened, push, synchronize
    delivered(&house, 6).await;
    let all = receiver.all();
    let got = all.iter().find(|got| got.what() == "pull_request.synchronize").unwrap().json();
    assert_eq!(got["pull_request"]["head"]["sha"], got["after"]);
    assert_eq!(got["pull_request"]["changed_files"], 2);
}
