//! What was asked.

use booty_model::Usage;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::api::Api;

/// Bodies that are kept, in bytes; the oldest go first. Counts are kept for ever.
const MAX_BODY_BYTES: usize = 512 * 1024 * 1024;

/// One request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// When it came.
    pub at: DateTime<Utc>,
    /// The API that it came by.
    pub api: Api,
    /// The model that was asked for.
    pub model: String,
    /// The same for all requests whose first user message is the same; empty when it could not be read.
    pub conversation: String,
    /// Answers that the conversation already held.
    pub turn: usize,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Bytes of the body.
    pub bytes: usize,
    /// An estimate: a quarter of the body's bytes.
    pub tokens: u64,
    /// What it got.
    pub outcome: Outcome,
    /// What the answer said that it cost; none where there was an error instead.
    pub usage: Option<Usage>,
    /// The body; `null` when it was no JSON, or is not kept any more.
    pub body: Value,
}

/// What a request got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    /// The script's answer.
    Answered,
    /// A fault.
    Fault {
        /// [`Fault::kind`](super::Fault::kind).
        fault: String,
    },
    /// An error, for a reason.
    Refused {
        /// The status.
        status: u16,
        /// The words.
        message: String,
    },
}

/// All requests, and what they come to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Told {
    /// Requests.
    pub count: usize,
    /// Tokens of all of them.
    pub tokens: u64,
    /// By conversation, in the order of their first requests. Refused requests that could not be read
    /// are in none.
    pub conversations: Vec<Conversation>,
    /// One by one, oldest first.
    pub requests: Vec<Asked>,
}

/// What a conversation came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// [`Asked::conversation`].
    pub id: String,
    /// Requests.
    pub count: usize,
    /// Their tokens, those of faults and of questions asked again included.
    pub tokens: u64,
    /// Requests that the script answered.
    pub answered: usize,
}

/// The record while it grows.
#[derive(Debug, Default)]
pub(super) struct Record {
    requests: Vec<Asked>,
    /// Bytes of the bodies that are kept.
    kept: usize,
    /// Index of the oldest body that is kept.
    oldest: usize,
}

impl Record {
    pub(super) fn add(&mut self, asked: Asked) {
        self.kept += asked.bytes;
        self.requests.push(asked);
        while self.kept > MAX_BODY_BYTES {
            let Some(oldest) = self.requests.get_mut(self.oldest) else { return };
            oldest.body = Value::Null;
            self.kept = self.kept.saturating_sub(oldest.bytes);
            self.oldest += 1;
        }
    }

    pub(super) fn tell(&self) -> Told {
        let mut conversations: Vec<Conversation> = Vec::new();
        for asked in self.requests.iter().filter(|asked| !asked.conversation.is_empty()) {
            let answered = usize::from(asked.outcome == Outcome::Answered);
            match conversations.iter_mut().find(|known| known.id == asked.conversation) {
                Some(known) => {
                    known.count += 1;
                    known.tokens += asked.tokens;
                    known.answered += answered;
                }
                None => conversations.push(Conversation {
                    id: asked.conversation.clone(),
                    count: 1,
                    tokens: asked.tokens,
                    answered,
                }),
            }
        }
        Told {
            count: self.requests.len(),
            tokens: self.requests.iter().map(|asked| asked.tokens).sum(),
            conversations,
            requests: self.requests.clone(),
        }
    }
}
