//! The simulator as its clients see it.

mod clone;
mod faults;
mod hooks;
mod house;
mod life;
mod limits;
mod octocrab;
mod refusals;
