//! OpenAI's Responses, as they are asked.
//!
//! Sources: <https://platform.openai.com/docs/api-reference/responses/create>,
//! <https://platform.openai.com/docs/guides/reasoning>; the words of refusals as in
//! <https://github.com/bytedance/trae-agent/issues/358> (a call without its output) and
//! <https://github.com/continuedev/continue/issues/10092> (an output without its call).
//!
//! Nothing is stored, as for an organisation with zero data retention: earlier responses and items
//! can't be referred to.

use serde_json::{Map, Value};

use super::{
    json::{get, list, text, unknown_key},
    openai::{
        boolean, check_function, check_model, empty_array, is_reasoning, max_tokens, missing,
        string, unsupported, wrong_type,
    },
    question::{Piece, Question},
    refusal::Refusal,
    responses_reply::{REASONED, sealed},
    settings::ModelSettings,
};

const KNOWN: &[&str] = &[
    "background",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// The least that `max_output_tokens` may be.
const MIN_OUTPUT_TOKENS: u64 = 16;

pub(super) fn read(
    body: &Map<String, Value>,
    settings: &ModelSettings,
) -> Result<Question, Refusal> {
    let field = |key: &str| body.get(key).unwrap_or(&Value::Null);
    if let Some(key) = unknown_key(body, KNOWN) {
        return Err(Refusal::invalid(format!("Unknown parameter: '{key}'."))
            .code("unknown_parameter")
            .at(key));
    }
    let Some(model) = field("model").as_str() else { return Err(missing("model")) };
    check_model(model, settings)?;
    let stream = boolean(field("stream"), "stream")?;
    let most =
        max_tokens(field("max_output_tokens"), "max_output_tokens", MIN_OUTPUT_TOKENS, settings)?;
    if let Some(id) = field("previous_response_id").as_str() {
        let message = format!("Previous response with id '{id}' not found.");
        return Err(Refusal::invalid(message)
            .code("previous_response_not_found")
            .at("previous_response_id"));
    }

    let mut prompt = Vec::new();
    let mut add = |value: &Value| {
        prompt.push(Piece { text: format!("{value}\n"), is_breakpoint: false });
    };
    check_tools(field("tools"))?;
    list(field("tools")).iter().for_each(&mut add);
    match field("instructions") {
        Value::Null => {}
        Value::String(_) => add(field("instructions")),
        other => return Err(wrong_type("instructions", "a string", other)),
    }
    let as_list;
    let items: &[Value] = match field("input") {
        text @ Value::String(_) => {
            as_list = [serde_json::json!({"role": "user", "content": text})];
            &as_list
        }
        Value::Array(items) if items.is_empty() => return Err(empty_array("input")),
        Value::Array(items) => items,
        Value::Null => return Err(missing("input")),
        other => {
            return Err(wrong_type("input", "one of a string or array of input items", other));
        }
    };
    for (index, item) in items.iter().enumerate() {
        check_item(item, index)?;
        add(item);
    }
    // As documented: stored unless it is said not to.
    check_order(items, field("store") != &Value::Bool(false))?;

    let first = items.iter().find(|item| kind(item) == "message" && !is_answer(item));
    let question = Question {
        model: model.to_owned(),
        task: first.map(|item| said(get(item, "content"))).unwrap_or_default(),
        turn: turns(items),
        stream,
        include_usage: true,
        thinks: is_reasoning(model),
        max_tokens: most,
        prompt,
    };
    if question.tokens() > settings.context_tokens {
        return Err(Refusal::invalid(
            "Your input exceeds the context window of this model. Please adjust your input and try \
             again.",
        )
        .code("context_length_exceeded")
        .at("input"));
    }
    Ok(question)
}

fn check_tools(tools: &Value) -> Result<(), Refusal> {
    match tools {
        Value::Null => return Ok(()),
        Value::Array(_) => {}
        other => return Err(wrong_type("tools", "an array of objects", other)),
    }
    for (index, tool) in list(tools).iter().enumerate() {
        let at = format!("tools[{index}]");
        // Tools of OpenAI's own have other types.
        if string(tool, "type", || format!("{at}.type"))? == "function" {
            check_function(tool, &at)?;
        }
    }
    Ok(())
}

/// An item's type; a message may go without.
fn kind(item: &Value) -> &str {
    text(item, "type").unwrap_or("message")
}

fn is_answer(item: &Value) -> bool {
    match kind(item) {
        "message" => text(item, "role") == Some("assistant"),
        other => matches!(other, "function_call" | "reasoning"),
    }
}

/// Answers so far: what the model said in one go is several items.
fn turns(items: &[Value]) -> usize {
    let mut count = 0;
    let mut was_answer = false;
    for item in items {
        let is_answer = is_answer(item);
        count += usize::from(is_answer && !was_answer);
        was_answer = is_answer;
    }
    count
}

fn check_item(item: &Value, index: usize) -> Result<(), Refusal> {
    let at = format!("input[{index}]");
    if !item.is_object() {
        return Err(wrong_type(at, "an input item", item));
    }
    let prefix = match kind(item) {
        "message" => {
            check_message(item, &at)?;
            "msg"
        }
        "function_call" => {
            for key in ["call_id", "name", "arguments"] {
                string(item, key, || format!("{at}.{key}"))?;
            }
            "fc"
        }
        "function_call_output" => {
            string(item, "call_id", || format!("{at}.call_id"))?;
            if !get(item, "output").is_array() {
                string(item, "output", || format!("{at}.output"))?;
            }
            "fc"
        }
        "reasoning" => {
            string(item, "id", || format!("{at}.id"))?;
            if !get(item, "summary").is_array() {
                return Err(missing(format!("{at}.summary")));
            }
            "rs"
        }
        "item_reference" => {
            let id = string(item, "id", || format!("{at}.id"))?;
            return Err(not_stored(id));
        }
        other => {
            let known = "'message', 'function_call', 'function_call_output', 'reasoning', and \
                         'item_reference'";
            return Err(unsupported(at, other, known));
        }
    };
    match text(item, "id") {
        Some(id) if !id.starts_with(prefix) => Err(Refusal::invalid(format!(
            "Invalid '{at}.id': '{id}'. Expected an ID that begins with '{prefix}'."
        ))
        .code("invalid_value")
        .at(format!("{at}.id"))),
        _ => Ok(()),
    }
}

fn check_message(item: &Value, at: &str) -> Result<(), Refusal> {
    let role = string(item, "role", || format!("{at}.role"))?;
    let (known, shown): (&[&str], &str) = match role {
        "assistant" => (&["output_text", "refusal"], "'output_text' and 'refusal'"),
        "user" | "system" | "developer" => (
            &["input_text", "input_image", "input_file"],
            "'input_text', 'input_image', and 'input_file'",
        ),
        other => {
            let known = "'assistant', 'system', 'developer', and 'user'";
            return Err(unsupported(format!("{at}.role"), other, known));
        }
    };
    match get(item, "content") {
        Value::String(_) => Ok(()),
        Value::Null => Err(missing(format!("{at}.content"))),
        Value::Array(parts) => {
            for (number, part) in parts.iter().enumerate() {
                let at = format!("{at}.content[{number}]");
                let kind = string(part, "type", || format!("{at}.type"))?;
                if !known.contains(&kind) {
                    return Err(unsupported(at, kind, shown));
                }
                if matches!(kind, "input_text" | "output_text") {
                    string(part, "text", || format!("{at}.text"))?;
                }
            }
            Ok(())
        }
        other => {
            let expected = "one of an array of objects or string";
            Err(wrong_type(format!("{at}.content"), expected, other))
        }
    }
}

/// Each call with its output, each thought with what was thought of.
fn check_order(items: &[Value], is_stored: bool) -> Result<(), Refusal> {
    let ids = |wanted: &str| -> Vec<&str> {
        let items = items.iter().filter(|item| kind(item) == wanted);
        items.filter_map(|item| text(item, "call_id")).collect()
    };
    let (calls, outputs) = (ids("function_call"), ids("function_call_output"));
    let at_input = |message: String| Err(Refusal::invalid(message).at("input"));
    if let Some(id) = calls.iter().find(|id| !outputs.contains(id)) {
        return at_input(format!("No tool output found for function call {id}."));
    }
    let mut known: Vec<&str> = Vec::new();
    for item in items {
        let id = text(item, "call_id").unwrap_or_default();
        match kind(item) {
            "function_call" => known.push(id),
            "function_call_output" if !known.contains(&id) => {
                return at_input(format!(
                    "No tool call found for function call output with call_id {id}."
                ));
            }
            _ => {}
        }
    }
    let thoughts: Vec<&str> = items
        .iter()
        .filter(|item| kind(item) == "reasoning")
        .filter_map(|item| text(item, "id"))
        .collect();
    for (index, item) in items.iter().enumerate() {
        let id = text(item, "id").unwrap_or_default();
        if kind(item) == "reasoning" {
            let next = items.get(index + 1);
            if !next.is_some_and(is_answer) {
                return at_input(format!(
                    "Item '{id}' of type 'reasoning' was provided without its required following \
                     item."
                ));
            }
            match text(item, "encrypted_content") {
                Some(content) if content == sealed(id) => {}
                Some(_) => {
                    return Err(Refusal::invalid(format!(
                        "The encrypted content for item {id} could not be verified."
                    ))
                    .code("invalid_encrypted_content"));
                }
                None if is_stored => {}
                None => return Err(not_stored(id)),
            }
        }
        // Our own ids say which thought they come from.
        let thought = id.strip_prefix("fc_").and_then(|rest| rest.split_once(REASONED));
        if let ("function_call", Some((stem, _))) = (kind(item), thought) {
            let needed = format!("rs_{stem}");
            if !thoughts.contains(&needed.as_str()) {
                return at_input(format!(
                    "Item '{id}' of type 'function_call' was provided without its required \
                     'reasoning' item: '{needed}'."
                ));
            }
        }
    }
    Ok(())
}

fn not_stored(id: &str) -> Refusal {
    Refusal::new(
        404,
        "invalid_request_error",
        format!(
            "Item with id '{id}' not found. Items are not persisted when `store` is set to false. \
             Try again with `store` set to true, or remove this item from your input."
        ),
    )
    .at("input")
}

/// The text of a message.
fn said(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        other => {
            let texts = list(other).iter().filter_map(|part| text(part, "text"));
            texts.collect::<Vec<_>>().join("\n")
        }
    }
}
