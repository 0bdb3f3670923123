//! OpenAI's Responses.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Api::Responses, Endpoint, error, follow, question, turns};

#[tokio::test]
async fn a_conversation_goes_through_the_script() {
    let endpoint = Endpoint::new().await;
    let first = question(Responses);
    let answer = endpoint.whole(Responses, &first).await;
    assert_eq!((&answer["object"], &answer["status"]), (&json!("response"), &json!("completed")));
    let output = answer["output"].as_array().unwrap();
    assert_eq!(output[0]["content"][0]["text"], "I read both files.");
    assert_eq!(output[2]["arguments"], r#"{"path":"täst.py"}"#);
    assert!(output[2]["id"].as_str().unwrap().starts_with("fc_"));
    assert!(output[2]["call_id"].as_str().unwrap().starts_with("call_"));

    let second = follow(Responses, &first, &answer);
    let answer = endpoint.whole(Responses, &second).await;
    assert_eq!(answer["output"][0]["name"], "edit");
    let third = follow(Responses, &second, &answer);
    let answer = endpoint.whole(Responses, &third).await;
    assert_eq!(answer["output"][0]["content"][0]["text"], "Done.");
}

#[tokio::test]
async fn a_stream_says_what_the_whole_says() {
    let endpoint = Endpoint::new().await;
    let events = endpoint.stream(Responses, &question(Responses)).await;
    for (number, (name, data)) in events.iter().enumerate() {
        assert_eq!(data["type"], name.as_str());
        assert_eq!(data["sequence_number"], number);
    }
    assert_eq!(events[0].0, "response.created");
    let (last, end) = events.last().unwrap();
    assert_eq!(last, "response.completed");
    assert_eq!(end["response"]["status"], "completed");
    assert!(end["response"]["usage"]["output_tokens"].as_u64().unwrap() > 1);
    let of = |wanted: &'static str| events.iter().filter(move |(name, _)| name == wanted);
    let text: String =
        of("response.output_text.delta").filter_map(|(_, data)| data["delta"].as_str()).collect();
    assert_eq!(text, "I read both files.");
    let arguments: String = of("response.function_call_arguments.delta")
        .filter(|(_, data)| data["output_index"] == 2)
        .filter_map(|(_, data)| data["delta"].as_str())
        .collect();
    assert_eq!(arguments, r#"{"path":"täst.py"}"#);
    let done: Vec<Value> =
        of("response.output_item.done").map(|(_, data)| data["item"].clone()).collect();
    assert_eq!(end["response"]["output"], json!(done));
}

type Change = fn(&mut Value);

#[rstest]
#[case::no_model(|b: &mut Value| _ = b.as_object_mut().unwrap().remove("model"), 400, Some("missing_required_parameter"), "Missing required parameter: 'model'")]
#[case::unknown_model(|b: &mut Value| b["model"] = json!("nobody"), 404, Some("model_not_found"), "The model `nobody` does not exist")]
#[case::unknown_field(|b: &mut Value| b["max_tokens"] = json!(1), 400, Some("unknown_parameter"), "Unknown parameter: 'max_tokens'")]
#[case::no_input(|b: &mut Value| _ = b.as_object_mut().unwrap().remove("input"), 400, Some("missing_required_parameter"), "'input'")]
#[case::empty_input(|b: &mut Value| b["input"] = json!([]), 400, Some("empty_array"), "empty array")]
#[case::few_tokens(|b: &mut Value| b["max_output_tokens"] = json!(10), 400, Some("integer_below_min_value"), "Expected a value >= 16, but got 10")]
#[case::earlier(|b: &mut Value| b["previous_response_id"] = json!("resp_x"), 400, Some("previous_response_not_found"), "Previous response with id 'resp_x' not found")]
#[case::nested_tool(|b: &mut Value| b["tools"] = json!([{"type": "function", "function": {"name": "read"}}]), 400, Some("missing_required_parameter"), "Missing required parameter: 'tools[0].name'")]
#[case::tool_name(|b: &mut Value| b["tools"][0]["name"] = json!("read file"), 400, Some("invalid_value"), "does not match pattern")]
#[case::strict(|b: &mut Value| b["tools"][0]["strict"] = json!(true), 400, Some("invalid_function_parameters"), "'additionalProperties'")]
#[case::odd_part(|b: &mut Value| b["input"][0]["content"] = json!([{"type": "text", "text": "x"}]), 400, Some("invalid_value"), "Supported values are: 'input_text'")]
#[case::tool_role(|b: &mut Value| turns(Responses, b).push(json!({"role": "tool", "content": "x"})), 400, Some("invalid_value"), "Invalid value: 'tool'")]
#[case::output_of_nothing(|b: &mut Value| turns(Responses, b).push(json!({"type": "function_call_output", "call_id": "call_x", "output": "x"})), 400, None, "No tool call found for function call output with call_id call_x.")]
#[case::reference(|b: &mut Value| turns(Responses, b).push(json!({"type": "item_reference", "id": "rs_1"})), 404, None, "Item with id 'rs_1' not found")]
#[tokio::test]
async fn what_is_refused(
    #[case] change: Change,
    #[case] status: u16,
    #[case] code: Option<&str>,
    #[case] words: &str,
) {
    let endpoint = Endpoint::new().await;
    let mut body = question(Responses);
    endpoint.whole(Responses, &body).await;
    change(&mut body);
    let (got, error) = error(endpoint.send(Responses, &body).await).await;
    assert_eq!((got, &error["type"]), (status, &json!("invalid_request_error")), "{error}");
    assert_eq!(error["code"], json!(code), "{error}");
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
}

#[rstest]
#[case::one_of_two(|b: &mut Value| _ = turns(Responses, b).pop(), "No tool output found for function call call_")]
#[case::other_id(|b: &mut Value| turns(Responses, b).last_mut().unwrap()["call_id"] = json!("call_x"), "No tool output found for function call call_")]
#[case::call_id_as_id(|b: &mut Value| { let call = &mut turns(Responses, b)[2]; call["id"] = call["call_id"].clone() }, "Expected an ID that begins with 'fc'")]
#[case::input_text_of_answer(|b: &mut Value| turns(Responses, b)[1]["content"][0]["type"] = json!("input_text"), "Supported values are: 'output_text' and 'refusal'")]
#[case::arguments_as_object(|b: &mut Value| turns(Responses, b)[2]["arguments"] = json!({}), "Invalid type for 'input[2].arguments'")]
#[tokio::test]
async fn each_call_has_its_output(#[case] change: Change, #[case] words: &str) {
    let endpoint = Endpoint::new().await;
    let first = question(Responses);
    let answer = endpoint.whole(Responses, &first).await;
    let mut body = follow(Responses, &first, &answer);
    endpoint.whole(Responses, &body).await;
    change(&mut body);
    let (status, error) = error(endpoint.send(Responses, &body).await).await;
    assert_eq!(status, 400, "{error}");
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
}

#[rstest]
#[case::left_out(|b: &mut Value| _ = turns(Responses, b).remove(1), 400, "without its required 'reasoning' item: 'rs_")]
#[case::not_stored(|b: &mut Value| _ = turns(Responses, b)[1].as_object_mut().unwrap().remove("encrypted_content"), 404, "Items are not persisted when `store` is set to false")]
#[case::forged(|b: &mut Value| turns(Responses, b)[1]["encrypted_content"] = json!("x"), 400, "could not be verified")]
#[case::alone(|b: &mut Value| { let list = turns(Responses, b); let thought = list[1].clone(); list.push(thought) }, 400, "without its required following item")]
#[tokio::test]
async fn thoughts_come_back_as_they_were(
    #[case] change: Change,
    #[case] status: u16,
    #[case] words: &str,
) {
    let endpoint = Endpoint::new().await;
    let mut first = question(Responses);
    first["model"] = json!("gpt-5");
    first["store"] = json!(false);
    let answer = endpoint.whole(Responses, &first).await;
    assert_eq!(answer["output"][0]["type"], "reasoning");
    let mut body = follow(Responses, &first, &answer);
    let answer = endpoint.whole(Responses, &body).await;
    assert_eq!(answer["output"][1]["name"], "edit", "a thought and what follows are one answer");
    change(&mut body);
    let (got, error) = error(endpoint.send(Responses, &body).await).await;
    assert_eq!(got, status, "{error}");
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
}

#[tokio::test]
async fn prefixes_are_cached_from_1024_tokens_on() {
    let endpoint = Endpoint::new().await;
    let mut body = question(Responses);
    body["instructions"] = json!("x".repeat(8000));
    let cached =
        |answer: &Value| answer["usage"]["input_tokens_details"]["cached_tokens"].as_u64().unwrap();
    assert_eq!(cached(&endpoint.whole(Responses, &body).await), 0);
    let events = endpoint.stream(Responses, &body).await;
    let read = cached(&events.last().unwrap().1["response"]);
    assert!(read >= 1920 && read % 128 == 0, "{read}");
}

#[tokio::test]
async fn an_answer_has_no_more_tokens_than_asked_for() {
    let script = r#"
scenarios:
  - turns: [{ text: "A story that goes on and on and on, and on and on, and on and on, and on." }]
"#;
    let endpoint = Endpoint::with(script, |_| {}).await;
    let mut body = question(Responses);
    body["max_output_tokens"] = json!(16);
    let events = endpoint.stream(Responses, &body).await;
    let (name, data) = events.last().unwrap();
    assert_eq!(name, "response.incomplete");
    assert_eq!(data["response"]["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(data["response"]["output"][0]["content"][0]["text"].as_str().unwrap().len(), 64);
}
