//! The crate against a real git server over HTTP, real folders and real processes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod changes;
mod child;
mod crash;
mod fetch;
mod hostile;
mod local;
mod merge;
mod overlay;
mod secrets;
mod semantics;
mod server;
mod world;
