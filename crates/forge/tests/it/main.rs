//! Forge against a real broker and a simulated GitHub that is no kinder than the real one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs)]

mod branches;
mod effects;
mod faults;
mod fences;
mod labels;
mod lost_answers;
mod paces;
mod restarts;
mod world;
