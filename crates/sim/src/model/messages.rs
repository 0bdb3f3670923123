//! Anthropic's Messages, as they are asked.
//!
//! Sources: <https://platform.claude.com/docs/en/api/messages>,
//! <https://platform.claude.com/docs/en/api/errors>,
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use>; the words of
//! refusals are those that users reported, for example in
//! <https://github.com/anthropics/claude-code/issues/1237> (a call without its result),
//! <https://github.com/anthropics/claude-code/issues/13460> (a result without its call) and
//! <https://github.com/tghamm/Anthropic.SDK/issues/50> (breakpoints).

use std::{borrow::Cow, collections::BTreeSet};

use http::HeaderMap;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{
    api::is_key,
    json::{get, is_name, list, text, unknown_key},
    question::{Piece, Question},
    refusal::Refusal,
    reply::seal,
    settings::ModelSettings,
};

const KNOWN: &[&str] = &[
    "cache_control",
    "container",
    "context_management",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// Blocks that may have `cache_control` in one request.
const MAX_BREAKPOINTS: usize = 4;
/// Characters of a tool's name.
const MAX_NAME: usize = 64;
/// The newest version of the API.
const NEWEST: &[u8] = b"2026-10-21";
/// The least that a model may be given to think.
const MIN_THINKING_TOKENS: u64 = 1024;

/// Its own clients send the key as a bearer token since their version 2.
pub(super) fn check_key(headers: &HeaderMap, key: Option<&SecretString>) -> Result<(), Refusal> {
    let Some(key) = key else { return Ok(()) };
    let refused = |message: &str| Err(Refusal::new(401, "authentication_error", message));
    let given = |name: &str| headers.get(name).map(|value| value.as_bytes());
    match (given("x-api-key"), given("authorization")) {
        (None, None) => refused("x-api-key header is required"),
        (Some(given), _) if is_key(given, key) => Ok(()),
        (Some(_), _) => Err(wrong_key()),
        (None, Some(given)) => match given.strip_prefix(b"Bearer ") {
            Some(given) if is_key(given, key) => Ok(()),
            _ => refused("Invalid bearer token"),
        },
    }
}

pub(super) fn wrong_key() -> Refusal {
    Refusal::new(401, "authentication_error", "invalid x-api-key")
}

/// <https://platform.claude.com/docs/en/api/versioning>
pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get("anthropic-version").map(|value| value.as_bytes()) {
        None => Err(Refusal::invalid("anthropic-version: header is required")),
        Some(b"2023-01-01" | b"2023-06-01") => Ok(()),
        Some(version) if version == NEWEST => Ok(()),
        Some(other) => Err(Refusal::invalid(format!(
            "anthropic-version: \"{}\" is not a valid version",
            String::from_utf8_lossy(other)
        ))),
    }
}

/// What the newest version takes no more. Documents in answers, which it refuses as well, are refused
/// in all versions here. <https://platform.claude.com/docs/en/api/migration-2026-10-21>
fn check_newest(body: &Map<String, Value>) -> Result<(), Refusal> {
    if let Some(key) = ["temperature", "top_p", "top_k"].iter().find(|key| body.contains_key(**key))
    {
        return Err(Refusal::invalid(format!("{key}: Extra inputs are not permitted")));
    }
    let messages = body.get("messages").map(list).unwrap_or_default();
    let of_user = messages.iter().filter(|message| text(message, "role") == Some("user"));
    let mut blocks = of_user.flat_map(|message| list(get(message, "content")));
    if blocks.any(|block| !list(get(block, "citations")).is_empty()) {
        let message = "messages: text content blocks of the user can't have citations";
        return Err(Refusal::invalid(message));
    }
    Ok(())
}

/// Consecutive messages of one role, which the API takes as one.
struct Turn<'a> {
    role: &'a str,
    /// Where its first message is.
    at: usize,
    /// Each with its place, as errors name it. A string is a block of text.
    blocks: Vec<(String, Cow<'a, Value>)>,
}

pub(super) fn read(
    headers: &HeaderMap,
    body: &Map<String, Value>,
    settings: &ModelSettings,
) -> Result<Question, Refusal> {
    if headers.get("anthropic-version").is_some_and(|version| version.as_bytes() == NEWEST) {
        check_newest(body)?;
    }
    if let Some(key) = unknown_key(body, KNOWN) {
        return Err(Refusal::invalid(format!("{key}: Extra inputs are not permitted")));
    }
    let field = |key: &str| body.get(key).unwrap_or(&Value::Null);
    let model = match field("model") {
        Value::String(model) if !model.is_empty() => model.clone(),
        Value::Null => return Err(required("model")),
        _ => return Err(Refusal::invalid("model: String should have at least 1 character")),
    };
    let max_tokens = max_tokens(field("max_tokens"), &model, settings)?;
    if !settings.has_model(&model) || !model.starts_with("claude-") {
        return Err(Refusal::new(404, "not_found_error", format!("model: {model}")));
    }
    let stream = match field("stream") {
        Value::Null => false,
        Value::Bool(stream) => *stream,
        _ => return Err(Refusal::invalid("stream: Input should be a valid boolean")),
    };
    if field("temperature").as_f64().is_some_and(|value| !(0.0..=1.0).contains(&value)) {
        return Err(Refusal::invalid("temperature: range: 0..1"));
    }
    let thinks = check_thinking(field("thinking"), max_tokens)?;

    let mut prompt = Prompt::default();
    check_tools(field("tools"), &mut prompt)?;
    if !field("tool_choice").is_null() && list(field("tools")).is_empty() {
        let message = "tool_choice: may only be specified while providing tools";
        return Err(Refusal::invalid(message));
    }
    check_system(field("system"), &mut prompt)?;
    let Value::Array(messages) = field("messages") else { return Err(required("messages")) };
    let turns = turns(messages)?;
    for turn in &turns {
        for (at, block) in &turn.blocks {
            check_block(turn.role, at, block)?;
            prompt.add(turn.role, block);
        }
    }
    check_order(&turns, thinks)?;
    prompt.check()?;

    let question = Question {
        model,
        task: task(&turns),
        turn: turns.iter().filter(|turn| turn.role == "assistant").count(),
        stream,
        include_usage: true,
        thinks,
        max_tokens: Some(max_tokens),
        prompt: prompt.pieces,
    };
    let tokens = question.tokens();
    if tokens > settings.context_tokens {
        let most = settings.context_tokens;
        let message = format!("prompt is too long: {tokens} tokens > {most} maximum");
        return Err(Refusal::invalid(message));
    }
    Ok(question)
}

fn required(field: &str) -> Refusal {
    Refusal::invalid(format!("{field}: Field required"))
}

fn max_tokens(value: &Value, model: &str, settings: &ModelSettings) -> Result<u64, Refusal> {
    let most = settings.max_output_tokens;
    match (value, value.as_u64()) {
        (Value::Null, _) => Err(required("max_tokens")),
        (_, None) => Err(Refusal::invalid("max_tokens: Input should be a valid integer")),
        (_, Some(0)) => {
            Err(Refusal::invalid("max_tokens: Input should be greater than or equal to 1"))
        }
        (_, Some(tokens)) if tokens > most => Err(Refusal::invalid(format!(
            "max_tokens: {tokens} > {most}, which is the maximum allowed number of output tokens \
             for {model}"
        ))),
        (_, Some(tokens)) => Ok(tokens),
    }
}

/// <https://platform.claude.com/docs/en/build-with-claude/extended-thinking>
fn check_thinking(thinking: &Value, max_tokens: u64) -> Result<bool, Refusal> {
    match text(thinking, "type") {
        None if thinking.is_null() => Ok(false),
        Some("disabled") => Ok(false),
        Some("adaptive") => Ok(true),
        Some("enabled") => {
            let Some(budget) = get(thinking, "budget_tokens").as_u64() else {
                return Err(required("thinking.enabled.budget_tokens"));
            };
            if budget < MIN_THINKING_TOKENS {
                return Err(Refusal::invalid(format!(
                    "thinking.enabled.budget_tokens: Input should be greater than or equal to \
                     {MIN_THINKING_TOKENS}"
                )));
            }
            if budget >= max_tokens {
                let message = "`max_tokens` must be greater than `thinking.budget_tokens`. Please \
                               consult our documentation at https://docs.claude.com/en/docs/\
                               build-with-claude/extended-thinking#max-tokens-and-context-window-size";
                return Err(Refusal::invalid(message));
            }
            Ok(true)
        }
        _ => Err(Refusal::invalid(
            "thinking: Input tag does not match any of the expected tags: 'adaptive', 'disabled', \
             'enabled'",
        )),
    }
}

fn check_tools(tools: &Value, prompt: &mut Prompt) -> Result<(), Refusal> {
    if !tools.is_null() && !tools.is_array() {
        return Err(Refusal::invalid("tools: Input should be a valid list"));
    }
    let mut names = BTreeSet::new();
    for (index, tool) in list(tools).iter().enumerate() {
        prompt.add("tool", tool);
        // Tools of Anthropic's own have a type and no schema.
        if !matches!(text(tool, "type"), None | Some("custom")) {
            continue;
        }
        let at = format!("tools.{index}.custom");
        let Some(name) = text(tool, "name") else {
            return Err(required(&format!("{at}.name")));
        };
        if !is_name(name, MAX_NAME) {
            return Err(Refusal::invalid(format!(
                "{at}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,{MAX_NAME}}}$'"
            )));
        }
        if !names.insert(name) {
            return Err(Refusal::invalid("tools: Tool names must be unique."));
        }
        let schema = get(tool, "input_schema");
        let Some(fields) = schema.as_object() else {
            return Err(if schema.is_null() {
                required(&format!("{at}.input_schema"))
            } else {
                Refusal::invalid(format!("{at}.input_schema: Input should be a valid dictionary"))
            });
        };
        match fields.get("type") {
            None => return Err(required(&format!("{at}.input_schema.type"))),
            Some(Value::String(kind)) if kind == "object" => {}
            Some(_) => {
                let message = format!("{at}.input_schema.type: Input should be 'object'");
                return Err(Refusal::invalid(message));
            }
        }
        if ["oneOf", "anyOf", "allOf"].iter().any(|word| fields.contains_key(*word)) {
            return Err(Refusal::invalid(format!(
                "{at}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the \
                 top level"
            )));
        }
    }
    Ok(())
}

fn check_system(system: &Value, prompt: &mut Prompt) -> Result<(), Refusal> {
    match system {
        Value::Null => {}
        Value::String(_) => prompt.add("system", system),
        Value::Array(blocks) => {
            for (index, block) in blocks.iter().enumerate() {
                if text(block, "type") != Some("text") {
                    let message = format!("system.{index}.type: Input should be 'text'");
                    return Err(Refusal::invalid(message));
                }
                if text(block, "text").unwrap_or_default().is_empty() {
                    let message = "system: text content blocks must be non-empty";
                    return Err(Refusal::invalid(message));
                }
                prompt.add("system", block);
            }
        }
        _ => return Err(Refusal::invalid("system: Input should be a valid string")),
    }
    Ok(())
}

fn turns(messages: &[Value]) -> Result<Vec<Turn<'_>>, Refusal> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = match text(message, "role") {
            Some(role @ ("user" | "assistant")) => role,
            Some("system") => {
                return Err(Refusal::invalid(
                    "messages: Unexpected role \"system\". The Messages API accepts a top-level \
                     `system` parameter, not \"system\" as an input message role.",
                ));
            }
            _ => {
                let message = "Input should be 'user' or 'assistant'";
                return Err(Refusal::invalid(format!("messages.{index}.role: {message}")));
            }
        };
        let content = get(message, "content");
        let place = |number| format!("messages.{index}.content.{number}");
        let blocks: Vec<_> = match content {
            Value::String(text) if !text.is_empty() => {
                vec![(place(0), Cow::Owned(json!({"type": "text", "text": text})))]
            }
            Value::Array(blocks) if !blocks.is_empty() => {
                let blocks = blocks.iter().enumerate();
                blocks.map(|(number, block)| (place(number), Cow::Borrowed(block))).collect()
            }
            Value::String(_) | Value::Array(_) => {
                return Err(Refusal::invalid(format!(
                    "messages.{index}: all messages must have non-empty content except for the \
                     optional final assistant message"
                )));
            }
            Value::Null => return Err(required(&format!("messages.{index}.content"))),
            _ => {
                let message = format!("messages.{index}.content: Input should be a valid list");
                return Err(Refusal::invalid(message));
            }
        };
        match turns.last_mut() {
            Some(last) if last.role == role => last.blocks.extend(blocks),
            _ => turns.push(Turn { role, at: index, blocks }),
        }
    }
    Ok(turns)
}

fn check_block(role: &str, at: &str, block: &Value) -> Result<(), Refusal> {
    let kind = text(block, "type").unwrap_or_default();
    match (role, kind) {
        (_, "text") => check_text(text(block, "text").unwrap_or_default()),
        ("user", "image" | "document" | "search_result") => Ok(()),
        ("user", "tool_result") => check_result(at, block),
        ("assistant", "tool_use") => check_use(at, block),
        ("assistant", "thinking") => {
            let thought = text(block, "thinking").unwrap_or_default();
            if text(block, "signature") == Some(seal(thought).as_str()) {
                Ok(())
            } else {
                Err(Refusal::invalid(format!("{at}: Invalid `signature` in `thinking` block")))
            }
        }
        ("assistant", "redacted_thinking") => Ok(()),
        ("user", _) => Err(Refusal::invalid(format!(
            "{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags: \
             'document', 'image', 'search_result', 'text', 'tool_result'"
        ))),
        _ => Err(Refusal::invalid(format!(
            "{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags: \
             'redacted_thinking', 'text', 'thinking', 'tool_use'"
        ))),
    }
}

fn check_text(text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        Err(Refusal::invalid("messages: text content blocks must be non-empty"))
    } else if text.trim().is_empty() {
        Err(Refusal::invalid("messages: text content blocks must contain non-whitespace text"))
    } else {
        Ok(())
    }
}

fn check_result(at: &str, block: &Value) -> Result<(), Refusal> {
    if text(block, "tool_use_id").is_none() {
        return Err(required(&format!("{at}.tool_result.tool_use_id")));
    }
    let content = get(block, "content");
    for part in list(content) {
        if text(part, "type") == Some("text") {
            check_text(text(part, "text").unwrap_or_default())?;
        }
    }
    let is_empty = match content {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        other => list(other).is_empty(),
    };
    if is_empty && get(block, "is_error") == &Value::Bool(true) {
        let message = "content cannot be empty if `is_error` is true";
        return Err(Refusal::invalid(format!("{at}.tool_result: {message}")));
    }
    Ok(())
}

fn check_use(at: &str, block: &Value) -> Result<(), Refusal> {
    let bad = |field: &str, message: &str| {
        Err(Refusal::invalid(format!("{at}.tool_use.{field}: {message}")))
    };
    if !text(block, "id").is_some_and(|id| is_name(id, usize::MAX)) {
        return bad("id", "String should match pattern '^[a-zA-Z0-9_-]+$'");
    }
    if !text(block, "name").is_some_and(|name| (1..=200).contains(&name.len())) {
        return bad("name", "String should have at most 200 characters");
    }
    if !get(block, "input").is_object() {
        return bad("input", "Input should be a valid dictionary");
    }
    Ok(())
}

/// Which turn follows which, and each call with its result.
fn check_order(turns: &[Turn<'_>], thinks: bool) -> Result<(), Refusal> {
    match (turns.first(), turns.last()) {
        (None, _) => {
            return Err(Refusal::invalid("messages: at least one message is required"));
        }
        (Some(first), _) if first.role != "user" => {
            return Err(Refusal::invalid("messages: first message must use the \"user\" role"));
        }
        (_, Some(last)) if last.role != "user" => {
            return Err(Refusal::invalid(
                "This model does not support assistant message prefill. The conversation must end \
                 with a user message.",
            ));
        }
        _ => {}
    }
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = Vec::new();
    let mut open_at = 0;
    for turn in turns {
        if turn.role == "assistant" {
            open = calls(turn);
            open_at = turn.at;
            if !open.iter().all(|id| seen.insert(*id)) {
                return Err(Refusal::invalid("messages: `tool_use` ids must be unique"));
            }
            continue;
        }
        check_results(turn, &open, open_at)?;
        open.clear();
    }
    // Thinking may be left out of all turns but the one whose calls are being answered.
    let last = turns.iter().rev().find(|turn| turn.role == "assistant");
    if let Some(last) = last.filter(|last| thinks && !calls(last).is_empty()) {
        let first = last.blocks.first().and_then(|(_, block)| text(block, "type"));
        if !matches!(first, Some("thinking" | "redacted_thinking")) {
            return Err(Refusal::invalid(format!(
                "messages.{}.content.0.type: Expected `thinking` or `redacted_thinking`, but found \
                 `{}`. When `thinking` is enabled, a final `assistant` message must start with a \
                 thinking block (preceeding the lastmost set of `tool_use` and `tool_result` \
                 blocks).",
                last.at,
                first.unwrap_or("text"),
            )));
        }
    }
    Ok(())
}

fn calls<'t>(turn: &'t Turn<'_>) -> Vec<&'t str> {
    let uses = turn.blocks.iter().filter(|(_, block)| text(block, "type") == Some("tool_use"));
    uses.filter_map(|(_, block)| text(block, "id")).collect()
}

/// The results come first, one for each call.
fn check_results(turn: &Turn<'_>, open: &[&str], open_at: usize) -> Result<(), Refusal> {
    let is_result = |block: &Value| text(block, "type") == Some("tool_result");
    let mut answered = BTreeSet::new();
    let mut is_leading = true;
    for (at, block) in &turn.blocks {
        if !is_result(block) {
            is_leading = false;
            continue;
        }
        let id = text(block, "tool_use_id").unwrap_or_default();
        if !open.contains(&id) {
            return Err(Refusal::invalid(format!(
                "{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each \
                 `tool_result` block must have a corresponding `tool_use` block in the previous \
                 message."
            )));
        }
        if is_leading && !answered.insert(id) {
            return Err(Refusal::invalid(format!(
                "{at}: each tool_use must have a single result. Found multiple `tool_result` \
                 blocks with id: {id}"
            )));
        }
    }
    let missing: Vec<&str> = open.iter().filter(|id| !answered.contains(*id)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "messages.{open_at}: `tool_use` ids were found without `tool_result` blocks immediately \
         after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the \
         next message.",
        missing.join(", ")
    )))
}

fn task(turns: &[Turn<'_>]) -> String {
    let Some(first) = turns.first() else { return String::new() };
    let texts = first.blocks.iter().filter_map(|(_, block)| text(block, "text"));
    texts.collect::<Vec<_>>().join("\n")
}

/// The blocks that the model reads, in the order in which they are cached.
#[derive(Default)]
struct Prompt {
    pieces: Vec<Piece>,
    /// What `cache_control` is that is not `ephemeral`.
    odd: Option<String>,
}

impl Prompt {
    fn add(&mut self, role: &str, block: &Value) {
        let mut block = block.clone();
        let control = block.as_object_mut().and_then(|fields| fields.remove("cache_control"));
        let is_breakpoint = control.as_ref().is_some_and(|control| !control.is_null());
        if let Some(control) = control.filter(|_| is_breakpoint) {
            let ttl = get(&control, "ttl");
            let is_known = matches!(ttl.as_str(), Some("5m" | "1h")) || ttl.is_null();
            if text(&control, "type") != Some("ephemeral") || !is_known {
                self.odd = Some(control.to_string());
            }
        }
        self.pieces.push(Piece { text: format!("{role}: {block}\n"), is_breakpoint });
    }

    fn check(&self) -> Result<(), Refusal> {
        if let Some(odd) = &self.odd {
            return Err(Refusal::invalid(format!(
                "cache_control: Input tag found using 'type' does not match any of the expected \
                 tags: 'ephemeral': {odd}"
            )));
        }
        let count = self.pieces.iter().filter(|piece| piece.is_breakpoint).count();
        if count > MAX_BREAKPOINTS {
            return Err(Refusal::invalid(format!(
                "A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found \
                 {count}."
            )));
        }
        Ok(())
    }
}
