//! The bus against a real nats-server; each test has its own, on a free port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bucket;
mod child;
mod consume;
mod ensure;
mod give_up;
mod journal;
mod lease;
mod local;
mod publish;
mod reading;
mod restart;
mod support;
mod trace;
