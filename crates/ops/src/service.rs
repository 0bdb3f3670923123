//! The micro service: what operators ask over NATS, with any NATS client.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_nats::{
    HeaderMap,
    service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE, Request, ServiceExt as _},
};
use booty_bus::Bus;
use booty_events::JobId;
use booty_service::JobStore;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream::SelectAll};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    audit::audit,
    error::Error,
    filter::Filter,
    spool::{Page, Spool, chain},
};

/// How the service is called in `nats micro ls`.
pub const NAME: &str = "booty-ops";
const GROUP: &str = "booty-ops";
/// What every endpoint's subject begins with.
const PREFIX: &str = "booty.ops";
/// Questions that are answered at one time; the others wait.
const ANSWERS_AT_ONCE: usize = 4;
/// The pause before the service is set up again, when the client ended it.
const PAUSE: Duration = Duration::from_millis(500);
/// Entries in a list when nothing is said.
const USUAL_LIMIT: usize = 100;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    List,
    Replay,
    Purge,
    Job,
    Audit,
}

impl Verb {
    const ALL: [Self; 5] = [Self::List, Self::Replay, Self::Purge, Self::Job, Self::Audit];

    const fn subject(self) -> &'static str {
        match self {
            Self::List => "spool.list",
            Self::Replay => "spool.replay",
            Self::Purge => "spool.purge",
            Self::Job => "jobs.get",
            Self::Audit => "audit",
        }
    }

    const fn about(self) -> &'static str {
        match self {
            Self::List => {
                "what could not be done: service, reason, since, until, ids, state, limit, after"
            }
            Self::Replay => "try entries again: all, or the parts of a list's question",
            Self::Purge => "remove entries for good: as replay; force for those not replayed",
            Self::Job => "the state of one job: id",
            Self::Audit => "whether every delivery is done, ignored, spooled or in flight, once",
        }
    }
}

/// The ops service, ready to run.
pub struct App {
    desk: Arc<Desk>,
    bus: Bus,
}

/// Where questions are answered.
struct Desk {
    spool: Spool,
    jobs: JobStore,
    bus: Bus,
    clock: fn() -> DateTime<Utc>,
}

impl App {
    /// On a bus whose streams have been ensured. `clock` says what "2h ago" is.
    pub fn build(bus: Bus, clock: fn() -> DateTime<Utc>) -> Self {
        let desk = Desk {
            spool: Spool::new(&bus, clock),
            jobs: JobStore::new(&bus),
            bus: bus.clone(),
            clock,
        };
        Self { desk: Arc::new(desk), bus }
    }

    /// Answers until `shutdown`, one of several instances each question. A broker that restarts does
    /// not end it. Returns once what was asked is answered.
    ///
    /// # Errors
    /// The client refuses the service's name or subjects.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let mut answers = JoinSet::new();
        while !shutdown.is_cancelled() {
            self.serve(&mut answers, &shutdown).await.map_err(Error::Service)?;
            if !shutdown.is_cancelled() {
                tracing::warn!("the client ended the micro service; it is set up again");
                tokio::time::sleep(PAUSE).await;
            }
        }
        while answers.join_next().await.is_some() {}
        Ok(())
    }

    async fn serve(
        &self,
        answers: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) -> Result<(), async_nats::Error> {
        let service = self
            .bus
            .client()
            .service_builder()
            .description("Booty for operators: spool, jobs, audit")
            .queue_group(GROUP)
            .start(NAME, env!("CARGO_PKG_VERSION"))
            .await?;
        let group = service.group(PREFIX);
        let mut questions = SelectAll::new();
        for verb in Verb::ALL {
            let metadata = HashMap::from([("about".to_owned(), verb.about().to_owned())]);
            let endpoint = group
                .endpoint_builder()
                .name(verb.subject().replace('.', "-"))
                .metadata(metadata)
                .add(verb.subject())
                .await?;
            questions.push(endpoint.map(move |request| (verb, request)).boxed());
        }
        loop {
            let question = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = answers.join_next() => continue,
                question = questions.next(), if answers.len() < ANSWERS_AT_ONCE => question,
            };
            let Some((verb, request)) = question else { break };
            let desk = Arc::clone(&self.desk);
            answers.spawn(async move { desk.answer(verb, request).await });
        }
        service.stop().await
    }
}

impl Desk {
    async fn answer(&self, verb: Verb, request: Request) {
        let question = request.message.payload.clone();
        let outcome = match verb {
            Verb::List => self.list(&question).await,
            Verb::Replay => self.replay(&question).await,
            Verb::Purge => self.purge(&question).await,
            Verb::Job => self.job(&question).await,
            Verb::Audit => self.audit().await,
        };
        let sent = match outcome {
            Ok(answer) => request.respond(Ok(answer)).await,
            Err(error) => {
                let (code, why) = (error.code(), chain(&error));
                tracing::warn!(event = "ops_refused", subject = verb.subject(), code, error = why);
                let mut headers = HeaderMap::new();
                let line: String =
                    why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                headers.insert(NATS_SERVICE_ERROR, line.as_str());
                headers.insert(NATS_SERVICE_ERROR_CODE, code.to_string().as_str());
                let body = serde_json::json!({ "error": why, "code": code });
                request.respond_with_headers(Ok(body.to_string().into()), headers).await
            }
        };
        if let Err(error) = sent {
            // Who asked will ask again; the connection is looked after elsewhere.
            tracing::debug!(%error, "an answer was not sent");
        }
    }

    async fn list(&self, question: &[u8]) -> Result<Bytes, Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Question {
            #[serde(flatten)]
            rest: serde_json::Map<String, serde_json::Value>,
            limit: Option<usize>,
            after: u64,
        }
        let Question { rest, limit, after } = read(question)?;
        let filter: Filter = read_value(rest.into())?;
        let page = Page { limit: limit.or(Some(USUAL_LIMIT)), after };
        write(&self.spool.list(&filter, &page).await?)
    }

    async fn replay(&self, question: &[u8]) -> Result<Bytes, Error> {
        let handled = self.spool.replay(&read(question)?).await?;
        tracing::info!(event = "spool_replayed", matched = handled.matched, "over NATS");
        write(&handled)
    }

    async fn purge(&self, question: &[u8]) -> Result<Bytes, Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Question {
            #[serde(flatten)]
            rest: serde_json::Map<String, serde_json::Value>,
            force: bool,
        }
        let Question { rest, force } = read(question)?;
        let handled = self.spool.purge(&read_value(rest.into())?, force).await?;
        tracing::info!(event = "spool_purged", matched = handled.matched, force, "over NATS");
        write(&handled)
    }

    async fn job(&self, question: &[u8]) -> Result<Bytes, Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Question {
            id: String,
        }
        let Question { id } = read(question)?;
        let unknown = || Error::NotFound(format!("no job {id:?} is known"));
        let job: JobId = id.parse().map_err(|_| unknown())?;
        let found = self.jobs.find(&job).await.map_err(|source| {
            let doing = "read the job's state".to_owned();
            Error::Bus(booty_bus::Error::Unavailable { doing, source: source.into() })
        })?;
        write(&found.ok_or_else(unknown)?)
    }

    async fn audit(&self) -> Result<Bytes, Error> {
        write(&audit(&self.bus, self.clock).await?)
    }
}

/// An empty question is `{}`.
fn read<T: DeserializeOwned + Default>(question: &[u8]) -> Result<T, Error> {
    if question.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(question)
        .map_err(|error| Error::Question(format!("the question can't be read: {error}")))
}

fn read_value(value: serde_json::Value) -> Result<Filter, Error> {
    serde_json::from_value(value)
        .map_err(|error| Error::Question(format!("the question can't be read: {error}")))
}

fn write<T: Serialize>(answer: &T) -> Result<Bytes, Error> {
    serde_json::to_vec(answer)
        .map(Bytes::from)
        .map_err(|error| Error::Io { doing: "write the answer".to_owned(), source: error.into() })
}
