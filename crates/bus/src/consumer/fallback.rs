//! Where an entry goes that the spool on the broker does not take.

use std::fmt;

use async_trait::async_trait;

use crate::{
    error::{BoxError, Error},
    publish::{Outgoing, PublishError},
};

/// Keeps entries that the spool on the broker does not take, and puts them there later, so that what
/// was given up on is settled and takes no place among what is in hand.
#[async_trait]
pub trait Fallback: fmt::Debug + Send + Sync + 'static {
    /// Keeps an entry: its subject is [`booty_events::subject::SpoolPlace`]'s, and the broker's own
    /// headers are missing. It is on disk when this returns `Ok`. The same entry may come again.
    ///
    /// # Errors
    /// It is not known to be kept; the message stays with the broker and this is tried again.
    async fn keep(&self, entry: Outgoing, why: &str) -> Result<(), BoxError>;
}

/// Whether the broker is there and takes no entry: then waiting blocks others. While it is away nothing
/// could be settled anyway.
pub(super) fn is_wanted(error: &Error) -> bool {
    match error {
        Error::Write { source, .. } => !matches!(source, PublishError::Unavailable(_)),
        // The stream is not there, or must not be seen.
        Error::Refused { .. } => true,
        _ => false,
    }
}
