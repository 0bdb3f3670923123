//! Looking into JSON of which nothing is known.

use serde_json::{Map, Value};

/// `value[key]`, `null` when there is none.
pub(super) fn get<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    get(value, key).as_str()
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The first key that is none of `known`.
pub(super) fn unknown_key<'a>(body: &'a Map<String, Value>, known: &[&str]) -> Option<&'a str> {
    body.keys().map(String::as_str).find(|key| !known.contains(key))
}

/// What OpenAI calls a value of this type.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// `[a-zA-Z0-9_-]`, from one to `most` of them.
pub(super) fn is_name(name: &str, most: usize) -> bool {
    (1..=most).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// The beginning of `text` of at most `most` bytes, at a character's end.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most.min(text.len()))).unwrap_or_default()
}

/// Pieces of about `size` bytes.
pub(super) fn pieces(text: &str, size: usize) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        // At least one character, however long.
        let end = rest.ceil_char_boundary(size.clamp(1, rest.len()));
        let (piece, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        found.push(piece);
        rest = after;
    }
    found
}
