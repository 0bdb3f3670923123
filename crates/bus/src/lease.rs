//! Leases in `booty_leases`: who works on what, until when, and with which fencing token.
//!
//! An entry outlives its lease: the token must keep growing, and so must the count of failures.

use std::{collections::HashMap, time::Duration};

use booty_events::bucket;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::{
    bucket::{Bucket, BucketError, Entry},
    connect::Bus,
    error::Error,
};

/// How often an acquisition starts over because somebody else wrote in between. Each loss means that
/// another one got on, so more than a few in a row are a fault.
const ACQUIRE_TRIES: u32 = 32;
/// The pause before a renewal is tried again while the broker is away.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// All leases.
#[derive(Debug, Clone)]
pub struct Leases {
    bus: Bus,
    bucket: Bucket,
}

/// What came of an acquisition.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub enum Acquire {
    /// It is ours.
    Taken(Lease),
    /// Somebody else's, and the deadline has not passed.
    Held {
        /// The holder.
        by: String,
        /// Its deadline.
        until: DateTime<Utc>,
    },
}

/// A lease that this process holds, or held: only a successful [`Lease::renew`] says that it still
/// does.
#[derive(Debug)]
pub struct Lease {
    /// What it is about.
    pub key: String,
    /// The fencing token: the revision of this acquisition, larger than that of any before.
    pub token: u64,
    revision: u64,
    deadline: Instant,
    pub(crate) record: Record,
    leases: Leases,
}

/// The lease is another's, or can't be known to be ours any more.
#[derive(Debug, Error)]
pub enum LeaseLost {
    /// Somebody else has taken it.
    #[error("the lease {key} was taken by {by}")]
    Taken {
        /// The lease.
        key: String,
        /// Its holder now.
        by: String,
    },
    /// The deadline passed while the broker could not be asked.
    #[error("the lease {key} could not be renewed before its deadline")]
    Unconfirmed {
        /// The lease.
        key: String,
        /// Why not.
        source: Error,
    },
}

/// An entry of the bucket, for people and for audits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseState {
    /// Who holds it, or held it last.
    pub holder: String,
    /// Until when.
    pub until: DateTime<Utc>,
    /// The fencing token of the last acquisition.
    pub token: u64,
    /// Whether the holder ended it in order.
    pub ended: bool,
    /// How often its work failed, sudden deaths included.
    pub failures: u32,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// What is written about one message under one durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageState {
    /// When the message was stored: with its sequence, its identity.
    pub published: DateTime<Utc>,
    /// How far it has come.
    pub progress: Progress,
}

/// How far a message has come under one durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Somebody is at it, or it waits for a retry.
    Open {
        /// How often it failed.
        failures: u32,
    },
    /// On its way to the spool, and never run again.
    GivingUp {
        /// The reason in the spool's subject.
        reason: String,
        /// Whether it is in the spool for certain.
        spooled: bool,
    },
    /// Settled. An older version's entry does not say how: done, ignored or spooled.
    Ended(Option<Outcome>),
}

impl Leases {
    pub(crate) fn new(bus: Bus) -> Self {
        let bucket = bus.bucket(&bucket::LEASES);
        Self { bus, bucket }
    }

    /// Takes the lease when it is free, over, or already `holder`'s: one that was restarted under its
    /// old name goes on at once. An acquisition over a lease that nobody ended counts one failure.
    ///
    /// # Errors
    /// The broker is not there or refuses.
    pub async fn acquire(&self, key: &str, holder: &str, ttl: Duration) -> Result<Acquire, Error> {
        match self.acquire_for(key, holder, ttl, None).await? {
            Claim::Free(acquire) => Ok(acquire),
            // Only said of a message.
            Claim::Done => Err(Error::Unavailable {
                doing: format!("acquire the lease {key}"),
                source: "its message is done".into(),
            }),
        }
    }

    /// The token of the last acquisition; a writer whose token is smaller is stale.
    ///
    /// # Errors
    /// The broker is not there or refuses.
    pub async fn current_token(&self, key: &str) -> Result<Option<u64>, Error> {
        Ok(self.state(key).await?.map(|state| state.token))
    }

    /// What is written about a lease.
    ///
    /// # Errors
    /// The broker is not there or refuses.
    pub async fn state(&self, key: &str) -> Result<Option<LeaseState>, Error> {
        let Some(entry) = self.bucket.get(key).await.map_err(not_a_conflict)? else {
            return Ok(None);
        };
        let record = read(key, &entry)?;
        Ok(Some(LeaseState {
            token: record.token.unwrap_or(entry.revision),
            holder: record.holder,
            until: record.until,
            ended: record.ended,
            failures: record.failures,
            last_error: record.last_error,
        }))
    }

    /// [`Leases::acquire`] for a message. An entry about another message under the same key (the
    /// stream was made anew and counts from 1 again) is none.
    ///
    /// A message that is done is not acquired again: the token would grow, and what the message itself
    /// asked for under the old one, and what is still under way, would be refused as stale.
    pub(crate) async fn acquire_for(
        &self,
        key: &str,
        holder: &str,
        ttl: Duration,
        work: Option<Work>,
    ) -> Result<Claim, Error> {
        let bucket = self.bucket_for(work.as_ref());
        for _ in 0..ACQUIRE_TRIES {
            let found = bucket.get(key).await.map_err(not_a_conflict)?;
            let now = self.bus.clock().now();
            let mut record = Record {
                holder: holder.to_owned(),
                until: now + ttl,
                token: None,
                ended: false,
                failures: 0,
                last_error: None,
                work: work.clone(),
            };
            if let Some(entry) = &found {
                let before = read(key, entry)?;
                if is_same(before.work.as_ref(), work.as_ref()) {
                    let held = |by: String, until| Ok(Claim::Free(Acquire::Held { by, until }));
                    if work.is_some() && before.is_done() {
                        return Ok(Claim::Done);
                    }
                    if !before.ended && before.holder != holder && before.until > now {
                        return held(before.holder, before.until);
                    }
                    if let Some(until) = before.not_before(work.as_ref(), now) {
                        return held("nobody".to_owned(), until);
                    }
                    record.inherit(before);
                }
            }
            // The deadline counts from before the write: never later than what others read.
            let deadline = Instant::now() + ttl;
            let bytes = record.to_bytes()?;
            let written = match &found {
                None => bucket.create(key, bytes).await,
                Some(entry) => bucket.update(key, bytes, entry.revision).await,
            };
            match written {
                Ok(revision) => {
                    return Ok(Claim::Free(Acquire::Taken(Lease {
                        key: key.to_owned(),
                        token: revision,
                        revision,
                        deadline,
                        record,
                        leases: self.clone(),
                    })));
                }
                Err(BucketError::Conflict) => {}
                Err(BucketError::Other(error)) => return Err(error),
            }
        }
        Err(Error::Unavailable {
            doing: format!("acquire the lease {key}"),
            source: "others keep writing it".into(),
        })
    }

    /// A message's entry is dropped long after the message; others stay for good.
    fn bucket_for(&self, work: Option<&Work>) -> Bucket {
        if work.is_some() { self.bucket.passing() } else { self.bucket.clone() }
    }

    /// What is written about every message that a durable was given, by `<durable>.<stream>-<seq>`; or
    /// about the messages `of` these `<stream>-<seq>` alone.
    ///
    /// # Errors
    /// The broker is not there or refuses.
    pub async fn messages(
        &self,
        of: Option<&[String]>,
    ) -> Result<HashMap<String, MessageState>, Error> {
        /// More filters cost the server more than it costs to read all.
        const FILTERS: usize = 100;
        let filters: Vec<String> = match of {
            Some([]) => return Ok(HashMap::new()),
            Some(of) if of.len() <= FILTERS => of.iter().map(|id| format!("*.{id}")).collect(),
            _ => vec!["*.*".to_owned()],
        };
        let mut entries = std::pin::pin!(self.bucket.entries(&filters));
        let mut messages = HashMap::new();
        while let Some((key, entry)) = entries.try_next().await? {
            let Some(work) = read(&key, &entry)?.into_message() else { continue };
            messages.insert(key, work);
        }
        Ok(messages)
    }

    /// The message that an entry is about, where its holder never ended it.
    pub(crate) async fn unended(&self, key: &str, holder: &str) -> Result<Option<Work>, Error> {
        let entry = self.bucket.get(key).await.map_err(not_a_conflict)?;
        let record = entry.map(|entry| read(key, &entry)).transpose()?;
        Ok(record.filter(|r| !r.ended && r.holder == holder).and_then(|r| r.work))
    }
}

impl Lease {
    /// Moves the deadline to `ttl` from now. While the broker is away it is asked again until the
    /// present deadline.
    ///
    /// # Errors
    /// The lease is lost: end what was done under it.
    pub async fn renew(&mut self, ttl: Duration) -> Result<(), LeaseLost> {
        let deadline = self.deadline;
        let mut last = None;
        loop {
            match timeout_at(deadline, self.try_renew(ttl)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(WriteError::Lost(lost))) => return Err(lost),
                Ok(Err(WriteError::Unknown(error))) => last = Some(error),
                Err(elapsed) => {
                    let source = last.unwrap_or_else(|| Error::Unavailable {
                        doing: format!("renew the lease {}", self.key),
                        source: elapsed.into(),
                    });
                    return Err(LeaseLost::Unconfirmed { key: self.key.clone(), source });
                }
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Ends the lease in order: the next one needs not wait for the deadline, and no failure counts.
    ///
    /// # Errors
    /// It was lost before.
    pub async fn release(mut self) -> Result<(), LeaseLost> {
        let record = Record { ended: true, ..self.record.clone() };
        match self.write(record).await {
            Ok(()) => Ok(()),
            Err(WriteError::Lost(lost)) => Err(lost),
            Err(WriteError::Unknown(source)) => {
                Err(LeaseLost::Unconfirmed { key: self.key, source })
            }
        }
    }

    /// How often work under this key failed before.
    pub fn failures(&self) -> u32 {
        self.record.failures
    }

    /// Until when others keep off. Check it right before a write that they could do as well.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) async fn try_renew(&mut self, ttl: Duration) -> Result<(), WriteError> {
        let deadline = Instant::now() + ttl;
        let until = self.leases.bus.clock().now() + ttl;
        self.write(Record { until, ..self.record.clone() }).await?;
        self.deadline = deadline;
        Ok(())
    }

    /// Replaces the entry, if it is still this acquisition's.
    pub(crate) async fn write(&mut self, record: Record) -> Result<(), WriteError> {
        let record = Record { token: Some(self.token), ..record };
        let bytes = record.to_bytes().map_err(WriteError::Unknown)?;
        let bucket = self.leases.bucket_for(record.work.as_ref());
        loop {
            let written = bucket.update(&self.key, bytes.clone(), self.revision).await;
            match written {
                Ok(revision) => {
                    self.revision = revision;
                    self.record = record;
                    return Ok(());
                }
                Err(BucketError::Other(error)) => return Err(WriteError::Unknown(error)),
                Err(BucketError::Conflict) => self.find_revision().await?,
            }
        }
    }

    /// After a conflict: an earlier write of our own, whose answer was lost, only moved the
    /// revision. Anybody else's means that the lease is gone.
    async fn find_revision(&mut self) -> Result<(), WriteError> {
        let entry = self
            .leases
            .bucket
            .get(&self.key)
            .await
            .map_err(|e| WriteError::Unknown(not_a_conflict(e)))?;
        let lost = |by: String| WriteError::Lost(LeaseLost::Taken { key: self.key.clone(), by });
        let Some(entry) = entry else { return Err(lost("nobody: it was deleted".to_owned())) };
        let record = read(&self.key, &entry).map_err(WriteError::Unknown)?;
        if record.token.unwrap_or(entry.revision) != self.token || entry.revision <= self.revision {
            return Err(lost(record.holder));
        }
        self.revision = entry.revision;
        Ok(())
    }
}

/// What came of an acquisition for a message.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub(crate) enum Claim {
    /// It is to be handled, by whom the answer says.
    Free(Acquire),
    /// It was handled; only its ack is missing. Nothing was written.
    Done,
}

/// Why an entry was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    Lost(LeaseLost),
    /// Perhaps it was; asking again is safe.
    Unknown(Error),
}

/// An entry, as JSON that a person can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) holder: String,
    pub(crate) until: DateTime<Utc>,
    /// `None` in the entry of the acquisition itself, whose own revision is the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<u64>,
    #[serde(default)]
    pub(crate) ended: bool,
    #[serde(default)]
    pub(crate) failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) work: Option<Work>,
}

/// What the consumer loop knows about a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// When the message was stored: with its sequence, its identity.
    pub(crate) published: DateTime<Utc>,
    /// Where its delivery is answered.
    pub(crate) reply: String,
    /// A retry or hand-back waits until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_before: Option<DateTime<Utc>>,
    pub(crate) state: WorkState,
    /// How it ended; entries of older versions don't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
}

impl Work {
    pub(crate) fn begun(published: DateTime<Utc>, reply: String) -> Self {
        Self { published, reply, not_before: None, state: WorkState::Open, outcome: None }
    }
}

/// How a durable was done with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was handled.
    Done,
    /// It was none of the service's business.
    Ignored {
        /// Why.
        reason: String,
    },
    /// It was given up, and the spool had it.
    Spooled {
        /// The reason in the spool's subject.
        reason: String,
    },
}

/// How far a message has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WorkState {
    Open,
    /// Handled; only the ack may be missing.
    Done,
    /// On its way to the spool, and never run again.
    GivingUp(GivingUp),
}

/// Why a message goes to the spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GivingUp {
    pub(crate) reason: String,
    pub(crate) why: String,
    /// Whether the handler is to say the outcome outside.
    pub(crate) tell: bool,
    /// How often that was begun without an answer: the worker died of it.
    pub(crate) tries: u32,
    /// How often the handler answered that it could not.
    #[serde(default)]
    pub(crate) errors: u32,
    /// Whether it is in the spool for certain: whoever empties the spool meanwhile finds it no second
    /// time there.
    #[serde(default)]
    pub(crate) spooled: bool,
}

impl Record {
    fn inherit(&mut self, before: Record) {
        self.failures = before.failures;
        self.last_error = before.last_error;
        if !before.ended {
            self.failures += 1;
            self.last_error = Some(format!("{} died while it held the lease", before.holder));
        }
        if let (Some(work), Some(work_before)) = (&mut self.work, before.work) {
            work.state = work_before.state;
            work.outcome = work_before.outcome;
        }
    }

    fn into_message(self) -> Option<MessageState> {
        let failures = self.failures;
        self.work.map(|work| MessageState {
            published: work.published,
            progress: match work.state {
                WorkState::Open => Progress::Open { failures },
                WorkState::GivingUp(GivingUp { reason, spooled, .. }) => {
                    Progress::GivingUp { reason, spooled }
                }
                WorkState::Done => Progress::Ended(work.outcome),
            },
        })
    }

    fn is_done(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.state == WorkState::Done)
    }

    /// Until when this message's retry has to wait yet.
    fn not_before(&self, work: Option<&Work>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        work?;
        self.work.as_ref()?.not_before.filter(|until| self.ended && *until > now)
    }

    fn to_bytes(&self) -> Result<Bytes, Error> {
        serde_json::to_vec(self)
            .map(Bytes::from)
            .map_err(|e| Error::Unreadable { what: "a lease".to_owned(), source: e.into() })
    }
}

fn read(key: &str, entry: &Entry) -> Result<Record, Error> {
    serde_json::from_slice(&entry.value)
        .map_err(|e| Error::Unreadable { what: format!("the lease {key}"), source: e.into() })
}

fn is_same(before: Option<&Work>, now: Option<&Work>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => before.published == now.published,
        _ => true,
    }
}

fn not_a_conflict(error: BucketError) -> Error {
    match error {
        BucketError::Other(error) => error,
        BucketError::Conflict => Error::Unavailable {
            doing: "read a lease".to_owned(),
            source: BucketError::Conflict.into(),
        },
    }
}
