//! What a simulated model endpoint is started with.

use std::net::{Ipv4Addr, SocketAddr};

use booty_model::scripted::Script;
use secrecy::SecretString;

use crate::settings::Clock;

/// Everything a [`ModelServer`](crate::model::ModelServer) is started with.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What it answers.
    pub script: Script,
    /// The one key that is taken; `None` takes any and none, as local servers do.
    pub api_key: Option<SecretString>,
    /// Models that it has: whole names, or beginnings when they end in `*`.
    pub models: Vec<String>,
    /// Largest request. Anthropic documents 32 MB; what OpenAI takes is not documented.
    pub max_request_bytes: usize,
    /// Tokens that fit into a model's window; 200,000 is that of most Claude models.
    pub context_tokens: u64,
    /// The most that may be asked for as `max_tokens`.
    pub max_output_tokens: u64,
    /// Requests in a minute before it answers 429.
    pub requests_per_minute: u64,
    /// Tokens in a minute before it answers 429.
    pub tokens_per_minute: u64,
    /// The time that windows and caches go by.
    pub clock: Clock,
}

impl ModelSettings {
    /// A free port of loopback, a fresh key, the names that real providers begin their models' with.
    pub fn new(script: Script) -> Self {
        let key: [u8; 16] = rand::random();
        let models = ["claude-*", "gpt-*", "o1*", "o3*", "o4*", "llama*", "qwen*"];
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            script,
            api_key: Some(format!("sk-sim-{}", hex::encode(key)).into()),
            models: models.map(str::to_owned).to_vec(),
            max_request_bytes: 32 * 1024 * 1024,
            context_tokens: 200_000,
            max_output_tokens: 64_000,
            requests_per_minute: 4_000,
            tokens_per_minute: 40_000_000,
            clock: Clock::system(),
        }
    }

    pub(super) fn has_model(&self, name: &str) -> bool {
        self.models.iter().any(|known| match known.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => known == name,
        })
    }
}
