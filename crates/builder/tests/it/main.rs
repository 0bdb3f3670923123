//! The builder against a real broker, a simulated GitHub, real checkouts and real sandboxes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod alerts;
mod budget;
mod cage;
mod crash;
mod decide;
mod each_step;
mod ends;
mod entry;
mod flow;
mod follow_up;
mod hostile;
mod itself;
mod model_faults;
mod models;
mod played;
mod promotion;
mod proof;
mod red_team;
mod replay;
mod rounds;
mod stop;
mod talk;
mod together;
mod world;
