//! What all of the verifier uses.

use std::{path::PathBuf, sync::Arc, time::Duration};

use booty_bus::{Bucket, Bus};
use booty_events::{RepoName, Service, bucket, v1::Event};
use booty_github::{Client, ClientSettings, Scope, TokenSource};
use booty_sandbox::{Sandbox, Unavailable};
use booty_service::{JobStore, Outbox};
pub(crate) use booty_service::{Pause, chain};
use booty_setup::Setup;
use booty_workspace::{WorkspaceSettings, Workspaces};
use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;

use crate::{Error, Settings, order::Order};

/// How long a clone or fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Connections, stores and settings. The clock comes in here, at the top.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) bus: Bus,
    pub(crate) outbox: Outbox,
    pub(crate) jobs: JobStore,
    pub(crate) bodies: Bucket,
    pub(crate) claims: Bucket,
    pub(crate) tokens: Arc<dyn TokenSource>,
    pub(crate) workspaces: Workspaces,
    pub(crate) scratch: PathBuf,
    pub(crate) setup: Setup,
    pub(crate) now: fn() -> DateTime<Utc>,
    client: Client,
    sandbox: OnceCell<Sandbox>,
}

impl Shared {
    pub(crate) async fn new(settings: Settings, bus: Bus) -> Result<Self, Error> {
        let tokens = settings.read_access.source(&bus);
        let scratch = settings.data_dir.join("reports");
        std::fs::create_dir_all(&scratch).map_err(Error::Scratch)?;
        let shared = Self {
            outbox: Outbox::new(bus.clone(), Service::Verifier),
            jobs: JobStore::new(&bus),
            bodies: bus.bucket(&bucket::BODIES),
            claims: bus.bucket(&bucket::LEASES),
            client: Client::new(
                ClientSettings::new(settings.api_url.clone()),
                Arc::clone(&tokens),
            )?,
            tokens,
            workspaces: Workspaces::open(WorkspaceSettings {
                root: settings.data_dir.join("verifier"),
                limits: booty_workspace::TreeLimits::default(),
                fetch_timeout: FETCH_TIMEOUT,
            })?,
            scratch,
            setup: Setup::new(settings.setup.clone(), settings.operator.clone())?,
            now: Utc::now,
            sandbox: OnceCell::new(),
            settings,
            bus,
        };
        // Told at start, and tried again with each job: what is missing may be installed meanwhile.
        if let Err(unavailable) = shared.sandbox().await {
            tracing::error!(
                event = "sandbox_unavailable",
                error = &unavailable as &dyn std::error::Error,
                "every verdict will be neutral until this is mended"
            );
        }
        Ok(shared)
    }

    /// What isolates commands.
    pub(crate) async fn sandbox(&self) -> Result<&Sandbox, Unavailable> {
        self.sandbox.get_or_try_init(|| Sandbox::prepare(self.settings.sandbox.clone())).await
    }

    /// GitHub's API with tokens for one repository.
    pub(crate) fn github(&self, repository: &RepoName, installation: u64) -> Client {
        self.client.scoped(scope(repository, installation))
    }

    /// Says a fact about a job. `step` makes it one fact however often it is said.
    pub(crate) async fn say(
        &self,
        order: &Order,
        what: &str,
        step: &str,
        event: Event,
    ) -> Result<(), Pause> {
        let mut event = Event {
            delivery_id: order.delivery.to_string(),
            job_id: order.job.to_string(),
            repository: order.repository.to_string(),
            issue: order.pull,
            number: order.pull,
            ..event
        };
        event.attributes.insert("head".to_owned(), order.head.clone());
        tracing::info!(event = what, step, reason = event.reason, detail = event.detail);
        let key = format!("{}-{step}", order.run());
        self.outbox.event(what, &key, event).await?;
        Ok(())
    }
}

/// What tokens for a repository are asked for.
pub(crate) fn scope(repository: &RepoName, installation: u64) -> Scope {
    Scope {
        installation: Some(installation).filter(|id| *id != 0),
        repository: Some(repository.clone()),
    }
}
