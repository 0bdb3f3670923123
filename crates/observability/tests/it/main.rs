//! The service against a real nats-server and a simulated GitHub.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod counted;
mod crash;
mod failed;
mod kept_on_disk;
mod once;
mod properties;
mod reopened;
mod suppressed;
mod world;
