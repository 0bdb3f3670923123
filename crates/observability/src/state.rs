//! The steps of a fingerprint's state. Each is pure; the caller writes the outcome by compare-and-set.

use booty_events::{
    Fingerprint, RepoName, Timestamp,
    v1::{AlertPhase, AlertSeen, AlertState},
};
use chrono::{DateTime, Utc};

use crate::{
    decide::{Decision, Seen},
    slot::Slot,
};

/// How many deliveries a state remembers: the newest.
pub const REMEMBERED: usize = 256;

/// How GitHub says that the issue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Open.
    Open,
    /// Closed, since when.
    Closed(Option<DateTime<Utc>>),
    /// Deleted, or moved elsewhere.
    Gone,
}

/// What a decision needs besides the alert, when it asks for an issue.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Where the issue is to be.
    pub repository: &'a RepoName,
    /// Its title.
    pub title: &'a str,
    /// The trace of the alert.
    pub traceparent: &'a str,
}

/// A timestamp's time; `None` as well for one that no calendar has.
pub fn time(at: Option<&Timestamp>) -> Option<DateTime<Utc>> {
    let at = at?;
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

/// What was decided of a delivery before, as far as it is remembered.
pub fn known(state: &AlertState, delivery: &str) -> Option<Decision> {
    let seen = state.seen.iter().find(|seen| seen.delivery == delivery)?;
    Decision::from_word(&seen.decision)
}

/// The newest delivery that asked for an issue, or for opening it again.
pub fn asker(state: &AlertState, asked: Decision) -> Option<&str> {
    let asked = state.seen.iter().rev().find(|seen| seen.decision == asked.as_str())?;
    Some(&asked.delivery)
}

/// Takes in a counted alert with its decision. `None` is a fingerprint that is new.
pub fn taken(
    state: Option<AlertState>,
    fingerprint: &Fingerprint,
    seen: &Seen,
    decision: Decision,
    wanted: &Wanted<'_>,
    now: DateTime<Utc>,
) -> AlertState {
    let mut state = state.unwrap_or_else(|| AlertState {
        fingerprint: fingerprint.to_string(),
        ..AlertState::default()
    });
    state.count += 1;
    let received = seen.received;
    state.first_seen =
        Some(time(state.first_seen.as_ref()).map_or(received, |first| first.min(received)).into());
    state.last_seen =
        Some(time(state.last_seen.as_ref()).map_or(received, |last| last.max(received)).into());
    state.seen.push(AlertSeen {
        delivery: seen.delivery.clone(),
        event: seen.event.clone().unwrap_or_default(),
        decision: decision.as_str().to_owned(),
    });
    match decision {
        Decision::Create => {
            state = AlertState {
                phase: AlertPhase::Pending.into(),
                generation: state.generation + 1,
                repository: wanted.repository.to_string(),
                title: wanted.title.to_owned(),
                traceparent: wanted.traceparent.to_owned(),
                told: state.count,
                told_at: Some(now.into()),
                acted_at: Some(now.into()),
                ..without_issue(state)
            };
            let effect = Slot::Issue(state.generation).effect_id(fingerprint);
            state.effect_id = effect.to_string();
        }
        Decision::Reopen => asked_to_reopen(&mut state, fingerprint, now),
        Decision::CountOnly | Decision::Suppress(_) => {}
    }
    state.updated = Some(now.into());
    state
}

/// The next version of the counter is asked for; it opens the issue again.
pub fn asked_to_reopen(state: &mut AlertState, fingerprint: &Fingerprint, now: DateTime<Utc>) {
    asked_to_tell(state, fingerprint, now);
    state.reopening = true;
    state.acted_at = Some(now.into());
}

/// The next version of the counter is asked for.
pub fn asked_to_tell(state: &mut AlertState, fingerprint: &Fingerprint, now: DateTime<Utc>) {
    state.version += 1;
    state.effect_id = Slot::Counter(state.version).effect_id(fingerprint).to_string();
    state.told = state.count;
    state.told_at = Some(now.into());
    state.updated = Some(now.into());
}

/// Takes in what GitHub said of the issue.
pub fn looked(state: &mut AlertState, look: Look, now: DateTime<Utc>) {
    match look {
        Look::Gone => forget(state),
        Look::Open => {
            state.closed = false;
            state.closed_at = None;
            state.looked_at = Some(now.into());
        }
        Look::Closed(at) => {
            state.closed = true;
            state.closed_at = at.map(Into::into);
            state.looked_at = Some(now.into());
        }
    }
    state.updated = Some(now.into());
}

/// The issue is gone: the next alert makes another at once.
pub fn forget(state: &mut AlertState) {
    *state = AlertState { acted_at: None, ..without_issue(std::mem::take(state)) };
}

/// No issue is there or asked for. Generation and version stay: they only grow, because a write's name
/// is for good.
pub(crate) fn without_issue(state: AlertState) -> AlertState {
    AlertState {
        phase: AlertPhase::Unspecified.into(),
        issue: 0,
        url: String::new(),
        effect_id: String::new(),
        reopening: false,
        spooled: String::new(),
        closed: false,
        closed_at: None,
        looked_at: None,
        ..state
    }
}

/// The place of the oldest delivery that is one too many. Never that of one that asked for an issue:
/// forge's report is about it.
pub fn surplus(state: &AlertState) -> Option<usize> {
    if state.seen.len() <= REMEMBERED {
        return None;
    }
    let kept = [Decision::Create, Decision::Reopen].map(|asked| asker(state, asked));
    state.seen.iter().position(|seen| !kept.contains(&Some(seen.delivery.as_str())))
}
