//! Integration tests: a real broker, a simulated GitHub with real repositories, the real sandbox.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod decide;
mod judged;
mod newest;
mod waived;
mod world;
