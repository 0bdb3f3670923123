//! Tests of the whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod alerts;
mod arrows;
mod budget;
mod checks;
mod closed;
mod forward;
mod line;
mod operator;
mod programs;
mod send;
mod sim;
mod verify;
