//! One file per kind of message.

pub(crate) mod alerted;
mod arrival;
pub(crate) mod replayed;
pub(crate) mod reported;
