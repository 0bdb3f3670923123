//! What all handlers of the builder use.

use std::{sync::Arc, time::Duration};

use booty_bus::{Bucket, Bus, Delivery, PublishError, Verdict};
use booty_events::{Service, bucket, v1::Event};
use booty_github::{Client, ClientSettings, Kind, TokenError, TokenSource};
use booty_service::{JobStore, Outbox, jobs::JobStoreError};
use booty_workspace::{WorkspaceSettings, Workspaces};
use chrono::{DateTime, Utc};

use crate::{Error, Settings, order::Order};

/// How long a clone or fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How long to wait when the broker or GitHub is away.
const AWAY: Duration = Duration::from_secs(5);

/// Connections, stores and settings. The clock and the random source come in here, at the top.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) bus: Bus,
    pub(crate) outbox: Outbox,
    pub(crate) jobs: JobStore,
    pub(crate) bodies: Bucket,
    pub(crate) claims: Bucket,
    github: Client,
    /// The same tokens as they are, for fetching with Git.
    pub(crate) tokens: Arc<dyn TokenSource>,
    pub(crate) workspaces: Workspaces,
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
            github: Client::new(client, Arc::clone(&tokens))?,
            tokens,
            workspaces: Workspaces::open(WorkspaceSettings {
                root: settings.data_dir.join("workspaces"),
                limits: booty_workspace::TreeLimits::default(),
                fetch_timeout: FETCH_TIMEOUT,
            })?,
            now: Utc::now,
            salt: rand::random,
            settings,
            bus,
        })
    }

    /// GitHub as the job may read it.
    pub(crate) fn github(&self, order: &Order) -> Client {
        self.github.scoped(order.scope())
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

    /// The verdict for work that is to be tried again and counts as a failure.
    pub(crate) fn retry(&self, delivery: &Delivery, why: String) -> Verdict {
        let delays = &self.settings.retry_delays;
        let nth = usize::try_from(delivery.failures).unwrap_or(usize::MAX);
        let after = delays.get(nth).or(delays.last()).copied().unwrap_or(AWAY);
        Verdict::Retry { after, why }
    }
}

/// Why a handler can't go on now.
#[derive(Debug)]
pub(crate) enum Pause {
    /// Not its own fault: broker or GitHub are away, another worker has it, a shutdown.
    Away { after: Duration, why: String },
    /// It failed, and may succeed later.
    Failed { why: String },
}

impl Pause {
    pub(crate) fn away(why: impl Into<String>) -> Self {
        Self::Away { after: AWAY, why: why.into() }
    }

    /// What to say of it.
    pub(crate) fn why(self) -> String {
        match self {
            Self::Away { why, .. } | Self::Failed { why } => why,
        }
    }

    pub(crate) fn verdict(self, shared: &Shared, delivery: &Delivery) -> Verdict {
        match self {
            Self::Away { after, why } => Verdict::HandBack { after, why },
            Self::Failed { why } => shared.retry(delivery, why),
        }
    }
}

/// The whole chain of an error in one line: a verdict holds text.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl From<PublishError> for Pause {
    fn from(error: PublishError) -> Self {
        if error.is_retryable() {
            Self::away(chain(&error))
        } else {
            Self::Failed { why: chain(&error) }
        }
    }
}

impl From<booty_bus::Error> for Pause {
    fn from(error: booty_bus::Error) -> Self {
        if error.is_retryable() {
            Self::away(chain(&error))
        } else {
            Self::Failed { why: chain(&error) }
        }
    }
}

impl From<booty_bus::BucketError> for Pause {
    fn from(error: booty_bus::BucketError) -> Self {
        match error {
            booty_bus::BucketError::Conflict => Self::away("a key was changed by others"),
            booty_bus::BucketError::Other(error) => error.into(),
        }
    }
}

impl From<JobStoreError> for Pause {
    fn from(error: JobStoreError) -> Self {
        match error {
            JobStoreError::Bucket(error) => error.into(),
            JobStoreError::Inbox(error) => error.into(),
            JobStoreError::Contended { .. } => Self::away(error.to_string()),
            JobStoreError::Decode { .. } => Self::Failed { why: chain(&error) },
        }
    }
}

impl From<TokenError> for Pause {
    fn from(error: TokenError) -> Self {
        if error.retryable {
            Self::away(chain(&error))
        } else {
            Self::Failed { why: chain(&error) }
        }
    }
}

impl From<booty_github::Error> for Pause {
    fn from(error: booty_github::Error) -> Self {
        match error.kind() {
            Kind::Wait(after) => Self::Away { after, why: chain(&error) },
            Kind::Retryable | Kind::Unknown => Self::away(chain(&error)),
            Kind::FailFast => Self::Failed { why: chain(&error) },
        }
    }
}
