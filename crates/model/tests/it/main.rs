//! The crate as its users see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod answers;
mod asked;
mod limits;
mod refusals;
mod scripted;
mod secrets;
mod server;
