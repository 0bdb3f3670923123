//! What forge's report on one of our writes makes of the fingerprint's state: pure.

use booty_events::{
    Fingerprint,
    v1::{AlertPhase, AlertState},
};
use chrono::{DateTime, Utc};

use crate::{
    slot::Slot,
    state::{forget, without_issue},
};

/// What forge says of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It is on GitHub, under this number and address.
    Applied {
        /// The issue; 0 where the report does not name one.
        number: u64,
        /// Its page.
        url: String,
    },
    /// It never will be, unless an operator replays the spool entry of this message.
    Failed {
        /// `<stream>-<sequence>`
        origin: String,
    },
    /// The issue that it was for is not there any more.
    Gone,
    /// It was not written for another reason: a dry run, or a newer version was faster.
    Unwritten,
}

/// The write that a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Which it is.
    pub slot: Slot,
    /// The issue that it was for; 0 for one that was to be made.
    pub issue: u64,
    /// Whether it opens its issue again.
    pub reopens: bool,
}

/// What a report means. All but [`Came::Stale`] have consequences that may be drawn again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// There is an issue.
    Created,
    /// It is open again.
    Reopened,
    /// The count was told.
    Told,
    /// The write is in the spool.
    Spooled,
    /// The issue is gone.
    Forgotten,
    /// Nothing was written.
    Unwritten,
    /// It is about something that was settled before, or by now.
    Stale,
}

/// Takes in a report. The same one again finds the same meaning and changes nothing.
pub fn reported(
    state: &mut AlertState,
    fingerprint: &Fingerprint,
    about: About,
    report: &Report,
    now: DateTime<Utc>,
) -> Came {
    let before = state.clone();
    let is_awaited = state.effect_id == about.slot.effect_id(fingerprint).as_str();
    let came = match about.slot {
        Slot::Issue(generation) if state.generation != generation => Came::Stale,
        Slot::Issue(_) => of_issue(state, is_awaited, report, now),
        Slot::Counter(_) => of_counter(state, is_awaited, about, report, now),
    };
    if *state != before {
        state.updated = Some(now.into());
    }
    came
}

fn of_issue(state: &mut AlertState, is_awaited: bool, report: &Report, now: DateTime<Utc>) -> Came {
    match (report, state.phase()) {
        (Report::Applied { number, url }, AlertPhase::Pending | AlertPhase::Failed)
            if is_awaited =>
        {
            state.set_phase(AlertPhase::Open);
            state.issue = *number;
            state.url.clone_from(url);
            settled(state);
            state.looked_at = Some(now.into());
            Came::Created
        }
        (Report::Applied { number, .. }, AlertPhase::Open) if state.issue == *number => {
            Came::Created
        }
        (Report::Failed { origin }, AlertPhase::Pending | AlertPhase::Failed) if is_awaited => {
            state.set_phase(AlertPhase::Failed);
            state.spooled.clone_from(origin);
            Came::Spooled
        }
        (Report::Gone | Report::Unwritten, AlertPhase::Pending | AlertPhase::Failed)
            if is_awaited =>
        {
            *state = without_issue(std::mem::take(state));
            Came::Unwritten
        }
        _ => Came::Stale,
    }
}

fn of_counter(
    state: &mut AlertState,
    is_awaited: bool,
    about: About,
    report: &Report,
    now: DateTime<Utc>,
) -> Came {
    let is_its_issue = state.issue == about.issue && state.issue != 0;
    match report {
        Report::Applied { .. } if is_awaited => {
            state.set_phase(AlertPhase::Open);
            settled(state);
            if about.reopens {
                state.closed = false;
                state.closed_at = None;
                state.looked_at = Some(now.into());
            }
            if about.reopens { Came::Reopened } else { Came::Told }
        }
        Report::Applied { .. } if about.reopens && is_its_issue => Came::Reopened,
        Report::Applied { .. } => Came::Told,
        Report::Failed { origin } if is_awaited && about.reopens => {
            state.set_phase(AlertPhase::Failed);
            state.spooled.clone_from(origin);
            Came::Spooled
        }
        // The next repeat is told again; this version waits in the spool.
        Report::Failed { .. } if is_awaited => {
            settled(state);
            Came::Spooled
        }
        Report::Failed { .. } if !about.reopens => Came::Spooled,
        Report::Gone if is_its_issue => {
            forget(state);
            Came::Forgotten
        }
        Report::Unwritten if is_awaited => {
            state.set_phase(AlertPhase::Open);
            settled(state);
            // Whether it is open is not known from here.
            state.looked_at = None;
            Came::Unwritten
        }
        _ => Came::Stale,
    }
}

/// Nothing is waited for.
fn settled(state: &mut AlertState) {
    state.effect_id.clear();
    state.spooled.clear();
    state.reopening = false;
}
