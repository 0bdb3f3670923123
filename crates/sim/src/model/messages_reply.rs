//! Anthropic's Messages, as they are answered.
//!
//! Sources: <https://platform.claude.com/docs/en/api/messages>,
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>.

use booty_model::{StopReason, Usage};
use serde_json::{Value, json};

use super::{
    api::Event,
    json::pieces,
    reply::{Reply, Said},
};

/// Bytes of text or arguments in one event, as far as it was seen; longer answers have longer ones.
const PIECE_BYTES: usize = 24;

/// How long pieces are: an answer has at most some thousand.
pub(super) fn piece_bytes(whole: usize) -> usize {
    PIECE_BYTES.max(whole / 2_000)
}

pub(super) fn whole(reply: &Reply) -> Value {
    let thought = reply.thought.iter().map(|(thought, signature)| {
        json!({"type": "thinking", "thinking": thought, "signature": signature})
    });
    let parts = reply.parts.iter().enumerate().map(|(index, part)| match part {
        Said::Text(text) => json!({"type": "text", "text": text}),
        Said::Call { name, arguments } => json!({
            "type": "tool_use",
            "id": call_id(reply, index),
            "name": name,
            "input": input(arguments),
        }),
    });
    json!({
        "id": format!("msg_{}", reply.stem),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": thought.chain(parts).collect::<Vec<_>>(),
        "stop_reason": stop_reason(reply.stop),
        "stop_sequence": null,
        "usage": usage(&reply.usage),
    })
}

/// What is not streamed is always an object; what could not be parsed is what was said before it broke.
fn input(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(input @ Value::Object(_)) => input,
        Ok(other) => json!({ "value": other }),
        Err(_) => json!({}),
    }
}

pub(super) fn events(reply: &Reply) -> Vec<Event> {
    let mut message = whole(reply);
    let start = Usage { output_tokens: 1, ..reply.usage };
    if let Some(fields) = message.as_object_mut() {
        fields.insert("content".to_owned(), json!([]));
        fields.insert("stop_reason".to_owned(), Value::Null);
        fields.insert("usage".to_owned(), usage(&start));
    }
    let mut events = vec![
        Event::named("message_start", &json!({"type": "message_start", "message": message})),
        Event::named("ping", &json!({"type": "ping"})),
    ];
    let mut index = 0;
    if let Some((thought, signature)) = &reply.thought {
        let block = json!({"type": "thinking", "thinking": "", "signature": ""});
        let deltas = [
            json!({"type": "thinking_delta", "thinking": thought}),
            json!({"type": "signature_delta", "signature": signature}),
        ];
        push_block(&mut events, index, &block, &deltas);
        index += 1;
    }
    for (number, part) in reply.parts.iter().enumerate() {
        match part {
            Said::Text(text) => {
                let deltas: Vec<Value> = pieces(text, piece_bytes(text.len()))
                    .into_iter()
                    .map(|piece| json!({"type": "text_delta", "text": piece}))
                    .collect();
                push_block(&mut events, index, &json!({"type": "text", "text": ""}), &deltas);
            }
            Said::Call { name, arguments } => {
                let id = call_id(reply, number);
                let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
                // The first one is empty.
                let deltas: Vec<Value> = std::iter::once("")
                    .chain(pieces(arguments, piece_bytes(arguments.len())))
                    .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}))
                    .collect();
                push_block(&mut events, index, &block, &deltas);
            }
        }
        index += 1;
    }
    events.push(Event::named(
        "message_delta",
        &json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(reply.stop), "stop_sequence": null},
            "usage": usage_in_delta(&reply.usage),
        }),
    ));
    events.push(Event::named("message_stop", &json!({"type": "message_stop"})));
    events
}

fn push_block(events: &mut Vec<Event>, index: usize, block: &Value, deltas: &[Value]) {
    events.push(Event::named(
        "content_block_start",
        &json!({"type": "content_block_start", "index": index, "content_block": block}),
    ));
    for delta in deltas {
        events.push(Event::named(
            "content_block_delta",
            &json!({"type": "content_block_delta", "index": index, "delta": delta}),
        ));
    }
    events.push(Event::named(
        "content_block_stop",
        &json!({"type": "content_block_stop", "index": index}),
    ));
}

pub(super) fn error_event() -> Event {
    let error = json!({"type": "overloaded_error", "message": "Overloaded"});
    Event::named("error", &json!({"type": "error", "error": error}))
}

fn call_id(reply: &Reply, index: usize) -> String {
    format!("toolu_{}{index}", reply.stem)
}

fn stop_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::EndTurn => "end_turn",
        StopReason::ToolUse => "tool_use",
        StopReason::MaxTokens => "max_tokens",
        StopReason::Refusal => "refusal",
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": usage.output_tokens,
        "service_tier": "standard",
    })
}

fn usage_in_delta(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    })
}
