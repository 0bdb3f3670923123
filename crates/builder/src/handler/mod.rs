//! One file per kind of message.

pub(crate) mod applied;
pub(crate) mod labeled;
