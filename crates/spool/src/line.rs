//! One line of a spool: a message as JSON that a person can read.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    str,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use booty_bus::{Headers, Outgoing};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// No line is longer: the largest body is 25 MiB, and JSON text doubles at most when it is written
/// as a JSON string.
pub(crate) const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// A message that the broker does not have, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// When it was kept.
    pub time: DateTime<Utc>,
    /// Where it is to be published: also its identity.
    pub subject: String,
    /// Why the broker does not have it, for a person.
    pub error: String,
    /// Its headers, without those that a publish adds.
    pub headers: Headers,
    /// Its payload, byte for byte.
    pub payload: Bytes,
}

/// Why a line is no message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadLine {
    /// It is no JSON object with these members.
    #[error("it is not a line of a spool: {0}")]
    Malformed(String),
    /// It has no body, or two.
    #[error("it must have either `body` or `body_base64`")]
    Body,
    /// `body_base64` is not base64.
    #[error("its body_base64 is not base64")]
    Base64,
    /// It is longer than any of ours.
    #[error("it is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
}

/// What a message is known by: a hash of its subject, so that a full spool's index stays small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 16]);

impl Key {
    /// The key of the message on a subject.
    pub fn of(subject: &str) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(subject)[..16]);
        Self(key)
    }

    /// The key of a line's message; `None` for one that is damaged.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice::<ReadSubject>(line).ok().map(|line| Self::of(&line.subject))
    }
}

#[derive(Serialize)]
struct WriteLine<'a> {
    time: String,
    subject: &'a str,
    error: &'a str,
    #[serde(serialize_with = "as_map")]
    headers: &'a Headers,
}

/// What only tells a person something may be missing, so that a line can be written by hand.
#[derive(Deserialize)]
struct ReadLine {
    #[serde(default)]
    time: DateTime<Utc>,
    subject: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    body_base64: Option<String>,
}

#[derive(Deserialize)]
struct ReadSubject {
    subject: String,
}

impl Line {
    /// A message that could not be published at `time` because of `error`.
    pub fn new(time: DateTime<Utc>, message: Outgoing, error: impl Into<String>) -> Self {
        let Outgoing { subject, headers, payload } = message;
        Self { time, subject, error: error.into(), headers, payload }
    }

    /// The message, to be published.
    pub fn into_message(self) -> Outgoing {
        Outgoing { subject: self.subject, headers: self.headers, payload: self.payload }
    }

    /// Writes it, with its line end. Bodies are text wherever they are UTF-8, and come last, where they
    /// hide nothing from a reader.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        let line = WriteLine {
            time: self.time.to_rfc3339_opts(SecondsFormat::Millis, true),
            subject: &self.subject,
            error: &self.error,
            headers: &self.headers,
        };
        let facts = serde_json::to_vec(&line)?;
        let (_end, facts) = facts.split_last().ok_or(io::ErrorKind::InvalidData)?;
        to.write_all(facts)?;
        match str::from_utf8(&self.payload) {
            Ok(text) => {
                to.write_all(b",\"body\":\"")?;
                write_escaped(text, &mut to)?;
            }
            Err(_) => {
                to.write_all(b",\"body_base64\":\"")?;
                to.write_all(BASE64.encode(&self.payload).as_bytes())?;
            }
        }
        to.write_all(b"\"}\n")
    }

    /// Reads it back, with or without its line end.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(line: &[u8]) -> Result<Self, BadLine> {
        let line: ReadLine =
            serde_json::from_slice(line).map_err(|error| BadLine::Malformed(error.to_string()))?;
        let payload = match (line.body, line.body_base64) {
            (Some(text), None) => Bytes::from(text),
            (None, Some(text)) => Bytes::from(BASE64.decode(text).map_err(|_| BadLine::Base64)?),
            _ => return Err(BadLine::Body),
        };
        Ok(Self {
            time: line.time,
            subject: line.subject,
            error: line.error,
            headers: line.headers.into_iter().collect(),
            payload,
        })
    }
}

/// Piece by piece, so that a large body is not in memory twice. `Value` is not generic: its code
/// comes optimised from `serde_json` also in a development build, where 25 MiB took 2 s otherwise.
fn write_escaped(mut text: &str, to: &mut impl Write) -> io::Result<()> {
    const PIECE_BYTES: usize = 64 * 1024;
    while !text.is_empty() {
        let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE_BYTES));
        let quoted = serde_json::Value::from(piece).to_string();
        to.write_all(&quoted.as_bytes()[1..quoted.len() - 1])?;
        text = rest;
    }
    Ok(())
}

fn as_map<S: serde::Serializer>(headers: &Headers, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(headers.iter())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(payload: &[u8]) -> Line {
        let headers = [("ce-id", "d-1"), ("content-type", "application/json")];
        Line {
            time: DateTime::UNIX_EPOCH,
            subject: "booty.inbox.github.issues.labeled.d-1".to_owned(),
            error: "the broker is not connected".to_owned(),
            headers: headers.into_iter().collect(),
            payload: Bytes::copy_from_slice(payload),
        }
    }

    #[test]
    fn a_line_is_for_people() {
        let mut line = Vec::new();
        entry(br#"{"a":"b"}"#).write(&mut line).unwrap();
        assert_eq!(
            String::from_utf8(line).unwrap(),
            r#"{"time":"1970-01-01T00:00:00.000Z","subject":"booty.inbox.github.issues.labeled.d-1","error":"the broker is not connected","headers":{"ce-id":"d-1","content-type":"application/json"},"body":"{\"a\":\"b\"}"}
"#
        );
    }

    proptest! {
        #[test]
        fn any_body_comes_back_byte_for_byte(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let entry = entry(&payload);
            let mut line = Vec::new();
            entry.write(&mut line).unwrap();
            prop_assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
            prop_assert_eq!(Key::read(&line), Some(Key::of(&entry.subject)));
            prop_assert_eq!(Line::read(&line), Ok(entry));
        }

        #[test]
        fn long_bodies_are_written_in_pieces(text in "[a-zé\"\\\\🦀\n\u{1}]{1,9}", times in 1_usize..30_000) {
            let entry = entry(text.repeat(times).as_bytes());
            let mut line = Vec::new();
            entry.write(&mut line).unwrap();
            prop_assert_eq!(Line::read(&line), Ok(entry));
        }

        #[test]
        fn a_part_of_a_line_is_not_a_line(cut in 1_usize..150) {
            let mut line = Vec::new();
            entry(b"{}").write(&mut line).unwrap();
            prop_assert!(Line::read(&line[..cut]).is_err());
        }
    }
}
