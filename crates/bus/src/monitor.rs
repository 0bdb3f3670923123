//! What only the server's monitoring port tells.

use std::{fmt, time::Duration};

use serde::Deserialize;

use crate::error::BoxError;

/// Whether the broker writes every message to disk before it acknowledges it. Without, a power cut
/// loses up to two minutes of acknowledged deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncAlways {
    /// `sync_interval: always`.
    Yes,
    /// It does not: set `sync_interval: always` in the server's `jetstream` block.
    No,
    /// It can't be seen.
    Unknown {
        /// Why not.
        why: String,
    },
}

impl SyncAlways {
    /// Asks the server's monitoring port, e.g. `http://127.0.0.1:8222`.
    pub async fn ask(monitor_url: Option<&str>, timeout: Duration) -> Self {
        let Some(url) = monitor_url else {
            return Self::Unknown { why: "no monitor URL is set".to_owned() };
        };
        match jetstream_config(url, timeout).await {
            Ok(Some(true)) => Self::Yes,
            Ok(Some(false)) => Self::No,
            Ok(None) => Self::Unknown { why: "JetStream is not enabled there".to_owned() },
            Err(error) => Self::Unknown { why: error.to_string() },
        }
    }
}

impl fmt::Display for SyncAlways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::No => f.write_str("no"),
            Self::Unknown { why } => write!(f, "unknown: {why}"),
        }
    }
}

async fn jetstream_config(url: &str, timeout: Duration) -> Result<Option<bool>, BoxError> {
    #[derive(Deserialize)]
    struct Answer {
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    struct Config {
        // Left out by the server where it is false.
        #[serde(default)]
        sync_always: bool,
    }
    let client = reqwest::Client::builder().timeout(timeout).no_proxy().build()?;
    let url = format!("{}/jsz?config=1", url.trim_end_matches('/'));
    let body = client.get(url).send().await?.error_for_status()?.bytes().await?;
    let answer: Answer = serde_json::from_slice(&body)?;
    Ok(answer.config.map(|config| config.sync_always))
}
