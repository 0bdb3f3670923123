//! How the writes of a fingerprint are named.

use std::fmt;

use booty_events::{EffectId, Fingerprint};

/// What the causes of our effects begin with; the fingerprint follows.
const CAUSE: &str = "alert-";

/// Which of a fingerprint's writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The issue of a generation.
    Issue(u32),
    /// A version of its counter.
    Counter(u64),
}

impl Slot {
    /// The write's id.
    pub fn effect_id(self, fingerprint: &Fingerprint) -> EffectId {
        EffectId::new(&cause(fingerprint), &self.to_string())
    }

    /// Reads a slot's text.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, number) = text.split_once('#')?;
        match kind {
            "issue" => number.parse().ok().map(Self::Issue),
            "counter" => number.parse().ok().map(Self::Counter),
            _ => None,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issue(generation) => write!(f, "issue#{generation}"),
            Self::Counter(version) => write!(f, "counter#{version}"),
        }
    }
}

/// The cause of a fingerprint's writes.
pub fn cause(fingerprint: &Fingerprint) -> String {
    format!("{CAUSE}{fingerprint}")
}

/// The fingerprint in a cause; `None` for the causes of others.
pub fn of_cause(cause: &str) -> Option<Fingerprint> {
    cause.strip_prefix(CAUSE)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_of_ours_is_told_from_an_alerts_job() {
        let fingerprint = Fingerprint::of("issue", &["1"]);
        assert_eq!(of_cause(&cause(&fingerprint)), Some(fingerprint.clone()));
        let job = format!("alert-{}-0123456789abcdef", fingerprint.short());
        for other in [job.as_str(), "7-72d3162e", "alert-", ""] {
            assert_eq!(of_cause(other), None, "{other}");
        }
        for slot in [Slot::Issue(2), Slot::Counter(17)] {
            assert_eq!(Slot::parse(&slot.to_string()), Some(slot));
        }
        assert_eq!(Slot::parse("state#1"), None);
    }
}
