//! OpenAI's Responses, as they are answered.
//!
//! Sources: <https://platform.openai.com/docs/api-reference/responses/object>,
//! <https://platform.openai.com/docs/api-reference/responses-streaming>.

use booty_model::{StopReason, Usage};
use serde_json::{Value, json};

use super::{
    api::Event,
    json::pieces,
    messages_reply::piece_bytes,
    reply::{Reply, Said, seal},
};

/// Between the parts of a call's id that comes from a thought.
pub(super) const REASONED: &str = "_after_";

/// What a thought's id is encrypted to.
pub(super) fn sealed(id: &str) -> String {
    format!("gAAAA{}", seal(id))
}

pub(super) fn whole(reply: &Reply, now: i64) -> Value {
    let items: Vec<Value> = items(reply).into_iter().map(|(item, _)| item).collect();
    response(reply, now, status(reply), &items, Some(usage(&reply.usage)))
}

fn status(reply: &Reply) -> &'static str {
    if reply.stop == StopReason::MaxTokens { "incomplete" } else { "completed" }
}

fn response(
    reply: &Reply,
    now: i64,
    status: &str,
    output: &[Value],
    usage: Option<Value>,
) -> Value {
    let incomplete = (status == "incomplete").then(|| json!({"reason": "max_output_tokens"}));
    json!({
        "id": format!("resp_{}", reply.stem),
        "object": "response",
        "created_at": now,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": incomplete,
        "instructions": null,
        "max_output_tokens": null,
        "model": reply.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": "default",
        "store": false,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "user": null,
        "metadata": {},
    })
}

/// The items of the answer, and what streams into each.
fn items(reply: &Reply) -> Vec<(Value, Option<&Said>)> {
    let mut items = Vec::new();
    let mut joint = "_";
    if reply.thought.is_some() {
        let id = format!("rs_{}", reply.stem);
        let content = sealed(&id);
        items.push((
            json!({"id": id, "type": "reasoning", "summary": [], "encrypted_content": content}),
            None,
        ));
        joint = REASONED;
    }
    let last = reply.parts.len().saturating_sub(1);
    for (index, part) in reply.parts.iter().enumerate() {
        let is_cut = index == last && reply.stop == StopReason::MaxTokens;
        let status = if is_cut { "incomplete" } else { "completed" };
        let id = format!("{}{joint}{index}", reply.stem);
        let item = match part {
            Said::Text(text) => json!({
                "id": format!("msg_{id}"),
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": [text_part(reply, text)],
            }),
            Said::Call { name, arguments } => json!({
                "id": format!("fc_{id}"),
                "type": "function_call",
                "status": status,
                "call_id": format!("call_{}{index}", reply.stem),
                "name": name,
                "arguments": arguments,
            }),
        };
        items.push((item, Some(part)));
    }
    items
}

fn text_part(reply: &Reply, text: &str) -> Value {
    if reply.stop == StopReason::Refusal {
        json!({"type": "refusal", "refusal": text})
    } else {
        json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
    }
}

/// Events with their numbers.
#[derive(Default)]
struct Stream(Vec<Event>);

impl Stream {
    fn push(&mut self, name: &'static str, mut data: Value) {
        if let Some(fields) = data.as_object_mut() {
            fields.insert("type".to_owned(), name.into());
            fields.insert("sequence_number".to_owned(), self.0.len().into());
        }
        self.0.push(Event::named(name, &data));
    }
}

pub(super) fn events(reply: &Reply, now: i64) -> Vec<Event> {
    let mut stream = Stream::default();
    let begun = response(reply, now, "in_progress", &[], None);
    stream.push("response.created", json!({ "response": begun }));
    stream.push("response.in_progress", json!({ "response": begun }));
    let items = items(reply);
    for (index, (item, part)) in items.iter().enumerate() {
        let mut begun = item.clone();
        if let Some(fields) = begun.as_object_mut() {
            if part.is_some() {
                fields.insert("status".to_owned(), "in_progress".into());
            }
            if fields.contains_key("content") {
                fields.insert("content".to_owned(), json!([]));
            }
            if fields.contains_key("arguments") {
                fields.insert("arguments".to_owned(), "".into());
            }
        }
        stream.push("response.output_item.added", json!({"output_index": index, "item": begun}));
        let id = item.get("id").cloned().unwrap_or_default();
        match part {
            Some(Said::Text(text)) => stream_text(&mut stream, reply, &id, index, text),
            Some(Said::Call { name, arguments }) => {
                for piece in pieces(arguments, piece_bytes(arguments.len())) {
                    stream.push(
                        "response.function_call_arguments.delta",
                        json!({"item_id": id, "output_index": index, "delta": piece}),
                    );
                }
                stream.push(
                    "response.function_call_arguments.done",
                    json!({
                        "item_id": id, "output_index": index, "name": name, "arguments": arguments,
                    }),
                );
            }
            None => {}
        }
        stream.push("response.output_item.done", json!({"output_index": index, "item": item}));
    }
    let output: Vec<Value> = items.into_iter().map(|(item, _)| item).collect();
    let status = status(reply);
    let ended = response(reply, now, status, &output, Some(usage(&reply.usage)));
    let name = if status == "incomplete" { "response.incomplete" } else { "response.completed" };
    stream.push(name, json!({ "response": ended }));
    stream.0
}

fn stream_text(stream: &mut Stream, reply: &Reply, id: &Value, index: usize, text: &str) {
    let place = json!({"item_id": id, "output_index": index, "content_index": 0});
    let with = |key: &str, value: Value| {
        let mut data = place.clone();
        if let Some(fields) = data.as_object_mut() {
            fields.insert(key.to_owned(), value);
        }
        data
    };
    let is_refusal = reply.stop == StopReason::Refusal;
    let (delta, done, key) = if is_refusal {
        ("response.refusal.delta", "response.refusal.done", "refusal")
    } else {
        ("response.output_text.delta", "response.output_text.done", "text")
    };
    stream.push("response.content_part.added", with("part", text_part(reply, "")));
    for piece in pieces(text, piece_bytes(text.len())) {
        stream.push(delta, with("delta", piece.into()));
    }
    stream.push(done, with(key, text.into()));
    stream.push("response.content_part.done", with("part", text_part(reply, text)));
}

pub(super) fn error_event(number: usize) -> Event {
    Event::named(
        "error",
        &json!({
            "type": "error",
            "sequence_number": number,
            "code": "server_error",
            "message": "The server had an error while processing your request. Sorry about that!",
            "param": null,
        }),
    )
}

fn usage(usage: &Usage) -> Value {
    let input = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input + usage.output_tokens,
    })
}
