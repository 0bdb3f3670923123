//! One file per kind of message.

pub(crate) mod follow_up;
pub(crate) mod labeled;
pub(crate) mod replayed;
pub(crate) mod reported;
pub(crate) mod verdict;
