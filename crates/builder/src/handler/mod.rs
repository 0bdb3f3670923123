//! One file per kind of message.

pub(crate) mod labeled;
pub(crate) mod reported;
