//! Checks that a body is JSON through and through, also where nobody reads it now: the service that
//! takes it later must not stumble over what was accepted here.

use std::fmt;

use http::StatusCode;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::error::Category;

use crate::answer::Refusal;

/// The body as text that is one JSON object, at most 128 deep, with every string decodable and every
/// number in range.
pub(crate) fn check(body: &[u8]) -> Result<&str, Refusal> {
    let bad = |reason, message: String| Refusal::new(StatusCode::BAD_REQUEST, reason, message);
    if body.is_empty() {
        return Err(bad("empty", "the body is empty".to_owned()));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        bad("not_utf8", format!("the body is not UTF-8 from byte {} on", error.valid_up_to()))
    })?;
    match serde_json::from_str(text) {
        Ok(Kind::Object) => Ok(text),
        Ok(Kind::Other) => Err(bad("not_an_object", "the body is not a JSON object".to_owned())),
        Err(error) => Err(refusal(&error)),
    }
}

/// Says where the body can't be read. The parser's own words could repeat the body's.
pub(crate) fn refusal(error: &serde_json::Error) -> Refusal {
    let what = match error.classify() {
        Category::Data => "holds a value that it must not",
        Category::Eof => "ends too early",
        Category::Syntax | Category::Io => "is not JSON, or nests too deeply",
    };
    let (line, column) = (error.line(), error.column());
    Refusal::new(
        StatusCode::BAD_REQUEST,
        "not_json",
        format!("the body {what}, at line {line} column {column}"),
    )
}

/// What the top value is; everything below it was visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Other,
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Everything)
    }
}

/// Visits everything. (`IgnoredAny` would skip: over bad escapes, depth and range.)
struct Everything;

impl<'de> Visitor<'de> for Everything {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        while items.next_element::<Kind>()?.is_some() {}
        Ok(Kind::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        while entries.next_entry::<Kind, Kind>()?.is_some() {}
        Ok(Kind::Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_visited_also_what_nobody_reads() {
        let deep = |n: usize| format!("{{\"x\":{}{}}}", "[".repeat(n), "]".repeat(n));
        let good = [r#"{"a":[1,-0,2.5e3,"\u00e9\ud83e\udd80",null,true,{"":{}}]}"#, &deep(126)];
        for body in good {
            assert!(check(body.as_bytes()).is_ok(), "{body}");
        }
        let (deeper, deepest) = (deep(128), deep(100_000));
        for (body, reason) in [
            ("", "empty"),
            ("null", "not_an_object"),
            ("[]", "not_an_object"),
            ("\"x\"", "not_an_object"),
            ("\u{feff}{}", "not_json"),
            ("{} {}", "not_json"),
            ("{\"a\":1", "not_json"),
            (r#"{"x":1e400}"#, "not_json"),
            (r#"{"x":"\ud800"}"#, "not_json"),
            (r#"{"\ud800":1}"#, "not_json"),
            ("{\"x\":\"a\nb\"}", "not_json"),
            (&deeper, "not_json"),
            (&deepest, "not_json"),
        ] {
            let refusal = check(body.as_bytes()).unwrap_err();
            assert_eq!(refusal.reason, reason, "{}", &body[..body.len().min(40)]);
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
        }
        assert_eq!(check(b"{\"a\":\"\xff\"}").unwrap_err().reason, "not_utf8");
    }

    #[test]
    fn a_refusal_says_where_and_repeats_nothing() {
        let refusal = check(b"{\n  \"a\": sEcReT}").unwrap_err();
        assert!(refusal.message.contains("line 2 column 8"), "{}", refusal.message);
        assert!(!refusal.message.contains("sEcReT"));
    }
}
