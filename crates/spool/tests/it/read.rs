//! A file of lines, read by somebody else.

use std::fs;

use booty_spool::{BadLine, Found, Line, read_file};
use tempfile::TempDir;

use crate::world::entry;

#[test]
fn every_line_is_told_apart() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("lines.jsonl");
    let time = "2026-01-01T00:00:00Z".parse().unwrap();
    let line = Line::new(time, entry(1), "the stream is full");
    let mut text = Vec::new();
    line.write(&mut text).unwrap();
    text.extend_from_slice(b"{\"half\": \n");
    text.extend_from_slice(br#"{"subject":"s","body":"a","body_base64":"YQ=="}"#);
    text.extend_from_slice(b"\n{\"subject\":\"s\",\"body_base64\":\"/w==\"}\n{\"sub");
    fs::write(&path, text).unwrap();

    let found: Vec<_> = read_file(&path).unwrap().map(Result::unwrap).collect();
    assert_eq!(found.len(), 5);
    assert_eq!(found[0], Found::Line(line));
    let malformed = |error: &BadLine| matches!(error, BadLine::Malformed(_));
    assert!(matches!(&found[1], Found::Damaged { number: 2, error } if malformed(error)));
    assert_eq!(found[2], Found::Damaged { number: 3, error: BadLine::Body });
    assert!(matches!(&found[3], Found::Line(line) if line.payload[..] == [0xff]));
    assert_eq!(found[4], Found::Torn { bytes: 5 });
}
