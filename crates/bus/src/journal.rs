//! A job's journal: what it did, in order, written by one worker at a time.

use std::time::Duration;

use booty_events::{JobId, stream, subject};
use bytes::Bytes;
use thiserror::Error;

use crate::{
    connect::Bus,
    error::Error,
    headers::Headers,
    publish::{Expected, PublishError, Receipt},
    stored::{self, Stored},
    trace,
};

/// For how many request timeouts an append is tried again while its outcome is unknown: with 5 s, a
/// restart of the broker passes within it, and the lease of the job (30 s) is not yet over.
const PATIENCE: u32 = 4;
const RETRY_PAUSE: Duration = Duration::from_millis(200);
const MSG_ID: &str = "Nats-Msg-Id";

/// A job's journal, opened for appending.
#[derive(Debug)]
pub struct Journal {
    bus: Bus,
    subject: String,
    entries: Vec<Bytes>,
    /// The sequence of the newest entry; 0: there is none.
    last: u64,
    /// This opening's own name: an entry whose answer was lost is recognised by it.
    writer: String,
    /// An entry that may or may not have been stored.
    pending: Option<Bytes>,
}

/// Why an entry was not appended.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Somebody else appended since: this worker is stale, and must stop.
    #[error("another worker went on with this job's journal")]
    Fenced,
    /// Not known to be durable. The same journal may be appended to again.
    #[error("the journal entry is not durable")]
    NotDurable(#[source] PublishError),
}

impl Journal {
    pub(crate) async fn open(bus: Bus, job: &JobId) -> Result<Self, Error> {
        let writer = bus.unique_id();
        let mut journal = Self {
            subject: subject::journal(job),
            bus,
            entries: Vec::new(),
            last: 0,
            writer,
            pending: None,
        };
        let end = stored::last(&journal.bus, stream::JOURNAL.name, &journal.subject).await?;
        let end = end.map_or(0, |newest| newest.sequence);
        while journal.last < end {
            let from = journal.last + 1;
            match stored::next(&journal.bus, stream::JOURNAL.name, &journal.subject, from).await? {
                Some(stored) => journal.take(stored),
                // Too old meanwhile: the stream drops entries after its age.
                None => break,
            }
        }
        Ok(journal)
    }

    /// Everything that was appended, the oldest first.
    pub fn entries(&self) -> &[Bytes] {
        &self.entries
    }

    /// Appends one entry behind all others, or nothing. An entry before it whose outcome is unknown
    /// is settled first.
    ///
    /// # Errors
    /// [`JournalError::Fenced`] when somebody else appended since.
    pub async fn append(&mut self, entry: Bytes) -> Result<(), JournalError> {
        if let Some(pending) = self.pending.take()
            && pending != entry
            && self.is_stored(&pending).await?
        {
            self.entries.push(pending);
        }
        let began = tokio::time::Instant::now();
        loop {
            let error = match self.try_append(&entry).await {
                Ok(()) => {
                    self.entries.push(entry);
                    return Ok(());
                }
                Err(JournalError::NotDurable(error)) => error,
                Err(fenced) => return Err(fenced),
            };
            let is_unknown = matches!(error, PublishError::Unavailable(_));
            if !is_unknown || began.elapsed() >= self.bus.request_timeout() * PATIENCE {
                self.pending = is_unknown.then_some(entry);
                return Err(JournalError::NotDurable(error));
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn try_append(&mut self, entry: &Bytes) -> Result<(), JournalError> {
        let mut headers = Headers::new();
        trace::inject(&mut headers);
        let message_id = self.message_id(entry);
        let expected = Expected {
            message_id: message_id.clone(),
            last_subject_sequence: Some(self.last),
            last_sequence: None,
        };
        let receipt = self
            .bus
            .store(&self.subject, &headers, entry.clone(), expected)
            .await
            .map_err(JournalError::NotDurable)?;
        match receipt {
            Receipt::New { sequence } | Receipt::Duplicate { sequence } => {
                self.last = sequence;
                Ok(())
            }
            Receipt::Unexpected => match self.newest().await? {
                // Our own earlier try, so long ago that its id is forgotten.
                Some(newest) if newest.headers.get(MSG_ID) == Some(&message_id) => {
                    self.last = newest.sequence;
                    Ok(())
                }
                _ => Err(JournalError::Fenced),
            },
        }
    }

    async fn is_stored(&mut self, entry: &Bytes) -> Result<bool, JournalError> {
        let message_id = self.message_id(entry);
        match self.newest().await? {
            Some(newest) if newest.headers.get(MSG_ID) == Some(&message_id) => {
                self.last = newest.sequence;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn newest(&self) -> Result<Option<Stored>, JournalError> {
        stored::last(&self.bus, stream::JOURNAL.name, &self.subject)
            .await
            .map_err(|e| JournalError::NotDurable(PublishError::Unavailable(e.into())))
    }

    /// Names this writer, the place and (by its length and checksum) the content.
    fn message_id(&self, entry: &Bytes) -> String {
        use std::hash::{DefaultHasher, Hash, Hasher};
        // Only compared within one process, so the hash needs not be stable between versions.
        let mut hash = DefaultHasher::new();
        entry.hash(&mut hash);
        format!("{}.{}.{}.{:016x}", self.subject, self.writer, self.last, hash.finish())
    }

    fn take(&mut self, stored: Stored) {
        self.last = stored.sequence;
        self.entries.push(stored.payload);
    }
}
