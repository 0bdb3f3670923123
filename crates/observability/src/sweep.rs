//! What no message does: counts that are due, and issues that GitHub could not be asked about when their
//! alerts came. Any number of replicas may do it: each change is a compare-and-set.

use std::sync::Arc;

use booty_events::{
    Fingerprint,
    v1::{AlertPhase, AlertState},
};
use booty_service::Pause;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    alerts::Kept,
    decide::{Decision, is_cool, may_reopen},
    shared::Shared,
    state::{self, time},
};

/// Looks again and again until `shutdown`.
pub(crate) async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(shared.settings.sweep_interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        let swept = tokio::select! {
            () = shutdown.cancelled() => return,
            swept = sweep(&shared) => swept,
        };
        if let Err(pause) = swept {
            tracing::warn!(why = pause.why(), "the alerts could not be looked through");
        }
    }
}

async fn sweep(shared: &Shared) -> Result<(), Pause> {
    let mut is_away = false;
    for kept in shared.alerts.all().await? {
        let Ok(fingerprint) = kept.state.fingerprint.parse::<Fingerprint>() else { continue };
        let span = tracing::info_span!(
            "sweep",
            repository = kept.state.repository,
            issue = kept.state.issue,
            %fingerprint,
        );
        let looked = one(shared, kept, &fingerprint, is_away).instrument(span).await?;
        is_away |= looked == Looked::Away;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// Nothing was asked, or GitHub answered.
    Fine,
    /// GitHub gave no answer: it is not asked about the others either.
    Away,
}

async fn one(
    shared: &Shared,
    kept: Kept,
    fingerprint: &Fingerprint,
    is_away: bool,
) -> Result<Looked, Pause> {
    let Kept { mut state, revision } = kept;
    let now = shared.now();
    if state.phase() == AlertPhase::Open && !state.effect_id.is_empty() {
        // Who wrote it into the state may have died before asking.
        shared.ask_for_counter(&state, fingerprint).await?;
        return Ok(Looked::Fine);
    }
    let mut looked = Looked::Fine;
    let before = state.clone();
    if !is_away && is_unseen(&state) && shared.is_look_due(&state, now) {
        match shared.github.look(&state).await {
            Some(look) => state::looked(&mut state, look, now),
            None => looked = Looked::Away,
        }
    }
    if reopens(shared, &state) {
        // The alert that GitHub could not be asked about, or one as new.
        if let Some(newest) = state.seen.last_mut() {
            newest.decision = Decision::Reopen.as_str().to_owned();
        }
        state::asked_to_reopen(&mut state, fingerprint, now);
        tracing::info!("the issue was closed before an alert came: it is opened again");
    } else if shared.settings.rhythm.due(&state, now) {
        state::asked_to_tell(&mut state, fingerprint, now);
    }
    if state == before || !shared.alerts.put(fingerprint, &state, Some(revision)).await? {
        // Somebody was faster: the next sweep sees what is left to do.
        return Ok(looked);
    }
    if state.phase() == AlertPhase::Open && !state.effect_id.is_empty() {
        shared.ask_for_counter(&state, fingerprint).await?;
    }
    Ok(looked)
}

/// Whether an alert came since GitHub said how the issue is.
fn is_unseen(state: &AlertState) -> bool {
    let at = |at: Option<&booty_events::Timestamp>| time(at).unwrap_or(DateTime::<Utc>::MIN_UTC);
    at(state.last_seen.as_ref()) > at(state.looked_at.as_ref())
}

/// Whether the newest alert would have opened the issue again, had GitHub been asked.
fn reopens(shared: &Shared, state: &AlertState) -> bool {
    let is_newest_counted =
        state.seen.last().is_some_and(|newest| newest.decision == Decision::CountOnly.as_str());
    time(state.last_seen.as_ref()).is_some_and(|last_seen| {
        is_newest_counted
            && may_reopen(state, last_seen)
            && !is_cool(state, &shared.settings.rules, last_seen)
    })
}
