//! The outbox and the job states on a real broker; the supervisor with real processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod admin;
mod jobs;
mod outbox;
mod readers;
mod supervisor;

use booty_bus::{Bus, BusSettings, local::LocalServer};

/// A broker of the test's own, with all streams.
async fn broker() -> (LocalServer, Bus) {
    let server = LocalServer::start_temporary().await.unwrap();
    let settings = BusSettings {
        max_bytes: Some(16 << 20),
        ..BusSettings::new(server.url(), "booty-service-tests")
    };
    let bus = Bus::connect(settings).await.unwrap();
    bus.ensure().await.unwrap();
    (server, bus)
}
