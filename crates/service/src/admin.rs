//! The admin port: health, readiness, metrics and jobs. Never public.

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use booty_events::JobId;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::jobs::{JobStore, JobStoreError};

/// Says whether a service can do its work right now.
#[async_trait]
pub trait Readiness: Send + Sync + 'static {
    /// `Err` with the reason, for `/ready`.
    async fn ready(&self) -> Result<(), String>;
}

/// Ready when the bus is connected.
pub struct BusReadiness(pub booty_bus::Bus);

#[async_trait]
impl Readiness for BusReadiness {
    async fn ready(&self) -> Result<(), String> {
        if self.0.is_connected() { Ok(()) } else { Err("the NATS server is not reachable".into()) }
    }
}

/// `/health`, `/ready`, `/jobs` and `/jobs/{id}`.
pub fn router(readiness: Arc<dyn Readiness>, jobs: JobStore) -> Router {
    Router::new()
        .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/ready", get(ready).with_state(readiness))
        .merge(jobs_router(jobs))
}

/// `/jobs` and `/jobs/{id}` alone, for a service with its own health and readiness.
pub fn jobs_router(jobs: JobStore) -> Router {
    Router::new().route("/jobs", get(list)).route("/jobs/{id}", get(show)).with_state(jobs)
}

/// An admin listener that is bound, so that its port is known before it serves.
pub struct Admin {
    listener: TcpListener,
}

impl Admin {
    /// # Errors
    /// When the address can't be bound.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await? })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the socket has no address any more.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, router: Router, shutdown: CancellationToken) -> std::io::Result<()> {
        axum::serve(self.listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
    }
}

async fn ready(State(readiness): State<Arc<dyn Readiness>>) -> Response {
    match readiness.ready().await {
        Ok(()) => Json(json!({"status": "ready"})).into_response(),
        Err(reason) => {
            let body = Json(json!({"status": "not_ready", "reason": reason}));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

async fn list(State(jobs): State<JobStore>) -> Response {
    match jobs.list().await {
        Ok(jobs) => Json(jobs).into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn show(State(jobs): State<JobStore>, Path(id): Path<String>) -> Response {
    let unknown = || {
        let body = Json(json!({"status": "error", "reason": "unknown_job"}));
        (StatusCode::NOT_FOUND, body).into_response()
    };
    let Ok(id) = id.parse::<JobId>() else { return unknown() };
    match jobs.find(&id).await {
        Ok(Some(job)) => Json(job).into_response(),
        Ok(None) => unknown(),
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &JobStoreError) -> Response {
    let body = Json(json!({"status": "error", "reason": "bus", "message": error.to_string()}));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}
