//! One file per kind of message.

pub(crate) mod door;
pub(crate) mod ended;
mod ending;
pub(crate) mod follow_up;
mod heard;
pub(crate) mod labeled;
pub(crate) mod replayed;
pub(crate) mod reported;
mod request;
pub(crate) mod talk;
pub(crate) mod verdict;

/// Where a delivery is handled: each that may lead to work comes to two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Station {
    /// Decides, answers and works on nothing.
    Door,
    /// Decides the same, and works.
    Work,
    /// Both: nobody else gets a replay.
    Replay,
}
