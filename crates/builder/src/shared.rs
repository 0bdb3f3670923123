//! What all handlers of the builder use.

use std::{sync::Arc, time::Duration};

use booty_bus::{Bucket, BucketError, Bus, Delivery};
use booty_events::{DeliveryId, RepoName, Service, bucket, v1::Event};
use booty_github::{Client, ClientSettings, Scope, TokenSource};
use booty_sandbox::{Sandbox, Unavailable};
use booty_service::{JobStore, Outbox};
pub(crate) use booty_service::{Pause, chain};
use booty_workspace::{WorkspaceSettings, Workspaces};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::{Error, Settings, budget::Budgets, order::Order};

/// How long a clone or fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Connections, stores and settings. The clock and the random source come in here, at the top.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) bus: Bus,
    pub(crate) outbox: Outbox,
    pub(crate) jobs: JobStore,
    pub(crate) bodies: Bucket,
    pub(crate) claims: Bucket,
    /// Stops pass like the leases of what they stop.
    pub(crate) stops: Bucket,
    /// What forge remembers; only forge writes there.
    pub(crate) effects: Bucket,
    /// Where issues come from that forge made; only forge writes there.
    pub(crate) origins: Bucket,
    github: Client,
    /// The same tokens as they are, for fetching with Git.
    pub(crate) tokens: Arc<dyn TokenSource>,
    pub(crate) workspaces: Workspaces,
    /// Made when the first job needs it.
    sandbox: OnceCell<Sandbox>,
    pub(crate) budgets: Budgets,
    /// One for each job that may be worked on at one time, whatever brought it.
    places: Semaphore,
    pub(crate) now: fn() -> DateTime<Utc>,
    pub(crate) salt: fn() -> [u8; 16],
}

impl Shared {
    pub(crate) fn new(settings: Settings, bus: Bus) -> Result<Self, Error> {
        let tokens = settings.read_access.source(&bus);
        let client = ClientSettings::new(settings.api_url.clone());
        Ok(Self {
            outbox: Outbox::new(bus.clone(), Service::Builder),
            jobs: JobStore::new(&bus),
            bodies: bus.bucket(&bucket::BODIES),
            claims: bus.bucket(&bucket::LEASES),
            stops: bus.bucket(&bucket::LEASES).passing(),
            effects: bus.bucket(&bucket::EFFECTS),
            origins: bus.bucket(&bucket::ORIGINS),
            github: Client::new(client, Arc::clone(&tokens))?,
            tokens,
            workspaces: Workspaces::open(WorkspaceSettings {
                root: settings.data_dir.join("workspaces"),
                limits: booty_workspace::TreeLimits::default(),
                fetch_timeout: FETCH_TIMEOUT,
            })?,
            sandbox: OnceCell::new(),
            budgets: Budgets::new(&settings, &bus)?,
            places: Semaphore::new(settings.worker_count),
            now: settings.clock,
            salt: rand::random,
            settings,
            bus,
        })
    }

    /// Waits for a place to work on a job.
    pub(crate) async fn place(
        &self,
        stop: &CancellationToken,
    ) -> Result<SemaphorePermit<'_>, Pause> {
        tokio::select! {
            place = self.places.acquire() => {
                place.map_err(|_| Pause::away("there are no places any more"))
            }
            () = stop.cancelled() => Err(Pause::away("the worker stops")),
        }
    }

    /// What agents are started in. Where there is none, it is looked for again by the next job.
    pub(crate) async fn sandbox(&self) -> Result<&Sandbox, Unavailable> {
        self.sandbox.get_or_try_init(|| Sandbox::prepare(self.settings.sandbox.clone())).await
    }

    /// Whether something was too long ago to be acted on. What has no time can't be judged, and is not
    /// GitHub's.
    pub(crate) fn is_too_old(&self, at: Option<DateTime<Utc>>) -> bool {
        at.is_none_or(|at| {
            let age = (self.now)() - at;
            age.to_std().is_ok_and(|age| age > self.settings.max_event_age)
        })
    }

    /// Whether another delivery brought the same body first. The id is not signed, the body is.
    pub(crate) async fn is_duplicate(
        &self,
        delivery: &Delivery,
        id: &DeliveryId,
    ) -> Result<bool, Pause> {
        let key = hex::encode(Sha256::digest(&delivery.payload));
        let ours = Bytes::from(id.to_string());
        match self.bodies.create(&key, ours.clone()).await {
            Ok(_) => Ok(false),
            Err(BucketError::Conflict) => {
                let first = self.bodies.get(&key).await?;
                Ok(first.is_none_or(|entry| entry.value != ours))
            }
            Err(BucketError::Other(error)) => Err(error.into()),
        }
    }

    /// GitHub as the job may read it.
    pub(crate) fn github(&self, order: &Order) -> Client {
        self.github.scoped(order.scope())
    }

    /// GitHub as a repository's readers may read it.
    pub(crate) fn github_of(&self, repository: &RepoName) -> Client {
        let repository = Some(repository.clone());
        self.github.scoped(Scope { installation: None, repository })
    }

    /// Says a fact about a job. `step` makes it one fact however often it is said.
    pub(crate) async fn say(
        &self,
        order: &Order,
        what: &str,
        step: &str,
        event: Event,
    ) -> Result<(), Pause> {
        let event = Event {
            delivery_id: order.delivery.to_string(),
            job_id: order.job.to_string(),
            repository: order.repository.to_string(),
            issue: order.issue.get(),
            ..event
        };
        tracing::info!(event = what, step, reason = event.reason, detail = event.detail);
        let key = format!("{}-{step}", order.run());
        self.outbox.event(what, &key, event).await?;
        Ok(())
    }
}
