#![doc = include_str!("../README.md")]

mod claim;
mod decide;
mod error;
mod handler;
mod job;
mod order;
mod payload;
pub mod settings;
mod shared;
mod waiver;
mod watchdog;

use std::sync::Arc;

use booty_bus::{Bus, ConsumerSettings, consume, ensure_consumer};
use booty_events::{Service, stream, subject};
use tokio_util::sync::CancellationToken;

pub use error::Error;
pub use order::CHECK_NAME;
pub use settings::Settings;

use self::{
    handler::{door::Door, judge::Work},
    shared::Shared,
};

/// How often a delivery may fail before it goes to the spool.
const MAX_FAILURES: u32 = 5;
/// A small number would let delayed retries block everything.
const MAX_ACK_PENDING: i64 = 1_000;
/// Deliveries that are decided on at one time: a few reads of GitHub's each.
const DOOR_PERMITS: usize = 8;

/// The verifier, ready to run.
pub struct App {
    shared: Arc<Shared>,
    door: ConsumerSettings,
    work: ConsumerSettings,
}

impl App {
    /// Makes clients, folders, the sandbox and consumers. The bus must have been ensured.
    ///
    /// # Errors
    /// When a setting can't be used, or the bus refuses the consumers.
    pub async fn build(settings: Settings, bus: Bus) -> Result<Self, Error> {
        let wanted = |event, action| subject::inbox_github_filter(event, Some(action));
        let filters = vec![
            wanted("pull_request", "opened"),
            wanted("pull_request", "synchronize"),
            wanted("pull_request", "reopened"),
            wanted("pull_request", "ready_for_review"),
            wanted("check_run", "rerequested"),
            wanted("check_suite", "rerequested"),
            subject::replay_filter(Service::Verifier),
        ];
        let consumer = |durable: &str, permits| ConsumerSettings {
            durable: durable.to_owned(),
            service: Service::Verifier,
            stream: stream::INBOX.name,
            filters: filters.clone(),
            permits,
            lease: settings.lease,
            max_failures: MAX_FAILURES,
            max_ack_pending: MAX_ACK_PENDING,
            holder: settings.holder.clone(),
            shutdown_grace: settings.shutdown_grace,
            fallback: None,
        };
        let door = consumer("verifier-door", DOOR_PERMITS);
        let work = consumer("verifier", settings.worker_count);
        ensure_consumer(&bus, &door).await?;
        ensure_consumer(&bus, &work).await?;
        let shared = Arc::new(Shared::new(settings, bus).await?);
        Ok(Self { shared, door, work })
    }

    /// Works until `shutdown`, and returns once everything in hand is finished or handed back.
    ///
    /// # Errors
    /// When a loop can't go on.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let bus = self.shared.bus.clone();
        let door = Arc::new(Door::new(Arc::clone(&self.shared)));
        let work = Arc::new(Work::new(Arc::clone(&self.shared)));
        let watchdog = tokio::spawn(watchdog::run(Arc::clone(&self.shared), shutdown.clone()));
        let door = consume(bus.clone(), self.door, door, shutdown.clone());
        let work = consume(bus, self.work, work, shutdown.clone());
        // One loop without the other would leave checks queued for ever: both stop together.
        let door = Box::pin(until_end(door, shutdown.clone()));
        let work = Box::pin(until_end(work, shutdown));
        let (door, work) = tokio::join!(door, work);
        watchdog.abort();
        door?;
        Ok(work?)
    }
}

async fn until_end<T>(work: impl Future<Output = T>, shutdown: CancellationToken) -> T {
    let result = work.await;
    shutdown.cancel();
    result
}
