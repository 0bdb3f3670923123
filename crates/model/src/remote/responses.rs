//! OpenAI's Responses, without its memory: the conversation is sent whole, and nothing is stored there.
//!
//! <https://platform.openai.com/docs/api-reference/responses/create>, and for what arrives
//! <https://platform.openai.com/docs/api-reference/responses-streaming>.

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

/// The families that don't reason, and refuse to be asked for their thoughts. Later ones all do.
const WITHOUT_REASONING: &[&str] = &["gpt-3", "gpt-4", "chatgpt-"];

/// The request.
pub(crate) fn body(by: &str, model: &str, dialect: Dialect, request: &Request) -> Value {
    let mut body = json!({
        "model": model,
        "stream": true,
        "store": false,
        "max_output_tokens": request.max_output_tokens,
        "input": input(by, request),
    });
    if reasons(model) {
        // Sealed, since nothing is stored that an id could point to.
        body["include"] = json!(["reasoning.encrypted_content"]);
    }
    if dialect.is_openai {
        body["prompt_cache_key"] = json!(sendable::cache_key(request));
    }
    if !request.system.trim().is_empty() {
        body["instructions"] = json!(request.system);
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            json!({
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                // True by default, and then optional parameters are refused.
                "strict": false,
            })
        });
        body["tools"] = tools.collect();
    }
    body
}

fn reasons(model: &str) -> bool {
    let family = model.strip_prefix("ft:").unwrap_or(model);
    !WITHOUT_REASONING.iter().any(|known| family.starts_with(known)) && !family.contains("-chat")
}

fn input(by: &str, request: &Request) -> Vec<Value> {
    let mut items = Vec::new();
    for message in &request.messages {
        match message {
            Message::User { content } => {
                let content = if content.trim().is_empty() { NOTHING } else { content };
                items.push(json!({ "role": "user", "content": content }));
            }
            Message::Assistant { content } => {
                items.extend(sendable::parts(content, by).into_iter().map(item));
            }
            Message::ToolResults { results } => items.extend(results.iter().map(|result| {
                json!({
                    "type": "function_call_output",
                    "call_id": sendable::id(&result.call_id),
                    "output": sendable::result(&result.content, result.is_error),
                })
            })),
        }
    }
    items
}

fn item(part: &Part) -> Value {
    match part {
        Part::Text { text } => json!({ "role": "assistant", "content": text }),
        Part::ToolCall { id, name, arguments } => json!({
            "type": "function_call",
            "call_id": sendable::id(id),
            "name": sendable::tool_name(name),
            "arguments": sendable::arguments(arguments).to_string(),
        }),
        Part::Reasoning { data, .. } => data.clone(),
    }
}

/// One event.
pub(crate) fn read(draft: &mut Draft, event: &Value) -> Result<Flow, Stop> {
    let place = json::number(event, "/output_index").unwrap_or_default();
    match json::text(event, "/type") {
        "response.created" | "response.in_progress" => {
            draft.is_by(json::text(event, "/response/model"), json::text(event, "/response/id"));
        }
        "response.output_item.added" if json::text(event, "/item/type") == "function_call" => {
            let (id, name) = (json::text(event, "/item/call_id"), json::text(event, "/item/name"));
            draft.call(place, id, name)?;
        }
        "response.output_text.delta" => draft.text(place, json::text(event, "/delta"))?,
        "response.refusal.delta" => {
            draft.refuses = true;
            draft.text(place, json::text(event, "/delta"))?;
        }
        "response.function_call_arguments.delta" => {
            draft.arguments(place, json::text(event, "/delta"))?;
        }
        "response.output_item.done" => {
            if let Some(item) = event.get("item") {
                read_item(draft, place, item)?;
            }
        }
        end @ ("response.completed" | "response.incomplete") => {
            let response = event.get("response").unwrap_or(&Value::Null);
            read_end(draft, response, end == "response.incomplete")?;
            return Ok(Flow::End);
        }
        "response.failed" => {
            let response = event.get("response").unwrap_or(&Value::Null);
            return Err(Stop::Refused(Refusal::of_json(response)));
        }
        "error" => {
            // `type` is the event's own.
            let mut said = event.clone();
            if let Some(fields) = said.as_object_mut() {
                fields.remove("type");
            }
            return Err(Stop::Refused(Refusal::of_json(&said)));
        }
        _ => {}
    }
    Ok(Flow::More)
}

/// An item as it came to be: more to be relied on than its pieces.
fn read_item(draft: &mut Draft, place: u64, item: &Value) -> Result<(), Stop> {
    match json::text(item, "/type") {
        "function_call" => {
            draft.call(place, json::text(item, "/call_id"), json::text(item, "/name"))?;
            match json::text(item, "/arguments") {
                "" => Ok(()),
                whole => draft.whole_arguments(place, whole),
            }
        }
        "message" if !draft.has(place) => {
            for content in json::list(item, "/content") {
                draft.text(place, json::text(content, "/text"))?;
                if let Some(words) = content.get("refusal").and_then(Value::as_str) {
                    draft.refuses = true;
                    draft.text(place, words)?;
                }
            }
            Ok(())
        }
        // What has no seal can't be sent back.
        "reasoning" if json::has(item, "/encrypted_content") => {
            let mut data = json!({ "type": "reasoning" });
            for field in ["id", "summary", "encrypted_content"] {
                if let Some(value) = item.get(field) {
                    data[field] = value.clone();
                }
            }
            draft.reasoning(place, data)
        }
        _ => Ok(()),
    }
}

fn read_end(draft: &mut Draft, response: &Value, is_incomplete: bool) -> Result<(), Stop> {
    draft.is_by(json::text(response, "/model"), json::text(response, "/id"));
    if draft.is_empty() {
        for (place, item) in (0..).zip(json::list(response, "/output")) {
            read_item(draft, place, item)?;
        }
    }
    if let Some(usage) = response.get("usage").filter(|usage| usage.is_object()) {
        // `input_tokens` are all that were read, from a cache or not.
        let read = json::number(usage, "/input_tokens").unwrap_or_default();
        let cached = json::number(usage, "/input_tokens_details/cached_tokens").unwrap_or_default();
        draft.costs(Usage {
            input_tokens: read.saturating_sub(cached),
            output_tokens: json::number(usage, "/output_tokens").unwrap_or_default(),
            cache_read_tokens: cached.min(read),
            ..Usage::default()
        });
    }
    if is_incomplete {
        draft.stop = Some(match json::text(response, "/incomplete_details/reason") {
            "content_filter" => StopReason::Refusal,
            _ => StopReason::MaxTokens,
        });
    }
    draft.is_whole = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("gpt-5.1-codex", true)]
    #[case("o3", true)]
    #[case("gpt-4.1-mini", false)]
    #[case("ft:gpt-4o-2024-08-06:acme::1", false)]
    #[case("gpt-5-chat-latest", false)]
    fn thoughts_are_asked_of_who_has_some(#[case] model: &str, #[case] expected: bool) {
        assert_eq!(super::reasons(model), expected);
    }
}
