//! Secrets that a text brings with it: what a change must not add.
//!
//! The redactor would rather take too much; who refuses a change must not. So only what has a sign of its
//! own counts here, and a named value only when it is quoted and was clearly made by a machine.

use std::collections::BTreeSet;

use super::{COMPILED, NAMED_COMPILED};
use crate::unicode::{is_hidden, shown};

/// The kinds whose form alone says what they are. The others are guessed from the words around them.
const SIGNED: [&str; 9] = [
    "private key",
    "github token",
    "jwt",
    "aws key",
    "provider key",
    "slack token",
    "webhook",
    "nats seed",
    "secret",
];
/// A shorter one is as likely a name with a number.
const MIN_NAMED_CHARS: usize = 16;
/// Words have one or two digits, keys have many.
const MIN_NAMED_DIGITS: usize = 4;

/// A secret that was found. It does not hold the secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundSecret {
    /// The line that it begins in, from 1.
    pub line: usize,
    /// What it is.
    pub kind: &'static str,
}

/// The secrets of a text that are in none of the texts before it. Characters that show nothing hide none.
pub fn new_secrets(text: &str, before: &[&str]) -> Vec<FoundSecret> {
    let before: Vec<String> = before.iter().map(|text| bare(text)).collect();
    let mut found = BTreeSet::new();
    // A control sequence may be within a secret, or be what an escape character in front of one looks like.
    for text in [bare(text), shown(text)] {
        for (at, kind, secret) in secrets(&text) {
            if !before.iter().any(|before| before.contains(secret)) {
                let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
                found.insert(FoundSecret { line, kind });
            }
        }
    }
    found.into_iter().collect()
}

fn bare(text: &str) -> String {
    text.chars().filter(|c| !is_hidden(*c)).collect()
}

fn secrets(text: &str) -> Vec<(usize, &'static str, &str)> {
    let signed = COMPILED.iter().filter(|kind| SIGNED.contains(&kind.name));
    let mut found: Vec<_> = signed
        .filter_map(|kind| Some((kind.name, kind.pattern.as_ref()?)))
        .flat_map(|(name, pattern)| {
            pattern.find_iter(text).map(move |found| (found.start(), name, found.as_str()))
        })
        .collect();
    if let Some(pattern) = NAMED_COMPILED.as_ref() {
        for captures in pattern.captures_iter(text) {
            let Some(value) = captures.name("value") else { continue };
            let is_quoted = |at: Option<char>| matches!(at, Some('"' | '\''));
            let before = text.get(..value.start()).and_then(|text| text.chars().next_back());
            let after = text.get(value.end()..).and_then(|text| text.chars().next());
            if is_quoted(before) && is_quoted(after) && is_made(value.as_str()) {
                found.push((value.start(), "secret", value.as_str()));
            }
        }
    }
    found
}

fn is_made(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    value.len() >= MIN_NAMED_CHARS && digits >= MIN_NAMED_DIGITS && letters >= MIN_NAMED_DIGITS
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn kinds(text: &str) -> Vec<&'static str> {
        new_secrets(text, &[]).into_iter().map(|found| found.kind).collect()
    }

    // The samples are put together here, so that no scanner takes this file for a leak.
    #[rstest]
    #[case(format!("T = 'ghp_{}'", "a1B2".repeat(9)), "github token")]
    #[case(format!("T = 'ghp_\u{200b}{}'", "a1B2".repeat(9)), "github token")]
    #[case(format!("T = 'ghp_a1\u{1b}[0mB2{}'", "a1B2".repeat(9)), "github token")]
    #[case(format!("AKIA{}", "ABCDEFGH12345678"), "aws key")]
    #[case(format!("-----BEGIN {}-----\nMIIE", "PRIVATE KEY"), "private key")]
    #[case(format!("SU{}", "A2B3C4D5".repeat(7)), "nats seed")]
    #[case(format!("k = \"sk-ant-{}\"", "api03-abcDEF".repeat(3)), "provider key")]
    #[case("api_key = 'a1b2c3d4e5f6a7b8'".into(), "secret")]
    fn secrets_are_found(#[case] text: String, #[case] kind: &str) {
        assert_eq!(kinds(&text), [kind]);
    }

    #[rstest]
    #[case("token = parser.next_token(buffer2, 1234)")]
    #[case("password = request.form['password']")]
    #[case("postgres://me:hunter2@db/x")]
    #[case("token = response2024.json_data_v2")]
    #[case("secret = 'correct-horse-battery'")]
    #[case("sha = '0123456789abcdef0123456789abcdef01234567'")]
    fn ordinary_code_has_none(#[case] text: &str) {
        assert_eq!(kinds(text), Vec::<&str>::new());
    }

    #[test]
    fn what_was_there_before_is_not_new() {
        let token = format!("ghp_{}", "a1B2".repeat(9));
        let old = format!("x = '{token}'\n");
        let moved = format!("\n\ny = '{token}'\nz = 'ghp_{}'\n", "c3D4".repeat(9));
        let found = new_secrets(&moved, &["", &old]);
        assert_eq!(found, [FoundSecret { line: 4, kind: "github token" }]);
    }
}
