//! Anthropic's Messages.
//!
//! <https://platform.claude.com/docs/en/api/messages>, and for what arrives
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>.

use serde_json::{Value, json};

use super::{
    Flow,
    draft::{Draft, Stop},
    json,
    refused::Refusal,
    sendable::{self, NOTHING},
};
use crate::{Message, Part, Request, StopReason, Usage};

/// How many of the newest messages end a cached beginning: the newest one for the next question, and
/// the one before it, which ended what the last question cached. With tools and system that makes the
/// four that are allowed.
const CACHED_MESSAGES: usize = 2;

/// The request.
pub(crate) fn body(by: &str, model: &str, request: &Request) -> Value {
    let mut body = json!({
        "model": model,
        "max_tokens": request.max_output_tokens,
        "stream": true,
        "messages": messages(by, request),
    });
    if !request.system.trim().is_empty() {
        let mut system = text(&request.system);
        cache(&mut system);
        body["system"] = json!([system]);
    }
    let mut tools: Vec<Value> = request
        .tools
        .iter()
        .map(|tool| {
            json!({
                "name": tool.name,
                "description": tool.description,
                "input_schema": tool.parameters,
            })
        })
        .collect();
    if let Some(last) = tools.last_mut() {
        cache(last);
        body["tools"] = Value::from(tools);
    }
    body
}

/// Roles take turns: what we say after results of tools goes into the same message.
fn messages(by: &str, request: &Request) -> Vec<Value> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in &request.messages {
        let (role, blocks) = match message {
            Message::User { content } => ("user", vec![text(content)]),
            Message::Assistant { content } => {
                let parts = sendable::parts(content, by);
                ("assistant", parts.into_iter().map(block).collect())
            }
            Message::ToolResults { results } => {
                let blocks = results.iter().map(|result| {
                    json!({
                        "type": "tool_result",
                        "tool_use_id": sendable::id(&result.call_id),
                        "content": result.content,
                        "is_error": result.is_error,
                    })
                });
                ("user", blocks.collect())
            }
        };
        match turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some((last, all)) if *last == role => all.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    let ours = turns.iter_mut().rev().filter(|(role, _)| *role == "user");
    for last in ours.take(CACHED_MESSAGES).filter_map(|(_, blocks)| blocks.last_mut()) {
        cache(last);
    }
    turns.into_iter().map(|(role, content)| json!({ "role": role, "content": content })).collect()
}

fn block(part: &Part) -> Value {
    match part {
        Part::Text { text: words } => text(words),
        Part::ToolCall { id, name, arguments } => json!({
            "type": "tool_use",
            "id": sendable::id(id),
            "name": sendable::tool_name(name),
            "input": sendable::arguments(arguments),
        }),
        Part::Reasoning { data, .. } => data.clone(),
    }
}

fn text(words: &str) -> Value {
    let words = if words.trim().is_empty() { NOTHING } else { words };
    json!({ "type": "text", "text": words })
}

/// Everything up to here is to be kept for the next question.
fn cache(block: &mut Value) {
    block["cache_control"] = json!({ "type": "ephemeral" });
}

/// One event.
pub(crate) fn read(draft: &mut Draft, event: &Value) -> Result<Flow, Stop> {
    let place = json::number(event, "/index").unwrap_or_default();
    match json::text(event, "/type") {
        "message_start" => {
            draft.is_by(json::text(event, "/message/model"), json::text(event, "/message/id"));
            costs(draft, event.pointer("/message/usage"));
        }
        "content_block_start" => begin(draft, place, event.get("content_block"))?,
        "content_block_delta" => match json::text(event, "/delta/type") {
            "text_delta" => draft.text(place, json::text(event, "/delta/text"))?,
            "input_json_delta" => {
                draft.arguments(place, json::text(event, "/delta/partial_json"))?;
            }
            "thinking_delta" => {
                draft.more_reasoning(place, "thinking", json::text(event, "/delta/thinking"))?;
            }
            "signature_delta" => {
                draft.more_reasoning(place, "signature", json::text(event, "/delta/signature"))?;
            }
            // Citations, and what is yet to be invented.
            _ => {}
        },
        "message_delta" => {
            costs(draft, event.get("usage"));
            match json::text(event, "/delta/stop_reason") {
                "" => {}
                reason => draft.stop = Some(stop(reason)),
            }
        }
        "message_stop" => {
            draft.is_whole = true;
            return Ok(Flow::End);
        }
        "error" => return Err(Stop::Refused(Refusal::of_json(event))),
        _ => {}
    }
    Ok(Flow::More)
}

fn begin(draft: &mut Draft, place: u64, block: Option<&Value>) -> Result<(), Stop> {
    let Some(block) = block else { return Ok(()) };
    match json::text(block, "/type") {
        "text" => draft.text(place, json::text(block, "/text")),
        "tool_use" => {
            draft.call(place, json::text(block, "/id"), json::text(block, "/name"))?;
            match block.get("input").and_then(Value::as_object) {
                // Gateways that do not stream arguments have them here.
                Some(input) if !input.is_empty() => {
                    draft.arguments(place, &Value::from(input.clone()).to_string())
                }
                _ => Ok(()),
            }
        }
        "thinking" | "redacted_thinking" => draft.reasoning(place, block.clone()),
        _ => Ok(()),
    }
}

fn stop(reason: &str) -> StopReason {
    match reason {
        "tool_use" => StopReason::ToolUse,
        "max_tokens" | "model_context_window_exceeded" => StopReason::MaxTokens,
        "refusal" => StopReason::Refusal,
        // end_turn, stop_sequence, pause_turn
        _ => StopReason::EndTurn,
    }
}

/// `input_tokens` are those that no cache had a part in.
fn costs(draft: &mut Draft, usage: Option<&Value>) {
    let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
    let count = |pointer| json::number(usage, pointer).unwrap_or_default();
    draft.costs(Usage {
        input_tokens: count("/input_tokens"),
        output_tokens: count("/output_tokens"),
        cache_read_tokens: count("/cache_read_input_tokens"),
        cache_write_tokens: count("/cache_creation_input_tokens"),
        ..Usage::default()
    });
}
