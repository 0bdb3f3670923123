//! What the admin port says about ingress. The public port only has `/health`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use booty_bus::Bus;
use booty_spool::Spool;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::metrics::Metrics;

/// How often the broker's limits and streams are compared again while all is well.
const CHECK_EVERY: Duration = Duration::from_secs(30);
/// How soon again while they could not be looked at, or differ.
const CHECK_AGAIN: Duration = Duration::from_millis(500);
/// How long a disk may take to show that it can be written to.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// What is known of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Broker {
    /// It was not reached yet, or it does not answer now.
    Unseen,
    /// Limits and streams are as they must be.
    Right,
    /// They are not; a person has to change something.
    Wrong(String),
}

/// Ingress's own state of health. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Health {
    bus: Bus,
    spool: Spool,
    metrics: Metrics,
    broker: Arc<Mutex<Broker>>,
}

impl Health {
    pub(crate) fn new(bus: Bus, spool: Spool, metrics: Metrics) -> Self {
        Self { bus, spool, metrics, broker: Arc::new(Mutex::new(Broker::Unseen)) }
    }

    fn broker(&self) -> Broker {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the streams when they are missing and compares them for as long as the process lives.
    pub(crate) async fn watch_broker(self) {
        loop {
            let now = match self.bus.ensure().await {
                Ok(()) => Broker::Right,
                // What was right stays right while nobody can look.
                Err(error) if error.is_retryable() => match self.broker() {
                    Broker::Right => Broker::Right,
                    _ => Broker::Unseen,
                },
                Err(error) => Broker::Wrong(error.to_string()),
            };
            let pause = if now == Broker::Right { CHECK_EVERY } else { CHECK_AGAIN };
            self.note(now);
            sleep(pause).await;
        }
    }

    fn note(&self, now: Broker) {
        let mut known = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != now {
            match &now {
                Broker::Right => tracing::info!(event = "broker_ready", "the streams are right"),
                Broker::Wrong(why) => tracing::error!(event = "broker_wrong", %why, "not ready"),
                Broker::Unseen => {}
            }
            *known = now;
        }
    }

    /// Ready: what comes in can be kept, and what is kept can be handed over by nobody's changing
    /// anything.
    async fn ready(&self) -> Result<serde_json::Value, String> {
        if let Broker::Wrong(why) = self.broker() {
            return Err(why);
        }
        let connected = self.bus.is_connected() && self.broker() == Broker::Right;
        let spool = timeout(PROBE_LIMIT, self.spool.probe())
            .await
            .unwrap_or_else(|_| Err("the disk does not answer".to_owned()));
        if !connected && let Err(why) = &spool {
            return Err(format!(
                "the broker is not reachable, and the disk spool takes nothing: {why}"
            ));
        }
        let word = |good: bool| if good { "ok" } else { "unavailable" };
        Ok(json!({
            "status": "ready",
            "broker": word(connected),
            "spool": word(spool.is_ok()),
        }))
    }

    /// `/health`, `/ready` and `/metrics`.
    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self.clone())
    }
}

async fn ready(State(health): State<Health>) -> Response {
    match health.ready().await {
        Ok(body) => Json(body).into_response(),
        Err(reason) => {
            let body = Json(json!({"status": "not_ready", "reason": reason}));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

async fn metrics(State(health): State<Health>) -> Response {
    match health.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
