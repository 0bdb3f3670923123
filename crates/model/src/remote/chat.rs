//! OpenAI's Chat Completions, as Ollama, vLLM and many others speak them, too.
//!
//! <https://platform.openai.com/docs/api-reference/chat/create>, and for what arrives
//! <https://platform.openai.com/docs/api-reference/chat-streaming>.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{
    Flow,
    draft::{Draft, Stop},
    endpoint::Dialect,
    json,
    refused::Refusal,
    sendable::{self, NOTHING},
};
use crate::{Message, Part, Request, StopReason, Usage};

/// Thoughts in the clear. DeepSeek and Moonshot refuse to go on without them.
const REASONING_FIELD: &str = "reasoning_content";
/// What belongs to a call, by its id. Gemini seals its thoughts in it, and refuses to go on without.
const EXTRA_FIELD: &str = "extra_content";
/// An answer has one text and one thought; its calls come after.
const REASONING_PLACE: u64 = 0;
const TEXT_PLACE: u64 = 1;
const FIRST_CALL_PLACE: u64 = 2;

/// The request.
pub(crate) fn body(by: &str, model: &str, dialect: Dialect, request: &Request) -> Value {
    let mut body = json!({
        "model": model,
        "stream": true,
        "messages": messages(by, dialect, request),
    });
    if !dialect.is_mistral {
        body["stream_options"] = json!({ "include_usage": true });
    }
    // Copies of the API know the older name only, and some refuse every field that they don't know.
    if dialect.is_openai {
        body["max_completion_tokens"] = json!(request.max_output_tokens);
        body["prompt_cache_key"] = json!(sendable::cache_key(request));
    } else {
        body["max_tokens"] = json!(request.max_output_tokens);
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            json!({
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            })
        });
        body["tools"] = tools.collect();
    }
    body
}

fn messages(by: &str, dialect: Dialect, request: &Request) -> Vec<Value> {
    let id = if dialect.is_mistral { sendable::short_id } else { sendable::id };
    let mut all = Vec::new();
    if !request.system.trim().is_empty() {
        all.push(json!({ "role": "system", "content": request.system }));
    }
    for message in &request.messages {
        match message {
            Message::User { content } => {
                let content = if content.trim().is_empty() { NOTHING } else { content };
                all.push(json!({ "role": "user", "content": content }));
            }
            Message::Assistant { content } => all.extend(assistant(by, id, content)),
            Message::ToolResults { results } => all.extend(results.iter().map(|result| {
                json!({
                    "role": "tool",
                    "tool_call_id": id(&result.call_id),
                    "content": sendable::result(&result.content, result.is_error),
                })
            })),
        }
    }
    all
}

fn assistant(by: &str, sent: fn(&str) -> Cow<'_, str>, content: &[Part]) -> Option<Value> {
    let mut texts = Vec::new();
    let mut calls = Vec::new();
    let mut extras = None;
    let mut message = json!({ "role": "assistant", "content": null });
    for part in sendable::parts(content, by) {
        match part {
            Part::Text { text } => texts.push(text.as_str()),
            Part::ToolCall { id, name, arguments } => {
                let mut call = json!({
                    "id": sent(id),
                    "type": "function",
                    "function": {
                        "name": sendable::tool_name(name),
                        "arguments": sendable::arguments(arguments).to_string(),
                    },
                });
                if let Some(extra) = extras.and_then(|extras: &Value| extras.get(id)) {
                    call[EXTRA_FIELD] = extra.clone();
                }
                calls.push(call);
            }
            Part::Reasoning { data, .. } => {
                if let Some(thought) = data.get(REASONING_FIELD) {
                    message[REASONING_FIELD] = thought.clone();
                }
                // Thoughts come first.
                extras = data.get(EXTRA_FIELD);
            }
        }
    }
    if texts.is_empty() && calls.is_empty() {
        return None;
    }
    if !texts.is_empty() {
        message["content"] = json!(texts.join("\n"));
    }
    if !calls.is_empty() {
        message["tool_calls"] = Value::from(calls);
    }
    Some(message)
}

/// One event; `[DONE]` is the caller's.
pub(crate) fn read(draft: &mut Draft, event: &Value) -> Result<Flow, Stop> {
    if json::has(event, "/error") {
        return Err(Stop::Refused(Refusal::of_json(event)));
    }
    draft.is_by(json::text(event, "/model"), json::text(event, "/id"));
    let delta = event.pointer("/choices/0/delta").unwrap_or(&Value::Null);
    match json::text(delta, "/reasoning_content") {
        "" => {}
        piece => draft.more_reasoning(REASONING_PLACE, REASONING_FIELD, piece)?,
    }
    match json::text(delta, "/content") {
        "" => {}
        piece => draft.text(TEXT_PLACE, piece)?,
    }
    // Mistral's models that think send a list.
    for piece in json::list(delta, "/content") {
        draft.text(TEXT_PLACE, json::text(piece, "/text"))?;
    }
    match json::text(delta, "/refusal") {
        "" => {}
        piece => {
            draft.text(TEXT_PLACE, piece)?;
            draft.refuses = true;
        }
    }
    for call in json::list(delta, "/tool_calls") {
        read_call(draft, call)?;
    }
    match json::text(event, "/choices/0/finish_reason") {
        "" => {}
        reason => draft.stop = Some(stop(reason)),
    }
    costs(draft, event.get("usage"));
    Ok(Flow::More)
}

fn read_call(draft: &mut Draft, call: &Value) -> Result<(), Stop> {
    let (id, name) = (json::text(call, "/id"), json::text(call, "/function/name"));
    let index = json::number(call, "/index").unwrap_or_else(|| {
        // Servers that don't count send each call whole.
        let next = draft
            .last_place()
            .map_or(0, |last| last.saturating_add(1).saturating_sub(FIRST_CALL_PLACE));
        if id.is_empty() && name.is_empty() { next.saturating_sub(1) } else { next }
    });
    let place = index.saturating_add(FIRST_CALL_PLACE);
    draft.call(place, id, name)?;
    if let Some(extra) = call.get(EXTRA_FIELD).filter(|extra| extra.is_object()) {
        draft.keyed_reasoning(REASONING_PLACE, EXTRA_FIELD, id, extra)?;
    }
    match call.pointer("/function/arguments") {
        Some(Value::String(piece)) => draft.arguments(place, piece),
        Some(whole @ Value::Object(_)) => draft.arguments(place, &whole.to_string()),
        _ => Ok(()),
    }
}

fn stop(reason: &str) -> StopReason {
    match reason {
        "tool_calls" | "function_call" => StopReason::ToolUse,
        "length" => StopReason::MaxTokens,
        "content_filter" => StopReason::Refusal,
        _ => StopReason::EndTurn,
    }
}

/// `prompt_tokens` are all that were read, from a cache or not.
fn costs(draft: &mut Draft, usage: Option<&Value>) {
    let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
    let cached = json::number(usage, "/prompt_tokens_details/cached_tokens")
        // DeepSeek
        .or_else(|| json::number(usage, "/prompt_cache_hit_tokens"))
        .unwrap_or_default();
    let read = json::number(usage, "/prompt_tokens").unwrap_or_default();
    draft.costs(Usage {
        input_tokens: read.saturating_sub(cached),
        output_tokens: json::number(usage, "/completion_tokens").unwrap_or_default(),
        cache_read_tokens: cached.min(read),
        ..Usage::default()
    });
}
