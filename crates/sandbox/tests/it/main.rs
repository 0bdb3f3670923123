//! The sandbox against what lives in a hostile repository. Needs bubblewrap; runs as root or not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cage;
mod ending;
mod exhaustion;
mod isolation;
mod mounts;
mod network;
mod output;
mod tools;
mod tree;
mod world;
