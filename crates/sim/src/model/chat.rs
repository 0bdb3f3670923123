//! OpenAI's Chat Completions, as they are asked.
//!
//! Sources: <https://platform.openai.com/docs/api-reference/chat/create>; the words of refusals as in
//! <https://github.com/BerriAI/litellm/issues/10083> (a call without its result),
//! <https://github.com/simonw/llm/issues/937> (a result without its call).

use serde_json::{Map, Value};

use super::{
    json::{get, list, text, unknown_key},
    openai::{
        MAX_STRING, boolean, check_function, check_model, empty_array, is_reasoning, max_tokens,
        missing, string, too_long, unsupported, wrong_type,
    },
    question::{Piece, Question},
    refusal::Refusal,
    settings::ModelSettings,
};

const KNOWN: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

/// Characters of a call's id.
const MAX_ID: usize = 40;

pub(super) fn read(
    body: &Map<String, Value>,
    settings: &ModelSettings,
) -> Result<Question, Refusal> {
    let field = |key: &str| body.get(key).unwrap_or(&Value::Null);
    let Some(model) = field("model").as_str().filter(|model| !model.is_empty()) else {
        return Err(Refusal::invalid("you must provide a model parameter"));
    };
    check_model(model, settings)?;
    if let Some(key) = unknown_key(body, KNOWN) {
        return Err(Refusal::invalid(format!("Unrecognized request argument supplied: {key}")));
    }
    let stream = boolean(field("stream"), "stream")?;
    let options = field("stream_options");
    if !stream && !options.is_null() {
        return Err(Refusal::invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )
        .at("stream_options"));
    }
    let most = read_max_tokens(body, model, settings)?;
    check_temperature(field("temperature"), model)?;

    let mut prompt = Vec::new();
    let tools = field("tools");
    check_tools(tools)?;
    for tool in list(tools) {
        prompt.push(Piece { text: format!("{tool}\n"), is_breakpoint: false });
    }
    for key in ["tool_choice", "parallel_tool_calls"] {
        if tools.is_null() && !field(key).is_null() {
            return Err(Refusal::invalid(format!(
                "Invalid value for '{key}': '{key}' is only allowed when 'tools' are specified."
            ))
            .at(key));
        }
    }
    let messages = match field("messages") {
        Value::Array(messages) if messages.is_empty() => return Err(empty_array("messages")),
        Value::Array(messages) => messages,
        Value::Null => return Err(missing("messages")),
        other => return Err(wrong_type("messages", "an array of objects", other)),
    };
    for (index, message) in messages.iter().enumerate() {
        check_message(message, index)?;
        prompt.push(Piece { text: format!("{message}\n"), is_breakpoint: false });
    }
    check_order(messages)?;

    let first = messages.iter().find(|message| text(message, "role") == Some("user"));
    let is_answer = |message: &&Value| text(message, "role") == Some("assistant");
    let question = Question {
        model: model.to_owned(),
        task: first.map(|message| said(get(message, "content"))).unwrap_or_default(),
        turn: messages.iter().filter(is_answer).count(),
        stream,
        include_usage: get(options, "include_usage") == &Value::Bool(true),
        thinks: false,
        max_tokens: most,
        prompt,
    };
    let tokens = question.tokens();
    if tokens > settings.context_tokens {
        return Err(Refusal::invalid(format!(
            "This model's maximum context length is {} tokens. However, your messages resulted in \
             {tokens} tokens. Please reduce the length of the messages.",
            settings.context_tokens
        ))
        .code("context_length_exceeded")
        .at("messages"));
    }
    Ok(question)
}

fn read_max_tokens(
    body: &Map<String, Value>,
    model: &str,
    settings: &ModelSettings,
) -> Result<Option<u64>, Refusal> {
    let field = |key: &str| body.get(key).unwrap_or(&Value::Null);
    let old = max_tokens(field("max_tokens"), "max_tokens", 1, settings)?;
    let new = max_tokens(field("max_completion_tokens"), "max_completion_tokens", 1, settings)?;
    if old.is_some() && is_reasoning(model) {
        return Err(Refusal::invalid(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
             'max_completion_tokens' instead.",
        )
        .code("unsupported_parameter")
        .at("max_tokens"));
    }
    if old.is_some() && new.is_some() {
        return Err(Refusal::invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        ));
    }
    Ok(old.or(new))
}

fn check_temperature(temperature: &Value, model: &str) -> Result<(), Refusal> {
    let Some(value) = temperature.as_f64() else { return Ok(()) };
    if is_reasoning(model) && (value - 1.0).abs() > f64::EPSILON {
        return Err(Refusal::invalid(format!(
            "Unsupported value: 'temperature' does not support {value} with this model. Only the \
             default (1) value is supported."
        ))
        .code("unsupported_value")
        .at("temperature"));
    }
    Ok(())
}

fn check_tools(tools: &Value) -> Result<(), Refusal> {
    match tools {
        Value::Null => {}
        Value::Array(tools) if tools.is_empty() => return Err(empty_array("tools")),
        Value::Array(tools) => {
            for (index, tool) in tools.iter().enumerate() {
                let at = format!("tools[{index}]");
                match string(tool, "type", || format!("{at}.type"))? {
                    "function" => {}
                    "custom" => continue,
                    other => {
                        let known = "'function' and 'custom'";
                        return Err(unsupported(format!("{at}.type"), other, known));
                    }
                }
                let function = get(tool, "function");
                if !function.is_object() {
                    return Err(missing(format!("{at}.function")));
                }
                check_function(function, &format!("{at}.function"))?;
            }
        }
        other => return Err(wrong_type("tools", "an array of objects", other)),
    }
    Ok(())
}

fn check_message(message: &Value, index: usize) -> Result<(), Refusal> {
    let at = format!("messages[{index}]");
    let role = string(message, "role", || format!("{at}.role"))?;
    let content = get(message, "content");
    let has_calls = !get(message, "tool_calls").is_null();
    match role {
        "system" | "developer" | "user" | "function" => check_content(content, index)?,
        "tool" => {
            string(message, "tool_call_id", || format!("{at}.tool_call_id"))?;
            check_content(content, index)?;
        }
        "assistant" if has_calls => {
            check_calls(get(message, "tool_calls"), &at)?;
            if !content.is_null() {
                check_content(content, index)?;
            }
        }
        "assistant" if text(message, "refusal").is_some() => {}
        "assistant" => check_content(content, index)?,
        other => {
            let known = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'";
            return Err(unsupported(format!("{at}.role"), other, known));
        }
    }
    Ok(())
}

fn check_content(content: &Value, index: usize) -> Result<(), Refusal> {
    match content {
        Value::String(text) if text.len() > MAX_STRING => {
            Err(too_long(format!("messages[{index}].content"), MAX_STRING, text.len()))
        }
        Value::String(_) => Ok(()),
        Value::Array(parts) if parts.is_empty() => {
            Err(empty_array(format!("messages[{index}].content")))
        }
        Value::Array(parts) => {
            for (number, part) in parts.iter().enumerate() {
                let at = format!("messages[{index}].content[{number}]");
                let kind = string(part, "type", || format!("{at}.type"))?;
                let known = ["text", "image_url", "input_audio", "refusal", "audio", "file"];
                if !known.contains(&kind) {
                    let known =
                        "'text', 'image_url', 'input_audio', 'refusal', 'audio', and 'file'";
                    return Err(unsupported(at, kind, known));
                }
                if kind == "text" {
                    string(part, "text", || format!("{at}.text"))?;
                }
            }
            Ok(())
        }
        Value::Null => {
            Err(Refusal::invalid("Invalid value for 'content': expected a string, got null.")
                .at(format!("messages.[{index}].content")))
        }
        other => {
            let param = format!("messages[{index}].content");
            Err(wrong_type(param, "one of a string or array of objects", other))
        }
    }
}

fn check_calls(calls: &Value, at: &str) -> Result<(), Refusal> {
    let Value::Array(calls) = calls else {
        return Err(wrong_type(format!("{at}.tool_calls"), "an array of objects", calls));
    };
    if calls.is_empty() {
        return Err(empty_array(format!("{at}.tool_calls")));
    }
    for (number, call) in calls.iter().enumerate() {
        let at = format!("{at}.tool_calls[{number}]");
        let id = string(call, "id", || format!("{at}.id"))?;
        if id.len() > MAX_ID {
            return Err(too_long(format!("{at}.id"), MAX_ID, id.len()));
        }
        let kind = string(call, "type", || format!("{at}.type"))?;
        if kind == "custom" {
            continue;
        }
        if kind != "function" {
            return Err(unsupported(format!("{at}.type"), kind, "'function' and 'custom'"));
        }
        let function = get(call, "function");
        string(function, "name", || format!("{at}.function.name"))?;
        string(function, "arguments", || format!("{at}.function.arguments"))?;
    }
    Ok(())
}

/// Each call's result follows at once, and none without a call.
fn check_order(messages: &[Value]) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    let mut known: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = text(message, "role").unwrap_or_default();
        if role == "tool" {
            let id = text(message, "tool_call_id").unwrap_or_default();
            if known.is_empty() {
                return Err(Refusal::invalid(
                    "Invalid parameter: messages with role 'tool' must be a response to a \
                     preceeding message with 'tool_calls'.",
                )
                .at(format!("messages.[{index}].role")));
            }
            if !known.contains(&id) {
                return Err(Refusal::invalid(format!(
                    "Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of \
                     previous message."
                ))
                .at(format!("messages.[{index}].tool_call_id")));
            }
            open.retain(|open| *open != id);
            continue;
        }
        check_all_answered(&open, index)?;
        let calls = list(get(message, "tool_calls"));
        known = calls.iter().filter_map(|call| text(call, "id")).collect();
        open.clone_from(&known);
    }
    check_all_answered(&open, messages.len())
}

fn check_all_answered(open: &[&str], index: usize) -> Result<(), Refusal> {
    if open.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to \
         each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    ))
    .at(format!("messages.[{index}].role")))
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
