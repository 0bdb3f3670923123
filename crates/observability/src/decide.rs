//! What is done about one alert: a pure function of what is known of its fingerprint.

use std::fmt;

use booty_alert::Severity;
use booty_events::v1::{AlertPhase, AlertState};
use chrono::{DateTime, TimeDelta, Utc};

use crate::state;

/// What the operator set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// `OBSV_MIN_SEVERITY`: what is less severe makes no issue.
    pub min_severity: Severity,
    /// `OBSV_COOLDOWN_HOURS`: how long after an issue was made or opened again none is.
    pub cooldown: TimeDelta,
    /// `MAX_EVENT_AGE`: what came in longer ago makes no issue.
    pub max_event_age: TimeDelta,
}

/// One alert, as far as the decision needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The delivery that brought it.
    pub delivery: String,
    /// Sentry's id of the event.
    pub event: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// When the broker stored it. Its age counts from here: the event's own time is the clock of the
    /// machine that failed, which may be years off.
    pub received: DateTime<Utc>,
    /// Whether an operator asks for it again: then no event is too old.
    pub is_replay: bool,
}

/// What is done about an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// An issue is asked for.
    Create,
    /// The issue was closed: it is opened again.
    Reopen,
    /// There is an issue, or one is on its way.
    CountOnly,
    /// Nothing.
    Suppress(Reason),
}

/// Why nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is less severe than what makes issues.
    Severity,
    /// It came in too long ago.
    TooOld,
    /// The event was counted: another rule fired for it as well.
    SameEvent,
    /// The issue was made or opened again not long ago; the event is counted all the same.
    Cooldown,
}

impl Decision {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Create,
        Self::Reopen,
        Self::CountOnly,
        Self::Suppress(Reason::Severity),
        Self::Suppress(Reason::TooOld),
        Self::Suppress(Reason::SameEvent),
        Self::Suppress(Reason::Cooldown),
    ];

    /// The word in facts, logs and states.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Reopen => "reopen",
            Self::CountOnly => "count_only",
            Self::Suppress(reason) => reason.as_str(),
        }
    }

    /// The decision of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == word)
    }

    /// Whether the event counts, and so changes what is known of the fingerprint.
    pub const fn is_counted(self) -> bool {
        match self {
            Self::Create | Self::Reopen | Self::CountOnly | Self::Suppress(Reason::Cooldown) => {
                true
            }
            Self::Suppress(Reason::Severity | Reason::TooOld | Reason::SameEvent) => false,
        }
    }

    /// Whether a write is asked for.
    pub const fn asks(self) -> bool {
        matches!(self, Self::Create | Self::Reopen)
    }
}

impl Reason {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Severity => "severity",
            Self::TooOld => "too_old",
            Self::SameEvent => "same_event",
            Self::Cooldown => "cooldown",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Decides about an alert. A delivery that was decided before is not asked about again: see
/// [`state::known`].
pub fn decide(
    seen: &Seen,
    rules: &Rules,
    state: Option<&AlertState>,
    now: DateTime<Utc>,
) -> Decision {
    if seen.severity < rules.min_severity {
        return Decision::Suppress(Reason::Severity);
    }
    if !seen.is_replay && now - seen.received > rules.max_event_age {
        return Decision::Suppress(Reason::TooOld);
    }
    let Some(state) = state else { return Decision::Create };
    if let Some(event) = &seen.event
        && state.seen.iter().any(|counted| counted.event == *event)
    {
        return Decision::Suppress(Reason::SameEvent);
    }
    match state.phase() {
        AlertPhase::Pending | AlertPhase::Failed => Decision::CountOnly,
        AlertPhase::Open if !may_reopen(state, seen.received) => Decision::CountOnly,
        AlertPhase::Open | AlertPhase::Unspecified if is_cool(state, rules, now) => {
            Decision::Suppress(Reason::Cooldown)
        }
        AlertPhase::Open => Decision::Reopen,
        AlertPhase::Unspecified => Decision::Create,
    }
}

/// Whether the issue was closed before an event came, and nobody opens it again yet.
pub(crate) fn may_reopen(state: &AlertState, received: DateTime<Utc>) -> bool {
    let closed_at = state::time(state.closed_at.as_ref());
    state.phase() == AlertPhase::Open
        && state.closed
        && !state.reopening
        && closed_at.is_none_or(|closed_at| received >= closed_at)
}

/// Whether an issue was asked for, or asked to be opened again, not long ago.
pub(crate) fn is_cool(state: &AlertState, rules: &Rules, now: DateTime<Utc>) -> bool {
    state::time(state.acted_at.as_ref()).is_some_and(|acted| now - acted < rules.cooldown)
}
