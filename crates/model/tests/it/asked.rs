//! What is sent: one conversation with all that can be in it, to each API.

use booty_model::{Message, Part, Request, ToolResult};
use serde_json::json;

use crate::server::{KEY, Provider, Reply, question};

/// Begun with one model, gone on with by another, with all that models get wrong.
fn conversation(by: &str) -> Request {
    let reasoning = |by: &str, data| Part::Reasoning { by: by.to_owned(), data };
    let call = |id: &str, name: &str, arguments| Part::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments,
    };
    let result = |id: &str, content: &str, is_error| ToolResult {
        call_id: id.to_owned(),
        content: content.to_owned(),
        is_error,
    };
    let mut request = question();
    request.messages.extend([
        Message::Assistant {
            content: vec![
                reasoning("another:model", json!({"type": "thinking", "signature": "other"})),
                reasoning(by, json!({"type": "thinking", "reasoning_content": "own"})),
                Part::Text { text: " \n".to_owned() },
                Part::Text { text: "I read first.".to_owned() },
                call("toolu_01A09q90qw90lq917835lq9", "read", json!({"path": "calc.py"})),
                call("functions.rm -rf:0|…", "rm -rf /", json!("{\"path\": ")),
            ],
        },
        Message::ToolResults {
            results: vec![
                result("toolu_01A09q90qw90lq917835lq9", "def add", false),
                result("functions.rm -rf:0|…", "there is no such tool", true),
            ],
        },
        Message::User { content: "The tests fail:\n1 failed".to_owned() },
        Message::Assistant { content: vec![reasoning(by, json!({"type": "thinking"}))] },
        Message::User { content: " ".to_owned() },
        Message::Assistant { content: vec![Part::Text { text: "Done.".to_owned() }] },
        Message::User { content: "Not quite.".to_owned() },
    ]);
    request
}

async fn sent(provider_name: &str, base: Option<&str>) -> (String, serde_json::Value) {
    let provider = Provider::playing([Reply::refusal(500, "")]).await;
    let mut options = provider.options();
    let spec = format!("{provider_name}:some-model");
    if let Some(base) = base {
        // Sent here whatever its host.
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let behind = Provider::behind(&socket, [Reply::refusal(500, "")]);
        options.base_url = Some(base.to_owned());
        options.socket = Some(socket);
        booty_model::open(&spec, &options).unwrap().answer(&conversation(&spec)).await.unwrap_err();
        let asked = behind.asked().remove(0);
        return (asked.path, asked.body);
    }
    provider.model(&spec).answer(&conversation(&spec)).await.unwrap_err();
    let asked = provider.asked().remove(0);
    (asked.path, asked.body)
}

macro_rules! assert_sent {
    ($name:literal, $provider:literal, $base:expr) => {{
        let (path, body) = sent($provider, $base).await;
        let mut settings = insta::Settings::clone_current();
        settings.set_sort_maps(true);
        settings.set_prepend_module_to_snapshot(false);
        settings.bind(|| insta::assert_json_snapshot!($name, json!({"path": path, "body": body})));
    }};
}

#[tokio::test]
async fn to_anthropic() {
    assert_sent!("anthropic", "anthropic", None);
}

#[tokio::test]
async fn to_openai() {
    assert_sent!("openai", "openai", Some("http://api.openai.com/v1"));
}

#[tokio::test]
async fn to_openai_by_chat() {
    assert_sent!("openai-chat", "openai-chat", Some("http://api.openai.com/v1"));
}

#[tokio::test]
async fn to_who_speaks_like_openai() {
    assert_sent!("ollama", "ollama", None);
}

#[tokio::test]
async fn to_mistral_that_refuses_what_it_does_not_know() {
    let (_, body) = sent("openai-chat", Some("http://api.mistral.ai/v1")).await;
    for unknown in ["stream_options", "max_completion_tokens", "prompt_cache_key"] {
        assert!(body.get(unknown).is_none(), "{unknown}");
    }
    assert_eq!(body["max_tokens"], 4096);
    let calls = body["messages"][2]["tool_calls"].as_array().unwrap();
    for (call, result) in [(&calls[0], 3), (&calls[1], 4)] {
        assert_eq!(call["id"].as_str().unwrap().len(), 9);
        assert_eq!(body["messages"][result]["tool_call_id"], call["id"]);
    }
    assert_ne!(calls[0]["id"], calls[1]["id"]);
}

#[tokio::test]
async fn the_key_goes_into_the_header_that_the_provider_reads() {
    for (spec, name, value) in [
        ("anthropic:m", "x-api-key", KEY.to_owned()),
        ("openai:m", "authorization", format!("Bearer {KEY}")),
        ("openai-chat:m", "authorization", format!("Bearer {KEY}")),
    ] {
        let provider = Provider::playing([]).await;
        provider.model(spec).answer(&question()).await.unwrap_err();
        let asked = provider.asked().remove(0);
        assert_eq!(asked.headers[name], value, "{spec}");
        assert!(!asked.path.contains(KEY) && !asked.body.to_string().contains(KEY), "{spec}");
        let version = asked.headers.get("anthropic-version").map(|v| v.to_str().unwrap());
        assert_eq!(version, spec.starts_with("anthropic").then_some("2023-06-01"));
    }
}

/// Anthropic allows four marks; the last question's is found again by the next one.
#[tokio::test]
async fn no_more_than_four_marks_are_set_and_the_beginning_never_moves() {
    let provider = Provider::playing([]).await;
    let model = provider.model("anthropic:m");
    let mut request = conversation("anthropic:m");
    model.answer(&request).await.unwrap_err();
    request.messages.extend([
        Message::Assistant { content: vec![Part::Text { text: "Now.".to_owned() }] },
        Message::User { content: "Still not.".to_owned() },
    ]);
    model.answer(&request).await.unwrap_err();
    let [before, after] = [0, 1].map(|n| provider.asked()[n].body.clone());
    for body in [&before, &after] {
        assert_eq!(body.to_string().matches("cache_control").count(), 4);
    }
    let before = before["messages"].as_array().unwrap().clone();
    let after = after["messages"].as_array().unwrap().clone();
    let marked = before.len() - 1;
    assert_eq!(after[marked], before[marked], "the mark of the question before is still there");
    let bare = |messages: &[serde_json::Value]| {
        let text = serde_json::to_string(messages).unwrap();
        text.replace(r#""cache_control":{"type":"ephemeral"},"#, "")
            .replace(r#","cache_control":{"type":"ephemeral"}"#, "")
    };
    assert_eq!(bare(&after[..before.len()]), bare(&before));
}

#[tokio::test]
async fn openai_is_told_what_belongs_together() {
    let keys: Vec<String> = {
        let mut other = question();
        other.messages = vec![Message::User { content: "another task".to_owned() }];
        let longer = conversation("openai:m");
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let provider = Provider::behind(&socket, []);
        let options = booty_model::Options {
            base_url: Some("http://api.openai.com/v1".to_owned()),
            socket: Some(socket),
            ..provider.options()
        };
        let model = booty_model::open("openai:m", &options).unwrap();
        for request in [&question(), &longer, &other] {
            model.answer(request).await.unwrap_err();
        }
        let key = |asked: &crate::server::Asked| {
            asked.body["prompt_cache_key"].as_str().unwrap().to_owned()
        };
        provider.asked().iter().map(key).collect()
    };
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], keys[2]);
}
