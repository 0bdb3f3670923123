//! Driving a simulator that runs in another process.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;
use crate::verbs::Command;
use crate::view::Snapshot;

/// Between two looks at a state that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The same verbs as [`Sim`](crate::Sim)'s, over HTTP.
#[derive(Clone, Debug)]
pub struct SimClient {
    base: String,
    token: SecretString,
    http: reqwest::Client,
}

impl SimClient {
    /// For the simulator at `base` (`http://127.0.0.1:PORT`).
    pub fn new(base: impl Into<String>, token: SecretString) -> Self {
        Self {
            base: base.into().trim_end_matches('/').to_owned(),
            token,
            http: reqwest::Client::new(),
        }
    }

    /// Looks at the state until `found` gives something, or for `patience` at most.
    ///
    /// # Errors
    /// When the simulator can't be reached.
    pub async fn wait_for<T>(
        &self,
        patience: Duration,
        mut found: impl FnMut(&Snapshot) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            if let Some(found) = found(&self.snapshot().await?) {
                return Ok(Some(found));
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(None);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) async fn run<T: DeserializeOwned>(&self, command: &Command) -> Result<T, Error> {
        let body = serde_json::to_value(command)
            .map_err(|error| Error::Refused { status: 400, message: error.to_string() })?;
        let verb = body.get("verb").and_then(Value::as_str).unwrap_or_default();
        let response = self
            .http
            .post(format!("{}/_sim/{verb}", self.base))
            .bearer_auth(self.token.expose_secret())
            .json(&body)
            .send()
            .await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.json().await?);
        }
        let body: Value = response.json().await?;
        let message = body.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        Err(Error::Refused { status: status.as_u16(), message })
    }
}
