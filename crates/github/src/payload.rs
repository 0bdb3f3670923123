//! What Booty reads of a webhook body, and no more.
//!
//! The structs borrow from the body and take what GitHub leaves out: a deleted account is
//! `user: null`, a deleted label `label: null`, an event that Booty has never heard of is an
//! envelope with fewer fields. A field that is read here and occurs twice in one object makes the
//! body unreadable: two readers could otherwise understand two different things by it.
//! So does a body that is not UTF-8 or nests too deeply, wherever in it.

mod shape;
mod text;

use serde::{Deserialize, Deserializer, de::Error as _};

pub use shape::{ShapeMismatch, check_shape, shape_matches};
pub use text::Text;

/// The same limit that `serde_json` has for what it reads; what it skips it would let pass.
const DEEPEST_NESTING: usize = 127;

/// The top of any webhook body.
#[derive(Debug, Default, Deserialize)]
#[allow(missing_docs)]
pub struct Envelope<'a> {
    #[serde(borrow, default)]
    pub action: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub repository: Field<Repository<'a>>,
    #[serde(default)]
    pub installation: Field<Installation>,
    #[serde(borrow, default)]
    pub sender: Field<User<'a>>,
    #[serde(borrow, default)]
    pub issue: Field<Issue<'a>>,
    #[serde(borrow, default)]
    pub label: Field<Label<'a>>,
    #[serde(borrow, default)]
    pub pull_request: Field<PullRequest<'a>>,
    #[serde(borrow, default)]
    pub comment: Field<Comment<'a>>,
    #[serde(borrow, default)]
    pub review: Field<Review<'a>>,
    #[serde(borrow, default)]
    pub check_run: Field<Check<'a>>,
    #[serde(borrow, default)]
    pub check_suite: Field<Check<'a>>,
    /// `refs/heads/…` of a push; the bare name of a created or deleted branch or tag.
    #[serde(borrow, default, rename = "ref")]
    pub git_ref: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub ref_type: Field<Text<'a>>,
    /// The head that a push made.
    #[serde(borrow, default)]
    pub after: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub zen: Field<Text<'a>>,
    #[serde(default)]
    pub hook_id: Field<u64>,
}

/// A field of the body: `null` is not the same as left out when the body's shape is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// Not in the body.
    #[default]
    Absent,
    /// In the body, as `null`.
    Null,
    /// In the body, with a value.
    Value(T),
}

impl<T> Field<T> {
    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Whether the body names the field at all.
    pub fn is_named(&self) -> bool {
        !matches!(self, Self::Absent)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Value))
    }
}

/// A repository.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Repository<'a> {
    #[serde(default)]
    pub id: Option<u64>,
    #[serde(borrow, default)]
    pub full_name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub default_branch: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub clone_url: Option<Text<'a>>,
    #[serde(default)]
    pub private: Option<bool>,
}

/// The GitHub App installation that a delivery belongs to.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Installation {
    pub id: u64,
}

/// An account.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct User<'a> {
    #[serde(default)]
    pub id: Option<u64>,
    #[serde(borrow, default)]
    pub login: Option<Text<'a>>,
    /// `User`, `Bot`, `Organization`.
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
}

/// A label; of a deleted one there may be only a name.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Label<'a> {
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
}

/// An issue; also the conversation half of a pull request, then with `pull_request`.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Issue<'a> {
    pub number: u64,
    #[serde(borrow, default)]
    pub title: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub body: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub state: Option<Text<'a>>,
    /// RFC 3339.
    #[serde(borrow, default)]
    pub updated_at: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub user: Option<User<'a>>,
    #[serde(borrow, default)]
    pub labels: Option<Vec<Option<Label<'a>>>>,
    #[serde(default)]
    pub pull_request: Field<serde::de::IgnoredAny>,
}

impl Issue<'_> {
    /// Whether this is a pull request seen as an issue.
    pub fn is_pull_request(&self) -> bool {
        self.pull_request.value().is_some()
    }

    /// The names of its labels.
    pub fn label_names(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().flatten().flatten().filter_map(|label| label.name.as_deref())
    }
}

/// A pull request.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct PullRequest<'a> {
    pub number: u64,
    #[serde(borrow, default)]
    pub title: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub body: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub state: Option<Text<'a>>,
    #[serde(default)]
    pub draft: Option<bool>,
    #[serde(default)]
    pub merged: Option<bool>,
    #[serde(borrow, default)]
    pub updated_at: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub user: Option<User<'a>>,
    #[serde(borrow, default)]
    pub head: Option<Tip<'a>>,
    #[serde(borrow, default)]
    pub base: Option<Tip<'a>>,
}

/// One side of a pull request.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Tip<'a> {
    #[serde(borrow, default, rename = "ref")]
    pub branch: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub sha: Option<Text<'a>>,
    /// `None` for a deleted fork.
    #[serde(borrow, default)]
    pub repo: Option<Repository<'a>>,
}

/// A comment.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Comment<'a> {
    #[serde(default)]
    pub id: Option<u64>,
    #[serde(borrow, default)]
    pub body: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub user: Option<User<'a>>,
    /// RFC 3339.
    #[serde(borrow, default)]
    pub created_at: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub updated_at: Option<Text<'a>>,
}

/// A review of a pull request.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Review<'a> {
    #[serde(default)]
    pub id: Option<u64>,
    /// In small letters, other than in the API's answers.
    #[serde(borrow, default)]
    pub state: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub body: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub user: Option<User<'a>>,
    /// RFC 3339.
    #[serde(borrow, default)]
    pub submitted_at: Option<Text<'a>>,
}

/// A check run or check suite.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Check<'a> {
    #[serde(default)]
    pub id: Option<u64>,
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub head_sha: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub status: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub conclusion: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub external_id: Option<Text<'a>>,
}

impl<'a> Envelope<'a> {
    /// Reads a body. A leading byte order mark is refused, like anything else that is not JSON.
    pub fn parse(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        let text = std::str::from_utf8(body).map_err(serde_json::Error::custom)?;
        if deepest_nesting(body) > DEEPEST_NESTING {
            return Err(serde_json::Error::custom("nested more than 127 levels deep"));
        }
        serde_json::from_str(text)
    }

    /// `owner/name`, if the body names a repository.
    pub fn repository_name(&self) -> Option<&str> {
        self.repository.value()?.full_name.as_deref()
    }

    /// The account that caused the event.
    pub fn sender_login(&self) -> Option<&str> {
        self.sender.value()?.login.as_deref()
    }
}

/// How many objects and arrays are open at once at most.
fn deepest_nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => _ = bytes.next(),
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn parse(body: &str) -> Result<Envelope<'_>, serde_json::Error> {
        Envelope::parse(body.as_bytes())
    }

    #[test]
    fn plain_text_is_borrowed_and_escaped_text_is_owned() {
        let body = r#"{"action":"labeled","zen":"a\nb"}"#;
        let envelope = parse(body).unwrap();
        assert!(envelope.action.as_ref().unwrap().is_borrowed());
        assert_eq!(envelope.zen.value().unwrap(), "a\nb");
        assert!(!envelope.zen.value().unwrap().is_borrowed());
    }

    #[test]
    fn ghosts_and_deleted_things_are_read() {
        let envelope = parse(
            r#"{"action":"labeled","label":null,"sender":null,
                "issue":{"number":7,"user":null,"labels":[null,{"name":"a"},{}],"body":null}}"#,
        )
        .unwrap();
        let issue = envelope.issue.value().unwrap();
        assert_eq!(issue.number, 7);
        assert_eq!(issue.label_names().collect::<Vec<_>>(), ["a"]);
        assert!(!issue.is_pull_request());
        assert_eq!(envelope.label.value().map(|_| ()), None);
        assert!(envelope.label.is_named());
    }

    #[test]
    fn what_people_say_may_be_without_author_or_words() {
        let body = r#"{"action":"submitted","pull_request":{"number":7,"user":null,"body":null},
            "review":{"id":1,"state":"changes_requested","body":null,"user":null},
            "comment":{"id":2,"body":null,"user":null,"created_at":null}}"#;
        let envelope = parse(body).unwrap();
        let review = envelope.review.value().unwrap();
        assert!(review.body.is_none() && review.user.is_none() && review.submitted_at.is_none());
        assert_eq!(review.state.as_deref(), Some("changes_requested"));
        let comment = envelope.comment.value().unwrap();
        assert!(comment.body.is_none() && comment.user.is_none() && comment.created_at.is_none());
    }

    #[test]
    fn a_field_that_is_read_must_not_occur_twice() {
        let error = parse(r#"{"action":"opened","action":"labeled"}"#).unwrap_err();
        assert!(error.to_string().contains("duplicate field `action`"), "{error}");
        assert!(parse(r#"{"issue":{"number":1,"number":2}}"#).is_err());
        assert!(parse(r#"{"unread":1,"unread":2}"#).is_ok(), "nobody looks at it");
    }

    #[rstest]
    #[case::null("null")]
    #[case::text("\"x\"")]
    #[case::list("[1]")]
    #[case::bom("\u{feff}{}")]
    #[case::lone_surrogate(r#"{"action":"\ud800"}"#)]
    #[case::number_too_big(r#"{"issue":{"number":18446744073709551616}}"#)]
    #[case::negative_zero_float(r#"{"issue":{"number":-0.0}}"#)]
    #[case::infinite(r#"{"issue":{"number":1e400}}"#)]
    #[case::trailing("{} {}")]
    fn what_is_no_envelope_is_an_error(#[case] body: &str) {
        assert!(parse(body).is_err());
    }

    #[test]
    fn depth_is_bounded_also_in_fields_that_nobody_reads() {
        for depth in [129, 100_000] {
            let body = format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
            assert!(parse(&body).is_err(), "{depth}");
        }
        let body = format!("{{\"x\":{}{}}}", "[".repeat(126), "]".repeat(126));
        assert!(parse(&body).is_ok());
        let text = format!(r#"{{"x":"\"{}","y":[]}}"#, "[".repeat(1000));
        assert!(parse(&text).is_ok(), "brackets in strings are text");
    }

    #[test]
    fn not_utf8_is_an_error() {
        assert!(Envelope::parse(b"{\"action\":\"\xff\"}").is_err());
        assert!(Envelope::parse(b"{\"unread\":\"\xff\"}").is_err());
    }
}
