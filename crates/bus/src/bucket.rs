//! Key-value buckets: compare-and-set whose answer can be trusted.
//!
//! Written on the bucket's stream itself, so that a write carries a message id: asked again after a
//! lost answer, the server recognises it instead of reporting a conflict with ourselves.

use std::time::Duration;

use async_nats::jetstream;
use booty_events::bucket::BucketDefinition;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{Stream, TryStreamExt as _};
use thiserror::Error;

use crate::{
    connect::Bus,
    error::Error,
    headers::Headers,
    publish::{Expected, PublishError, Receipt},
    reading::{Content, Reading},
    stored::{self, Stored},
};

/// How often one write is tried; each try waits up to the request timeout.
const TRIES: u32 = 3;
const OPERATION: &str = "KV-Operation";
const DELETED: &str = "DEL";
const TTL: &str = "Nats-TTL";

/// A key-value bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    bus: Bus,
    name: &'static str,
    stream: String,
    /// How long delete markers are kept.
    past_age: Option<Duration>,
    /// How long values are kept.
    ttl: Option<Duration>,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// Its revision, which grows with every write to the bucket.
    pub revision: u64,
    /// When the server stored it.
    pub created: DateTime<Utc>,
}

/// Why a bucket did not do what it was asked.
#[derive(Debug, Error)]
pub enum BucketError {
    /// The key is not at the expected revision.
    #[error("somebody else wrote the key first")]
    Conflict,
    /// Everything else.
    #[error(transparent)]
    Other(#[from] Error),
}

impl Bucket {
    pub(crate) fn new(bus: Bus, definition: &BucketDefinition) -> Self {
        Self {
            bus,
            name: definition.name,
            stream: stream_name(definition),
            past_age: definition.past_age,
            ttl: None,
        }
    }

    /// The same bucket for values that are dropped [`BucketDefinition::past_age`] after they were
    /// written: each write begins anew, and one without this ends it.
    #[must_use]
    pub fn passing(&self) -> Self {
        Self { ttl: self.past_age, ..self.clone() }
    }

    /// What the key holds.
    ///
    /// # Errors
    /// The broker is not there or refuses.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, BucketError> {
        Ok(self.newest(key).await?.filter(|stored| !is_marker(stored)).map(|stored| Entry {
            value: stored.payload,
            revision: stored.sequence,
            created: stored.time,
        }))
    }

    /// Writes a key that has no value, and answers its revision.
    ///
    /// # Errors
    /// [`BucketError::Conflict`] when it has one.
    pub async fn create(&self, key: &str, value: Bytes) -> Result<u64, BucketError> {
        match self.write(key, value.clone(), 0, &self.value_headers()).await {
            Err(BucketError::Conflict) => match self.newest(key).await? {
                // A deleted key keeps its marker, and the marker has a revision.
                Some(marker) if is_marker(&marker) => {
                    self.write(key, value, marker.sequence, &self.value_headers()).await
                }
                _ => Err(BucketError::Conflict),
            },
            answer => answer,
        }
    }

    /// Writes a key that is at `revision`, and answers its new revision.
    ///
    /// # Errors
    /// [`BucketError::Conflict`] when it is at another.
    pub async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<u64, BucketError> {
        self.write(key, value, revision, &self.value_headers()).await
    }

    /// Deletes a key that is at `revision`.
    ///
    /// # Errors
    /// [`BucketError::Conflict`] when it is at another.
    pub async fn delete(&self, key: &str, revision: u64) -> Result<(), BucketError> {
        let mut headers: Headers = [(OPERATION, DELETED)].into_iter().collect();
        set_ttl(&mut headers, self.past_age);
        self.write(key, Bytes::new(), revision, &headers).await.map(drop)
    }

    /// All keys that have a value, in no order.
    ///
    /// # Errors
    /// The broker is not there or refuses.
    pub async fn keys(&self) -> Result<Vec<String>, BucketError> {
        let unavailable = |source: crate::error::BoxError| Error::Unavailable {
            doing: format!("list the keys of bucket {}", self.name),
            source,
        };
        self.bus.connected().await.map_err(|e| unavailable(e.into()))?;
        let store: jetstream::kv::Store = self
            .bus
            .jetstream()
            .get_key_value(self.name)
            .await
            .map_err(|e| unavailable(e.into()))?;
        let keys = store.keys().await.map_err(|e| unavailable(e.into()))?;
        Ok(keys.try_collect().await.map_err(|e| unavailable(e.into()))?)
    }

    /// All keys that match one of `filters` (tokens, `*` and `>`), with what they hold, the longest unchanged
    /// first. Many at a time, with no question for each.
    ///
    /// # Errors
    /// As items: the broker is not there or refuses. The first error ends it.
    pub fn entries(
        &self,
        filters: &[String],
    ) -> impl Stream<Item = Result<(String, Entry), Error>> + Send + use<> {
        let prefix = format!("$KV.{}.", self.name);
        let filters = filters.iter().map(|filter| format!("{prefix}{filter}")).collect();
        let reading = Reading { filters, from: 0, content: Content::Small };
        self.bus.read(&self.stream, reading).try_filter_map(move |stored| {
            let key = stored.subject.strip_prefix(&prefix).map(str::to_owned);
            let entry = key.filter(|_| !is_marker(&stored)).map(|key| {
                let created = stored.time;
                (key, Entry { value: stored.payload, revision: stored.sequence, created })
            });
            std::future::ready(Ok(entry))
        })
    }

    /// What keys that match `filter` hold now, and then every change as it happens, for ever. Deleted
    /// keys are not told.
    ///
    /// # Errors
    /// The broker is not there or refuses; as an item: the watch is broken, begin it again.
    pub async fn watch(
        &self,
        filter: &str,
    ) -> Result<impl Stream<Item = Result<(String, Entry), Error>> + Send + use<>, Error> {
        let doing = format!("watch bucket {}", self.name);
        let unavailable = move |source: crate::error::BoxError| Error::Unavailable {
            doing: doing.clone(),
            source,
        };
        self.bus.connected().await.map_err(|e| unavailable(e.into()))?;
        let store = self.bus.jetstream().get_key_value(self.name).await;
        let store = store.map_err(|e| unavailable(e.into()))?;
        let watch = store.watch_with_history(filter).await.map_err(|e| unavailable(e.into()))?;
        Ok(watch.map_err(move |e| unavailable(e.into())).try_filter_map(|change| {
            let entry = (change.operation == jetstream::kv::Operation::Put).then(|| {
                let created = stored::from_unix_nanos(change.created.unix_timestamp_nanos());
                let entry = Entry { value: change.value, revision: change.revision, created };
                (change.key, entry)
            });
            std::future::ready(Ok(entry))
        }))
    }

    fn value_headers(&self) -> Headers {
        let mut headers = Headers::new();
        set_ttl(&mut headers, self.ttl);
        headers
    }

    async fn newest(&self, key: &str) -> Result<Option<Stored>, Error> {
        stored::last(&self.bus, &self.stream, &self.subject(key)?).await
    }

    async fn write(
        &self,
        key: &str,
        value: Bytes,
        revision: u64,
        headers: &Headers,
    ) -> Result<u64, BucketError> {
        let subject = self.subject(key)?;
        let expected = Expected {
            message_id: self.bus.unique_id(),
            last_subject_sequence: Some(revision),
            last_sequence: None,
        };
        let mut tries = 1;
        loop {
            match self.bus.store(&subject, headers, value.clone(), expected.clone()).await {
                // A known id is our own earlier try, whose answer was lost.
                Ok(Receipt::New { sequence } | Receipt::Duplicate { sequence }) => {
                    return Ok(sequence);
                }
                Ok(Receipt::Unexpected) => return Err(BucketError::Conflict),
                Err(PublishError::Unavailable(_)) if tries < TRIES => tries += 1,
                Err(source) => {
                    let doing = format!("write {key} in bucket {}", self.name);
                    return Err(Error::Write { doing, source }.into());
                }
            }
        }
    }

    fn subject(&self, key: &str) -> Result<String, Error> {
        let is_ok = |b: u8| b.is_ascii_alphanumeric() || b"-/_=.".contains(&b);
        if key.is_empty()
            || key.starts_with('.')
            || key.ends_with('.')
            || key.contains("..")
            || !key.bytes().all(is_ok)
        {
            return Err(Error::Refused {
                doing: format!("use bucket {}", self.name),
                source: format!("{key:?} is no key").into(),
            });
        }
        Ok(format!("$KV.{}.{key}", self.name))
    }
}

/// The stream behind a bucket.
pub(crate) fn stream_name(definition: &BucketDefinition) -> String {
    format!("KV_{}", definition.name)
}

fn set_ttl(headers: &mut Headers, ttl: Option<Duration>) {
    if let Some(ttl) = ttl {
        headers.insert(TTL, format!("{}s", ttl.as_secs()));
    }
}

fn is_marker(stored: &Stored) -> bool {
    stored.headers.get(OPERATION).is_some() || stored.headers.get("Nats-Marker-Reason").is_some()
}
