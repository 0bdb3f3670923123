#![doc = include_str!("../README.md")]

pub mod agent;
mod alert;
mod claim;
mod error;
mod handler;
mod job;
mod order;
mod ours;
mod outcome;
mod promotion;
mod settings;
mod shared;

use std::sync::Arc;

use booty_bus::{Bus, ConsumerSettings, consume, ensure_consumer};
use booty_events::{Service, stream, subject};
use tokio_util::sync::CancellationToken;

pub use error::Error;
pub use settings::{AgentProgram, DEFAULT_TRIGGER_LABEL, ModelSettings, Settings};

use self::{
    handler::{follow_up::FollowUps, replayed::Replayed, reported::Reported, verdict::Verdicts},
    shared::Shared,
};

/// How often a delivery may fail before it goes to the spool.
const MAX_FAILURES: u32 = 5;
/// A small number would let delayed retries block everything.
const MAX_ACK_PENDING: i64 = 1_000;
/// Reports of forge's that are handled at one time; and verdicts that ask for no work.
const EFFECT_PERMITS: usize = 4;

/// The builder, ready to run.
pub struct App {
    shared: Arc<Shared>,
    jobs: ConsumerSettings,
    effects: ConsumerSettings,
    verdicts: ConsumerSettings,
    follow_ups: ConsumerSettings,
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
        let jobs = consumer(
            "builder",
            stream::INBOX.name,
            vec![
                subject::inbox_github_filter("issues", Some("labeled")),
                subject::replay_filter(Service::Builder),
            ],
            settings.worker_count,
        );
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
        for consumer in [&jobs, &effects, &verdicts, &follow_ups] {
            ensure_consumer(&bus, consumer).await?;
        }
        let shared = Arc::new(Shared::new(settings, bus)?);
        Ok(Self { shared, jobs, effects, verdicts, follow_ups })
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
        let follow_ups = Arc::new(FollowUps::new(self.shared));
        let jobs = consume(bus.clone(), self.jobs, replayed, shutdown.clone());
        let effects = consume(bus.clone(), self.effects, reported, shutdown.clone());
        let verdicts = consume(bus.clone(), self.verdicts, verdicts, shutdown.clone());
        let follow_ups = consume(bus, self.follow_ups, follow_ups, shutdown.clone());
        // One loop without the others would leave jobs without an end: all stop together.
        let jobs = Box::pin(until_end(jobs, shutdown.clone()));
        let effects = Box::pin(until_end(effects, shutdown.clone()));
        let verdicts = Box::pin(until_end(verdicts, shutdown.clone()));
        let follow_ups = Box::pin(until_end(follow_ups, shutdown));
        let (jobs, effects, verdicts, follow_ups) =
            tokio::join!(jobs, effects, verdicts, follow_ups);
        jobs?;
        effects?;
        verdicts?;
        Ok(follow_ups?)
    }
}

async fn until_end<T>(work: impl Future<Output = T>, shutdown: CancellationToken) -> T {
    let result = work.await;
    shutdown.cancel();
    result
}
