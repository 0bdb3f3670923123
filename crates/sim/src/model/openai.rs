//! What OpenAI's two APIs have in common.
//!
//! Sources: <https://platform.openai.com/docs/guides/error-codes>,
//! <https://github.com/openai/openai-openapi>; the words are those that users reported.

use http::HeaderMap;
use secrecy::SecretString;
use serde_json::Value;

use super::{
    api::is_key,
    json::{get, is_name, list, text, type_name},
    refusal::Refusal,
    settings::ModelSettings,
};

/// Characters of a tool's name.
const MAX_NAME: usize = 64;
/// Characters of one string in a request.
pub(super) const MAX_STRING: usize = 10_485_760;

pub(super) fn check_key(headers: &HeaderMap, key: Option<&SecretString>) -> Result<(), Refusal> {
    let Some(key) = key else { return Ok(()) };
    let given = headers.get("authorization").map(|value| value.as_bytes()).unwrap_or_default();
    match given.strip_prefix(b"Bearer ") {
        None | Some(b"") => Err(Refusal::new(
            401,
            "invalid_request_error",
            "You didn't provide an API key. You need to provide your API key in an Authorization \
             header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API \
             key from https://platform.openai.com/account/api-keys.",
        )),
        Some(given) if is_key(given, key) => Ok(()),
        Some(given) => Err(wrong_key(&String::from_utf8_lossy(given))),
    }
}

/// Shows the key's ends, as OpenAI does.
pub(super) fn wrong_key(given: &str) -> Refusal {
    let count = given.chars().count();
    let shown: String = given
        .chars()
        .enumerate()
        .map(|(index, c)| if index < 3.min(count / 4) || index + 4 >= count { c } else { '*' })
        .collect();
    Refusal::new(
        401,
        "invalid_request_error",
        format!(
            "Incorrect API key provided: {shown}. You can find your API key at \
             https://platform.openai.com/account/api-keys."
        ),
    )
    .code("invalid_api_key")
}

pub(super) fn missing(param: impl Into<String>) -> Refusal {
    let param = param.into();
    Refusal::invalid(format!("Missing required parameter: '{param}'."))
        .code("missing_required_parameter")
        .at(param)
}

pub(super) fn wrong_type(param: impl Into<String>, expected: &str, value: &Value) -> Refusal {
    let param = param.into();
    let got = type_name(value);
    Refusal::invalid(format!(
        "Invalid type for '{param}': expected {expected}, but got {got} instead."
    ))
    .code("invalid_type")
    .at(param)
}

pub(super) fn empty_array(param: impl Into<String>) -> Refusal {
    let param = param.into();
    Refusal::invalid(format!(
        "Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty \
         array instead."
    ))
    .code("empty_array")
    .at(param)
}

pub(super) fn too_long(param: impl Into<String>, most: usize, length: usize) -> Refusal {
    let param = param.into();
    Refusal::invalid(format!(
        "Invalid '{param}': string too long. Expected a string with maximum length {most}, but got \
         a string with length {length} instead."
    ))
    .code("string_above_max_length")
    .at(param)
}

/// A value that is none of those that there are.
pub(super) fn unsupported(param: impl Into<String>, value: &str, supported: &str) -> Refusal {
    Refusal::invalid(format!("Invalid value: '{value}'. Supported values are: {supported}."))
        .code("invalid_value")
        .at(param)
}

/// A required string.
pub(super) fn string<'a>(
    value: &'a Value,
    key: &str,
    param: impl Fn() -> String,
) -> Result<&'a str, Refusal> {
    match get(value, key) {
        Value::String(found) if found.len() > MAX_STRING => {
            Err(too_long(param(), MAX_STRING, found.len()))
        }
        Value::String(found) => Ok(found),
        Value::Null => Err(missing(param())),
        other => Err(wrong_type(param(), "a string", other)),
    }
}

/// Models that think before they answer take other parameters.
/// <https://platform.openai.com/docs/guides/reasoning>
pub(super) fn is_reasoning(model: &str) -> bool {
    ["o1", "o3", "o4", "gpt-5"].iter().any(|beginning| model.starts_with(beginning))
}

/// That there is the model. Responses used to answer 400 with other words; since September 2026 it is
/// seen to say the same: <https://github.com/BerriAI/litellm/pull/39457>.
pub(super) fn check_model(model: &str, settings: &ModelSettings) -> Result<(), Refusal> {
    if settings.has_model(model) && !model.starts_with("claude-") {
        return Ok(());
    }
    let message = format!("The model `{model}` does not exist or you do not have access to it.");
    Err(Refusal::new(404, "invalid_request_error", message).code("model_not_found"))
}

/// `stream`, and what else is a boolean.
pub(super) fn boolean(value: &Value, param: &str) -> Result<bool, Refusal> {
    match value {
        Value::Null => Ok(false),
        Value::Bool(value) => Ok(*value),
        other => Err(wrong_type(param, "a boolean", other)),
    }
}

pub(super) fn max_tokens(
    value: &Value,
    param: &str,
    least: u64,
    settings: &ModelSettings,
) -> Result<Option<u64>, Refusal> {
    let most = settings.max_output_tokens;
    match (value, value.as_u64()) {
        (Value::Null, _) => Ok(None),
        (_, Some(tokens)) if tokens < least => Err(Refusal::invalid(format!(
            "Invalid '{param}': integer below minimum value. Expected a value >= {least}, but got \
             {tokens} instead."
        ))
        .code("integer_below_min_value")
        .at(param)),
        (_, Some(tokens)) if tokens > most => Err(Refusal::invalid(format!(
            "{param} is too large: {tokens}. This model supports at most {most} completion tokens, \
             whereas you provided {tokens}."
        ))
        .code("invalid_value")
        .at(param)),
        (_, Some(tokens)) => Ok(Some(tokens)),
        (other, None) => Err(wrong_type(param, "an integer", other)),
    }
}

/// The part of a tool that Chat Completions have below `function`, and Responses at its top.
pub(super) fn check_function(function: &Value, at: &str) -> Result<(), Refusal> {
    let name = string(function, "name", || format!("{at}.name"))?;
    if name.len() > MAX_NAME {
        return Err(too_long(format!("{at}.name"), MAX_NAME, name.len()));
    }
    if !is_name(name, MAX_NAME) {
        return Err(Refusal::invalid(format!(
            "Invalid '{at}.name': string does not match pattern. Expected a string that matches \
             the pattern '^[a-zA-Z0-9_-]+$'."
        ))
        .code("invalid_value")
        .at(format!("{at}.name")));
    }
    let schema = get(function, "parameters");
    let bad = |why: String| {
        Refusal::invalid(format!("Invalid schema for function '{name}': {why}"))
            .code("invalid_function_parameters")
            .at(format!("{at}.parameters"))
    };
    match schema {
        Value::Null => return Ok(()),
        Value::Object(_) => {}
        other => return Err(wrong_type(format!("{at}.parameters"), "an object", other)),
    }
    if text(schema, "type") != Some("object") {
        let kind = text(schema, "type").unwrap_or("None");
        return Err(bad(format!(
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
        )));
    }
    let is_strict = get(function, "strict") == &Value::Bool(true);
    check_schema(schema, "()", is_strict).map_err(bad)
}

/// What is found anywhere in a schema.
/// <https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>
fn check_schema(schema: &Value, context: &str, is_strict: bool) -> Result<(), String> {
    let kind = text(schema, "type");
    if kind == Some("array") && get(schema, "items").is_null() {
        return Err(format!("In context={context}, array schema missing items."));
    }
    if is_strict && kind == Some("object") {
        if get(schema, "additionalProperties") != &Value::Bool(false) {
            return Err(format!(
                "In context={context}, 'additionalProperties' is required to be supplied and to be \
                 false."
            ));
        }
        let required: Vec<&str> =
            list(get(schema, "required")).iter().filter_map(Value::as_str).collect();
        let properties = get(schema, "properties").as_object();
        let missing =
            properties.and_then(|all| all.keys().find(|key| !required.contains(&key.as_str())));
        if let Some(missing) = missing {
            return Err(format!(
                "In context={context}, 'required' is required to be supplied and to be an array \
                 including every key in properties. Missing '{missing}'."
            ));
        }
    }
    for (key, inner) in get(schema, "properties").as_object().into_iter().flatten() {
        check_schema(inner, &format!("('properties', '{key}')"), is_strict)?;
    }
    match get(schema, "items") {
        Value::Null => Ok(()),
        items => check_schema(items, "('items',)", is_strict),
    }
}
