//! The one way into the spool.

use booty_events::{header, stream, subject::SpoolPlace};
use bytes::Bytes;

use crate::{
    connect::Bus,
    error::Error,
    headers::Headers,
    publish::{Expected, PublishError, Receipt},
};

/// How often the end of the spool is read again because another entry came first.
const TRIES: u32 = 100;

/// What came of putting a message into the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spooled {
    /// It is there now.
    New {
        /// Its sequence.
        sequence: u64,
    },
    /// It was there already.
    Already {
        /// Its sequence.
        sequence: u64,
    },
}

impl Bus {
    /// One entry for one message and reason, however often this is tried. The entry names the subject
    /// on which to publish it for a replay, and that subject has the entry's own sequence in it: so
    /// the publish expects the spool to end right before.
    ///
    /// # Errors
    /// It is not known to be in the spool; trying again is safe.
    pub async fn spool(
        &self,
        place: &SpoolPlace,
        headers: Headers,
        payload: Bytes,
    ) -> Result<Spooled, Error> {
        self.spool_as(place, headers, payload, place.subject()).await
    }

    /// [`Bus::spool`] for an entry that was there before: also one that was purged a moment ago comes
    /// back.
    ///
    /// # Errors
    /// As [`Bus::spool`].
    pub async fn spool_again(
        &self,
        place: &SpoolPlace,
        headers: Headers,
        payload: Bytes,
    ) -> Result<Spooled, Error> {
        // Under the usual id the broker would know it for two minutes, and not take it.
        self.spool_as(place, headers, payload, self.unique_id()).await
    }

    async fn spool_as(
        &self,
        place: &SpoolPlace,
        mut headers: Headers,
        payload: Bytes,
        message_id: String,
    ) -> Result<Spooled, Error> {
        let subject = place.subject();
        let failed =
            |source| Error::Write { doing: format!("put {subject} into the spool"), source };
        headers.insert(header::SPOOL_ORIGIN, &place.origin);
        for _ in 0..TRIES {
            let last = self.spool_end().await?;
            headers.insert(header::SPOOL_REPLAY_SUBJECT, place.replay_subject(last + 1));
            let expected = Expected {
                message_id: message_id.clone(),
                last_subject_sequence: Some(0),
                last_sequence: Some(last),
            };
            let stored = self.store(&subject, &headers, payload.clone(), expected).await;
            match stored.map_err(&failed)? {
                Receipt::New { sequence } => return Ok(Spooled::New { sequence }),
                Receipt::Duplicate { sequence } => return Ok(Spooled::Already { sequence }),
                Receipt::Unexpected => {
                    if let Some(entry) = self.last_message(stream::SPOOL.name, &subject).await? {
                        return Ok(Spooled::Already { sequence: entry.sequence });
                    }
                }
            }
        }
        Err(failed(PublishError::Unavailable("others keep writing to the spool".into())))
    }

    /// The sequence of the spool's newest entry.
    async fn spool_end(&self) -> Result<u64, Error> {
        #[derive(serde::Deserialize)]
        struct Info {
            state: State,
        }
        #[derive(serde::Deserialize)]
        struct State {
            last_seq: u64,
        }
        let doing = "ask for the spool's end";
        let subject = format!("STREAM.INFO.{}", stream::SPOOL.name);
        match self.ask::<Info>(doing.to_owned(), &subject).await? {
            Ok(info) => Ok(info.state.last_seq),
            Err(error) => Err(Error::from_api(doing, error)),
        }
    }
}
