//! The builder against a real broker, a simulated GitHub, real checkouts and real sandboxes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod alerts;
mod crash;
mod decide;
mod ends;
mod entry;
mod flow;
mod follow_up;
mod hostile;
mod played;
mod promotion;
mod proof;
mod together;
mod world;
