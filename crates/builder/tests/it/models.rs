//! A job with real providers' protocols: HTTP, streams, and a second model in the place of the first.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, StatusCode},
    response::IntoResponse,
    routing::post,
};
use booty_events::{Message as _, v1::JournalEntry};
use serde_json::{Value, json};

use crate::world::{CALC, World, opens};

/// A canary: it must turn up nowhere but in its header.
const KEY: &str = "canary-model-key-0123456789";
const READ: &str = r#"{"path": "calc.py"}"#;
const EDIT: &str = r#"{"path": "calc.py", "old": "return a - b", "new": "return a + b"}"#;
const FINISH: &str = r#"{"summary": "It adds now."}"#;

/// An answer for each turn: its calls, as name and arguments; or a refusal.
type Turns = Vec<Result<Calls, StatusCode>>;
type Calls = Vec<(&'static str, &'static str)>;
type Refused = (StatusCode, [(&'static str, HeaderValue); 1]);

#[derive(Clone)]
struct Provider {
    turns: Arc<Turns>,
    /// What comes before the turns: refusals, each with the wait that it asks for.
    busy: Arc<Mutex<VecDeque<HeaderValue>>>,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Provider {
    /// Plays the turn that the conversation has come to. Returns its base URL.
    async fn start(turns: Turns) -> (Self, String) {
        let provider = Self { turns: Arc::new(turns), busy: Arc::default(), asked: Arc::default() };
        let app = Router::new()
            .route("/v1/messages", post(messages))
            .route("/v1/chat/completions", post(chat))
            .with_state(provider.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (provider, url)
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    fn turn(&self, body: Value) -> Result<(usize, Calls), Refused> {
        let said = body["messages"].as_array().unwrap().iter().filter(|m| m["role"] == "assistant");
        let turn = said.count();
        self.asked.lock().unwrap().push(body);
        if let Some(wait) = self.busy.lock().unwrap().pop_front() {
            return Err((StatusCode::TOO_MANY_REQUESTS, [("retry-after", wait)]));
        }
        let refused = |status| (status, [("x-turn", HeaderValue::from(turn))]);
        self.turns[turn].clone().map(|calls| (turn, calls)).map_err(refused)
    }
}

async fn messages(State(provider): State<Provider>, Json(body): Json<Value>) -> impl IntoResponse {
    let (turn, calls) = provider.turn(body)?;
    let mut events = vec![json!({"type": "message_start", "message": {
        "id": format!("msg_{turn}"), "model": "claude-sonnet-4-6-20260101",
        "usage": {"input_tokens": 100, "cache_read_input_tokens": 50, "output_tokens": 1}}})];
    for (index, (name, arguments)) in calls.into_iter().enumerate() {
        let id = format!("toolu_{turn}_{index}");
        let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
        let delta = json!({"type": "input_json_delta", "partial_json": arguments});
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
    }
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"},
        "usage": {"output_tokens": 10}}));
    events.push(json!({"type": "message_stop"}));
    Ok::<_, Refused>(stream(events))
}

async fn chat(State(provider): State<Provider>, Json(body): Json<Value>) -> impl IntoResponse {
    let (turn, calls) = provider.turn(body)?;
    let calls: Vec<Value> = (0..)
        .zip(calls)
        .map(|(index, (name, arguments)): (usize, _)| {
            let function = json!({"name": name, "arguments": arguments});
            json!({"index": index, "id": format!("call_{turn}_{index}"), "function": function})
        })
        .collect();
    let choice = json!({"index": 0, "delta": {"tool_calls": calls}, "finish_reason": "tool_calls"});
    let usage = json!({"prompt_tokens": 30, "completion_tokens": 7});
    Ok::<_, Refused>(stream(vec![
        json!({"id": "chatcmpl-1", "model": "second", "choices": [choice]}),
        json!({"id": "chatcmpl-1", "model": "second", "choices": [], "usage": usage}),
    ]))
}

fn stream(events: Vec<Value>) -> impl IntoResponse {
    let text: String = events.into_iter().map(|event| format!("data: {event}\n\n")).collect();
    ([("content-type", "text/event-stream")], text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streaming_model_makes_a_proposal_and_its_cost_is_told() {
    let turns =
        vec![Ok(vec![("read", READ), ("list", "")]), Ok(vec![("edit", EDIT), ("finish", FINISH)])];
    let (provider, url) = Provider::start(turns).await;
    let mut world = World::new("scenarios: [{turns: []}]").await;
    world.set("MODEL", "anthropic:claude-sonnet-4-6");
    world.set("MODEL_API_KEY", KEY);
    world.set("MODEL_BASE_URL", &url);
    let _running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    let outcome = world.events.outcome(&job).await;
    assert_eq!(outcome.name, "proposal_made", "{outcome:?}");

    let changes = &opens(&world.effects().await[0]).changes.clone();
    assert_eq!(changes[0].content.as_ref(), CALC.replace('-', "+").as_bytes());
    let asked = provider.asked();
    assert_eq!(asked.len(), 2);
    let results = asked[1]["messages"][2]["content"].as_array().unwrap();
    let ids: Vec<_> = results.iter().map(|r| r["tool_use_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["toolu_0_0", "toolu_0_1"]);

    let events = world.events.all();
    let answered = events.iter().find(|event| event.name == "model_answered").unwrap();
    let attribute = |name: &str| answered.attributes[name].as_str();
    assert_eq!(attribute("model"), "claude-sonnet-4-6-20260101");
    assert_eq!((attribute("input_tokens"), attribute("cache_read_tokens")), ("100", "50"));
    // 100 at 3, 50 at 0.30 and 10 at 15 dollars a million.
    assert_eq!(attribute("cost_usd"), "0.000465");
    let told = format!("{events:?} {:?} {}", world.effects().await, Value::from(asked));
    assert!(!told.contains("canary-model-key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_model_goes_on_where_the_first_one_lost_its_key() {
    let (first, first_url) =
        Provider::start(vec![Ok(vec![("read", READ)]), Err(StatusCode::UNAUTHORIZED)]).await;
    let turns = vec![Err(StatusCode::IM_A_TEAPOT), Ok(vec![("edit", EDIT), ("finish", FINISH)])];
    let (second, second_url) = Provider::start(turns).await;
    let mut world = World::new("scenarios: [{turns: []}]").await;
    world.set("MODEL", "anthropic:claude-sonnet-4-6");
    world.set("MODEL_API_KEY", KEY);
    world.set("MODEL_BASE_URL", &first_url);
    world.set("MODEL_FALLBACK", "openai-chat:second");
    world.set("MODEL_FALLBACK_BASE_URL", &second_url);
    let _running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    let outcome = world.events.outcome(&job).await;
    assert_eq!(outcome.name, "proposal_made", "{outcome:?}");

    assert_eq!((first.asked().len(), second.asked().len()), (2, 1));
    // The first one's call and its result, under the id that the first one gave it.
    let conversation = second.asked().remove(0);
    assert_eq!(conversation["messages"][2]["tool_calls"][0]["id"], "toolu_0_0");
    assert_eq!(conversation["messages"][3]["tool_call_id"], "toolu_0_0");
    let models: Vec<_> = world
        .events
        .all()
        .into_iter()
        .filter(|event| event.name == "model_answered")
        .map(|event| event.attributes["model"].clone())
        .collect();
    assert_eq!(models, ["claude-sonnet-4-6-20260101", "second"]);
    let journal: Vec<JournalEntry> = world
        .messages(booty_events::stream::JOURNAL.name)
        .await
        .into_iter()
        .map(|(_, payload)| JournalEntry::decode(payload.as_slice()).unwrap())
        .collect();
    assert!(!format!("{journal:?}").contains("canary-model-key"));
}

/// A place is for who can use it: the only worker goes on with another job meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_asks_for_an_hour_holds_up_no_worker() {
    let edit = vec![("edit", EDIT), ("finish", FINISH)];
    let (provider, url) = Provider::start(vec![Ok(edit)]).await;
    provider.busy.lock().unwrap().push_back(HeaderValue::from_static("3600"));
    let mut world = World::new("scenarios: [{turns: []}]").await;
    world.set("MODEL", "anthropic:claude-sonnet-4-6");
    world.set("MODEL_BASE_URL", &url);
    world.set("WORKER_COUNT", "1");
    let _running = world.start().await;
    let (_, first) = world.labelled_issue("d-1").await;
    world.events.wait("its first round", |event| event.name == "round_started").await;
    let (_, second) = world.labelled_issue("d-2").await;
    assert_eq!(world.events.outcome(&second).await.name, "proposal_made");
    // Asked once, neither ended nor counted as failed: it waits for its hour.
    assert_eq!(provider.asked().len(), 2);
    let said = world.events.names(&first);
    assert_eq!(said, ["job_enqueued", "workspace_created", "round_started"]);
    assert!(world.messages(booty_events::stream::SPOOL.name).await.is_empty());
}
