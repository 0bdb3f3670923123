//! Every subject that Booty publishes on or listens to.

use std::fmt;

use crate::{
    id::{DeliveryId, EffectId, JobId},
    token,
};

/// A part of Booty that takes messages under its own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Service {
    Ingress,
    Builder,
    Verifier,
    Observability,
    Tracker,
    Forge,
    Ops,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Ingress,
        Self::Builder,
        Self::Verifier,
        Self::Observability,
        Self::Tracker,
        Self::Forge,
        Self::Ops,
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.as_str() == name)
    }

    /// The one that a durable belongs to: durables are named as their service, or begin with its name
    /// and a `-`.
    pub fn of_durable(durable: &str) -> Option<Self> {
        Self::named(durable.split('-').next().unwrap_or_default())
    }

    /// The name in subjects, durables, logs and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Builder => "builder",
            Self::Verifier => "verifier",
            Self::Observability => "observability",
            Self::Tracker => "tracker",
            Self::Forge => "forge",
            Self::Ops => "ops",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How urgent an effect is. Forge empties a lane before it looks at the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Check runs: people wait for them before they merge.
    Check,
    /// What came of a job: pull requests, labels, comments.
    Outcome,
    /// New issues: they come in bursts and can wait.
    Issue,
}

impl Lane {
    /// All lanes, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Check, Self::Outcome, Self::Issue];

    /// The token in subjects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Outcome => "outcome",
            Self::Issue => "issue",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `booty.inbox.github.<event>.<action>.<delivery>`: a verified delivery of GitHub's.
pub fn inbox_github(event: &str, action: Option<&str>, delivery: &DeliveryId) -> String {
    let event = token::encode(event);
    let action = token::encode_optional(action);
    format!("booty.inbox.github.{event}.{action}.{}", token::encode(delivery.as_str()))
}

/// The filter for one event and action, or for all actions of the event.
pub fn inbox_github_filter(event: &str, action: Option<&str>) -> String {
    let event = token::encode(event);
    match action {
        Some(action) => format!("booty.inbox.github.{event}.{}.*", token::encode(action)),
        None => format!("booty.inbox.github.{event}.*.*"),
    }
}

/// The filter that finds a delivery by its id alone.
pub fn inbox_github_delivery(delivery: &DeliveryId) -> String {
    format!("booty.inbox.github.*.*.{}", token::encode(delivery.as_str()))
}

/// What the subject of a [`inbox_github`] message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxGithub {
    /// `issues`, `pull_request`, …
    pub event: String,
    /// `None` for events without actions.
    pub action: Option<String>,
    /// The sender's id of the delivery.
    pub delivery: DeliveryId,
}

/// Reads a subject made by [`inbox_github`]; `None` for any other.
pub fn parse_inbox_github(subject: &str) -> Option<InboxGithub> {
    let mut tokens = subject.strip_prefix("booty.inbox.github.")?.split('.');
    let (event, action, delivery) = (tokens.next()?, tokens.next()?, tokens.next()?);
    if tokens.next().is_some() {
        return None;
    }
    Some(InboxGithub {
        event: token::decode(event)?,
        action: if action == token::ABSENT { None } else { Some(token::decode(action)?) },
        delivery: token::decode(delivery)?.parse().ok()?,
    })
}

/// `booty.inbox.sentry.<resource>.<action>.<delivery>`: a verified delivery of Sentry's. Its id is the
/// first 32 hexadecimal digits of the body's sha256, because Sentry names each try anew.
pub fn inbox_sentry(resource: &str, action: Option<&str>, delivery: &DeliveryId) -> String {
    let resource = token::encode(resource);
    let action = token::encode_optional(action);
    format!("booty.inbox.sentry.{resource}.{action}.{}", token::encode(delivery.as_str()))
}

/// The filter for one resource and action of Sentry's.
pub fn inbox_sentry_filter(resource: &str, action: &str) -> String {
    format!("booty.inbox.sentry.{}.{}.*", token::encode(resource), token::encode(action))
}

/// The filter that finds a delivery of Sentry's by its id alone.
pub fn inbox_sentry_delivery(delivery: &DeliveryId) -> String {
    format!("booty.inbox.sentry.*.*.{}", token::encode(delivery.as_str()))
}

/// `booty.event.<service>.<what>.<key>`: a fact. `key` makes it happen once: job and step.
pub fn event(service: Service, what: &str, key: &str) -> String {
    format!("booty.event.{service}.{}.{}", token::encode(what), token::encode(key))
}

/// The filter for one kind of fact of a service's.
pub fn event_filter(service: Service, what: &str) -> String {
    format!("booty.event.{service}.{}.*", token::encode(what))
}

/// `booty.effect.<lane>.<kind>.<effect id>`: a wanted write.
pub fn effect(lane: Lane, kind: &str, id: &EffectId) -> String {
    format!("booty.effect.{lane}.{}.{id}", token::encode(kind))
}

/// The same write asked for again by a later holder of the job, because forge refuses the first
/// asking once its lease is stale.
pub fn effect_again(lane: Lane, kind: &str, id: &EffectId, lease_token: u64) -> String {
    format!("{}.l{lease_token}", effect(lane, kind, id))
}

/// The filters for all writes of a lane, repeated ones included.
pub fn effect_filter(lane: Lane) -> String {
    format!("booty.effect.{lane}.>")
}

/// `booty.journal.<job>`: the steps of a job, in order.
pub fn journal(job: &JobId) -> String {
    format!("booty.journal.{}", token::encode(job.as_str()))
}

/// `booty.spool.<service>.<reason>.<stream>-<sequence>`: a message that a service gave up on.
pub fn spool(service: Service, reason: &str, stream: &str, sequence: u64) -> String {
    format!("booty.spool.{service}.{}.{stream}-{sequence}", token::encode(reason))
}

/// Where a message lies in the spool, sequence aside: what [`spool`] makes a subject of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SpoolPlace {
    /// The service that gave up on it.
    pub service: Service,
    /// One word, as the service said it.
    pub reason: String,
    /// The message's own `<stream>-<sequence>`.
    pub origin: String,
}

impl SpoolPlace {
    /// The entry's subject.
    pub fn subject(&self) -> String {
        let (service, reason) = (self.service, token::encode(&self.reason));
        format!("booty.spool.{service}.{reason}.{}", token::encode(&self.origin))
    }

    /// Where the entry is published to replay it.
    pub fn replay_subject(&self, spool_sequence: u64) -> String {
        replay(self.service, &self.origin, spool_sequence)
    }

    /// Reads an entry's subject; `None` for any other.
    pub fn parse(subject: &str) -> Option<Self> {
        let mut tokens = subject.strip_prefix("booty.spool.")?.split('.');
        let (service, reason, origin) = (tokens.next()?, tokens.next()?, tokens.next()?);
        if tokens.next().is_some() {
            return None;
        }
        Some(Self {
            service: Service::named(service)?,
            reason: token::decode(reason)?,
            origin: token::decode(origin)?,
        })
    }
}

/// `booty.replay.<service>.<id>.<spool sequence>`: a spooled message, for the one service that
/// failed on it. `id` is the original's `<stream>-<sequence>`.
pub fn replay(service: Service, id: &str, spool_sequence: u64) -> String {
    format!("booty.replay.{service}.{}.{spool_sequence}", token::encode(id))
}

/// The spool sequence in a subject made by [`replay`]; `None` for any other subject.
pub fn replayed_spool_sequence(subject: &str) -> Option<u64> {
    let mut tokens = subject.strip_prefix("booty.replay.")?.split('.');
    let (_service, _id, sequence) = (tokens.next()?, tokens.next()?, tokens.next()?);
    if tokens.next().is_some() {
        return None;
    }
    sequence.parse().ok()
}

/// The filter for a service's own replays.
pub fn replay_filter(service: Service) -> String {
    format!("booty.replay.{service}.>")
}

/// Readers ask forge here for a token that can only read one repository.
pub const RPC_FORGE_READ_TOKEN: &str = "booty.rpc.forge.read_token";

/// Operators list, replay and purge the spool here; JSON, answered by the ops service.
pub const OPS_SPOOL: &str = "booty.ops.spool";

/// All replays, of every service.
pub const REPLAYS: &str = "booty.replay.>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_subject_says_what_it_was_made_from() {
        let delivery: DeliveryId = "72d3162e-cc78-11e3-81ab-4c9367dc0958".parse().unwrap();
        let subject = inbox_github("issues", Some("labeled"), &delivery);
        assert_eq!(
            subject,
            "booty.inbox.github.issues.labeled.72d3162e-cc78-11e3-81ab-4c9367dc0958"
        );
        let parsed = parse_inbox_github(&subject).unwrap();
        assert_eq!((parsed.event.as_str(), parsed.action.as_deref()), ("issues", Some("labeled")));
        assert_eq!(parsed.delivery, delivery);

        let push = inbox_github("push", None, &delivery);
        assert_eq!(parse_inbox_github(&push).unwrap().action, None);
        assert_eq!(parse_inbox_github("booty.inbox.github.issues.labeled"), None);
    }

    #[test]
    fn a_replay_names_its_spool_entry() {
        let subject = replay(Service::Builder, "BOOTY_INBOX-7", 41);
        assert_eq!(subject, "booty.replay.builder.BOOTY_INBOX-7.41");
        assert_eq!(replayed_spool_sequence(&subject), Some(41));
        assert_eq!(replayed_spool_sequence("booty.replay.builder.BOOTY_INBOX-7"), None);
        assert_eq!(replayed_spool_sequence("booty.inbox.github.issues.labeled.41"), None);
    }

    #[test]
    fn a_place_in_the_spool_comes_back_from_its_subject() {
        for reason in ["undecodable", "a.b *"] {
            let origin = "BOOTY_INBOX-7".to_owned();
            let place = SpoolPlace { service: Service::Forge, reason: reason.to_owned(), origin };
            assert_eq!(place.subject(), spool(Service::Forge, reason, "BOOTY_INBOX", 7));
            assert_eq!(SpoolPlace::parse(&place.subject()), Some(place));
        }
        for other in ["booty.spool.nobody.x.S-1", "booty.spool.forge.x", "booty.inbox.a.b.c"] {
            assert_eq!(SpoolPlace::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_durable_names_its_service() {
        assert_eq!(Service::of_durable("builder-follow-ups"), Some(Service::Builder));
        assert_eq!(Service::of_durable("forge"), Some(Service::Forge));
        assert_eq!(Service::of_durable("grafana-x"), None);
    }

    #[test]
    fn no_text_from_outside_adds_a_level_or_a_wildcard() {
        let delivery: DeliveryId = "d".parse().unwrap();
        let subject = inbox_github("issues", Some("a.*.>"), &delivery);
        assert_eq!(subject.split('.').count(), 6);
        assert!(!subject.contains(['*', '>']));
        assert_eq!(
            parse_inbox_github(&subject).unwrap().action.as_deref(),
            Some("a.*.>"),
            "and it can be read back"
        );
    }
}
