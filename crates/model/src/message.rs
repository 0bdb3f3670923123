//! Requests and answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What a model is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Who the model is and what it must never do.
    pub system: String,
    /// The conversation, oldest first. It starts with a [`Message::User`].
    pub messages: Vec<Message>,
    /// The tools that it may call.
    pub tools: Vec<ToolSpec>,
    /// The most tokens that it may answer with.
    pub max_output_tokens: u32,
}

impl Request {
    /// sha256 over the request's canonical JSON (keys sorted, no white space): two requests that
    /// would be answered alike have one hash, on every build.
    pub fn hash(&self) -> [u8; 32] {
        let mut canonical = Vec::new();
        // A struct of strings, numbers and JSON values always has a JSON form.
        let value = serde_json::to_value(self).unwrap_or_default();
        write_canonical(&value, &mut canonical);
        Sha256::digest(&canonical).into()
    }

    /// How often the model has answered in this conversation.
    pub fn turns(&self) -> usize {
        self.messages.iter().filter(|message| matches!(message, Message::Assistant { .. })).count()
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "role")]
pub enum Message {
    /// Said by us.
    User {
        /// Text.
        content: String,
    },
    /// Said by the model: an earlier [`Answer`]'s parts.
    Assistant {
        /// Text and tool calls, in order.
        content: Vec<Part>,
    },
    /// What came of the tool calls of the answer before, one for each.
    ToolResults {
        /// In the order of the calls.
        results: Vec<ToolResult>,
    },
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Part {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// A wish to have a tool called.
    ToolCall {
        /// The provider's id of the call; its result goes back under the same id.
        id: String,
        /// The tool, as [`ToolSpec::name`] has it (or not: models invent tools).
        name: String,
        /// The arguments; whatever the model wrote where it was no JSON object.
        arguments: Value,
    },
    /// What the model thought, in its provider's own words or sealed. It is sent back as it came, to
    /// the model that it came from and to no other: some providers refuse an answer that lacks it, and
    /// none can read another's.
    Reasoning {
        /// [`crate::Model::name`] of who thought it.
        by: String,
        /// The provider's own JSON.
        data: Value,
    },
}

/// What came of a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The call's id.
    pub call_id: String,
    /// What the tool said.
    pub content: String,
    /// Whether that is a refusal or a failure.
    pub is_error: bool,
}

/// A tool on offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// `[a-z_]{1,64}`, which every provider takes.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// A JSON Schema of type `object`.
    pub parameters: Value,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Text and tool calls, in order.
    pub parts: Vec<Part>,
    /// Why it ended there.
    pub stop: StopReason,
    /// What it cost.
    pub usage: Usage,
    /// The model that answered, as it calls itself.
    pub model: String,
    /// The provider's id of the answer.
    pub id: String,
}

impl Answer {
    /// All its text, one piece a line.
    pub fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            Part::ToolCall { .. } | Part::Reasoning { .. } => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model has said what it had to say.
    EndTurn,
    /// It waits for the results of its tool calls.
    ToolUse,
    /// It ran into [`Request::max_output_tokens`]; a tool call may be cut short.
    MaxTokens,
    /// It would not answer.
    Refusal,
}

/// Tokens that were paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// Read afresh.
    pub input_tokens: u64,
    /// Written.
    pub output_tokens: u64,
    /// Read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Written to the provider's cache.
    pub cache_write_tokens: u64,
    /// The provider did not say; four bytes were taken for a token.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_estimated: bool,
}

impl Usage {
    /// All tokens, whatever their price.
    pub fn total(&self) -> u64 {
        [self.input_tokens, self.output_tokens, self.cache_read_tokens, self.cache_write_tokens]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// What a question and its answer cost when nobody says: four bytes a token.
    pub(crate) fn estimate(request: &Request, parts: &[Part]) -> Self {
        Self {
            input_tokens: json_bytes(request) / 4,
            output_tokens: json_bytes(parts) / 4,
            is_estimated: true,
            ..Self::default()
        }
    }

    /// Adds another answer's cost.
    pub fn add(&mut self, other: &Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cache_read_tokens = self.cache_read_tokens.saturating_add(other.cache_read_tokens);
        self.cache_write_tokens = self.cache_write_tokens.saturating_add(other.cache_write_tokens);
        self.is_estimated |= other.is_estimated;
    }
}

fn json_bytes(value: &(impl Serialize + ?Sized)) -> u64 {
    serde_json::to_vec(value).map_or(0, |bytes| bytes.len() as u64)
}

/// serde_json keeps or sorts keys depending on a feature that any crate in the build may turn on,
/// so the order is made here.
fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by(|a, b| a.0.cmp(b.0));
            out.push(b'{');
            for (index, (key, item)) in fields.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend(Value::from(key.as_str()).to_string().into_bytes());
                out.push(b':');
                write_canonical(item, out);
            }
            out.push(b'}');
        }
        scalar => out.extend(scalar.to_string().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(arguments: Value) -> Request {
        Request {
            system: "s".into(),
            messages: vec![
                Message::User { content: "u".into() },
                Message::Assistant {
                    content: vec![Part::ToolCall {
                        id: "1".into(),
                        name: "read".into(),
                        arguments,
                    }],
                },
            ],
            tools: vec![],
            max_output_tokens: 10,
        }
    }

    #[test]
    fn the_hash_ignores_key_order_and_nothing_else() {
        let a: Value = serde_json::from_str(r#"{"x": {"b": 1, "a": [1, 2]}, "k": "v"}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"k": "v", "x": {"a": [1, 2], "b": 1}}"#).unwrap();
        let c: Value = serde_json::from_str(r#"{"k": "v", "x": {"a": [2, 1], "b": 1}}"#).unwrap();
        assert_eq!(request(a.clone()).hash(), request(b).hash());
        assert_ne!(request(a.clone()).hash(), request(c).hash());
        let mut longer = request(a.clone());
        longer.max_output_tokens = 11;
        assert_ne!(request(a).hash(), longer.hash());
    }

    #[test]
    fn a_request_survives_json() {
        let request = request(json!({"path": "a\u{202e}\n"}));
        let text = serde_json::to_string(&request).unwrap();
        let again: Request = serde_json::from_str(&text).unwrap();
        assert_eq!(again.hash(), request.hash());
        assert_eq!(again.turns(), 1);
    }

    #[test]
    fn a_journal_of_before_reasoning_was_kept_can_be_read() {
        let old = r#"{"parts": [{"type": "text", "text": "t"}], "stop": "end_turn", "model": "m",
            "id": "i", "usage": {"input_tokens": 1, "output_tokens": 2, "cache_read_tokens": 0,
            "cache_write_tokens": 0}}"#;
        let answer: Answer = serde_json::from_str(old).unwrap();
        assert!(!answer.usage.is_estimated);
        // And what has neither is written as it was before.
        let again = serde_json::to_value(&answer).unwrap();
        assert_eq!(again, serde_json::from_str::<Value>(old).unwrap());
    }

    #[test]
    fn usage_never_wraps() {
        let mut usage = Usage { input_tokens: u64::MAX, ..Usage::default() };
        usage.add(&Usage { input_tokens: 1, output_tokens: 1, ..Usage::default() });
        assert_eq!((usage.input_tokens, usage.total()), (u64::MAX, u64::MAX));
    }
}
