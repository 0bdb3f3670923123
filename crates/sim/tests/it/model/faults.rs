//! What goes wrong on demand, by each API.

use booty_sim::model::{BadArguments, Fault};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Api::{self, Chat, Messages, Responses},
    Endpoint, error, events, question,
};

#[rstest]
#[case(Messages, Fault::RateLimited { retry_after: Some("7".into()) }, 429, "rate_limit_error", None)]
#[case(Messages, Fault::Overloaded, 529, "overloaded_error", None)]
#[case(Messages, Fault::ServerError, 500, "api_error", None)]
#[case(Messages, Fault::Unavailable { retry_after: None }, 503, "api_error", None)]
#[case(Messages, Fault::Unauthorized, 401, "authentication_error", None)]
#[case(Messages, Fault::InsufficientQuota, 400, "invalid_request_error", None)]
#[case(Messages, Fault::ErrorEvent { after_events: 3 }, 500, "api_error", None)]
#[case(Chat, Fault::RateLimited { retry_after: Some("7".into()) }, 429, "tokens", Some("rate_limit_exceeded"))]
#[case(Chat, Fault::Overloaded, 503, "server_error", None)]
#[case(Chat, Fault::ServerError, 500, "server_error", None)]
#[case(Chat, Fault::Unavailable { retry_after: None }, 503, "server_error", None)]
#[case(Chat, Fault::Unauthorized, 401, "invalid_request_error", Some("invalid_api_key"))]
#[case(Chat, Fault::InsufficientQuota, 429, "insufficient_quota", Some("insufficient_quota"))]
#[case(Responses, Fault::RateLimited { retry_after: Some("7".into()) }, 429, "tokens", Some("rate_limit_exceeded"))]
#[case(Responses, Fault::InsufficientQuota, 429, "insufficient_quota", Some("insufficient_quota"))]
#[tokio::test]
async fn an_error_and_then_the_answer(
    #[case] api: Api,
    #[case] fault: Fault,
    #[case] status: u16,
    #[case] kind: &str,
    #[case] code: Option<&str>,
) {
    let endpoint = Endpoint::new().await;
    endpoint.server.fail_next([fault.clone()]);
    let answer = endpoint.send(api, &question(api)).await;
    if let Fault::RateLimited { retry_after } = &fault {
        let told = answer.headers().get("retry-after").unwrap().to_str().unwrap();
        assert_eq!(Some(told), retry_after.as_deref());
    } else {
        assert!(!answer.headers().contains_key("retry-after"));
    }
    let (got, error) = error(answer).await;
    assert_eq!((got, error["type"].as_str().unwrap()), (status, kind), "{error}");
    if api != Messages {
        assert_eq!(error["code"], json!(code));
    }
    assert_eq!(endpoint.server.faults_left(), 0);
    endpoint.whole(api, &question(api)).await;
}

#[rstest]
#[tokio::test]
async fn a_request_that_is_refused_meets_no_fault(#[values(Messages, Chat, Responses)] api: Api) {
    let endpoint = Endpoint::new().await;
    endpoint.server.fail_next([Fault::ServerError]);
    let mut body = question(api);
    body["model"] = json!("nobody");
    assert_eq!(error(endpoint.send(api, &body).await).await.0, 404);
    assert_eq!(endpoint.server.faults_left(), 1);
}

#[rstest]
#[tokio::test]
async fn a_proxy_answers_html(#[values(Messages, Chat, Responses)] api: Api) {
    let endpoint = Endpoint::new().await;
    endpoint.server.fail_next([Fault::Gateway { status: 502 }]);
    let answer = endpoint.send(api, &question(api)).await;
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.headers()["content-type"], "text/html");
    assert!(answer.text().await.unwrap().starts_with("<html>"));
}

#[rstest]
#[tokio::test]
async fn a_dropped_connection_says_nothing(#[values(Messages, Chat, Responses)] api: Api) {
    let endpoint = Endpoint::new().await;
    endpoint.server.fail_next([Fault::Dropped]);
    assert!(endpoint.to(api).json(&question(api)).send().await.is_err());
    endpoint.whole(api, &question(api)).await;
}

fn streamed(api: Api) -> Value {
    let mut body = question(api);
    body["stream"] = json!(true);
    body
}

/// What arrives of a stream, and whether it ended as HTTP should.
async fn taken(endpoint: &Endpoint, api: Api, fault: Fault) -> (String, bool) {
    endpoint.server.fail_next([fault]);
    let mut answer = endpoint.send(api, &streamed(api)).await;
    assert_eq!(answer.status(), 200);
    let mut bytes = Vec::new();
    let ended = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    (String::from_utf8_lossy(&bytes).into_owned(), ended)
}

#[rstest]
#[tokio::test]
async fn a_stream_is_cut_after_events(#[values(Messages, Chat, Responses)] api: Api) {
    let endpoint = Endpoint::new().await;
    let (text, ended) = taken(&endpoint, api, Fault::CutAfterEvents { events: 4 }).await;
    assert!(!ended);
    assert_eq!(events(&text).len(), 4);
    let whole = endpoint.stream(api, &question(api)).await;
    assert!(whole.len() > 4);
}

#[rstest]
#[tokio::test]
async fn a_stream_is_cut_after_bytes(#[values(Messages, Chat, Responses)] api: Api) {
    let endpoint = Endpoint::new().await;
    let (text, ended) = taken(&endpoint, api, Fault::CutAfterBytes { bytes: 333 }).await;
    assert_eq!((text.len(), ended), (333, false));
}

#[rstest]
#[tokio::test]
async fn a_stream_ends_too_early(#[values(Messages, Chat, Responses)] api: Api) {
    let endpoint = Endpoint::new().await;
    let (text, ended) = taken(&endpoint, api, Fault::EndsEarly { events: 4 }).await;
    assert!(ended);
    assert_eq!(events(&text).len(), 4);
}

#[rstest]
#[case(Messages, "error")]
#[case(Chat, "")]
#[case(Responses, "error")]
#[tokio::test]
async fn an_error_comes_in_the_middle(#[case] api: Api, #[case] name: &str) {
    let endpoint = Endpoint::new().await;
    let (text, ended) = taken(&endpoint, api, Fault::ErrorEvent { after_events: 4 }).await;
    assert!(ended);
    let events = events(&text);
    assert_eq!(events.len(), 5);
    let (got, data) = events.last().unwrap();
    assert_eq!(got, name);
    match api {
        Messages => assert_eq!(data["error"]["type"], "overloaded_error"),
        Chat => assert_eq!(data["error"]["type"], "server_error"),
        Responses => {
            assert_eq!((&data["sequence_number"], &data["type"]), (&json!(4), &json!("error")))
        }
    }
}

#[rstest]
#[tokio::test]
async fn an_event_is_no_json(#[values(Messages, Chat, Responses)] api: Api) {
    let endpoint = Endpoint::new().await;
    let (text, ended) = taken(&endpoint, api, Fault::MalformedJson { after_events: 3 }).await;
    assert!(ended);
    let events = events(&text);
    let broken: Vec<usize> = events
        .iter()
        .enumerate()
        .filter(|(_, (_, data))| data.is_string())
        .map(|(i, _)| i)
        .collect();
    assert!(broken.contains(&3), "{text}");
    assert!(events.len() > 4);
}

/// Neither client nor server has anything to wait for but the other: what came is all that will come.
#[rstest]
#[tokio::test]
async fn a_stream_falls_silent(#[values(Messages, Chat, Responses)] api: Api) {
    let endpoint = Endpoint::new().await;
    endpoint.server.fail_next([Fault::Silent { after_events: 2 }]);
    let mut answer = endpoint.send(api, &streamed(api)).await;
    let mut text = String::new();
    while events(&text).len() < 2 {
        text += std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap();
    }
    let more = tokio::time::timeout(std::time::Duration::from_millis(200), answer.chunk()).await;
    assert!(more.is_err(), "it went on: {more:?}");
    drop(answer);
    endpoint.whole(api, &question(api)).await;
}

#[rstest]
#[tokio::test]
async fn not_even_headers_come(#[values(Messages, Chat, Responses)] api: Api) {
    let endpoint = Endpoint::new().await;
    endpoint.server.fail_next([Fault::Mute]);
    let asked = endpoint.to(api).json(&question(api)).send();
    let answer = tokio::time::timeout(std::time::Duration::from_millis(200), asked).await;
    assert!(answer.is_err(), "it answered: {answer:?}");
}

#[rstest]
#[tokio::test]
async fn bytes_drip(#[values(Messages, Chat, Responses)] api: Api) {
    let endpoint = Endpoint::new().await;
    let whole = endpoint.stream(api, &question(api)).await.len();
    endpoint.server.fail_next([Fault::Slow { bytes: 500, millis: 1 }]);
    let mut answer = endpoint.send(api, &streamed(api)).await;
    let mut text = String::new();
    let mut chunks = 0;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        chunks += 1;
        assert!(chunk.len() <= 500 * 4, "{}", chunk.len());
        text += &String::from_utf8_lossy(&chunk);
    }
    assert!(chunks > 2);
    assert_eq!(events(&text).len(), whole);
}

#[rstest]
#[tokio::test]
async fn an_endless_stream_goes_on_until_nobody_reads(
    #[values(Messages, Chat, Responses)] api: Api,
) {
    let endpoint = Endpoint::new().await;
    endpoint.server.fail_next([Fault::Endless]);
    let mut answer = endpoint.send(api, &streamed(api)).await;
    let mut text = String::new();
    while text.len() < 1_000_000 {
        text += &String::from_utf8_lossy(&answer.chunk().await.unwrap().unwrap());
    }
    let events = events(&text);
    assert!(events.len() > 2000);
    let middle = &events[1000].1;
    assert_eq!(middle, &events[1001].1, "the same text again");
    assert!(middle.to_string().contains("And so on, "), "{middle}");
    drop(answer);
    endpoint.whole(api, &question(api)).await;
}

#[rstest]
#[tokio::test]
async fn an_answer_is_huge(
    #[values(Messages, Chat, Responses)] api: Api,
    #[values(false, true)] stream: bool,
) {
    let endpoint = Endpoint::new().await;
    endpoint.server.fail_next([Fault::Huge { bytes: 2_000_000 }]);
    let mut body = question(api);
    body["stream"] = json!(stream);
    let text = endpoint.send(api, &body).await.text().await.unwrap();
    assert!(text.len() > 2_000_000);
    if !stream {
        let body: Value = serde_json::from_str(&text).unwrap();
        assert!(body["usage"].to_string().contains("5000"), "{}", body["usage"]);
    }
}

#[rstest]
#[case(BadArguments::NotJson, "path = calc.py")]
#[case(BadArguments::Cut, r#"{"path":""#)]
#[case(BadArguments::NoObject, r#"["calc.py"]"#)]
#[case(BadArguments::Empty, "")]
#[tokio::test]
async fn arguments_are_no_arguments(#[case] are: BadArguments, #[case] expected: &str) {
    let endpoint = Endpoint::new().await;
    let fault = || [Fault::BadArguments { are }];
    endpoint.server.fail_next(fault());
    let answer = endpoint.whole(Chat, &question(Chat)).await;
    let calls = &answer["choices"][0]["message"]["tool_calls"];
    assert_eq!(calls[0]["function"]["arguments"], expected);
    endpoint.server.fail_next(fault());
    let answer = endpoint.whole(Responses, &question(Responses)).await;
    assert_eq!(answer["output"][1]["arguments"], expected);
    endpoint.server.fail_next(fault());
    let events = endpoint.stream(Messages, &question(Messages)).await;
    let said: String = events
        .iter()
        .filter(|(_, data)| data["index"] == 1)
        .filter_map(|(_, data)| data["delta"]["partial_json"].as_str())
        .collect();
    assert_eq!(said, expected);
    endpoint.server.fail_next(fault());
    let answer = endpoint.whole(Messages, &question(Messages)).await;
    assert!(answer["content"][1]["input"].is_object(), "{answer}");
}

#[tokio::test]
async fn a_refusal_looks_as_each_provider_has_it() {
    let endpoint = Endpoint::new().await;
    endpoint.server.fail_next(std::iter::repeat_n(Fault::Refusal, 4));
    let answer = endpoint.whole(Messages, &question(Messages)).await;
    assert_eq!(answer["stop_reason"], "refusal");
    let answer = endpoint.whole(Chat, &question(Chat)).await;
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"]["content"], Value::Null);
    assert_eq!(choice["message"]["refusal"], "I read both files.");
    assert_eq!(choice["message"].get("tool_calls"), None);
    let answer = endpoint.whole(Responses, &question(Responses)).await;
    assert_eq!(answer["output"][0]["content"][0]["type"], "refusal");
    let events = endpoint.stream(Responses, &question(Responses)).await;
    assert!(events.iter().any(|(name, _)| name == "response.refusal.delta"));
}

#[tokio::test]
async fn an_answer_is_cut_by_its_limit() {
    let endpoint = Endpoint::new().await;
    endpoint.server.fail_next(std::iter::repeat_n(Fault::MaxTokens, 3));
    let answer = endpoint.whole(Messages, &question(Messages)).await;
    assert_eq!(answer["stop_reason"], "max_tokens");
    let answer = endpoint.whole(Chat, &question(Chat)).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
    assert!(serde_json::from_str::<Value>(call["arguments"].as_str().unwrap()).is_err(), "{call}");
    let answer = endpoint.whole(Responses, &question(Responses)).await;
    assert_eq!(answer["status"], "incomplete");
}

#[rstest]
#[tokio::test]
async fn what_is_no_stream_is_cut_too(#[values(Messages, Chat, Responses)] api: Api) {
    let endpoint = Endpoint::new().await;
    for fault in [Fault::CutAfterEvents { events: 1 }, Fault::CutAfterBytes { bytes: 10 }] {
        endpoint.server.fail_next([fault]);
        let answer = endpoint.send(api, &question(api)).await;
        assert!(answer.content_length().unwrap() > 100);
        assert!(answer.bytes().await.is_err());
    }
    for fault in [Fault::EndsEarly { events: 1 }, Fault::MalformedJson { after_events: 0 }] {
        endpoint.server.fail_next([fault]);
        let answer = endpoint.send(api, &question(api)).await.bytes().await.unwrap();
        assert!(!answer.is_empty());
        assert!(serde_json::from_slice::<Value>(&answer).is_err());
    }
    endpoint.server.fail_next([Fault::Slow { bytes: 100, millis: 1 }]);
    endpoint.whole(api, &question(api)).await;
    endpoint.server.fail_next([Fault::Endless]);
    let mut answer = endpoint.send(api, &question(api)).await;
    let mut bytes = 0;
    while bytes < 1_000_000 {
        bytes += answer.chunk().await.unwrap().unwrap().len();
    }
}

const FAULTY: &str = r#"
scenarios:
  - match: "calc"
    turns:
      - faults:
          - { kind: rate_limited, retry_after: "0" }
          - { kind: cut_after_events, events: 2 }
        text: At last.
      - text: And on.
"#;

#[tokio::test]
async fn a_script_has_faults_of_its_own() {
    let endpoint = Endpoint::with(FAULTY, |_| {}).await;
    let answer = endpoint.send(Messages, &question(Messages)).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (429, &"0".parse().unwrap())
    );
    // The same conversation goes on with another provider.
    let answer = endpoint.send(Chat, &streamed(Chat)).await;
    assert!(answer.bytes().await.is_err());
    let answer = endpoint.whole(Messages, &question(Messages)).await;
    assert_eq!(answer["content"][0]["text"], "At last.");
    // Another conversation has its own.
    let mut other = question(Messages);
    other["messages"][0]["content"] = json!("calc, once more");
    assert_eq!(endpoint.send(Messages, &other).await.status(), 429);
}

#[tokio::test]
async fn a_script_with_unknown_faults_does_not_start() {
    let script = FAULTY.replace("rate_limited", "rate_limit");
    let script = booty_sim::model::Script::parse(&script, false).unwrap();
    let settings = booty_sim::model::ModelSettings::new(script);
    let error = booty_sim::model::ModelServer::start(settings).await.unwrap_err();
    assert!(error.to_string().contains("rate_limit"), "{error}");
}

#[test]
fn only_an_endpoint_can_play_faults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script.yaml");
    std::fs::write(&path, FAULTY).unwrap();
    booty_sim::model::Script::load(&path).unwrap();
    let error = booty_model::scripted::ScriptedModel::load(&path).unwrap_err();
    assert!(error.to_string().contains("`faults`"), "{error}");
}

#[tokio::test]
async fn limits_of_a_minute_hold() {
    let endpoint = Endpoint::with(super::SCRIPT, |settings| settings.requests_per_minute = 2).await;
    for left in ["1", "0"] {
        let answer = endpoint.send(Messages, &question(Messages)).await;
        assert_eq!(answer.headers()["anthropic-ratelimit-requests-remaining"], left);
        assert!(
            answer.headers()["anthropic-ratelimit-requests-reset"].to_str().unwrap().contains('T')
        );
    }
    let answer = endpoint.send(Chat, &question(Chat)).await;
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["x-ratelimit-remaining-requests"], "0");
    assert!(answer.headers()["x-ratelimit-reset-requests"].to_str().unwrap().ends_with('s'));
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
}

/// A client that stops in the middle of its request holds up nobody.
#[tokio::test]
async fn half_a_request_holds_up_nobody() {
    let endpoint = Endpoint::new().await;
    let mut stream = tokio::net::TcpStream::connect(endpoint.server.addr()).await.unwrap();
    stream.write_all(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    endpoint.whole(Messages, &question(Messages)).await;
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}
