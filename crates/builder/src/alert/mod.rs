//! Issues that were made from alerts, and what a build of one may be told.
//!
//! Anybody who can make a program fail can write an alert's text, and so its issue's. Where an issue comes
//! from is read from forge's record alone; `OBSV_AUTO_BUILD` says what follows from it. What is told of an
//! alert is the tree's own spelling of what the event names, never the event's.

mod function;
mod origin;
mod path;
mod release;
mod task;

pub(crate) use self::{
    origin::Origin,
    task::{Told, retell, tell},
};
