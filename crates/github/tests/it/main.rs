//! The client against small servers that behave well, badly and oddly.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs)]

mod app;
mod client;
mod faults;
mod graphql;
mod server;
