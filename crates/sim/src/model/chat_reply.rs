//! OpenAI's Chat Completions, as they are answered.
//!
//! Sources: <https://platform.openai.com/docs/api-reference/chat/object>,
//! <https://platform.openai.com/docs/api-reference/chat-streaming/streaming>.

use booty_model::{StopReason, Usage};
use serde_json::{Value, json};

use super::{
    api::Event,
    json::pieces,
    messages_reply::piece_bytes,
    reply::{Reply, Said},
};

pub(super) fn whole(reply: &Reply, now: i64) -> Value {
    let text = text(reply);
    let is_refusal = reply.stop == StopReason::Refusal;
    let mut message = json!({
        "role": "assistant",
        "content": if is_refusal { None } else { text.clone() },
        "refusal": if is_refusal { text } else { None },
        "annotations": [],
    });
    let calls: Vec<Value> = calls(reply)
        .map(|(index, name, arguments)| {
            let function = json!({"name": name, "arguments": arguments});
            json!({"id": call_id(reply, index), "type": "function", "function": function})
        })
        .collect();
    if let (false, Some(fields)) = (calls.is_empty(), message.as_object_mut()) {
        fields.insert("tool_calls".to_owned(), calls.into());
    }
    json!({
        "id": format!("chatcmpl-{}", reply.stem),
        "object": "chat.completion",
        "created": now,
        "model": reply.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(reply.stop),
        }],
        "usage": usage(&reply.usage),
        "service_tier": "default",
        "system_fingerprint": "fp_sim",
    })
}

pub(super) fn events(reply: &Reply, include_usage: bool, now: i64) -> Vec<Event> {
    let chunk = |choices: Value, told: Option<Value>| {
        let mut chunk = json!({
            "id": format!("chatcmpl-{}", reply.stem),
            "object": "chat.completion.chunk",
            "created": now,
            "model": reply.model,
            "service_tier": "default",
            "system_fingerprint": "fp_sim",
            "choices": choices,
        });
        // With it asked for, every chunk has the field, and only the last one a value.
        if let (true, Some(fields)) = (include_usage, chunk.as_object_mut()) {
            fields.insert("usage".to_owned(), told.unwrap_or(Value::Null));
        }
        Event::data(&chunk)
    };
    let delta = |delta: Value, finish: Option<&str>| {
        chunk(
            json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]),
            None,
        )
    };
    let said = if reply.stop == StopReason::Refusal { "refusal" } else { "content" };
    let text = text(reply);
    let first = text.as_ref().map(|_| "");
    let mut events = vec![delta(json!({"role": "assistant", said: first}), None)];
    if let Some(text) = &text {
        let pieces = pieces(text, piece_bytes(text.len()));
        events.extend(pieces.into_iter().map(|piece| delta(json!({ said: piece }), None)));
    }
    for (number, (index, name, arguments)) in calls(reply).enumerate() {
        let id = call_id(reply, index);
        let function = json!({"name": name, "arguments": ""});
        let call = json!({"index": number, "id": id, "type": "function", "function": function});
        events.push(delta(json!({"tool_calls": [call]}), None));
        for piece in pieces(arguments, piece_bytes(arguments.len())) {
            let call = json!({"index": number, "function": {"arguments": piece}});
            events.push(delta(json!({"tool_calls": [call]}), None));
        }
    }
    events.push(delta(json!({}), Some(finish_reason(reply.stop))));
    if include_usage {
        events.push(chunk(json!([]), Some(usage(&reply.usage))));
    }
    events.push(Event { name: None, data: "[DONE]".to_owned() });
    events
}

pub(super) fn error_event() -> Event {
    Event::data(&json!({"error": {
        "message": "The server had an error while processing your request. Sorry about that!",
        "type": "server_error",
        "param": null,
        "code": null,
    }}))
}

/// All text: a message has one.
fn text(reply: &Reply) -> Option<String> {
    let texts = reply.parts.iter().filter_map(|part| match part {
        Said::Text(text) => Some(text.as_str()),
        Said::Call { .. } => None,
    });
    let texts: Vec<&str> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn calls(reply: &Reply) -> impl Iterator<Item = (usize, &str, &str)> {
    reply.parts.iter().enumerate().filter_map(|(index, part)| match part {
        Said::Call { name, arguments } => Some((index, name.as_str(), arguments.as_str())),
        Said::Text(_) => None,
    })
}

fn call_id(reply: &Reply, index: usize) -> String {
    format!("call_{}{index}", reply.stem)
}

fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        // A refusal is told in the message.
        StopReason::EndTurn | StopReason::Refusal => "stop",
        StopReason::ToolUse => "tool_calls",
        StopReason::MaxTokens => "length",
    }
}

fn usage(usage: &Usage) -> Value {
    let prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
