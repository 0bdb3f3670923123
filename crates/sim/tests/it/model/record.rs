//! What was asked, as tests and other processes see it.

use std::time::Duration;

use booty_sim::model::{Fault, Outcome, Told};
use serde_json::json;

use super::{
    Api::{Chat, Messages},
    Endpoint, follow, question,
};

#[tokio::test]
async fn everything_that_was_asked_is_told() {
    let endpoint = Endpoint::new().await;
    let first = question(Messages);
    endpoint.server.fail_next([Fault::Overloaded]);
    endpoint.send(Messages, &first).await;
    let answer = endpoint.whole(Messages, &first).await;
    let second = follow(Messages, &first, &answer);
    endpoint.whole(Messages, &second).await;
    let mut other = question(Chat);
    other["messages"][1]["content"] = json!("calc multiplies");
    endpoint.whole(Chat, &other).await;
    endpoint.send(Chat, &json!({"model": "gpt-4.1"})).await;

    let told = endpoint.server.told();
    let outcomes: Vec<&Outcome> = told.requests.iter().map(|asked| &asked.outcome).collect();
    assert_eq!(outcomes[0], &Outcome::Fault { fault: "overloaded".into() });
    assert!(outcomes[1..4].iter().all(|outcome| **outcome == Outcome::Answered));
    assert!(matches!(outcomes[4], Outcome::Refused { status: 400, .. }), "{outcomes:?}");
    assert_eq!((told.count, told.requests[2].turn), (5, 1));
    assert_eq!(told.requests[2].body, second);
    assert_eq!(told.requests[0].usage, None);
    let usage = told.requests[1].usage.unwrap();
    assert_eq!(usage.input_tokens, answer["usage"]["input_tokens"].as_u64().unwrap());
    assert_eq!(usage.output_tokens, answer["usage"]["output_tokens"].as_u64().unwrap());

    let quarter = |body: &serde_json::Value| (body.to_string().len() as u64).div_ceil(4);
    assert_eq!(told.requests[2].tokens, quarter(&second));
    let [one, two] = &told.conversations[..] else { panic!("{:?}", told.conversations) };
    assert_eq!(one.tokens, 2 * quarter(&first) + quarter(&second));
    assert_eq!((one.count, one.answered, two.count), (3, 2, 1));

    let body: Told =
        endpoint.get("/__booty/model/requests").send().await.unwrap().json().await.unwrap();
    assert_eq!((body.count, body.tokens), (5, told.tokens));
    assert_eq!(body.requests[2].body, second);
}

#[tokio::test]
async fn only_the_key_is_told() {
    let endpoint = Endpoint::new().await;
    let url = format!("{}/__booty/model/requests", endpoint.server.url());
    assert_eq!(endpoint.http.get(&url).send().await.unwrap().status(), 401);
    let wrong = endpoint.http.get(&url).bearer_auth("sk-sim-0").send().await.unwrap();
    assert_eq!(wrong.status(), 401);
}

#[tokio::test]
async fn another_process_can_order_faults() {
    let endpoint = Endpoint::new().await;
    let post = |body: serde_json::Value| {
        let url = "/__booty/model/faults";
        let mut request = endpoint.get(url).json(&body).build().unwrap();
        *request.method_mut() = reqwest::Method::POST;
        endpoint.http.execute(request)
    };
    let faults = json!([{"kind": "gateway", "status": 504}, {"kind": "mute"}]);
    assert_eq!(post(faults).await.unwrap().status(), 200);
    assert_eq!(endpoint.server.faults_left(), 2);
    assert_eq!(post(json!([{"kind": "flood"}])).await.unwrap().status(), 422);
    assert_eq!(endpoint.send(Chat, &question(Chat)).await.status(), 504);
}

#[tokio::test]
async fn a_test_waits_for_a_request() {
    let endpoint = Endpoint::new().await;
    endpoint.server.fail_next([Fault::Mute]);
    let request = endpoint.to(Chat).json(&question(Chat)).send();
    let asked = tokio::spawn(request);
    let seen = endpoint
        .server
        .wait_for(Duration::from_secs(30), |told| told.requests.first().cloned())
        .await
        .unwrap();
    assert_eq!(seen.model, "gpt-4.1");
    asked.abort();
    let nothing =
        endpoint.server.wait_for(Duration::from_millis(1), |told| (told.count > 1).then_some(()));
    assert_eq!(nothing.await, None);
}

#[tokio::test]
async fn what_the_script_does_not_have_is_no_answer() {
    let endpoint = Endpoint::new().await;
    let mut body = question(Chat);
    body["messages"][1]["content"] = json!("something else");
    let (status, error) = super::error(endpoint.send(Chat, &body).await).await;
    assert_eq!(status, 400);
    assert!(error["message"].as_str().unwrap().contains("has no turn 0"), "{error}");
    let script = "scenarios: [{ turns: [{ fail: \"no such luck\" }] }]";
    let endpoint = Endpoint::with(script, |_| {}).await;
    let (status, error) = super::error(endpoint.send(Chat, &body).await).await;
    assert_eq!((status, &error["message"]), (400, &json!("no such luck")));
}

#[tokio::test]
async fn there_is_nothing_else() {
    let endpoint = Endpoint::new().await;
    let url = format!("{}/v1/embeddings", endpoint.server.url());
    let answer = endpoint.http.post(url).send().await.unwrap();
    assert_eq!(super::error(answer).await.0, 404);
    let answer = endpoint.get("/v1/chat/completions").send().await.unwrap();
    assert_eq!(super::error(answer).await.0, 405);
}
