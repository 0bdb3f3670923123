//! The simulator as its clients see it.

// A panic is how a test says no.
#![allow(clippy::unwrap_used, clippy::panic)]

mod apps;
mod checks;
mod clone;
mod faults;
mod forks;
mod hooks;
mod house;
mod life;
mod limits;
mod model;
mod octocrab;
mod refusals;
mod reviews;
