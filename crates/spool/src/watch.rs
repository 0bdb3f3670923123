//! What a spool tells whoever counts.

/// Hears what happens to a spool; for metrics, and for those who wait for the broker.
pub trait Watch: Send + Sync + 'static {
    /// It holds so many messages, in so many bytes.
    fn size(&self, entries: usize, bytes: u64);

    /// The broker has taken a message.
    fn drained(&self);

    /// A message, or a line that can't be read, was put where a person has to look at it.
    fn set_aside(&self);
}

/// Nobody counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct NotWatched;

impl Watch for NotWatched {
    fn size(&self, _: usize, _: u64) {}

    fn drained(&self) {}

    fn set_aside(&self) {}
}
