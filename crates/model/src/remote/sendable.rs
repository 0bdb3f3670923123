//! Parts of a conversation as any provider takes them, whoever said them.

use std::borrow::Cow;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{Part, Request};

/// The longest id of a tool call that all providers take (OpenAI's Chat Completions; others take 64).
const ID_CHARS: usize = 40;
/// The longest name of a tool that all providers take.
const TOOL_NAME_CHARS: usize = 64;
/// What stands where a text is needed and there is none: some providers refuse an empty one.
pub(crate) const NOTHING: &str = "(nothing)";

/// An answer's parts as they can be sent to the model `to`: without another model's thoughts, without
/// blanks, and without thoughts that nothing followed.
pub(crate) fn parts<'a>(content: &'a [Part], to: &str) -> Vec<&'a Part> {
    let mut kept: Vec<&Part> = content
        .iter()
        .filter(|part| match part {
            Part::Text { text } => !text.trim().is_empty(),
            Part::ToolCall { .. } => true,
            Part::Reasoning { by, .. } => by == to,
        })
        .collect();
    while matches!(kept.last(), Some(Part::Reasoning { .. })) {
        kept.pop();
    }
    kept
}

/// A call's id. One that a provider would refuse is replaced, in call and result alike.
pub(crate) fn id(id: &str) -> Cow<'_, str> {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    if (1..=ID_CHARS).contains(&id.len()) && id.bytes().all(is_plain) {
        return Cow::Borrowed(id);
    }
    let hash = hex::encode(Sha256::digest(id));
    Cow::Owned(format!("call_{}", hash.get(..32).unwrap_or_default()))
}

/// A call's id as Mistral insists on it: nine letters and digits.
pub(crate) fn short_id(id: &str) -> Cow<'_, str> {
    if id.len() == 9 && id.bytes().all(|c| c.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(hex::encode(Sha256::digest(id)).chars().take(9).collect())
}

/// A tool's name. Models invent some that no provider takes back.
pub(crate) fn tool_name(name: &str) -> String {
    let plain = name.chars().take(TOOL_NAME_CHARS);
    let plain = plain.map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' });
    let name: String = plain.collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// A call's arguments as the object that providers insist on.
pub(crate) fn arguments(arguments: &Value) -> Cow<'_, Value> {
    if arguments.is_object() {
        Cow::Borrowed(arguments)
    } else {
        Cow::Owned(json!({ "not_an_object": arguments }))
    }
}

/// A tool's result where a provider has no field for failures.
pub(crate) fn result(content: &str, is_error: bool) -> Cow<'_, str> {
    if is_error { Cow::Owned(format!("Error: {content}")) } else { Cow::Borrowed(content) }
}

/// The same for all questions of one conversation, another one for each conversation: what OpenAI keeps
/// requests with a common beginning together by.
pub(crate) fn cache_key(request: &Request) -> String {
    let mut hash = Sha256::new();
    hash.update(&request.system);
    hash.update([0]);
    if let Some(first) = request.messages.first() {
        hash.update(serde_json::to_vec(first).unwrap_or_default());
    }
    format!("booty-{}", hex::encode(hash.finalize().get(..16).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("toolu_01A09q90qw90lq917835lq9")]
    #[case("call_DdmO9pD3xa9XTPNJ32zg2hcA")]
    fn usual_ids_stay(#[case] usual: &str) {
        assert_eq!(id(usual), usual);
    }

    #[rstest]
    #[case::empty("")]
    #[case::long("functions.read:0|0123456789012345678901234567890123456789")]
    #[case::odd("a b")]
    fn others_become_such_and_stay_apart(#[case] odd: &str) {
        let made = id(odd);
        assert!(made.starts_with("call_") && made.len() <= ID_CHARS, "{made}");
        assert_eq!(made, id(odd));
        assert_ne!(made, id("another one that is odd"));
    }
}
