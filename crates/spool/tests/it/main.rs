//! Spools on real disks, beside a real nats-server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod file;
mod give_up;
mod read;
mod world;
