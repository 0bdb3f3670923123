//! What the bus says, read in the order that makes it fit together.

use std::collections::HashMap;

use booty_bus::{Bus, Content, Durable, Error, MessageState, Reading, matches};
use booty_events::{
    Message as _, Service, header, stream,
    subject::{self, SpoolPlace},
    v1::Event,
};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;

use crate::spool::PURGED;

/// The streams that services consume. What nobody wants is only asked of the first and the last.
const CONSUMED: [&str; 3] = [stream::INBOX.name, stream::EVENTS.name, stream::EFFECTS.name];

/// All that an audit goes by.
pub(super) struct Snapshot {
    pub(super) streams: Vec<StreamShot>,
    /// Entries of the spool, by service and origin.
    pub(super) spooled: HashMap<(Service, String), Vec<SpoolShot>>,
    /// Subjects of purged messages, by service and origin.
    pub(super) purged: HashMap<(Service, String), Vec<String>>,
    /// By `<durable>.<stream>-<seq>`.
    pub(super) leases: HashMap<String, MessageState>,
}

/// One stream, its durables first.
pub(super) struct StreamShot {
    pub(super) name: &'static str,
    /// Whether all messages were read, and not only those that a durable wants.
    pub(super) is_whole: bool,
    pub(super) durables: Vec<(Service, Durable)>,
    pub(super) messages: Vec<MessageShot>,
}

pub(super) struct MessageShot {
    pub(super) sequence: u64,
    pub(super) subject: String,
    pub(super) time: DateTime<Utc>,
    /// Of a replay: the subject that the message had at first.
    pub(super) first_subject: Option<String>,
}

pub(super) struct SpoolShot {
    pub(super) sequence: u64,
    /// The subject that the message had at first.
    pub(super) subject: String,
    pub(super) reason: String,
}

impl Snapshot {
    /// Whoever settles a message has written the proof before: so how far the durables are is read
    /// before the proofs. Whoever purges an entry has said so before: so the facts are read after
    /// the spool. Leases are the last word, and are read last.
    pub(super) async fn take(bus: &Bus) -> Result<Self, Error> {
        let mut streams = Vec::new();
        for name in CONSUMED {
            let durables = bus.durables(name).await?.into_iter();
            let durables =
                durables.filter_map(|d| Some((Service::of_durable(&d.name)?, d))).collect();
            streams.push(StreamShot { name, is_whole: false, durables, messages: Vec::new() });
        }
        for shot in &mut streams {
            let filters = if shot.name == stream::EVENTS.name {
                wanted(&shot.durables)
            } else {
                Some(Vec::new())
            };
            let Some(filters) = filters else { continue };
            shot.is_whole = filters.is_empty() && shot.name != stream::EVENTS.name;
            let reading = Reading { filters, from: 0, content: Content::Headers };
            shot.messages = bus
                .read(shot.name, reading)
                .map_ok(|stored| MessageShot {
                    sequence: stored.sequence,
                    time: stored.time,
                    first_subject: subject::replayed_spool_sequence(&stored.subject)
                        .and_then(|_| stored.headers.get(header::SPOOL_SUBJECT))
                        .map(str::to_owned),
                    subject: stored.subject,
                })
                .try_collect()
                .await?;
        }
        Ok(Self {
            streams,
            spooled: spooled(bus).await?,
            purged: purged(bus).await?,
            leases: bus.leases().messages(None).await?,
        })
    }
}

/// The filters of all durables without those that another one covers; `None`: there are none. The
/// server refuses filters that overlap, so where they still do, all is read.
fn wanted(durables: &[(Service, Durable)]) -> Option<Vec<String>> {
    let mut filters: Vec<String> = durables.iter().flat_map(|(_, d)| d.filters.clone()).collect();
    if filters.is_empty() {
        return if durables.is_empty() { None } else { Some(Vec::new()) };
    }
    filters.sort();
    filters.dedup();
    let all = filters.clone();
    filters.retain(|one| !all.iter().any(|other| other != one && matches(other, one)));
    let overlap = |a: &String| filters.iter().any(|b| a != b && may_meet(a, b));
    if filters.iter().any(overlap) { Some(Vec::new()) } else { Some(filters) }
}

/// Whether some subject could match both.
fn may_meet(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
            (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
            _ => return false,
        }
    }
}

async fn spooled(bus: &Bus) -> Result<HashMap<(Service, String), Vec<SpoolShot>>, Error> {
    let mut all = std::pin::pin!(bus.read(stream::SPOOL.name, Reading::headers(&[])));
    let mut spooled: HashMap<_, Vec<SpoolShot>> = HashMap::new();
    while let Some(stored) = all.try_next().await? {
        let Some(place) = SpoolPlace::parse(&stored.subject) else { continue };
        spooled.entry((place.service, place.origin)).or_default().push(SpoolShot {
            sequence: stored.sequence,
            subject: stored.headers.get(header::SPOOL_SUBJECT).unwrap_or_default().to_owned(),
            reason: place.reason,
        });
    }
    Ok(spooled)
}

async fn purged(bus: &Bus) -> Result<HashMap<(Service, String), Vec<String>>, Error> {
    let filters = vec![subject::event_filter(Service::Ops, PURGED)];
    let reading = Reading { filters, from: 0, content: Content::Small };
    let mut all = std::pin::pin!(bus.read(stream::EVENTS.name, reading));
    let mut purged: HashMap<_, Vec<String>> = HashMap::new();
    while let Some(stored) = all.try_next().await? {
        let Ok(event) = Event::decode(stored.payload) else { continue };
        let attribute = |name: &str| event.attributes.get(name).cloned().unwrap_or_default();
        let Some(service) = Service::named(&attribute("service")) else { continue };
        purged.entry((service, attribute("origin"))).or_default().push(attribute("subject"));
    }
    Ok(purged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_meet_are_known() {
        for (one, other, expected) in [
            ("a.*.c", "a.b.*", true),
            ("a.>", "a.b.c", true),
            ("a.b", "a.c", false),
            ("a.*", "a.b.c", false),
        ] {
            assert_eq!(may_meet(one, other), expected, "{one} {other}");
            assert_eq!(may_meet(other, one), expected, "{other} {one}");
        }
    }
}
