//! Ingress as its senders see it: a real port, a real nats-server, real files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod bounds;
mod child;
mod content;
mod dedup;
mod delivery;
mod operations;
mod outage;
mod raw;
mod sentry;
mod spool_files;
mod stopping;
mod transport;
mod world;
