//! Which entries of the spool are meant.

use std::str::FromStr;

use booty_events::Service;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, de};

use crate::{
    entry::{Entry, State},
    error::Error,
};

/// Which entries are meant: those that all of its parts fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// The service that gave up.
    pub service: Option<String>,
    /// Why it did, in the one word of the entry's subject.
    pub reason: Option<String>,
    /// Given up then or later.
    pub since: Option<Moment>,
    /// Given up before.
    pub until: Option<Moment>,
    /// These alone; none: any.
    pub ids: Vec<Id>,
    /// What became of it.
    pub state: Option<State>,
    /// Really all of them: for what changes something, when nothing else is said.
    pub all: bool,
}

/// One entry, by its place in the spool or by what it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// The entry's sequence.
    Sequence(u64),
    /// The message's `<stream>-<sequence>`.
    Origin(String),
}

/// A point in time, or how long ago it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// RFC 3339.
    At(DateTime<Utc>),
    /// `2h`, `3days`, …
    Ago(TimeDelta),
}

impl Filter {
    /// Looks for mistakes that would silently match nothing.
    ///
    /// # Errors
    /// A service that there is not.
    pub fn check(&self) -> Result<(), Error> {
        let Some(service) = &self.service else { return Ok(()) };
        if Service::named(service).is_some() {
            return Ok(());
        }
        let known = Service::ALL.map(Service::as_str).join(", ");
        Err(Error::Question(format!("there is no service {service:?}; there are: {known}")))
    }

    /// For what changes something: nothing said must not mean everything.
    ///
    /// # Errors
    /// Nothing was said, or a mistake.
    pub fn check_explicit(&self) -> Result<(), Error> {
        if *self == Self::default() {
            return Err(Error::Question(
                "say which entries: all, ids, service, reason, since, until or state".to_owned(),
            ));
        }
        self.check()
    }

    pub(crate) fn fits(&self, entry: &Entry, now: DateTime<Utc>) -> bool {
        self.service.as_ref().is_none_or(|service| *service == entry.service)
            && self.reason.as_ref().is_none_or(|reason| *reason == entry.reason)
            && self.since.is_none_or(|since| entry.time >= since.at(now))
            && self.until.is_none_or(|until| entry.time < until.at(now))
            && (self.ids.is_empty() || self.ids.iter().any(|id| id.is(entry)))
            && self.state.is_none_or(|state| state == entry.state)
    }
}

impl Id {
    fn is(&self, entry: &Entry) -> bool {
        match self {
            Self::Sequence(sequence) => *sequence == entry.sequence,
            Self::Origin(origin) => *origin == entry.origin,
        }
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(sequence) = text.parse() {
            return Ok(Self::Sequence(sequence));
        }
        let mut parts = text.split('-');
        let (stream, sequence) = (parts.next().unwrap_or_default(), parts.next());
        if !stream.is_empty() && sequence.is_some_and(|sequence| sequence.parse::<u64>().is_ok()) {
            return Ok(Self::Origin(text.to_owned()));
        }
        Err(format!(
            "{text:?} is neither an entry's number (41) nor a message's name (BOOTY_INBOX-7)"
        ))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(from)? {
            Either::Number(sequence) => Ok(Self::Sequence(sequence)),
            Either::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

impl Moment {
    fn at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(time) => time,
            Self::Ago(span) => now.checked_sub_signed(span).unwrap_or(DateTime::UNIX_EPOCH),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(time.into()));
        }
        humantime::parse_duration(text)
            .ok()
            .and_then(|span| TimeDelta::from_std(span).ok())
            .map(Self::Ago)
            .ok_or_else(|| {
                format!("{text:?} is neither a span (2h, 3days) nor a time (2026-01-31T12:00:00Z)")
            })
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Filter, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn ids_are_numbers_or_names() {
        let filter = read(r#"{"ids":[41,"42","BOOTY_INBOX-7"]}"#).unwrap();
        let expected = [Id::Sequence(41), Id::Sequence(42), Id::Origin("BOOTY_INBOX-7".to_owned())];
        assert_eq!(filter.ids, expected);
        for wrong in [r#"{"ids":["x"]}"#, r#"{"ids":["-7"]}"#, r#"{"ids":[-1]}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn moments_are_times_or_spans() {
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Moment>().unwrap().at(now).to_rfc3339();
        assert_eq!(at("2h"), "2026-01-31T10:00:00+00:00");
        assert_eq!(at("2026-01-01T00:00:00+01:00"), "2025-12-31T23:00:00+00:00");
        assert!("yesterday".parse::<Moment>().unwrap_err().contains("2h"));
    }

    #[test]
    fn a_misspelled_question_is_refused() {
        assert!(read(r#"{"servcie":"builder"}"#).unwrap_err().contains("servcie"));
        let filter = Filter { service: Some("bulider".to_owned()), ..Filter::default() };
        assert!(filter.check().unwrap_err().to_string().contains("builder"));
    }

    #[test]
    fn nothing_said_is_not_everything() {
        assert!(Filter::default().check_explicit().is_err());
        assert!(Filter { all: true, ..Filter::default() }.check_explicit().is_ok());
    }
}
