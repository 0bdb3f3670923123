//! JSON that is read where it is needed, and nowhere else.
//!
//! A body is checked once to be JSON and then only looked into: no tree is built of it, so that its
//! size, its depth and its numbers do not matter, and what has another type than expected is simply
//! not there. Each look is linear in what it looks at, and looks are at most as deep as the path to
//! a field.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// The most bytes that are kept of one text. Nothing that is shown is near as long.
const MAX_TEXT_BYTES: usize = 16 * 1024;
/// No number that means anything is written with more characters.
const MAX_NUMBER_CHARS: usize = 64;

/// One value of well-formed JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    pub(crate) const NULL: Self = Self("null");

    /// A whole document; the error is serde_json's, which quotes nothing.
    pub(crate) fn document(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<&RawValue>(text).map(|value| Self(value.get()))
    }

    pub(crate) fn is_null(self) -> bool {
        self.0 == "null"
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    pub(crate) fn is_list(self) -> bool {
        self.0.starts_with('[')
    }

    /// The fields of an object, `null` where there is none. Of two with the same name the last
    /// counts, as for most readers of JSON.
    pub(crate) fn fields<const N: usize>(self, names: [&str; N]) -> [Self; N] {
        if !self.is_object() {
            return [Self::NULL; N];
        }
        let mut reader = serde_json::Deserializer::from_str(self.0);
        reader.deserialize_map(Fields(names)).unwrap_or([Self::NULL; N])
    }

    /// One field.
    pub(crate) fn field(self, name: &str) -> Self {
        let [value] = self.fields([name]);
        value
    }

    /// Visits the items of a list in their order.
    pub(crate) fn each(self, visit: impl FnMut(Self)) {
        if self.is_list() {
            let mut reader = serde_json::Deserializer::from_str(self.0);
            // Well-formed, so there is no error; what was visited before one was visited.
            let _ = reader.deserialize_seq(Items(visit));
        }
    }

    /// The whole text of a string that says something, or the digits of a number.
    pub(crate) fn whole_text(self) -> Option<Cow<'a, str>> {
        let text = if self.0.starts_with('"') {
            Cow::Owned(serde_json::from_str::<String>(self.0).ok()?)
        } else if self.0.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
            Cow::Borrowed(self.0)
        } else {
            return None;
        };
        (!text.trim().is_empty()).then_some(text)
    }

    /// The same, cut.
    pub(crate) fn text(self) -> Option<String> {
        self.whole_text().map(|text| cut(&text).to_owned()).filter(|text| !text.trim().is_empty())
    }

    /// A word or number that is short when it means anything, trimmed.
    pub(crate) fn word(self) -> Option<String> {
        let text = self.whole_text()?;
        let text = text.trim();
        (text.len() <= MAX_NUMBER_CHARS).then(|| text.to_owned())
    }

    /// A whole number from 1, also as text or with a fraction of nothing.
    pub(crate) fn count(self) -> Option<u32> {
        let word = self.word()?;
        let whole = match word.split_once('.') {
            Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole,
            _ => &word,
        };
        whole.parse().ok().filter(|n| *n > 0)
    }

    pub(crate) fn is_true(self) -> bool {
        matches!(self.0, "true" | "1" | "\"true\"" | "\"True\"" | "\"1\"")
    }
}

/// The head of a text that is too long. It ends before the last word, so that no half of a secret
/// is left, which nobody would know for one.
fn cut(text: &str) -> &str {
    if text.len() <= MAX_TEXT_BYTES {
        return text;
    }
    let head = &text[..text.floor_char_boundary(MAX_TEXT_BYTES)];
    let half = text.floor_char_boundary(MAX_TEXT_BYTES / 2);
    let word = head.rfind(char::is_whitespace).unwrap_or(half).max(half);
    let mut kept = &head[..word];
    // A card's number has up to 19 digits, and spaces between them.
    for _ in 0..40 {
        kept = kept
            .strip_suffix(|c: char| c.is_ascii_digit() || c.is_whitespace() || c == '-')
            .unwrap_or(kept);
    }
    kept
}

/// Bytes as text that serde_json can read all of: what is no UTF-8 and halves of surrogate pairs
/// become U+FFFD. JavaScript cuts strings in the middle of such pairs.
pub(crate) fn readable(body: &[u8]) -> Cow<'_, str> {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    if text.contains("\\ud") || text.contains("\\uD") { Cow::Owned(mended(&text)) } else { text }
}

fn mended(text: &str) -> String {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = 0;
    let mut kept_to = 0;
    while let Some(found) = text[rest..].find('\\') {
        let at = rest + found;
        let length = match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                out.push_str(&text[kept_to..at]);
                out.push_str("\\ufffd");
                kept_to = at + 6;
                6
            }
            (Some(_), _) => 6,
            // What follows belongs to the backslash; it may be of several bytes in what is no JSON.
            (None, _) => 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
        rest = at + length;
    }
    out.push_str(&text[kept_to..]);
    out
}

struct Fields<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Fields<'_, N> {
    type Value = [Raw<'de>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [Raw::NULL; N];
        while let Some(place) = map.next_key_seed(Name(&self.0))? {
            match place.and_then(|place| found.get_mut(place)) {
                Some(place) => *place = Raw(map.next_value::<&RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// A name's place among those that are looked for.
struct Name<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|wanted| *wanted == name))
    }
}

struct Items<F>(F);

impl<'de, F: FnMut(Raw<'de>)> Visitor<'de> for Items<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element::<&RawValue>()? {
            (self.0)(Raw(item.get()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_last_of_two_fields_counts() {
        let raw = Raw::document(r#"{"a":1,"\u0061":"x","b":{"a":2}}"#).unwrap();
        assert_eq!(raw.field("a").text().unwrap(), "x");
    }

    #[rstest]
    #[case("12", Some(12))]
    #[case("\" 12 \"", Some(12))]
    #[case("12.0", Some(12))]
    #[case("10", Some(10))]
    #[case("12.5", None)]
    #[case("0", None)]
    #[case("-1", None)]
    #[case("1e999", None)]
    #[case("99999999999999999999999", None)]
    #[case("true", None)]
    fn a_line(#[case] json: &str, #[case] expected: Option<u32>) {
        assert_eq!(Raw::document(json).unwrap().count(), expected);
    }

    #[rstest]
    #[case(r#""a\ud83dz""#, "a\u{fffd}z")]
    #[case(r#""a\ud83d\ude00z""#, "a😀z")]
    #[case(r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}")]
    #[case(r#""\\ud83d""#, "\\ud83d")]
    #[case(r#""\\\ud83d""#, "\\\u{fffd}")]
    #[case(r#""\uD83D\uD83D\uDE00""#, "\u{fffd}😀")]
    fn halves_of_pairs_are_mended(#[case] json: &str, #[case] expected: &str) {
        let text = readable(json.as_bytes());
        assert_eq!(Raw::document(&text).unwrap().text().unwrap(), expected);
    }

    #[test]
    fn a_cut_text_ends_before_a_word() {
        for tail in [" password=hunter2", " 4111 1111 1111 1111", " 4111-1111-1111-1111"] {
            let text = format!("{}{tail}", "x".repeat(MAX_TEXT_BYTES - 15));
            assert!(cut(&text).ends_with('x'), "{tail}");
        }
        assert!(cut(&"1".repeat(1_000_000)).len() > 1_000);
        assert!(cut(&"é".repeat(1_000_000)).len() <= MAX_TEXT_BYTES);
    }

    proptest! {
        #[test]
        fn mending_changes_no_json_that_serde_json_reads(text in "(\\\\u[dD][89abcdef]3d|\\\\\\\\|\\\\n|u|d|é|\\\\u0041){0,12}") {
            let json = format!("\"{text}\"");
            let mended = readable(json.as_bytes());
            if let Ok(expected) = serde_json::from_str::<Value>(&json) {
                prop_assert_eq!(serde_json::from_str::<Value>(&mended).unwrap(), expected);
            } else {
                prop_assert!(serde_json::from_str::<Value>(&mended).is_ok(), "{}", mended);
            }
        }

        #[test]
        fn no_bytes_are_too_broken_to_look_at(body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Raw::document(&readable(&body)).map(|raw| raw.field("a").text());
        }
    }
}
