//! Forge against a real broker and a simulated GitHub that is no kinder than the real one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs)]

mod apps;
mod branches;
mod bursts;
mod checks;
mod counters;
mod effects;
mod faults;
mod fences;
mod issues;
mod labels;
mod lost_answers;
mod outages;
mod paces;
mod ready;
mod receiver;
mod restarts;
mod statuses;
mod updates;
mod world;
