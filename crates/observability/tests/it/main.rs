//! The service against a real nats-server and a simulated GitHub.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod properties;
