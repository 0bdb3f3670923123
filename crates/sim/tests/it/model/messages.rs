//! Anthropic's Messages.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Api::Messages, Endpoint, error, follow, question, turns};

#[tokio::test]
async fn a_conversation_goes_through_the_script() {
    let endpoint = Endpoint::new().await;
    let first = question(Messages);
    let answer = endpoint.whole(Messages, &first).await;
    assert_eq!(answer["type"], "message");
    assert_eq!(answer["model"], "claude-x");
    assert_eq!(answer["stop_reason"], "tool_use");
    assert_eq!(answer["content"][0], json!({"type": "text", "text": "I read both files."}));
    assert_eq!(answer["content"][1]["name"], "read");
    assert_eq!(answer["content"][2]["input"], json!({"path": "täst.py"}));
    assert_ne!(answer["content"][1]["id"], answer["content"][2]["id"]);

    let second = follow(Messages, &first, &answer);
    let answer = endpoint.whole(Messages, &second).await;
    assert_eq!(answer["content"][0]["input"]["new"], "a + b");
    let third = follow(Messages, &second, &answer);
    let answer = endpoint.whole(Messages, &third).await;
    assert_eq!(answer["content"], json!([{"type": "text", "text": "Done."}]));
    assert_eq!(answer["stop_reason"], "end_turn");
}

#[tokio::test]
async fn a_stream_says_what_the_whole_says() {
    let endpoint = Endpoint::new().await;
    let body = question(Messages);
    let events = endpoint.stream(Messages, &body).await;
    assert!(events.iter().all(|(name, data)| data["type"] == name.as_str()), "{events:?}");
    let kinds: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(kinds[..3], ["message_start", "ping", "content_block_start"]);
    assert_eq!(kinds[kinds.len() - 2..], ["message_delta", "message_stop"]);

    let mut blocks: Vec<(Value, String)> = Vec::new();
    for (name, data) in &events {
        match name.as_str() {
            "content_block_start" => {
                assert_eq!(data["index"], blocks.len());
                blocks.push((data["content_block"].clone(), String::new()));
            }
            "content_block_delta" => {
                let text =
                    ["text", "partial_json"].iter().find_map(|key| data["delta"][key].as_str());
                blocks.last_mut().unwrap().1 += text.unwrap();
            }
            _ => {}
        }
    }
    assert_eq!(blocks.len(), 3);
    assert_eq!(blocks[0].1, "I read both files.");
    assert_eq!(blocks[1].0["input"], json!({}));
    let input: Value = serde_json::from_str(&blocks[2].1).unwrap();
    assert_eq!(input, json!({"path": "täst.py"}));

    let whole = endpoint.whole(Messages, &body).await;
    let delta = &events[events.len() - 2].1;
    assert_eq!(delta["delta"]["stop_reason"], whole["stop_reason"]);
    assert_eq!(delta["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
    assert_eq!(events[0].1["message"]["usage"]["output_tokens"], 1);
}

#[rstest]
#[case::no_key("x-api-key", None, 401, "authentication_error", "x-api-key header is required")]
#[case::wrong_key("x-api-key", Some("sk-ant-x"), 401, "authentication_error", "invalid x-api-key")]
#[case::no_version("anthropic-version", None, 400, "invalid_request_error", "header is required")]
#[case::odd_version("anthropic-version", Some("9"), 400, "invalid_request_error", "not a valid")]
#[tokio::test]
async fn headers_are_looked_at(
    #[case] name: &'static str,
    #[case] value: Option<&str>,
    #[case] status: u16,
    #[case] kind: &str,
    #[case] words: &str,
) {
    let endpoint = Endpoint::new().await;
    let mut request = endpoint.to(Messages).json(&question(Messages)).build().unwrap();
    request.headers_mut().remove(name);
    if let Some(value) = value {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = endpoint.http.execute(request).await.unwrap();
    let id = answer.headers()["request-id"].to_str().unwrap().to_owned();
    assert_eq!(answer.status(), status);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["type"], "error");
    assert_eq!(body["error"]["type"], kind);
    assert!(body["error"]["message"].as_str().unwrap().contains(words), "{body}");
    assert_eq!(body["request_id"], id);
}

#[tokio::test]
async fn the_key_may_be_a_bearer_token() {
    let endpoint = Endpoint::new().await;
    for (token, status) in [(endpoint.key.as_str(), 200), ("sk-ant-x", 401)] {
        let mut request = endpoint.to(Messages).json(&question(Messages)).build().unwrap();
        request.headers_mut().remove("x-api-key");
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let answer = endpoint.http.execute(request).await.unwrap();
        assert_eq!(answer.status(), status);
    }
}

#[tokio::test]
async fn the_newest_version_takes_no_sampling() {
    let endpoint = Endpoint::new().await;
    let mut body = question(Messages);
    body["temperature"] = json!(1);
    for (version, status) in [("2023-06-01", 200), ("2026-10-21", 400)] {
        let mut request = endpoint.to(Messages).json(&body).build().unwrap();
        request.headers_mut().insert("anthropic-version", version.parse().unwrap());
        assert_eq!(endpoint.http.execute(request).await.unwrap().status(), status, "{version}");
    }
    let text = json!({"type": "text", "text": "calc", "citations": [{"type": "char_location"}]});
    body["messages"][0]["content"] = json!([text]);
    _ = body.as_object_mut().unwrap().remove("temperature");
    let mut request = endpoint.to(Messages).json(&body).build().unwrap();
    request.headers_mut().insert("anthropic-version", "2026-10-21".parse().unwrap());
    assert_eq!(endpoint.http.execute(request).await.unwrap().status(), 400);
}

type Change = fn(&mut Value);

#[rstest]
#[case::no_model(|b: &mut Value| _ = b.as_object_mut().unwrap().remove("model"), 400, "model: Field required")]
#[case::unknown_model(|b: &mut Value| b["model"] = json!("gpt-4.1"), 404, "model: gpt-4.1")]
#[case::no_max_tokens(|b: &mut Value| _ = b.as_object_mut().unwrap().remove("max_tokens"), 400, "max_tokens: Field required")]
#[case::no_tokens(|b: &mut Value| b["max_tokens"] = json!(0), 400, "greater than or equal to 1")]
#[case::many_tokens(|b: &mut Value| b["max_tokens"] = json!(9_999_999), 400, "9999999 > 64000, which is the maximum")]
#[case::unknown_field(|b: &mut Value| b["max_completion_tokens"] = json!(1), 400, "max_completion_tokens: Extra inputs")]
#[case::no_messages(|b: &mut Value| b["messages"] = json!([]), 400, "at least one message is required")]
#[case::system_role(|b: &mut Value| b["messages"][0]["role"] = json!("system"), 400, "Unexpected role \"system\"")]
#[case::odd_role(|b: &mut Value| b["messages"][0]["role"] = json!("tool"), 400, "messages.0.role: Input should be 'user' or 'assistant'")]
#[case::assistant_first(|b: &mut Value| b["messages"] = json!([{"role": "assistant", "content": "x"}, {"role": "user", "content": "x"}]), 400, "first message must use the \"user\" role")]
#[case::assistant_last(|b: &mut Value| turns(Messages, b).push(json!({"role": "assistant", "content": "I"})), 400, "does not support assistant message prefill")]
#[case::empty_content(|b: &mut Value| b["messages"][0]["content"] = json!(""), 400, "must have non-empty content")]
#[case::empty_text(|b: &mut Value| b["messages"][0]["content"] = json!([{"type": "text", "text": ""}]), 400, "text content blocks must be non-empty")]
#[case::blank_text(|b: &mut Value| b["messages"][0]["content"] = json!(" \n"), 400, "must contain non-whitespace text")]
#[case::empty_system(|b: &mut Value| b["system"] = json!([{"type": "text", "text": ""}]), 400, "system: text content blocks must be non-empty")]
#[case::odd_block(|b: &mut Value| b["messages"][0]["content"] = json!([{"type": "input_text", "text": "x"}]), 400, "Input tag 'input_text'")]
#[case::tool_name(|b: &mut Value| b["tools"][0]["name"] = json!("read file"), 400, "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'")]
#[case::long_tool_name(|b: &mut Value| b["tools"][0]["name"] = json!("x".repeat(65)), 400, "tools.0.custom.name")]
#[case::same_tool_names(|b: &mut Value| { let tool = b["tools"][0].clone(); b["tools"].as_array_mut().unwrap().push(tool) }, 400, "Tool names must be unique")]
#[case::no_schema(|b: &mut Value| _ = b["tools"][0].as_object_mut().unwrap().remove("input_schema"), 400, "input_schema: Field required")]
#[case::odd_schema(|b: &mut Value| b["tools"][0]["input_schema"] = json!({"type": "string"}), 400, "input_schema.type: Input should be 'object'")]
#[case::any_of(|b: &mut Value| b["tools"][0]["input_schema"]["anyOf"] = json!([]), 400, "does not support oneOf, allOf, or anyOf")]
#[case::choice_of_nothing(|b: &mut Value| { b["tools"] = json!([]); b["tool_choice"] = json!({"type": "auto"}) }, 400, "tool_choice: may only be specified")]
#[case::hot(|b: &mut Value| b["temperature"] = json!(1.5), 400, "temperature: range: 0..1")]
#[case::stream_no_bool(|b: &mut Value| b["stream"] = json!("yes"), 400, "stream: Input should be a valid boolean")]
#[case::result_of_nothing(|b: &mut Value| turns(Messages, b).push(json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_x", "content": "x"}]})), 400, "messages.1.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_x")]
#[case::odd_cache_control(|b: &mut Value| b["tools"][0]["cache_control"] = json!({"type": "forever"}), 400, "cache_control")]
#[case::little_thought(|b: &mut Value| b["thinking"] = json!({"type": "enabled", "budget_tokens": 10}), 400, "greater than or equal to 1024")]
#[case::more_thought_than_answer(|b: &mut Value| b["thinking"] = json!({"type": "enabled", "budget_tokens": 2000}), 400, "must be greater than `thinking.budget_tokens`")]
#[tokio::test]
async fn what_is_refused(#[case] change: Change, #[case] status: u16, #[case] words: &str) {
    let endpoint = Endpoint::new().await;
    let mut body = question(Messages);
    endpoint.whole(Messages, &body).await;
    change(&mut body);
    let (got, error) = error(endpoint.send(Messages, &body).await).await;
    assert_eq!(got, status, "{error}");
    let kind = if status == 404 { "not_found_error" } else { "invalid_request_error" };
    assert_eq!(error["type"], kind);
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
}

#[rstest]
#[case::no_result(|b: &mut Value| _ = turns(Messages, b).pop(), "prefill")]
#[case::other_words(|b: &mut Value| turns(Messages, b)[2] = json!({"role": "user", "content": "go on"}), "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_")]
#[case::one_of_two(|b: &mut Value| _ = turns(Messages, b)[2]["content"].as_array_mut().unwrap().pop(), "`tool_use` ids were found without `tool_result`")]
#[case::text_first(|b: &mut Value| turns(Messages, b)[2]["content"].as_array_mut().unwrap().insert(0, json!({"type": "text", "text": "x"})), "`tool_use` ids were found without `tool_result`")]
#[case::twice(|b: &mut Value| { let list = turns(Messages, b)[2]["content"].as_array_mut().unwrap(); let one = list[0].clone(); list.push(one) }, "each tool_use must have a single result")]
#[case::other_id(|b: &mut Value| turns(Messages, b)[2]["content"][0]["tool_use_id"] = json!("toolu_other"), "unexpected `tool_use_id` found")]
#[case::input_as_text(|b: &mut Value| turns(Messages, b)[1]["content"][1]["input"] = json!("{}"), "tool_use.input: Input should be a valid dictionary")]
#[case::odd_id(|b: &mut Value| turns(Messages, b)[1]["content"][1]["id"] = json!("a:b"), "tool_use.id: String should match pattern")]
#[case::empty_error(|b: &mut Value| { let result = &mut turns(Messages, b)[2]["content"][0]; result["content"] = json!(""); result["is_error"] = json!(true) }, "content cannot be empty if `is_error` is true")]
#[tokio::test]
async fn each_call_has_its_result(#[case] change: Change, #[case] words: &str) {
    let endpoint = Endpoint::new().await;
    let first = question(Messages);
    let answer = endpoint.whole(Messages, &first).await;
    let mut body = follow(Messages, &first, &answer);
    endpoint.whole(Messages, &body).await;
    change(&mut body);
    let (status, error) = error(endpoint.send(Messages, &body).await).await;
    assert_eq!((status, &error["type"]), (400, &json!("invalid_request_error")));
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
}

#[tokio::test]
async fn messages_of_one_role_are_one() {
    let endpoint = Endpoint::new().await;
    let first = question(Messages);
    let answer = endpoint.whole(Messages, &first).await;
    let mut body = follow(Messages, &first, &answer);
    let list = turns(Messages, &mut body);
    // Results in two messages, then words: one turn of the user's.
    let last = list.pop().unwrap();
    for result in last["content"].as_array().unwrap() {
        list.push(json!({"role": "user", "content": [result]}));
    }
    list.push(json!({"role": "user", "content": "go on"}));
    let answer = endpoint.whole(Messages, &body).await;
    assert_eq!(answer["content"][0]["name"], "edit");
}

#[tokio::test]
async fn four_breakpoints_are_the_most() {
    let endpoint = Endpoint::new().await;
    let mut body = question(Messages);
    let mark = json!({"type": "ephemeral"});
    body["tools"][0]["cache_control"] = mark.clone();
    let block = json!({"type": "text", "text": "x", "cache_control": mark});
    body["system"] = json!([block]);
    body["messages"][0]["content"] = json!([{"type": "text", "text": "calc"}, block, block]);
    endpoint.whole(Messages, &body).await;
    body["messages"][0]["content"].as_array_mut().unwrap().push(block);
    let (status, error) = error(endpoint.send(Messages, &body).await).await;
    assert_eq!(status, 400);
    let words = "A maximum of 4 blocks with cache_control may be provided. Found 5.";
    assert_eq!(error["message"], words);
}

#[tokio::test]
async fn the_cache_is_read_up_to_breakpoints() {
    let endpoint = Endpoint::new().await;
    let mark = json!({"type": "ephemeral"});
    let mut body = question(Messages);
    body["system"] = json!([{"type": "text", "text": "x".repeat(8000), "cache_control": mark}]);
    let usage = |answer: &Value| {
        let get = |key: &str| answer["usage"][key].as_u64().unwrap();
        (get("input_tokens"), get("cache_creation_input_tokens"), get("cache_read_input_tokens"))
    };
    let answer = endpoint.whole(Messages, &body).await;
    let (input, written, read) = usage(&answer);
    assert!(written > 2000 && read == 0 && input < 100, "{answer}");

    // Streams tell the same; what lies after the breakpoint is read afresh.
    let events = endpoint.stream(Messages, &body).await;
    let start = usage(&events[0].1["message"]);
    assert_eq!(start, (input, 0, written));

    // A breakpoint further on reads up to the first one and writes the rest.
    let mut longer = follow(Messages, &body, &answer);
    turns(Messages, &mut longer)[2]["content"][1]["cache_control"] = mark.clone();
    let (_, more, read) = usage(&endpoint.whole(Messages, &longer).await);
    assert_eq!(read, written);
    assert!(more > 0);

    // Without a breakpoint near it nothing is found, and other text is other text.
    body["system"][0]["text"] = json!("y".repeat(8000));
    assert_eq!(usage(&endpoint.whole(Messages, &body).await).2, 0);
    body["system"] = json!("y".repeat(8000));
    let (input, written, read) = usage(&endpoint.whole(Messages, &body).await);
    assert!(input > 2000 && written == 0 && read == 0);
}

#[tokio::test]
async fn short_prompts_are_not_cached() {
    let endpoint = Endpoint::new().await;
    let mut body = question(Messages);
    body["tools"][0]["cache_control"] = json!({"type": "ephemeral"});
    for _ in 0..2 {
        let usage = endpoint.whole(Messages, &body).await["usage"].clone();
        assert_eq!(usage["cache_creation_input_tokens"], 0);
        assert_eq!(usage["cache_read_input_tokens"], 0);
    }
}

#[tokio::test]
async fn thoughts_come_back_as_they_were() {
    let endpoint = Endpoint::new().await;
    let mut first = question(Messages);
    first["max_tokens"] = json!(4000);
    first["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
    let events = endpoint.stream(Messages, &first).await;
    let deltas: Vec<&Value> = events.iter().map(|(_, data)| &data["delta"]["type"]).collect();
    assert!(deltas.contains(&&json!("signature_delta")), "{events:?}");
    let answer = endpoint.whole(Messages, &first).await;
    assert_eq!(answer["content"][0]["type"], "thinking");
    let mut body = follow(Messages, &first, &answer);
    endpoint.whole(Messages, &body).await;

    let block = &mut turns(Messages, &mut body)[1]["content"][0];
    block["signature"] = json!("forged");
    let (_, refused) = error(endpoint.send(Messages, &body).await).await;
    assert!(refused["message"].as_str().unwrap().contains("Invalid `signature`"), "{refused}");
    turns(Messages, &mut body)[1]["content"].as_array_mut().unwrap().remove(0);
    let (status, refused) = error(endpoint.send(Messages, &body).await).await;
    assert_eq!(status, 400);
    let words = "Expected `thinking` or `redacted_thinking`, but found `text`";
    assert!(refused["message"].as_str().unwrap().contains(words), "{refused}");
}

#[tokio::test]
async fn long_prompts_and_large_bodies_are_refused() {
    let endpoint = Endpoint::with(super::SCRIPT, |settings| {
        settings.context_tokens = 1000;
        settings.max_request_bytes = 100_000;
    })
    .await;
    let mut body = question(Messages);
    body["messages"][0]["content"] = json!(format!("calc {}", "x".repeat(5000)));
    let (status, refused) = error(endpoint.send(Messages, &body).await).await;
    assert_eq!(status, 400);
    let message = refused["message"].as_str().unwrap();
    assert!(message.starts_with("prompt is too long: 1") && message.ends_with("> 1000 maximum"));
    body["messages"][0]["content"] = json!("x".repeat(1_000_000));
    let (status, refused) = error(endpoint.send(Messages, &body).await).await;
    assert_eq!((status, &refused["type"]), (413, &json!("request_too_large")));
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let endpoint = Endpoint::new().await;
    let answer = endpoint.to(Messages).body("{\"model\": ").send().await.unwrap();
    let (status, refused) = error(answer).await;
    assert_eq!(status, 400);
    assert!(refused["message"].as_str().unwrap().contains("not valid JSON"), "{refused}");
}

#[tokio::test]
async fn an_answer_has_no_more_tokens_than_asked_for() {
    let endpoint = Endpoint::new().await;
    let mut body = question(Messages);
    body["max_tokens"] = json!(2);
    let answer = endpoint.whole(Messages, &body).await;
    assert_eq!(answer["stop_reason"], "max_tokens");
    assert_eq!(answer["content"], json!([{"type": "text", "text": "I read b"}]));
    assert_eq!(answer["usage"]["output_tokens"], 2);
}
