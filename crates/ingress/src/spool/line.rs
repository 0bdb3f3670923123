//! One line of the spool: a message as JSON that a person can read.

use std::{
    io::{self, Write},
    str,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use booty_bus::{Headers, Outgoing};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// No line is longer: the largest body is 25 MiB, and JSON text doubles at most when it is written
/// as a JSON string.
pub(super) const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// A message to keep, and why the broker does not have it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) time: DateTime<Utc>,
    pub(crate) message: Outgoing,
    pub(crate) error: String,
}

/// What a message is known by: a hash of its subject, so that a full spool's index stays small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 16]);

impl Key {
    pub(crate) fn of(subject: &str) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(subject)[..16]);
        Self(key)
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

#[derive(Deserialize)]
struct ReadLine {
    subject: String,
    headers: serde_json::Map<String, serde_json::Value>,
    body: Option<String>,
    body_base64: Option<String>,
}

#[derive(Deserialize)]
struct ReadSubject {
    subject: String,
}

/// Writes an entry as one line. Bodies are text wherever they are UTF-8, and come last, where they
/// hide nothing from a reader.
pub(super) fn write(entry: &Entry, mut to: impl Write) -> io::Result<()> {
    let line = WriteLine {
        time: entry.time.to_rfc3339_opts(SecondsFormat::Millis, true),
        subject: &entry.message.subject,
        error: &entry.error,
        headers: &entry.message.headers,
    };
    let facts = serde_json::to_vec(&line)?;
    let (_end, facts) = facts.split_last().ok_or(io::ErrorKind::InvalidData)?;
    to.write_all(facts)?;
    match str::from_utf8(&entry.message.payload) {
        Ok(text) => {
            to.write_all(b",\"body\":\"")?;
            write_escaped(text, &mut to)?;
        }
        Err(_) => {
            to.write_all(b",\"body_base64\":\"")?;
            to.write_all(BASE64.encode(&entry.message.payload).as_bytes())?;
        }
    }
    to.write_all(b"\"}\n")
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

/// Reads a line back; `None` for one that is damaged.
pub(super) fn read(line: &[u8]) -> Option<Outgoing> {
    let line: ReadLine = serde_json::from_slice(line).ok()?;
    let payload = match (line.body, line.body_base64) {
        (Some(text), None) => Bytes::from(text),
        (None, Some(text)) => Bytes::from(BASE64.decode(text).ok()?),
        _ => return None,
    };
    let headers = line
        .headers
        .into_iter()
        .map(|(name, value)| Some((name, value.as_str()?.to_owned())))
        .collect::<Option<Vec<_>>>()?;
    Some(Outgoing { subject: line.subject, headers: headers.into_iter().collect(), payload })
}

/// The key of a line's message; `None` for one that is damaged.
pub(super) fn read_key(line: &[u8]) -> Option<Key> {
    serde_json::from_slice::<ReadSubject>(line).ok().map(|line| Key::of(&line.subject))
}

fn as_map<S: serde::Serializer>(headers: &Headers, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(headers.iter())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(payload: &[u8]) -> Entry {
        let headers = [("ce-id", "d-1"), ("content-type", "application/json")];
        Entry {
            time: DateTime::UNIX_EPOCH,
            message: Outgoing {
                subject: "booty.inbox.github.issues.labeled.d-1".to_owned(),
                headers: headers.into_iter().collect(),
                payload: Bytes::copy_from_slice(payload),
            },
            error: "the broker is not connected".to_owned(),
        }
    }

    #[test]
    fn a_line_is_for_people() {
        let mut line = Vec::new();
        write(&entry(br#"{"a":"b"}"#), &mut line).unwrap();
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
            write(&entry, &mut line).unwrap();
            prop_assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
            prop_assert_eq!(read_key(&line), Some(Key::of(&entry.message.subject)));
            prop_assert_eq!(read(&line), Some(entry.message));
        }

        #[test]
        fn long_bodies_are_written_in_pieces(text in "[a-zé\"\\\\🦀\n\u{1}]{1,9}", times in 1_usize..30_000) {
            let entry = entry(text.repeat(times).as_bytes());
            let mut line = Vec::new();
            write(&entry, &mut line).unwrap();
            prop_assert_eq!(read(&line), Some(entry.message));
        }

        #[test]
        fn a_part_of_a_line_is_not_a_line(cut in 1_usize..150) {
            let mut line = Vec::new();
            write(&entry(b"{}"), &mut line).unwrap();
            prop_assert_eq!(read(&line[..cut]), None);
        }
    }
}
