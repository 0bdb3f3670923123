//! A type for every id, so that none can be passed for another.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::token;

/// Why a text is not the id it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} {reason}")]
pub struct InvalidId {
    kind: &'static str,
    reason: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

text_id! {
    /// How the sender named one delivery: GitHub's `X-GitHub-Delivery`, which is the same on a
    /// redelivery. 1 to 100 of `A-Z a-z 0-9 _ -` (GitHub sends a UUID).
    DeliveryId
}

impl FromStr for DeliveryId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = |reason| InvalidId { kind: "delivery id", reason };
        if text.len() > 100 {
            return Err(invalid("is longer than 100 characters"));
        }
        if !token::is_plain(text) {
            return Err(invalid("must be one or more of A-Z a-z 0-9 _ -"));
        }
        Ok(Self(text.to_owned()))
    }
}

text_id! {
    /// One unit of a service's work, told to the sender in the answer to its delivery:
    /// `<issue>-<delivery>`, `pr<n>-<delivery>`, `alert-<fingerprint>-<id>`.
    JobId
}

impl JobId {
    /// The job that a delivery about an issue starts.
    pub fn for_issue(issue: IssueNumber, delivery: &DeliveryId) -> Self {
        Self(format!("{issue}-{delivery}"))
    }

    /// The job that a delivery about a pull request starts.
    pub fn for_pull_request(number: u64, delivery: &DeliveryId) -> Self {
        Self(format!("pr{number}-{delivery}"))
    }

    /// The pull request that a job of the form `pr<n>-<delivery>` is about; `None` for 0, which stands
    /// for one that is known by its head alone.
    pub fn pull_request(&self) -> Option<u64> {
        let (number, _) = self.0.strip_prefix("pr")?.split_once('-')?;
        number.parse().ok().filter(|number| *number > 0)
    }

    /// The job that an alert starts.
    pub fn for_alert(fingerprint: &Fingerprint, delivery: &DeliveryId) -> Self {
        Self(format!("alert-{}-{delivery}", fingerprint.short()))
    }

    /// Whether it is a job that an alert started.
    pub fn is_alert(&self) -> bool {
        self.0.starts_with("alert-")
    }

    /// The delivery that started a job of any of the three forms.
    pub fn delivery(&self) -> Option<DeliveryId> {
        if let Some(alert) = self.0.strip_prefix("alert-") {
            let (_fingerprint, delivery) = alert.split_once('-')?;
            return delivery.parse().ok();
        }
        let (number, delivery) = self.0.split_once('-')?;
        let digits = number.strip_prefix("pr").unwrap_or(number);
        digits.parse::<u64>().ok()?;
        delivery.parse().ok()
    }
}

impl FromStr for JobId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = |reason| InvalidId { kind: "job id", reason };
        if text.len() > 160 {
            return Err(invalid("is longer than 160 characters"));
        }
        if !token::is_plain(text) {
            return Err(invalid("must be one or more of A-Z a-z 0-9 _ -"));
        }
        Ok(Self(text.to_owned()))
    }
}

text_id! {
    /// What makes several alerts one problem: the first 32 hexadecimal digits of a hash.
    Fingerprint
}

impl Fingerprint {
    /// The fingerprint of what identifies a problem. `kind` keeps identities of different kinds apart.
    pub fn of(kind: &str, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in std::iter::once(&kind).chain(parts) {
            // The length keeps ("ab", "c") and ("a", "bc") apart.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hex::encode(&hash.finalize()[..16]))
    }

    /// The first 12 digits, as job ids have them.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            let reason = "must be 32 lower-case hexadecimal digits";
            Err(InvalidId { kind: "fingerprint", reason })
        }
    }
}

text_id! {
    /// One intended write to GitHub: the first 32 hexadecimal digits of a hash over its cause and
    /// slot, never over its text, so that asking again finds what was asked before.
    EffectId
}

impl EffectId {
    /// The id of the write that `cause` (a job or delivery) wants in `slot` (`open_pr`, `outcome`,
    /// `state#7`, …).
    pub fn new(cause: &str, slot: &str) -> Self {
        let mut hash = Sha256::new();
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hash.update((cause.len() as u64).to_be_bytes());
        hash.update(cause);
        hash.update(slot);
        Self(hex::encode(&hash.finalize()[..16]))
    }
}

impl FromStr for EffectId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId { kind: "effect id", reason: "must be 32 lower-case hexadecimal digits" })
        }
    }
}

text_id! {
    /// A Git commit: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
    CommitSha
}

impl FromStr for CommitSha {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex && matches!(text.len(), 40 | 64) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId {
                kind: "commit sha",
                reason: "must be 40 or 64 lower-case hexadecimal digits",
            })
        }
    }
}

text_id! {
    /// A W3C trace id: 32 lower-case hexadecimal digits, not all zero.
    TraceId
}

impl FromStr for TraceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == 32 && is_hex && text.bytes().any(|b| b != b'0') {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId {
                kind: "trace id",
                reason: "must be 32 lower-case hexadecimal digits, not all zero",
            })
        }
    }
}

/// An issue's number within its repository, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssueNumber(u64);

impl IssueNumber {
    /// `None` for 0, which no issue has.
    pub fn new(number: u64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// The bare number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for IssueNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A repository as `owner/name`. GitHub's names ignore case: two spellings are equal here, and
/// [`RepoName::token`] is the same for both.
#[derive(Debug, Clone)]
pub struct RepoName {
    full: String,
    slash: usize,
}

impl RepoName {
    /// The account that owns it.
    pub fn owner(&self) -> &str {
        &self.full[..self.slash]
    }

    /// Its name within the account.
    pub fn name(&self) -> &str {
        &self.full[self.slash + 1..]
    }

    /// `owner/name`, spelled as it was given.
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// The one token that stands for it in subjects and keys.
    pub fn token(&self) -> String {
        token::encode(&self.full.to_ascii_lowercase())
    }
}

impl PartialEq for RepoName {
    fn eq(&self, other: &Self) -> bool {
        self.full.eq_ignore_ascii_case(&other.full)
    }
}

impl Eq for RepoName {}

impl std::hash::Hash for RepoName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.full.to_ascii_lowercase().hash(state);
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl FromStr for RepoName {
    type Err = InvalidId;

    /// GitHub's own rules: owner of up to 39 letters, digits and hyphens (and `_`, which managed
    /// users have); name of up to 100 letters, digits, `.`, `_`, `-`, and neither `.` nor `..`.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = |reason| InvalidId { kind: "repository", reason };
        let (owner, name) = text.split_once('/').ok_or(invalid("must be owner/name"))?;
        let owner_ok = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if owner.is_empty() || owner.len() > 39 || !owner.bytes().all(owner_ok) {
            return Err(invalid("has an owner that GitHub would not accept"));
        }
        let name_ok = |b: u8| owner_ok(b) || b == b'.';
        if name.is_empty()
            || name.len() > 100
            || name == "."
            || name == ".."
            || !name.bytes().all(name_ok)
        {
            return Err(invalid("has a name that GitHub would not accept"));
        }
        Ok(Self { slash: owner.len(), full: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_ids_are_safe_tokens() {
        let long = "a".repeat(101);
        for bad in ["", "a b", "a\r\nb", "*", ">", "../x", "🦀", "a.b", long.as_str()] {
            assert!(bad.parse::<DeliveryId>().is_err(), "{bad:?}");
        }
        assert!("72d3162e-cc78-11e3-81ab-4c9367dc0958".parse::<DeliveryId>().is_ok());
    }

    #[test]
    fn a_job_names_its_delivery() {
        let delivery: DeliveryId = "72d3162e-cc78".parse().unwrap();
        let issue = JobId::for_issue(IssueNumber::new(7).unwrap(), &delivery);
        assert_eq!(issue.as_str(), "7-72d3162e-cc78");
        assert_eq!(issue.delivery(), Some(delivery.clone()));
        assert_eq!(JobId::for_pull_request(9, &delivery).delivery(), Some(delivery.clone()));
        let fingerprint = Fingerprint::of("issue", &["1117540176"]);
        let alert = JobId::for_alert(&fingerprint, &delivery);
        assert_eq!(alert.as_str(), format!("alert-{}-72d3162e-cc78", fingerprint.short()));
        assert_eq!(alert.delivery(), Some(delivery));
        assert_ne!(Fingerprint::of("a", &["bc"]), Fingerprint::of("ab", &["c"]));
    }

    #[test]
    fn effect_ids_depend_on_cause_and_slot_alone() {
        assert_eq!(EffectId::new("7-x", "open_pr"), EffectId::new("7-x", "open_pr"));
        assert_ne!(EffectId::new("7-x", "open_pr"), EffectId::new("7-x", "outcome"));
        assert_ne!(EffectId::new("ab", "c"), EffectId::new("a", "bc"));
    }

    #[test]
    fn repositories_ignore_case_and_never_leave_their_token() {
        let a: RepoName = "Octo/Hello.World".parse().unwrap();
        let b: RepoName = "octo/hello.world".parse().unwrap();
        assert_eq!(a, b);
        assert_eq!(a.token(), b.token());
        assert!(token::is_plain(&a.token()));
        for bad in ["octo", "octo/", "/x", "a/b/c", "o/..", "o/gh.>", "ö/x", "o/a b"] {
            assert!(bad.parse::<RepoName>().is_err(), "{bad:?}");
        }
    }
}
