//! Setup steps with real clients, real registries where this machine reaches any, and the real
//! sandbox. Needs bubblewrap; runs as root or not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod cache;
mod escape;
mod projects;
mod proxy;
mod world;
