//! One entry of the spool, and what became of it.

use std::collections::HashMap;

use booty_bus::{Bus, Error as BusError, MessageState, Outcome, Progress, Reading, Stored};
use booty_events::{
    header, stream,
    subject::{self, SpoolPlace},
};
use booty_policy::{Redact, redact};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};

/// An entry of the spool, without its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its sequence in the spool.
    pub sequence: u64,
    /// The service that gave up on the message.
    pub service: String,
    /// Why, in one word.
    pub reason: String,
    /// The message's own `<stream>-<sequence>`.
    pub origin: String,
    /// The subject that the message had.
    pub subject: String,
    /// When it was given up.
    pub time: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: Option<u32>,
    /// The last error, without secrets.
    pub error: String,
    /// The payload's bytes.
    pub bytes: u64,
    /// The delivery that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<String>,
    /// The job that the sender was told of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Where it is published to replay it.
    pub replay_subject: String,
    /// What became of it.
    pub state: State,
    /// Its replay's `<stream>-<sequence>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// The entry that its failed replay made; none: that one was purged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_as: Option<u64>,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for a person.
    Spooled,
    /// Its replay waits or runs.
    Replaying,
    /// Its replay is done.
    Replayed,
    /// Its replay was given up, too: that made another entry, which is the one to replay.
    ReplayFailed,
}

impl State {
    /// The word in tables and questions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spooled => "spooled",
            Self::Replaying => "replaying",
            Self::Replayed => "replayed",
            Self::ReplayFailed => "replay_failed",
        }
    }
}

impl Entry {
    /// Reads an entry; `None` for what no service put there.
    pub(crate) fn read(stored: &Stored) -> Option<Self> {
        let place = SpoolPlace::parse(&stored.subject)?;
        let text = |name| stored.headers.get(name).map(str::to_owned);
        let size = text("Nats-Msg-Size").and_then(|size| size.parse().ok());
        let time = text(header::SPOOL_TIME).and_then(|time| time.parse().ok());
        Some(Self {
            sequence: stored.sequence,
            service: place.service.as_str().to_owned(),
            subject: text(header::SPOOL_SUBJECT).unwrap_or_default(),
            time: time.unwrap_or(stored.time),
            attempts: text(header::SPOOL_ATTEMPTS).and_then(|attempts| attempts.parse().ok()),
            error: redact(&text(header::SPOOL_ERROR).unwrap_or_default(), Redact::default()),
            bytes: size.unwrap_or(stored.payload.len() as u64),
            delivery_id: text(header::DELIVERY_ID),
            job_id: text(header::JOB_ID),
            replay_subject: text(header::SPOOL_REPLAY_SUBJECT)
                .filter(|subject| subject.starts_with("booty.replay."))
                .unwrap_or_else(|| place.replay_subject(stored.sequence)),
            state: State::Spooled,
            replay: None,
            failed_as: None,
            reason: place.reason,
            origin: place.origin,
        })
    }
}

/// All entries, oldest first, with what became of each.
pub(crate) async fn all(bus: &Bus) -> Result<Vec<Entry>, BusError> {
    let reading = Reading::headers(&[]);
    let stored = bus.read(stream::SPOOL.name, reading);
    let mut entries: Vec<Entry> =
        stored.try_filter_map(|s| std::future::ready(Ok(Entry::read(&s)))).try_collect().await?;
    if !entries.is_empty() {
        settle(bus, &mut entries).await?;
    }
    Ok(entries)
}

/// Finds out what became of them, from the replays, the leases, and the spool itself.
async fn settle(bus: &Bus, entries: &mut [Entry]) -> Result<(), BusError> {
    let reading = Reading::headers(&[subject::REPLAYS]);
    let replays: HashMap<String, (String, DateTime<Utc>)> = bus
        .read(stream::INBOX.name, reading)
        .map_ok(|s| (s.subject, (format!("{}-{}", stream::INBOX.name, s.sequence), s.time)))
        .try_collect()
        .await?;
    let names: Vec<String> = entries
        .iter()
        .filter_map(|entry| replays.get(&entry.replay_subject).map(|(name, _)| name.clone()))
        .collect();
    let leases = by_message(bus.leases().messages(Some(&names)).await?);
    let again: HashMap<(String, String), (u64, String)> = entries
        .iter()
        .map(|entry| {
            let place = (entry.service.clone(), entry.origin.clone());
            (place, (entry.sequence, entry.subject.clone()))
        })
        .collect();
    for entry in entries {
        let Some((name, published)) = replays.get(&entry.replay_subject) else { continue };
        // What comes from another broker may bear the replay's number, but is another message.
        let failed_as = again
            .get(&(entry.service.clone(), name.clone()))
            .filter(|(_, subject)| *subject == entry.subject)
            .map(|(sequence, _)| *sequence);
        let known = leases.get(name).map_or(&[][..], Vec::as_slice);
        let known: Vec<_> = known.iter().filter(|state| state.published == *published).collect();
        entry.state = if failed_as.is_some() || known.iter().any(|state| is_given_up(state)) {
            State::ReplayFailed
        } else if !known.is_empty() && known.iter().all(|state| is_over(state)) {
            State::Replayed
        } else {
            State::Replaying
        };
        entry.replay = Some(name.clone());
        entry.failed_as = failed_as;
    }
    Ok(())
}

/// A message may have a lease under each of several durables.
fn by_message(leases: HashMap<String, MessageState>) -> HashMap<String, Vec<MessageState>> {
    let mut by_message: HashMap<String, Vec<MessageState>> = HashMap::new();
    for (key, state) in leases {
        if let Some((_durable, message)) = key.split_once('.') {
            by_message.entry(message.to_owned()).or_default().push(state);
        }
    }
    by_message
}

fn is_given_up(state: &MessageState) -> bool {
    matches!(
        state.progress,
        Progress::GivingUp { spooled: true, .. } | Progress::Ended(Some(Outcome::Spooled { .. }))
    )
}

fn is_over(state: &MessageState) -> bool {
    matches!(state.progress, Progress::Ended(_))
}
