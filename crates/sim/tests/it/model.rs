//! A model endpoint with a script, and bodies that it takes.

mod chat;
mod faults;
mod messages;
mod record;
mod responses;

use booty_sim::model::{ModelServer, ModelSettings, Script};
use reqwest::{RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// Two answers with calls, then the end.
pub(crate) const SCRIPT: &str = r#"
scenarios:
  - match: "calc"
    turns:
      - text: I read both files.
        calls:
          - { tool: read, with: { path: calc.py } }
          - { tool: read, with: { path: "täst.py" } }
      - calls:
          - { tool: edit, with: { path: calc.py, old: "a - b", new: "a + b" } }
      - text: Done.
"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Messages,
    Chat,
    Responses,
}

pub(crate) struct Endpoint {
    pub(crate) server: ModelServer,
    pub(crate) http: reqwest::Client,
    key: String,
}

impl Endpoint {
    pub(crate) async fn new() -> Self {
        Self::with(SCRIPT, |_| {}).await
    }

    pub(crate) async fn with(script: &str, change: impl FnOnce(&mut ModelSettings)) -> Self {
        let mut settings = ModelSettings::new(Script::parse(script, false).unwrap());
        change(&mut settings);
        let server = ModelServer::start(settings).await.unwrap();
        let key = server.api_key().map(|key| key.expose_secret().to_owned()).unwrap_or_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { server, http, key }
    }

    /// With key and version.
    pub(crate) fn to(&self, api: Api) -> RequestBuilder {
        let post = |path: &str| self.http.post(format!("{}{path}", self.server.url()));
        match api {
            Api::Messages => post("/v1/messages")
                .header("x-api-key", &self.key)
                .header("anthropic-version", "2023-06-01"),
            Api::Chat => post("/v1/chat/completions").bearer_auth(&self.key),
            Api::Responses => post("/v1/responses").bearer_auth(&self.key),
        }
    }

    pub(crate) async fn send(&self, api: Api, body: &Value) -> Response {
        self.to(api).json(body).send().await.unwrap()
    }

    /// The answer to a request that is taken.
    pub(crate) async fn whole(&self, api: Api, body: &Value) -> Value {
        let answer = self.send(api, body).await;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The events of a request that is taken, `[DONE]` as a string.
    pub(crate) async fn stream(&self, api: Api, body: &Value) -> Vec<(String, Value)> {
        let mut body = body.clone();
        body["stream"] = json!(true);
        let answer = self.send(api, &body).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream; charset=utf-8");
        events(&answer.text().await.unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.server.url())).bearer_auth(&self.key)
    }
}

/// Whole events of a stream; one that breaks off is left out.
pub(crate) fn events(text: &str) -> Vec<(String, Value)> {
    let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let event = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let data = field("data: ").unwrap();
        let data = serde_json::from_str(data).unwrap_or_else(|_| json!(data));
        (field("event: ").unwrap_or_default().to_owned(), data)
    };
    whole.split("\n\n").filter(|block| !block.is_empty()).map(event).collect()
}

/// A first question.
pub(crate) fn question(api: Api) -> Value {
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}});
    let task = "calc.py subtracts";
    match api {
        Api::Messages => json!({
            "model": "claude-x", "max_tokens": 1000, "system": "You repair code.",
            "messages": [{"role": "user", "content": task}],
            "tools": [{"name": "read", "description": "Reads.", "input_schema": schema}],
        }),
        Api::Chat => json!({
            "model": "gpt-4.1",
            "messages": [
                {"role": "system", "content": "You repair code."},
                {"role": "user", "content": task},
            ],
            "tools": [{
                "type": "function",
                "function": {"name": "read", "description": "Reads.", "parameters": schema},
            }],
        }),
        Api::Responses => json!({
            "model": "gpt-4.1", "instructions": "You repair code.",
            "input": [{"role": "user", "content": task}],
            "tools": [{
                "type": "function", "name": "read", "description": "Reads.", "parameters": schema,
            }],
        }),
    }
}

/// The list that a conversation is in.
pub(crate) fn turns(api: Api, body: &mut Value) -> &mut Vec<Value> {
    let key = if api == Api::Responses { "input" } else { "messages" };
    body[key].as_array_mut().unwrap()
}

/// The question after an answer: what it said, and a result for each call.
pub(crate) fn follow(api: Api, body: &Value, answer: &Value) -> Value {
    let mut body = body.clone();
    let list = turns(api, &mut body);
    match api {
        Api::Messages => {
            list.push(json!({"role": "assistant", "content": answer["content"]}));
            let uses = answer["content"].as_array().unwrap().iter();
            let results: Vec<Value> = uses
                .filter(|block| block["type"] == "tool_use")
                .map(|block| {
                    json!({
                        "type": "tool_result", "tool_use_id": block["id"], "content": "done",
                    })
                })
                .collect();
            list.push(json!({"role": "user", "content": results}));
        }
        Api::Chat => {
            let message = answer["choices"][0]["message"].clone();
            let calls = message["tool_calls"].as_array().cloned().unwrap();
            list.push(message);
            list.extend(calls.iter().map(
                |call| json!({"role": "tool", "tool_call_id": call["id"], "content": "done"}),
            ));
        }
        Api::Responses => {
            let items = answer["output"].as_array().unwrap();
            list.extend(items.iter().cloned());
            list.extend(items.iter().filter(|item| item["type"] == "function_call").map(|item| {
                json!({"type": "function_call_output", "call_id": item["call_id"], "output": "done"})
            }));
        }
    }
    body
}

/// What an error says.
pub(crate) async fn error(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["error"].clone())
}
