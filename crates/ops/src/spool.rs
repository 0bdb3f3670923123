//! The spool as operators use it: list, show, replay, purge.

use std::collections::BTreeMap;

use booty_bus::{Bus, Outgoing, Published, Stored};
use booty_events::{Service, header, stream, v1::Event};
use booty_policy::{Redact, redact};
use booty_service::Outbox;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    body::{self, Body},
    entry::{self, Entry, State},
    error::Error,
    filter::{Filter, Id},
};

/// The name of the fact that an entry was purged.
pub(crate) const PURGED: &str = "purged";
/// What a replay doesn't carry: it is about the entry, not about the message.
const ABOUT_THE_ENTRY: [&str; 5] = [
    header::SPOOL_ORIGIN,
    header::SPOOL_ATTEMPTS,
    header::SPOOL_ERROR,
    header::SPOOL_TIME,
    header::SPOOL_REPLAY_SUBJECT,
];

/// The spool, over the bus. No other process is needed.
#[derive(Clone)]
pub struct Spool {
    pub(crate) bus: Bus,
    outbox: Outbox,
    clock: fn() -> DateTime<Utc>,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Page {
    /// At most so many entries; none: all.
    pub limit: Option<usize>,
    /// Only entries with a larger sequence.
    pub after: u64,
}

/// Entries, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct List {
    /// How many entries fit, on whatever page.
    pub total: usize,
    /// This page's.
    pub entries: Vec<Entry>,
    /// The next page is `after` this; none: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_after: Option<u64>,
}

/// One entry with all that it holds, without secrets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// What the list says of it.
    #[serde(flatten)]
    pub entry: Entry,
    /// The message's headers, and those that say why it is here.
    pub headers: BTreeMap<String, String>,
    /// The payload, decoded.
    pub body: Body,
}

/// What became of each entry that was meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Handled {
    /// How many entries were meant.
    pub matched: usize,
    /// How many ended in each way.
    pub counts: BTreeMap<&'static str, usize>,
    /// Each of them.
    pub entries: Vec<One>,
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct One {
    /// Its sequence in the spool.
    pub sequence: u64,
    /// `replayed`, `already`, `purged`, `refused` or `failed`.
    pub result: &'static str,
    /// Why, when it was refused or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Handled {
    pub(crate) fn add(&mut self, sequence: u64, result: &'static str, why: Option<String>) {
        self.matched += 1;
        *self.counts.entry(result).or_default() += 1;
        self.entries.push(One { sequence, result, why });
    }

    /// How many ended so.
    pub fn count(&self, result: &str) -> usize {
        self.counts.get(result).copied().unwrap_or_default()
    }
}

impl Spool {
    /// The spool on a bus; `clock` says what "2h ago" is.
    pub fn new(bus: &Bus, clock: fn() -> DateTime<Utc>) -> Self {
        Self { bus: bus.clone(), outbox: Outbox::new(bus.clone(), Service::Ops), clock }
    }

    /// The entries that fit, oldest first.
    ///
    /// # Errors
    /// The broker, or a filter that can fit nothing.
    pub async fn list(&self, filter: &Filter, page: &Page) -> Result<List, Error> {
        filter.check()?;
        let mut entries = self.find(filter).await?;
        let total = entries.len();
        entries.retain(|entry| entry.sequence > page.after);
        let mut next_after = None;
        if let Some(limit) = page.limit
            && entries.len() > limit
        {
            entries.truncate(limit);
            next_after = entries.last().map(|entry| entry.sequence);
        }
        Ok(List { total, entries, next_after })
    }

    /// One entry with its headers and its payload.
    ///
    /// # Errors
    /// The broker, or no such entry.
    pub async fn show(&self, id: &Id) -> Result<Shown, Error> {
        let filter = Filter { ids: vec![id.clone()], ..Filter::default() };
        let found = self.find(&filter).await?.pop();
        let stored = match &found {
            Some(entry) => self.stored(entry.sequence).await?,
            None => None,
        };
        let (Some(entry), Some(stored)) = (found, stored) else {
            return Err(Error::NotFound(format!("the spool has no entry {id}")));
        };
        let headers = stored.headers.without_broker_headers();
        let clean = |text: &str| redact(text, Redact::default());
        Ok(Shown {
            entry,
            headers: headers.iter().map(|(name, v)| (name.to_owned(), clean(v))).collect(),
            body: body::decode(&stored),
        })
    }

    /// Publishes each entry for the one service that gave up on it. Twice is once.
    ///
    /// # Errors
    /// The broker, or a filter that says nothing. An entry that the broker does not take is
    /// `failed` in the answer, and the others go on.
    pub async fn replay(&self, filter: &Filter) -> Result<Handled, Error> {
        filter.check_explicit()?;
        let mut handled = Handled::default();
        for entry in self.find(filter).await? {
            let (result, why) = match self.replay_one(&entry).await {
                Ok(Some(Published::New { .. })) => ("replayed", None),
                Ok(Some(Published::Duplicate)) => ("already", None),
                Ok(None) => ("failed", Some("it was purged meanwhile".to_owned())),
                Err(error) => ("failed", Some(chain(&error))),
            };
            handled.add(entry.sequence, result, why);
        }
        Ok(handled)
    }

    /// Removes entries for good. One that was not replayed with success goes only by `force`.
    ///
    /// # Errors
    /// The broker, or a filter that says nothing.
    pub async fn purge(&self, filter: &Filter, force: bool) -> Result<Handled, Error> {
        filter.check_explicit()?;
        let mut handled = Handled::default();
        for entry in self.find(filter).await? {
            if entry.state != State::Replayed && !force {
                let why = format!("it is {}, and would be lost; force it", entry.state.as_str());
                handled.add(entry.sequence, "refused", Some(why));
                continue;
            }
            let (result, why) = match self.purge_one(&entry).await {
                Ok(()) => ("purged", None),
                Err(error) => ("failed", Some(chain(&error))),
            };
            handled.add(entry.sequence, result, why);
        }
        Ok(handled)
    }

    pub(crate) async fn find(&self, filter: &Filter) -> Result<Vec<Entry>, Error> {
        let now = (self.clock)();
        let mut entries = entry::all(&self.bus).await?;
        entries.retain(|entry| filter.fits(entry, now));
        Ok(entries)
    }

    pub(crate) async fn stored(&self, sequence: u64) -> Result<Option<Stored>, Error> {
        Ok(self.bus.message_at(stream::SPOOL.name, sequence).await?)
    }

    async fn replay_one(&self, entry: &Entry) -> Result<Option<Published>, Error> {
        let Some(stored) = self.stored(entry.sequence).await? else { return Ok(None) };
        let mut headers = stored.headers.without_broker_headers();
        for name in ABOUT_THE_ENTRY {
            headers.remove(name);
        }
        headers.insert(header::REPLAY_OF, entry.sequence.to_string());
        let subject = entry.replay_subject.clone();
        let message = Outgoing { subject, headers, payload: stored.payload };
        let published = self.bus.publish(message).await;
        published.map(Some).map_err(|source| {
            let doing = format!("replay entry {}", entry.sequence);
            Error::Bus(booty_bus::Error::Write { doing, source })
        })
    }

    /// The fact comes first: an entry that is gone without one is a hole.
    async fn purge_one(&self, entry: &Entry) -> Result<(), Error> {
        let attributes = [
            ("service", entry.service.clone()),
            ("origin", entry.origin.clone()),
            ("subject", entry.subject.clone()),
            ("entry", entry.sequence.to_string()),
            ("state", entry.state.as_str().to_owned()),
        ];
        let event = Event {
            delivery_id: entry.delivery_id.clone().unwrap_or_default(),
            job_id: entry.job_id.clone().unwrap_or_default(),
            reason: entry.reason.clone(),
            detail: format!("spool entry {} was purged by an operator", entry.sequence),
            attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into(),
            time: Some((self.clock)().into()),
            ..Event::default()
        };
        // The time tells entries apart that have one number because the stream was made anew.
        let key = format!(
            "{}-{}-{}-{}",
            entry.sequence,
            entry.service,
            entry.origin,
            entry.time.timestamp_millis()
        );
        self.outbox.event(PURGED, &key, event).await.map_err(|source| Error::Fact {
            about: format!("entry {} is purged", entry.sequence),
            source,
        })?;
        self.bus.delete_message(stream::SPOOL.name, entry.sequence).await?;
        Ok(())
    }
}

/// An error with its causes, in one line, without secrets.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    redact(&text, Redact::default())
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sequence(sequence) => sequence.fmt(f),
            Self::Origin(origin) => origin.fmt(f),
        }
    }
}
