//! Tests of the whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod alerts;
mod arrows;
mod checks;
mod forward;
mod line;
mod operator;
mod send;
mod sim;
mod verify;
