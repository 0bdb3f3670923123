//! Models behind HTTP. Each answer is read as a stream of events, so that a provider that hangs is
//! noticed, and no answer is larger than what is asked for.

mod chat;
mod draft;
mod endpoint;
mod json;
mod messages;
mod refused;
mod responses;
mod sendable;
mod stream;
mod wait;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use http::header;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

pub(crate) use self::endpoint::PROVIDERS;
use self::{
    draft::Draft,
    endpoint::{Dialect, Provider},
    refused::{Refusal, Sieve},
    stream::Broken,
};
use crate::{Answer, Error, Model, Options, Request};

/// How long a connection may take. A provider that is up answers in a fraction of it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than any provider's: a request on a connection that the other side is closing ends with an
/// unknown outcome.
const IDLE_CONNECTION: Duration = Duration::from_secs(15);
/// Bytes on the wire for each byte of an answer: providers wrap every token into 100 to 250 bytes.
const WIRE_FACTOR: usize = 8;
/// Bytes of a refusal that are read.
const REFUSAL_BYTES: usize = 64 * 1024;
/// Chat servers send nothing before the first token, for which a local model reads the whole
/// conversation: its silence counts this many times.
const FIRST_TOKEN_SILENCES: u32 = 5;

/// How a provider is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Anthropic's Messages.
    Messages,
    /// OpenAI's Chat Completions, and who copied them.
    Chat,
    /// OpenAI's Responses.
    Responses,
}

/// Whether an answer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    More,
    End,
}

/// A model behind HTTP.
pub(crate) struct Remote {
    /// `provider:name`
    name: String,
    /// As the provider calls it.
    model: String,
    dialect: Dialect,
    url: Url,
    client: reqwest::Client,
    sieve: Sieve,
    silence: Duration,
    answer_bytes: usize,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Remote {
    pub(crate) fn new(provider: &Provider, model: &str, options: &Options) -> Result<Self, Error> {
        let url = provider.url(options)?;
        Ok(Self {
            name: format!("{}:{model}", provider.name),
            model: model.to_owned(),
            dialect: provider.dialect(&url),
            client: endpoint::client(provider, options)?,
            url,
            sieve: Sieve::new(options.api_key.clone()),
            silence: options.silence,
            answer_bytes: options.answer_bytes,
        })
    }

    fn body(&self, request: &Request) -> Value {
        match self.dialect.wire {
            Wire::Messages => messages::body(&self.name, &self.model, request),
            Wire::Chat => chat::body(&self.name, &self.model, self.dialect, request),
            Wire::Responses => responses::body(&self.name, &self.model, self.dialect, request),
        }
    }

    /// How long the first byte may take.
    fn first_silence(&self) -> Duration {
        match self.dialect.wire {
            Wire::Chat => self.silence.saturating_mul(FIRST_TOKEN_SILENCES),
            Wire::Messages | Wire::Responses => self.silence,
        }
    }

    async fn send(&self, request: &Request) -> Result<Response, Error> {
        let sent = self.client.post(self.url.clone()).json(&self.body(request)).send();
        let response = match timeout(self.first_silence(), sent).await {
            Ok(Ok(response)) => response,
            // Nothing was asked yet, so nothing is paid for.
            Ok(Err(error)) if error.is_connect() => {
                let why = self.sieve.error(error.without_url());
                let why = format!("{} can't be reached: {why}", self.host());
                return Err(Error::Retryable { after: None, why });
            }
            Ok(Err(error)) => {
                let why = self.sieve.error(error.without_url());
                return Err(Error::Unknown { why: format!("{} hung up: {why}", self.host()) });
            }
            Err(_) => return Err(Broken::Silent { for_: self.first_silence() }.into()),
        };
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        // A gateway's error page, or a server that does not stream.
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().to_ascii_lowercase();
        if kind.starts_with("application/json") || kind.starts_with("text/html") {
            let said = self.read_refusal(response).await;
            let refusal = Refusal::of_body(None, &said, None);
            return Err(if refusal.is_said() {
                refusal.into_error(&self.sieve, &self.asked())
            } else {
                let why = format!(
                    "{} answered with {kind} where a stream of events was asked for; check the base URL",
                    self.asked()
                );
                Error::FailFast { why }
            });
        }
        Ok(response)
    }

    async fn refused(&self, response: Response) -> Error {
        let status = response.status();
        let after = wait::after(response.headers());
        if status.is_redirection() {
            let why = format!(
                "{} redirects elsewhere, and that is not followed; set the base URL to where it leads",
                self.asked()
            );
            return Error::Unusable { why };
        }
        let said = self.read_refusal(response).await;
        Refusal::of_body(Some(status), &said, after).into_error(&self.sieve, &self.asked())
    }

    /// As much of a refusal's body as arrives.
    async fn read_refusal(&self, mut response: Response) -> Vec<u8> {
        let mut said = Vec::new();
        while said.len() < REFUSAL_BYTES
            && let Ok(Ok(Some(chunk))) = timeout(self.silence, response.chunk()).await
        {
            let room = REFUSAL_BYTES - said.len();
            said.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        }
        said
    }

    fn read(&self, draft: &mut Draft, event: &str) -> Result<Flow, Error> {
        if self.dialect.wire == Wire::Chat && event.trim() == "[DONE]" {
            draft.is_whole = true;
            return Ok(Flow::End);
        }
        let Ok(event) = serde_json::from_str::<Value>(event) else {
            let why = format!("{} sent an event that is no JSON", self.asked());
            return Err(Error::Unknown { why });
        };
        let flow = match self.dialect.wire {
            Wire::Messages => messages::read(draft, &event),
            Wire::Chat => chat::read(draft, &event),
            Wire::Responses => responses::read(draft, &event),
        };
        flow.map_err(|stop| match stop {
            draft::Stop::Refused(refusal) => refusal.into_error(&self.sieve, &self.asked()),
            draft::Stop::TooLarge => Broken::TooLong { limit: self.answer_bytes }.into(),
        })
    }

    /// Where it is asked, without anything that could be secret.
    fn asked(&self) -> String {
        format!("{} ({}{})", self.name, self.host(), self.url.path())
    }

    fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

#[async_trait]
impl Model for Remote {
    fn name(&self) -> &str {
        &self.name
    }

    async fn answer(&self, request: &Request) -> Result<Answer, Error> {
        let response = self.send(request).await?;
        let limit = self.answer_bytes.saturating_mul(WIRE_FACTOR);
        let mut events = stream::events(response, self.first_silence(), self.silence, limit);
        let mut draft = Draft::new(self.answer_bytes);
        loop {
            match events.next().await {
                Some(Ok(event)) => {
                    if self.read(&mut draft, &event)? == Flow::End {
                        break;
                    }
                }
                // What was still to come is only what it cost.
                Some(Err(_)) | None if draft.has_stopped() => break,
                Some(Err(broken)) => return Err(broken.into()),
                None => break,
            }
        }
        draft.into_answer(&self.name, request)
    }
}
