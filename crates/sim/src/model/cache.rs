//! What a provider would have read from its cache.
//!
//! Anthropic caches up to breakpoints, and finds earlier ones up to 20 blocks before each; a prefix
//! below 1,024 tokens is not cached; entries pass 5 minutes after their last use.
//! <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>
//!
//! OpenAI caches every prefix of 1,024 tokens and more, in steps of 128, without being asked to.
//! <https://platform.openai.com/docs/guides/prompt-caching>

use std::collections::HashMap;

use booty_model::Usage;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::{api::Api, question::Question};

const MIN_TOKENS: u64 = 1024;
const LOOK_BACK_BLOCKS: usize = 20;
const STEP_TOKENS: u64 = 128;
const BYTES_PER_TOKEN: u64 = 4;
const LIFE: TimeDelta = TimeDelta::minutes(5);

type Hash = [u8; 32];

/// Prefixes that were read before, and when last.
#[derive(Debug, Default)]
pub(super) struct Cache(HashMap<Hash, DateTime<Utc>>);

impl Cache {
    /// Reads the prompt: what of it was cached, what is from now on. `output_tokens` stays 0.
    pub(super) fn read(&mut self, api: Api, question: &Question, now: DateTime<Utc>) -> Usage {
        self.0.retain(|_, used| *used + LIFE > now);
        let total = question.tokens();
        let (read, written) = match api {
            Api::Messages => self.by_breakpoints(question, now),
            Api::Chat | Api::Responses => (self.by_prefix(question, now), 0),
        };
        Usage {
            input_tokens: total.saturating_sub(read).saturating_sub(written),
            cache_read_tokens: read,
            cache_write_tokens: written,
            ..Usage::default()
        }
    }

    /// Tokens read from and written to the cache.
    fn by_breakpoints(&mut self, question: &Question, now: DateTime<Utc>) -> (u64, u64) {
        let mut hasher = Sha256::new_with_prefix(&question.model);
        let mut bytes = 0;
        let mut ends: Vec<(Hash, u64)> = Vec::new();
        for piece in &question.prompt {
            hasher.update((piece.text.len() as u64).to_le_bytes());
            hasher.update(&piece.text);
            bytes += piece.text.len() as u64;
            ends.push((hasher.clone().finalize().into(), bytes / BYTES_PER_TOKEN));
        }
        let marks =
            || question.prompt.iter().enumerate().filter(|(_, p)| p.is_breakpoint).map(|(i, _)| i);
        let mut read = 0;
        for mark in marks() {
            for (hash, tokens) in ends.iter().take(mark + 1).rev().take(LOOK_BACK_BLOCKS + 1) {
                if self.0.contains_key(hash) {
                    self.0.insert(*hash, now);
                    read = read.max(*tokens);
                    break;
                }
            }
        }
        let mut end = read;
        for (hash, tokens) in marks().filter_map(|mark| ends.get(mark)) {
            if *tokens >= MIN_TOKENS {
                self.0.insert(*hash, now);
                end = end.max(*tokens);
            }
        }
        (read, end - read)
    }

    /// Tokens read from the cache.
    fn by_prefix(&mut self, question: &Question, now: DateTime<Utc>) -> u64 {
        let mut hasher = Sha256::new_with_prefix(&question.model);
        let bytes: Vec<u8> = question.prompt.iter().flat_map(|piece| piece.text.bytes()).collect();
        let step = usize::try_from(STEP_TOKENS * BYTES_PER_TOKEN).unwrap_or(usize::MAX);
        let (mut tokens, mut read, mut hit) = (0, 0, true);
        for block in bytes.chunks_exact(step) {
            hasher.update(block);
            tokens += STEP_TOKENS;
            if tokens < MIN_TOKENS {
                continue;
            }
            let hash: Hash = hasher.clone().finalize().into();
            hit = self.0.insert(hash, now).is_some() && hit;
            if hit {
                read = tokens;
            }
        }
        read
    }
}
