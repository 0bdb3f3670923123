//! Trouble on demand.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::TimeDelta;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// One kind of trouble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trouble {
    /// Do it, then close the connection without a byte of answer.
    DropAfterCommit,
    /// Close the connection without doing it.
    DropBeforeCommit,
    /// Answer with this status without doing it.
    Fail {
        /// 500, 502, 503, …
        status: u16,
    },
    /// Do it, then answer with this status.
    FailAfterCommit {
        /// 500, 502, 503, …
        status: u16,
    },
    /// The primary limit: 403 with `x-ratelimit-remaining: 0` and a reset.
    PrimaryLimit {
        /// Until the reset.
        seconds: u64,
    },
    /// The secondary limit: 403 or 429 with `retry-after`.
    SecondaryLimit {
        /// 403 or 429.
        status: u16,
        /// The `retry-after`.
        seconds: u64,
    },
    /// The secondary limit, with no word about when it ends: as GitHub answers now and then.
    UnnamedLimit {
        /// 403 or 429.
        status: u16,
    },
    /// Wait before doing it.
    Slow {
        /// How long.
        millis: u64,
    },
}

/// Which requests meet which trouble. Git's requests count too; `/_sim/` never.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// What happens.
    pub trouble: Trouble,
    /// Methods it happens to; empty for all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Path it happens to, `*` standing for anything; `None` for all.
    #[serde(default)]
    pub path: Option<String>,
    /// Of all requests that match, this part.
    #[serde(default = "always")]
    pub probability: f64,
    /// How often before the rule is spent; `None` for ever.
    #[serde(default)]
    pub times: Option<u64>,
}

fn always() -> f64 {
    1.0
}

impl Rule {
    /// Every request, for ever.
    pub fn new(trouble: Trouble) -> Self {
        Self { trouble, methods: Vec::new(), path: None, probability: 1.0, times: None }
    }

    /// Only requests that write.
    #[must_use]
    pub fn writes(mut self) -> Self {
        self.methods = ["POST", "PUT", "PATCH", "DELETE"].map(str::to_owned).to_vec();
        self
    }

    /// Only this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.methods.push(method.to_owned());
        self
    }

    /// Only paths like this one, `*` standing for anything.
    #[must_use]
    pub fn path(mut self, pattern: &str) -> Self {
        self.path = Some(pattern.to_owned());
        self
    }

    /// Only this part of the requests that match.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|found| found == method))
            && self.path.as_deref().is_none_or(|pattern| glob(pattern, path))
    }
}

/// All trouble in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    /// Every connection is closed without an answer.
    pub(crate) down: bool,
    /// What is made now is missing from lists for so long.
    pub(crate) list_delay: TimeDelta,
    /// Webhooks that get lost: how many more, and which part of all.
    pub(crate) lose_next: u64,
    pub(crate) lose_part: f64,
    hits: AtomicU64,
}

impl Faults {
    pub(crate) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// Ends all trouble.
    pub(crate) fn clear(&mut self) {
        *self = Self { hits: AtomicU64::new(self.hits()), ..Self::default() };
    }

    /// How often a rule has struck.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// The trouble that a request meets: the first rule that strikes.
    pub(crate) fn strike(
        &mut self,
        method: &str,
        path: &str,
        rng: &mut impl Rng,
    ) -> Option<Trouble> {
        for rule in &mut self.rules {
            if rule.times == Some(0) || !rule.matches(method, path) {
                continue;
            }
            if rule.probability < 1.0 && !rng.random_bool(rule.probability.max(0.0)) {
                continue;
            }
            rule.times = rule.times.map(|times| times - 1);
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Some(rule.trouble.clone());
        }
        None
    }

    pub(crate) fn loses_delivery(&mut self, rng: &mut impl Rng) -> bool {
        if self.lose_next > 0 {
            self.lose_next -= 1;
            return true;
        }
        self.lose_part > 0.0 && rng.random_bool(self.lose_part.min(1.0))
    }
}

/// `*` stands for any run of characters, slashes included.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(glob("/repos/*/issues", "/repos/a/b/issues"));
        assert!(glob("*", "/x"));
        assert!(glob("*/comments", "/repos/a/b/issues/1/comments"));
        assert!(!glob("/repos/*/issues", "/repos/a/b/issues/1"));
        assert!(!glob("/user", "/users"));
    }
}
