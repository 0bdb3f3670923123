//! One service in this process: settings, telemetry, bus, the service, flush.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use booty_bus::{Bus, SyncAlways};
use booty_service::{
    Env, Exit, JobStore,
    admin::{self, Admin, BusReadiness},
    common::Common,
    signals,
};
use booty_setup::Operator;
use tokio_retry::{RetryIf, strategy::ExponentialBackoff};
use tokio_util::sync::CancellationToken;

use crate::children;

/// The longest wait before the broker is asked again at start.
const ENSURE_MAX_PAUSE: Duration = Duration::from_secs(2);
/// How long the broker's monitoring port may take.
const MONITOR_LIMIT: Duration = Duration::from_secs(3);

pub(crate) async fn ingress() -> anyhow::Result<Exit> {
    let mut env = Env::from_process();
    let common = Common::from_env(&mut env, "ingress", 0);
    let settings = booty_ingress::Settings::from_env(&mut env);
    let process = Process::start(env, common).await?;
    // Ingress comes up without the broker: its disk spool is there for that.
    let app = booty_ingress::App::build(settings, process.bus.clone())?;
    let router = app.admin_router().merge(admin::jobs_router(JobStore::new(&process.bus)));
    tracing::info!(event = "service_ready", listen = %app.address(), "taking webhooks");
    process.run(router, |shutdown| app.run(shutdown)).await
}

pub(crate) async fn builder() -> anyhow::Result<Exit> {
    let mut env = Env::from_process();
    let common = Common::from_env(&mut env, "builder", 1);
    let mut settings = booty_builder::Settings::from_env(&mut env);
    settings.holder.clone_from(&common.holder);
    settings.agent.program = std::env::current_exe()?;
    settings.agent.args = vec!["agent".to_owned()];
    // A model behind a certificate of the company's own. What is not there can't be shown to anybody.
    settings.agent.certificates = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?.into())))
        .filter(|(_, path): &(String, std::path::PathBuf)| path.is_absolute() && path.exists())
        .collect();
    let process = Process::start(env, common).await?;
    process.ensure().await?;
    let app = booty_builder::App::build(settings, process.bus.clone()).await?;
    let router = process.router().merge(app.admin_router());
    tracing::info!(event = "service_ready", "waiting for labelled issues");
    process.run(router, |shutdown| app.run(shutdown)).await
}

pub(crate) async fn forge() -> anyhow::Result<Exit> {
    let mut env = Env::from_process();
    let common = Common::from_env(&mut env, "forge", 2);
    let settings = booty_forge::Settings::from_env(&mut env, &common.holder);
    let process = Process::start(env, common).await?;
    process.ensure().await?;
    let app = booty_forge::App::build(settings, process.bus.clone()).await?;
    let router = process.router();
    tracing::info!(event = "service_ready", "waiting for effects");
    process.run(router, |shutdown| app.run(shutdown)).await
}

pub(crate) async fn verifier() -> anyhow::Result<Exit> {
    let mut env = Env::from_process();
    let common = Common::from_env(&mut env, "verifier", 3);
    let mut settings = booty_verifier::Settings::from_env(&mut env);
    settings.holder.clone_from(&common.holder);
    settings.operator = Operator::new(children::environment());
    settings.sandbox.forwarder = Some(std::env::current_exe()?);
    let process = Process::start(env, common).await?;
    process.ensure().await?;
    let app = booty_verifier::App::build(settings, process.bus.clone()).await?;
    let router = process.router();
    tracing::info!(event = "service_ready", "waiting for pull requests");
    process.run(router, |shutdown| app.run(shutdown)).await
}

pub(crate) async fn observability() -> anyhow::Result<Exit> {
    let mut env = Env::from_process();
    let common = Common::from_env(&mut env, "observability", 4);
    let mut settings = booty_observability::Settings::from_env(&mut env);
    settings.holder.clone_from(&common.holder);
    let process = Process::start(env, common).await?;
    process.ensure().await?;
    let app = booty_observability::App::build(settings, process.bus.clone()).await?;
    let router = process.router();
    tracing::info!(event = "service_ready", "waiting for alerts");
    process.run(router, |shutdown| app.run(shutdown)).await
}

pub(crate) async fn ops() -> anyhow::Result<Exit> {
    let mut env = Env::from_process();
    let common = Common::from_env(&mut env, "ops", 5);
    let process = Process::start(env, common).await?;
    process.ensure().await?;
    let app = booty_ops::App::build(process.bus.clone(), chrono::Utc::now);
    let router = process.router();
    tracing::info!(event = "service_ready", "answering operators");
    process.run(router, |shutdown| app.run(shutdown)).await
}

pub(crate) async fn agent() -> anyhow::Result<Exit> {
    booty_builder::agent::main(tokio::io::stdin(), tokio::io::stdout()).await?;
    Ok(Exit::Success)
}

/// What every service's process holds.
struct Process {
    bus: Bus,
    admin: Admin,
    telemetry: booty_telemetry::Guard,
    shutdown: CancellationToken,
}

impl Process {
    /// Refuses bad settings before anything is started.
    async fn start(mut env: Env, common: Common) -> anyhow::Result<Self> {
        let supervised = env.flag_or("BOOTY_SUPERVISED", false);
        env.finish()?;
        let telemetry = booty_telemetry::init(&common.telemetry)?;
        let shutdown = signals::shutdown(supervised)?;
        let admin = Admin::bind(common.admin).await.with_context(|| {
            format!("the admin port {} can't be bound; set ADMIN_ADDR", common.admin)
        })?;
        let bus = Bus::connect(common.bus).await?;
        tokio::spawn(Self::tell_about_sync(common.monitor_url));
        Ok(Self { bus, admin, telemetry, shutdown })
    }

    fn router(&self) -> axum::Router {
        let readiness = Arc::new(BusReadiness(self.bus.clone()));
        admin::router(readiness, JobStore::new(&self.bus))
    }

    /// Waits until the broker is there and its streams are as they must be.
    async fn ensure(&self) -> anyhow::Result<()> {
        let pauses = ExponentialBackoff::from_millis(2).factor(50).max_delay(ENSURE_MAX_PAUSE);
        let mut said = String::new();
        let may_come_back = |error: &booty_bus::Error| {
            let text = error.to_string();
            if error.is_retryable() && text != said {
                let error = error as &dyn std::error::Error;
                tracing::warn!(event = "broker_unavailable", error, "waiting for the broker");
                said = text;
            }
            error.is_retryable()
        };
        tokio::select! {
            ensured = RetryIf::start(pauses, || self.bus.ensure(), may_come_back) => Ok(ensured?),
            () = self.shutdown.cancelled() => Ok(()),
        }
    }

    /// Says whether the broker loses what it acknowledged when the power goes: the server's default
    /// syncs every two minutes, and no ack waits for it.
    async fn tell_about_sync(monitor_url: Option<String>) {
        match SyncAlways::ask(monitor_url.as_deref(), MONITOR_LIMIT).await {
            SyncAlways::Yes => {
                tracing::info!(event = "sync_always", "the broker syncs each message")
            }
            SyncAlways::No => tracing::error!(
                event = "sync_missing",
                "the broker does NOT sync each message to disk: a power cut loses what was accepted. \
                 Set sync_interval: always, as deploy/nats/nats.conf does"
            ),
            SyncAlways::Unknown { why } => tracing::warn!(
                event = "sync_unknown",
                why,
                "whether the broker syncs each message to disk is UNKNOWN: set NATS_MONITOR_URL"
            ),
        }
    }

    /// Serves the admin port beside the service until both have ended.
    async fn run<F, Fut, E>(self, router: axum::Router, service: F) -> anyhow::Result<Exit>
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<anyhow::Error>,
    {
        let ended = CancellationToken::new();
        let admin = tokio::spawn(self.admin.serve(router, ended.clone()));
        let result = service(self.shutdown.clone()).await.map_err(Into::into);
        ended.cancel();
        let _ = admin.await;
        self.bus.drain().await;
        if let Err(error) = &result {
            tracing::error!(event = "service_failed", error = %format!("{error:#}"), "stopping");
        } else {
            tracing::info!(event = "service_stopped", "stopped");
        }
        // The exporter blocks while it sends.
        let _ = tokio::task::spawn_blocking(move || self.telemetry.flush()).await;
        result.map(|()| Exit::Success)
    }
}
