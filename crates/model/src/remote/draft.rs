//! An answer while it arrives.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::refused::Refusal;
use crate::{Answer, Error, Message, Part, Request, StopReason, Usage};

/// What a block counts beside its text, so that a million empty ones are too many.
const BLOCK_BYTES: usize = 256;
/// Characters of names and ids that are kept.
const NAME_CHARS: usize = 200;

/// Why an answer is not read on.
#[derive(Debug)]
pub(crate) enum Stop {
    Refused(Refusal),
    TooLarge,
}

/// What has arrived, by the provider's places.
#[derive(Debug)]
pub(crate) struct Draft {
    blocks: BTreeMap<u64, Block>,
    room: usize,
    model: String,
    id: String,
    pub(crate) stop: Option<StopReason>,
    usage: Option<Usage>,
    /// Its words are those of a refusal.
    pub(crate) refuses: bool,
    /// The provider has said that nothing more comes.
    pub(crate) is_whole: bool,
}

#[derive(Debug)]
enum Block {
    Text(String),
    Call { id: String, name: String, arguments: String },
    Reasoning(Value),
}

impl Draft {
    pub(crate) fn new(answer_bytes: usize) -> Self {
        Self {
            blocks: BTreeMap::new(),
            room: answer_bytes,
            model: String::new(),
            id: String::new(),
            stop: None,
            usage: None,
            refuses: false,
            is_whole: false,
        }
    }

    /// Who answers, under which id; what is said first counts.
    pub(crate) fn is_by(&mut self, model: &str, id: &str) {
        for (kept, said) in [(&mut self.model, model), (&mut self.id, id)] {
            if kept.is_empty() {
                kept.extend(said.chars().filter(|c| !c.is_control()).take(NAME_CHARS));
            }
        }
    }

    /// Counts are totals so far, and some servers name each of them but once.
    pub(crate) fn costs(&mut self, usage: Usage) {
        let known = self.usage.get_or_insert_default();
        known.input_tokens = known.input_tokens.max(usage.input_tokens);
        known.output_tokens = known.output_tokens.max(usage.output_tokens);
        known.cache_read_tokens = known.cache_read_tokens.max(usage.cache_read_tokens);
        known.cache_write_tokens = known.cache_write_tokens.max(usage.cache_write_tokens);
    }

    pub(crate) fn has(&self, place: u64) -> bool {
        self.blocks.contains_key(&place)
    }

    /// The place that comes last.
    pub(crate) fn last_place(&self) -> Option<u64> {
        self.blocks.last_key_value().map(|(place, _)| *place)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether the model has stopped, so that no more of its words come.
    pub(crate) fn has_stopped(&self) -> bool {
        self.is_whole || self.stop.is_some()
    }

    pub(crate) fn text(&mut self, place: u64, piece: &str) -> Result<(), Stop> {
        self.take(piece.len())?;
        if let Block::Text(text) = self.block(place, || Block::Text(String::new()))? {
            text.push_str(piece);
        }
        Ok(())
    }

    /// A tool call begins, or says more of itself.
    pub(crate) fn call(&mut self, place: u64, id: &str, name: &str) -> Result<(), Stop> {
        let (id, name) = (cut(id), cut(name));
        self.take(id.len() + name.len())?;
        let new =
            || Block::Call { id: String::new(), name: String::new(), arguments: String::new() };
        if let Block::Call { id: known_id, name: known_name, .. } = self.block(place, new)? {
            // Some servers repeat them with every piece.
            if known_id.is_empty() {
                known_id.push_str(id);
            }
            if known_name.is_empty() {
                known_name.push_str(name);
            }
        }
        Ok(())
    }

    /// A piece of a call's arguments. One that belongs to no call is dropped.
    pub(crate) fn arguments(&mut self, place: u64, piece: &str) -> Result<(), Stop> {
        self.take(piece.len())?;
        if let Some(Block::Call { arguments, .. }) = self.blocks.get_mut(&place) {
            arguments.push_str(piece);
        }
        Ok(())
    }

    /// A call's arguments as a whole, in place of the pieces.
    pub(crate) fn whole_arguments(&mut self, place: u64, whole: &str) -> Result<(), Stop> {
        if let Some(Block::Call { arguments, .. }) = self.blocks.get_mut(&place) {
            if arguments == whole {
                return Ok(());
            }
            arguments.clear();
        }
        self.arguments(place, whole)
    }

    /// A thought, in the provider's own JSON; a later one takes its place.
    pub(crate) fn reasoning(&mut self, place: u64, data: Value) -> Result<(), Stop> {
        self.take(BLOCK_BYTES + data.to_string().len())?;
        self.blocks.insert(place, Block::Reasoning(data));
        Ok(())
    }

    /// A piece of a field of a thought.
    pub(crate) fn more_reasoning(
        &mut self,
        place: u64,
        field: &str,
        piece: &str,
    ) -> Result<(), Stop> {
        self.take(piece.len())?;
        let new = || Block::Reasoning(Value::Object(Map::new()));
        if let Block::Reasoning(Value::Object(data)) = self.block(place, new)? {
            match data.get_mut(field) {
                Some(Value::String(text)) => text.push_str(piece),
                _ => drop(data.insert(field.to_owned(), Value::from(piece))),
            }
        }
        Ok(())
    }

    /// What belongs to a field of a thought under a key of its own.
    pub(crate) fn keyed_reasoning(
        &mut self,
        place: u64,
        field: &str,
        key: &str,
        value: &Value,
    ) -> Result<(), Stop> {
        self.take(key.len() + value.to_string().len())?;
        let new = || Block::Reasoning(Value::Object(Map::new()));
        if let Block::Reasoning(Value::Object(data)) = self.block(place, new)? {
            let keyed = data.entry(field).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(keyed) = keyed {
                keyed.insert(key.to_owned(), value.clone());
            }
        }
        Ok(())
    }

    fn block(&mut self, place: u64, new: impl FnOnce() -> Block) -> Result<&mut Block, Stop> {
        if !self.blocks.contains_key(&place) {
            self.take(BLOCK_BYTES)?;
        }
        Ok(self.blocks.entry(place).or_insert_with(new))
    }

    fn take(&mut self, bytes: usize) -> Result<(), Stop> {
        self.room = self.room.checked_sub(bytes).ok_or(Stop::TooLarge)?;
        Ok(())
    }

    /// The answer, if it came to its end.
    pub(crate) fn into_answer(self, by: &str, request: &Request) -> Result<Answer, Error> {
        if !self.has_stopped() {
            let why = format!("{by} ended the connection within the answer");
            return Err(Error::Unknown { why });
        }
        let mut ids = Ids::of(request);
        let mut has_calls = false;
        let mut parts = Vec::with_capacity(self.blocks.len());
        for block in self.blocks.into_values() {
            parts.push(match block {
                Block::Text(text) if text.is_empty() => continue,
                Block::Text(text) => Part::Text { text },
                Block::Reasoning(data) => Part::Reasoning { by: by.to_owned(), data },
                Block::Call { id, name, arguments } => {
                    has_calls = true;
                    Part::ToolCall { id: ids.unique(id), name, arguments: parse(arguments) }
                }
            });
        }
        let stop = match self.stop.unwrap_or(StopReason::EndTurn) {
            _ if self.refuses => StopReason::Refusal,
            // Servers differ in what they call the end of an answer that calls tools.
            StopReason::EndTurn | StopReason::ToolUse if has_calls => StopReason::ToolUse,
            StopReason::ToolUse => StopReason::EndTurn,
            stop => stop,
        };
        Ok(Answer {
            usage: self.usage.unwrap_or_else(|| Usage::estimate(request, &parts)),
            parts,
            stop,
            model: if self.model.is_empty() { by.to_owned() } else { self.model },
            id: self.id,
        })
    }
}

/// Whatever the model wrote, where it is no object.
fn parse(arguments: String) -> Value {
    if arguments.trim().is_empty() {
        return Value::Object(Map::new());
    }
    match serde_json::from_str(&arguments) {
        Ok(Value::Object(fields)) => Value::Object(fields),
        _ => Value::String(arguments),
    }
}

fn cut(name: &str) -> &str {
    name.char_indices().nth(NAME_CHARS).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}

/// The ids of a conversation's tool calls. Servers that give none, or the same ones in each answer,
/// would have results taken for those of other calls.
struct Ids {
    known: HashSet<String>,
    turn: usize,
}

impl Ids {
    fn of(request: &Request) -> Self {
        let calls = request.messages.iter().flat_map(|message| match message {
            Message::Assistant { content } => content.as_slice(),
            Message::User { .. } | Message::ToolResults { .. } => &[],
        });
        let ids = calls.filter_map(|part| match part {
            Part::ToolCall { id, .. } => Some(id.clone()),
            Part::Text { .. } | Part::Reasoning { .. } => None,
        });
        Self { known: ids.collect(), turn: request.turns() }
    }

    fn unique(&mut self, mut id: String) -> String {
        let mut number = 0;
        while id.is_empty() || self.known.contains(&id) {
            id = format!("call_{}_{number}", self.turn);
            number += 1;
        }
        self.known.insert(id.clone());
        id
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn nothing_before() -> Request {
        Request { system: String::new(), messages: vec![], tools: vec![], max_output_tokens: 1 }
    }

    #[rstest]
    #[case::object(r#"{"a": 1}"#, json!({"a": 1}))]
    #[case::nothing("", json!({}))]
    #[case::cut(r#"{"a": "#, json!(r#"{"a": "#))]
    #[case::list("[1]", json!("[1]"))]
    #[case::deep(&"[".repeat(100_000), json!("[".repeat(100_000)))]
    fn arguments_that_are_no_object_stay_as_they_were_written(
        #[case] written: &str,
        #[case] expected: Value,
    ) {
        assert_eq!(parse(written.to_owned()), expected);
    }

    #[test]
    fn calls_without_ids_of_their_own_get_some() {
        let mut draft = Draft::new(10_000);
        for (place, id) in [(0, ""), (1, "x"), (u64::MAX, "x")] {
            draft.call(place, id, "read").unwrap();
        }
        draft.is_whole = true;
        let answer = draft.into_answer("m", &nothing_before()).unwrap();
        let ids: Vec<_> = answer
            .parts
            .iter()
            .map(|part| match part {
                Part::ToolCall { id, .. } => id.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, ["call_0_0", "x", "call_0_1"]);
        assert_eq!(answer.stop, StopReason::ToolUse);
    }

    #[test]
    fn many_empty_blocks_are_too_many() {
        let mut draft = Draft::new(100_000);
        let full = (0..1_000).find(|place| draft.text(*place, "").is_err());
        assert_eq!(full, Some(390));
    }
}
