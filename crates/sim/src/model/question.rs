//! What a request asks, by whichever API it came.

use sha2::{Digest, Sha256};

/// A request that was read and found in order.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) model: String,
    /// The first thing that the user says: it tells the conversation and chooses the scenario.
    pub(super) task: String,
    /// How often the model has answered before.
    pub(super) turn: usize,
    pub(super) stream: bool,
    /// Chat Completions tell usage in a stream only when asked to.
    pub(super) include_usage: bool,
    /// Reasoning comes with the answer.
    pub(super) thinks: bool,
    pub(super) max_tokens: Option<u64>,
    /// All that the model reads, in the order in which providers cache it.
    pub(super) prompt: Vec<Piece>,
}

/// A block of the prompt.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// As JSON, without `cache_control`.
    pub(super) text: String,
    /// It has `cache_control`.
    pub(super) is_breakpoint: bool,
}

impl Question {
    /// Four bytes a token, over the JSON of all that is read.
    pub(super) fn tokens(&self) -> u64 {
        let bytes: usize = self.prompt.iter().map(|piece| piece.text.len()).sum();
        (bytes as u64).div_ceil(4)
    }

    /// The same for all requests of one conversation, by any API.
    pub(super) fn conversation(&self) -> String {
        let digest = Sha256::digest(self.task.as_bytes());
        hex::encode(digest).chars().take(16).collect()
    }
}
