//! OpenAI's Chat Completions.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Api::Chat, Endpoint, error, follow, question, turns};

#[tokio::test]
async fn a_conversation_goes_through_the_script() {
    let endpoint = Endpoint::new().await;
    let first = question(Chat);
    let answer = endpoint.whole(Chat, &first).await;
    assert_eq!(answer["object"], "chat.completion");
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], "I read both files.");
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    let arguments: Value =
        serde_json::from_str(calls[1]["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"path": "täst.py"}));

    let second = follow(Chat, &first, &answer);
    let answer = endpoint.whole(Chat, &second).await;
    assert_eq!(answer["choices"][0]["message"]["content"], Value::Null);
    let third = follow(Chat, &second, &answer);
    let answer = endpoint.whole(Chat, &third).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "Done.");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_stream_says_what_the_whole_says() {
    let endpoint = Endpoint::new().await;
    let mut body = question(Chat);
    let events = endpoint.stream(Chat, &body).await;
    assert_eq!(events.last().unwrap().1, json!("[DONE]"));
    assert!(events.iter().all(|(name, _)| name.is_empty()));
    let chunks: Vec<&Value> = events.iter().rev().skip(1).rev().map(|(_, data)| data).collect();
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()), "it was not asked for");
    let deltas = || chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]);
    let text: String = deltas().filter_map(|delta| delta["content"].as_str()).collect();
    assert_eq!(text, "I read both files.");
    let mut arguments = [String::new(), String::new()];
    for call in deltas().map(|delta| &delta["tool_calls"][0]).filter(|call| call.is_object()) {
        let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
        arguments[index] += call["function"]["arguments"].as_str().unwrap();
    }
    assert_eq!(arguments[0], r#"{"path":"calc.py"}"#);
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");

    body["stream_options"] = json!({"include_usage": true});
    let events = endpoint.stream(Chat, &body).await;
    let last = &events[events.len() - 2].1;
    assert_eq!(last["choices"], json!([]));
    let told = last["usage"]["total_tokens"].as_u64().unwrap();
    let sum = last["usage"]["prompt_tokens"].as_u64().unwrap()
        + last["usage"]["completion_tokens"].as_u64().unwrap();
    assert_eq!(told, sum);
    assert_eq!(events[0].1["usage"], Value::Null);
}

#[rstest]
#[case::none(None, Value::Null, "You didn't provide an API key")]
#[case::wrong(Some("Bearer sk-proj-abcdefgh"), json!("invalid_api_key"), "Incorrect API key provided: sk-*********efgh.")]
#[case::no_bearer(Some("Basic eDp5"), Value::Null, "You didn't provide an API key")]
#[tokio::test]
async fn the_key_is_looked_at(
    #[case] value: Option<&str>,
    #[case] code: Value,
    #[case] words: &str,
) {
    let endpoint = Endpoint::new().await;
    let mut request = endpoint.to(Chat).json(&question(Chat)).build().unwrap();
    request.headers_mut().remove("authorization");
    if let Some(value) = value {
        request.headers_mut().insert("authorization", value.parse().unwrap());
    }
    let answer = endpoint.http.execute(request).await.unwrap();
    assert!(answer.headers().contains_key("x-request-id"));
    let (status, error) = error(answer).await;
    assert_eq!((status, &error["type"]), (401, &json!("invalid_request_error")));
    assert_eq!(error["code"], code);
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
}

#[tokio::test]
async fn a_local_server_asks_for_no_key() {
    let endpoint = Endpoint::with(super::SCRIPT, |settings| {
        settings.api_key = None;
        settings.models = vec!["qwen3:4b".to_owned()];
    })
    .await;
    let mut body = question(Chat);
    body["model"] = json!("qwen3:4b");
    let url = format!("{}/chat/completions", endpoint.server.v1_url());
    let answer = endpoint.http.post(url).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

type Change = fn(&mut Value);

#[rstest]
#[case::no_model(|b: &mut Value| _ = b.as_object_mut().unwrap().remove("model"), 400, None, "you must provide a model parameter")]
#[case::unknown_model(|b: &mut Value| b["model"] = json!("claude-x"), 404, Some("model_not_found"), "The model `claude-x` does not exist")]
#[case::unknown_field(|b: &mut Value| b["max_output_tokens"] = json!(1), 400, None, "Unrecognized request argument supplied: max_output_tokens")]
#[case::no_messages(|b: &mut Value| b["messages"] = json!([]), 400, Some("empty_array"), "Invalid 'messages': empty array")]
#[case::odd_role(|b: &mut Value| b["messages"][0]["role"] = json!("model"), 400, Some("invalid_value"), "Invalid value: 'model'")]
#[case::no_content(|b: &mut Value| b["messages"][1]["content"] = Value::Null, 400, None, "expected a string, got null")]
#[case::odd_part(|b: &mut Value| b["messages"][1]["content"] = json!([{"type": "input_text", "text": "x"}]), 400, Some("invalid_value"), "Invalid value: 'input_text'")]
#[case::no_tools(|b: &mut Value| b["tools"] = json!([]), 400, Some("empty_array"), "Invalid 'tools': empty array")]
#[case::flat_tool(|b: &mut Value| b["tools"] = json!([{"type": "function", "name": "read"}]), 400, Some("missing_required_parameter"), "Missing required parameter: 'tools[0].function'")]
#[case::tool_name(|b: &mut Value| b["tools"][0]["function"]["name"] = json!("read file"), 400, Some("invalid_value"), "does not match pattern")]
#[case::long_tool_name(|b: &mut Value| b["tools"][0]["function"]["name"] = json!("x".repeat(65)), 400, Some("string_above_max_length"), "maximum length 64, but got a string with length 65")]
#[case::odd_schema(|b: &mut Value| b["tools"][0]["function"]["parameters"] = json!({"properties": {}}), 400, Some("invalid_function_parameters"), "got 'type: \"None\"'")]
#[case::array_of_nothing(|b: &mut Value| b["tools"][0]["function"]["parameters"]["properties"]["x"] = json!({"type": "array"}), 400, Some("invalid_function_parameters"), "array schema missing items")]
#[case::strict(|b: &mut Value| b["tools"][0]["function"]["strict"] = json!(true), 400, Some("invalid_function_parameters"), "'additionalProperties' is required to be supplied and to be false")]
#[case::strict_optional(|b: &mut Value| { let f = &mut b["tools"][0]["function"]; f["strict"] = json!(true); f["parameters"]["additionalProperties"] = json!(false) }, 400, Some("invalid_function_parameters"), "Missing 'path'")]
#[case::options_of_no_stream(|b: &mut Value| b["stream_options"] = json!({"include_usage": true}), 400, None, "only allowed when 'stream' is enabled")]
#[case::choice_of_nothing(|b: &mut Value| { _ = b.as_object_mut().unwrap().remove("tools"); b["tool_choice"] = json!("auto") }, 400, None, "only allowed when 'tools' are specified")]
#[case::reasoning_max_tokens(|b: &mut Value| { b["model"] = json!("o3"); b["max_tokens"] = json!(5) }, 400, Some("unsupported_parameter"), "Use 'max_completion_tokens' instead")]
#[case::reasoning_temperature(|b: &mut Value| { b["model"] = json!("gpt-5"); b["temperature"] = json!(0) }, 400, Some("unsupported_value"), "'temperature' does not support 0")]
#[case::result_of_nothing(|b: &mut Value| turns(Chat, b).push(json!({"role": "tool", "tool_call_id": "call_x", "content": "x"})), 400, None, "messages with role 'tool' must be a response to a preceeding message")]
#[tokio::test]
async fn what_is_refused(
    #[case] change: Change,
    #[case] status: u16,
    #[case] code: Option<&str>,
    #[case] words: &str,
) {
    let endpoint = Endpoint::new().await;
    let mut body = question(Chat);
    endpoint.whole(Chat, &body).await;
    change(&mut body);
    let (got, error) = error(endpoint.send(Chat, &body).await).await;
    assert_eq!((got, &error["type"]), (status, &json!("invalid_request_error")), "{error}");
    assert_eq!(error["code"], json!(code), "{error}");
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
}

#[rstest]
#[case::none(|b: &mut Value| { let list = turns(Chat, b); list.truncate(3) }, "did not have response messages: call_")]
#[case::other_words(|b: &mut Value| turns(Chat, b).insert(3, json!({"role": "user", "content": "go on"})), "must be followed by tool messages responding to each 'tool_call_id'")]
#[case::one_of_two(|b: &mut Value| _ = turns(Chat, b).pop(), "did not have response messages: call_")]
#[case::other_id(|b: &mut Value| turns(Chat, b)[3]["tool_call_id"] = json!("call_other"), "'tool_call_id' of 'call_other' not found in 'tool_calls' of previous message")]
#[case::no_id(|b: &mut Value| _ = turns(Chat, b)[3].as_object_mut().unwrap().remove("tool_call_id"), "Missing required parameter: 'messages[3].tool_call_id'")]
#[case::arguments_as_object(|b: &mut Value| turns(Chat, b)[2]["tool_calls"][0]["function"]["arguments"] = json!({}), "Invalid type for 'messages[2].tool_calls[0].function.arguments': expected a string, but got an object")]
#[case::no_calls(|b: &mut Value| turns(Chat, b)[2]["tool_calls"] = json!([]), "Invalid 'messages[2].tool_calls': empty array")]
#[case::long_id(|b: &mut Value| turns(Chat, b)[2]["tool_calls"][0]["id"] = json!("x".repeat(41)), "Expected a string with maximum length 40")]
#[tokio::test]
async fn each_call_has_its_result(#[case] change: Change, #[case] words: &str) {
    let endpoint = Endpoint::new().await;
    let first = question(Chat);
    let answer = endpoint.whole(Chat, &first).await;
    let mut body = follow(Chat, &first, &answer);
    endpoint.whole(Chat, &body).await;
    change(&mut body);
    let (status, error) = error(endpoint.send(Chat, &body).await).await;
    assert_eq!((status, &error["type"]), (400, &json!("invalid_request_error")));
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
}

#[tokio::test]
async fn prefixes_are_cached_from_1024_tokens_on() {
    let endpoint = Endpoint::new().await;
    let mut body = question(Chat);
    let cached = |answer: &Value| {
        answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    endpoint.whole(Chat, &body).await;
    assert_eq!(cached(&endpoint.whole(Chat, &body).await), 0, "too short");
    body["messages"][0]["content"] = json!("x".repeat(8000));
    let answer = endpoint.whole(Chat, &body).await;
    assert_eq!(cached(&answer), 0);
    let read = cached(&endpoint.whole(Chat, &body).await);
    assert!(read >= 1920 && read % 128 == 0, "{read}");
    // What comes later does not matter; what comes earlier does.
    let longer = follow(Chat, &body, &answer);
    assert!(cached(&endpoint.whole(Chat, &longer).await) >= read);
    body["tools"][0]["function"]["name"] = json!("look");
    assert_eq!(cached(&endpoint.whole(Chat, &body).await), 0);
}

#[tokio::test]
async fn long_prompts_and_large_bodies_are_refused() {
    let endpoint = Endpoint::with(super::SCRIPT, |settings| {
        settings.context_tokens = 1000;
        settings.max_request_bytes = 100_000;
    })
    .await;
    let mut body = question(Chat);
    body["messages"][1]["content"] = json!("x".repeat(5000));
    let (status, refused) = error(endpoint.send(Chat, &body).await).await;
    assert_eq!((status, &refused["code"]), (400, &json!("context_length_exceeded")));
    body["messages"][1]["content"] = json!("x".repeat(1_000_000));
    assert_eq!(error(endpoint.send(Chat, &body).await).await.0, 413);
}
