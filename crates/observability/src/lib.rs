#![doc = include_str!("../README.md")]

pub mod alerts;
pub mod decide;
mod error;
mod github;
mod handler;
pub mod issue;
pub mod rate;
pub mod report;
pub mod settings;
mod shared;
pub mod slot;
pub mod state;
mod sweep;
pub mod write;

use std::sync::Arc;

use booty_bus::{Bus, ConsumerSettings, consume, ensure_consumer};
use booty_events::{Service, stream, subject};
use booty_spool::{FileSettings, FileSpool, NotWatched};
use tokio_util::sync::CancellationToken;

pub use error::Error;
pub use settings::Settings;

use self::{
    handler::{replayed::Replayed, reported::Reported},
    shared::Shared,
};

/// How often an alert may fail before it goes to the spool.
const MAX_FAILURES: u32 = 5;
/// A small number would let delayed retries block everything.
const MAX_ACK_PENDING: i64 = 1_000;
/// Reports of forge's that are handled at one time.
const EFFECT_PERMITS: usize = 4;

/// The service, ready to run.
pub struct App {
    shared: Arc<Shared>,
    alerts: ConsumerSettings,
    effects: ConsumerSettings,
    /// What was given up on while the spool on the broker took nothing.
    on_disk: FileSpool,
}

impl App {
    /// Makes the client and the consumers, and takes over what an earlier process left on disk. The bus
    /// must have been ensured.
    ///
    /// # Errors
    /// When a setting can't be used, another process has the spool's file, or the bus refuses the
    /// consumers.
    pub async fn build(settings: Settings, bus: Bus) -> Result<Self, Error> {
        let on_disk = FileSpool::open(
            FileSettings { clock: settings.clock, ..FileSettings::at(&settings.spool_path) },
            Arc::new(NotWatched),
        )?;
        let consumer = |durable: &str, stream, filters, permits| ConsumerSettings {
            durable: durable.to_owned(),
            service: Service::Observability,
            stream,
            filters,
            permits,
            lease: settings.lease,
            max_failures: MAX_FAILURES,
            max_ack_pending: MAX_ACK_PENDING,
            holder: settings.holder.clone(),
            shutdown_grace: settings.shutdown_grace,
            fallback: Some(Arc::new(on_disk.clone())),
        };
        let alerts = consumer(
            "observability",
            stream::INBOX.name,
            vec![
                subject::inbox_sentry_filter("event_alert", "triggered"),
                subject::replay_filter(Service::Observability),
            ],
            settings.permits,
        );
        let effects = consumer(
            "observability-effects",
            stream::EVENTS.name,
            handler::reported::WHAT
                .map(|what| subject::event_filter(Service::Forge, what))
                .to_vec(),
            EFFECT_PERMITS,
        );
        for consumer in [&alerts, &effects] {
            ensure_consumer(&bus, consumer).await?;
        }
        let shared = Arc::new(Shared::new(settings, bus)?);
        Ok(Self { shared, alerts, effects, on_disk })
    }

    /// Works until `shutdown`, and returns once everything in hand is finished or handed back.
    ///
    /// # Errors
    /// When a loop can't go on.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let bus = self.shared.bus.clone();
        let replayed = Arc::new(Replayed::new(&self.shared));
        let reported = Arc::new(Reported::new(Arc::clone(&self.shared)));
        let sweep = tokio::spawn(sweep::run(self.shared, shutdown.clone()));
        let drain = tokio::spawn(self.on_disk.drain(bus.clone(), shutdown.clone()));
        let alerts = consume(bus.clone(), self.alerts, replayed, shutdown.clone());
        let effects = consume(bus, self.effects, reported, shutdown.clone());
        // One loop without the other would leave jobs without an end: both stop together.
        let alerts = Box::pin(until_end(alerts, shutdown.clone()));
        let effects = Box::pin(until_end(effects, shutdown));
        let (alerts, effects) = tokio::join!(alerts, effects);
        sweep.abort();
        // It ends with the shutdown, which is cancelled by now.
        let _ = drain.await;
        alerts?;
        Ok(effects?)
    }
}

async fn until_end<T>(work: impl Future<Output = T>, shutdown: CancellationToken) -> T {
    let result = work.await;
    shutdown.cancel();
    result
}
