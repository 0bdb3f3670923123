#![doc = include_str!("../README.md")]

pub mod agent;
mod alert;
pub mod budget;
mod claim;
mod command;
mod error;
mod handler;
mod job;
mod order;
mod ours;
mod outcome;
mod person;
mod promotion;
pub mod replay;
mod review;
mod settings;
mod shared;
mod stop;

use std::sync::Arc;

use booty_bus::{Bus, ConsumerSettings, consume, ensure_consumer};
use booty_events::{Service, stream, subject};
use tokio_util::sync::CancellationToken;

pub use error::Error;
pub use settings::{AgentProgram, DEFAULT_TRIGGER_LABEL, ModelSettings, Settings, Unfinished};

use self::{
    handler::{
        Station, door::Door, follow_up::FollowUps, replayed::Replayed, reported::Reported,
        talk::Talk, verdict::Verdicts,
    },
    shared::Shared,
};

/// How often a delivery may fail before it goes to the spool.
const MAX_FAILURES: u32 = 5;
/// A small number would let delayed retries block everything.
const MAX_ACK_PENDING: i64 = 1_000;
/// Reports of forge's that are handled at one time; and verdicts that ask for no work.
const EFFECT_PERMITS: usize = 4;
/// Deliveries that are decided on at one time: a few reads of GitHub's each.
const DOOR_PERMITS: usize = 8;

/// The builder, ready to run.
pub struct App {
    shared: Arc<Shared>,
    jobs: ConsumerSettings,
    effects: ConsumerSettings,
    verdicts: ConsumerSettings,
    follow_ups: ConsumerSettings,
    door: ConsumerSettings,
    requests: ConsumerSettings,
}

impl App {
    /// Makes clients, folders and consumers. The bus must have been ensured.
    ///
    /// # Errors
    /// When a setting can't be used, or the bus refuses the consumers.
    pub async fn build(settings: Settings, bus: Bus) -> Result<Self, Error> {
        let consumer = |durable: &str, stream, filters, permits| ConsumerSettings {
            durable: durable.to_owned(),
            service: Service::Builder,
            stream,
            filters,
            permits,
            lease: settings.lease,
            max_failures: MAX_FAILURES,
            max_ack_pending: MAX_ACK_PENDING,
            holder: settings.holder.clone(),
            shutdown_grace: settings.shutdown_grace,
            fallback: None,
        };
        let wanted = |event, action| subject::inbox_github_filter(event, Some(action));
        let labeled = wanted("issues", "labeled");
        let jobs = consumer(
            "builder",
            stream::INBOX.name,
            vec![labeled.clone(), subject::replay_filter(Service::Builder)],
            settings.worker_count,
        );
        let said = [wanted("issue_comment", "created"), wanted("pull_request_review", "submitted")];
        let ended = [
            wanted("issues", "unlabeled"),
            wanted("issues", "closed"),
            wanted("pull_request", "closed"),
        ];
        // A stop, or an answer, is not to wait for the end of a model's work.
        let door = consumer(
            "builder-door",
            stream::INBOX.name,
            [labeled].into_iter().chain(said.clone()).chain(ended).collect(),
            DOOR_PERMITS,
        );
        let requests =
            consumer("builder-requests", stream::INBOX.name, said.to_vec(), settings.worker_count);
        let effects = consumer(
            "builder-effects",
            stream::EVENTS.name,
            handler::reported::WHAT
                .map(|what| subject::event_filter(Service::Forge, what))
                .to_vec(),
            EFFECT_PERMITS,
        );
        // Two of them on the same verdicts: no draft is to wait for the end of a model's work.
        let judged = || vec![subject::event_filter(Service::Verifier, "verdict")];
        let verdicts = consumer("builder-verdicts", stream::EVENTS.name, judged(), EFFECT_PERMITS);
        let follow_ups =
            consumer("builder-follow-ups", stream::EVENTS.name, judged(), settings.worker_count);
        for consumer in [&jobs, &effects, &verdicts, &follow_ups, &door, &requests] {
            ensure_consumer(&bus, consumer).await?;
        }
        let shared = Arc::new(Shared::new(settings, bus)?);
        shared.budgets.note_limits().await.map_err(|pause| Error::Budgets(pause.why()))?;
        Ok(Self { shared, jobs, effects, verdicts, follow_ups, door, requests })
    }

    /// `/metrics`, for the admin port.
    pub fn admin_router(&self) -> axum::Router {
        budget::router(Arc::clone(&self.shared))
    }

    /// Works until `shutdown`, and returns once everything in hand is finished or handed back.
    ///
    /// # Errors
    /// When a loop can't go on.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let bus = self.shared.bus.clone();
        let replayed = Arc::new(Replayed::new(&self.shared));
        let reported = Arc::new(Reported::new(Arc::clone(&self.shared)));
        let verdicts = Arc::new(Verdicts::new(Arc::clone(&self.shared)));
        let follow_ups = Arc::new(FollowUps::new(Arc::clone(&self.shared)));
        let door = Arc::new(Door::new(&self.shared));
        let requests = Arc::new(Talk::new(&self.shared, Station::Work));
        let jobs = consume(bus.clone(), self.jobs, replayed, shutdown.clone());
        let effects = consume(bus.clone(), self.effects, reported, shutdown.clone());
        let verdicts = consume(bus.clone(), self.verdicts, verdicts, shutdown.clone());
        let follow_ups = consume(bus.clone(), self.follow_ups, follow_ups, shutdown.clone());
        let door = consume(bus.clone(), self.door, door, shutdown.clone());
        let requests = consume(bus, self.requests, requests, shutdown.clone());
        // One loop without the others would leave jobs without an end: all stop together.
        let jobs = Box::pin(until_end(jobs, shutdown.clone()));
        let effects = Box::pin(until_end(effects, shutdown.clone()));
        let verdicts = Box::pin(until_end(verdicts, shutdown.clone()));
        let follow_ups = Box::pin(until_end(follow_ups, shutdown.clone()));
        let door = Box::pin(until_end(door, shutdown.clone()));
        let requests = Box::pin(until_end(requests, shutdown));
        let (jobs, effects, verdicts, follow_ups, door, requests) =
            tokio::join!(jobs, effects, verdicts, follow_ups, door, requests);
        jobs?;
        effects?;
        verdicts?;
        follow_ups?;
        door?;
        Ok(requests?)
    }
}

async fn until_end<T>(work: impl Future<Output = T>, shutdown: CancellationToken) -> T {
    let result = work.await;
    shutdown.cancel();
    result
}
