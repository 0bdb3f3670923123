#![doc = include_str!("../README.md")]

mod allow;
mod answer;
mod body;
mod decide;
mod durable;
mod error;
mod github;
mod health;
mod json;
mod metrics;
mod receive;
mod sentry;
mod server;
pub mod settings;
mod source;

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle};

use booty_bus::Bus;
use booty_events::Service;
use booty_service::Outbox;
use booty_spool::{Drain, Spool};
use tokio_util::sync::CancellationToken;

pub use allow::{AllowList, BadGlob};
pub use error::Error;
pub use settings::Settings;

use body::BodyReader;
use decide::Rules;
use durable::{Breaker, Durable, Limits, SpoolWatch};
use github::Github;
use health::Health;
use metrics::Metrics;
use receive::{Keeper, Receiver};
use sentry::Sentry;
use server::Server;
use source::Source;

/// Ingress, bound and ready to run.
pub struct App {
    server: Server,
    address: SocketAddr,
    receiver: Receiver,
    drain: Drain,
    health: Health,
    spool: Spool,
    spool_thread: JoinHandle<()>,
    grace: std::time::Duration,
}

impl App {
    /// Takes the disk spool over and binds the public port. Needs no broker.
    ///
    /// # Errors
    /// The port is taken, or the spool is another process's or can't be used.
    pub fn build(settings: Settings, bus: Bus) -> Result<Self, Error> {
        if settings.allowed.is_empty() {
            tracing::warn!(
                event = "nobody_allowed",
                "neither ALLOWED_REPOS nor TARGET_REPO_URL is set: EVERY delivery will be ignored \
                 with reason `repository`"
            );
        }
        let metrics = Metrics::new()?;
        let breaker = Breaker::default();
        let watch = SpoolWatch { metrics: metrics.clone(), breaker: breaker.clone() };
        let (spool, spool_thread) = Spool::open(&settings.spool, Arc::new(watch))?;

        let mut connections = settings.connections;
        connections.max_connections = server::room_for_connections(connections.max_connections);
        let listen = |source| Error::Listen { address: settings.listen, source };
        let server = Server::bind(settings.listen, connections, metrics.clone()).map_err(listen)?;
        let address = server.address().map_err(listen)?;

        let mut sources: Vec<Arc<dyn Source>> = Vec::new();
        if !settings.github_secrets.is_empty() {
            let rules = Rules { allowed: settings.allowed, trigger_label: settings.trigger_label };
            sources.push(Arc::new(Github::new(&settings.github_secrets, rules)));
        }
        if !settings.sentry_secrets.is_empty() {
            sources.push(Arc::new(Sentry::new(&settings.sentry_secrets, settings.clock)));
        }
        let limits = Limits {
            publish: settings.publish_limit,
            answer: settings.answer_limit,
            queue: settings.queue_max_size,
        };
        let durable = Durable::new(
            bus.clone(),
            spool.clone(),
            breaker,
            limits,
            settings.clock,
            metrics.clone(),
        );
        let keeper = Keeper {
            durable,
            outbox: Outbox::new(bus.clone(), Service::Ingress),
            clock: settings.clock,
        };
        let receiver = Receiver {
            sources,
            bodies: BodyReader::new(settings.body),
            keeper,
            metrics: metrics.clone(),
        };
        let health = Health::new(bus.clone(), spool.clone(), metrics);
        let drain = Drain { spool: spool.clone(), bus };
        let grace = settings.shutdown_grace;
        Ok(Self { server, address, receiver, drain, health, spool, spool_thread, grace })
    }

    /// Where webhooks are taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `/health`, `/ready` and `/metrics`, for the admin port.
    pub fn admin_router(&self) -> axum::Router {
        self.health.router()
    }

    /// Serves until `shutdown`; then lets the requests in hand end and gives the spool back. What the
    /// spool holds then stays there for the next run.
    ///
    /// # Errors
    /// None at present: whatever fails while it runs is answered, logged and tried again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        tracing::info!(event = "listening", address = %self.address, "webhooks are taken");
        let draining = tokio::spawn(self.drain.run(shutdown.clone()));
        let watching = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.run_until_cancelled(self.health.watch_broker()).await }
        });
        self.server.serve(Arc::new(self.receiver), shutdown, self.grace).await;
        for ended in [draining.await.err(), watching.await.err()].into_iter().flatten() {
            tracing::error!(event = "task_failed", error = %ended, "a bug in ingress");
        }
        self.spool.close().await;
        let thread = self.spool_thread;
        if tokio::task::spawn_blocking(move || thread.join().is_err()).await.unwrap_or(true) {
            tracing::error!(event = "task_failed", "the spool's thread panicked: a bug in ingress");
        }
        Ok(())
    }
}
