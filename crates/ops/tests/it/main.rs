//! Tests against a real broker.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod audit;
mod by_hand;
mod micro;
mod spool;
mod support;
mod transfer;
