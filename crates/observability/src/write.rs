//! What is asked of forge.

use booty_alert::{Alert, AutoBuild};
use booty_events::{
    EffectId, Fingerprint, Service,
    v1::{AlertOrigin, AlertState, CreateIssue, Effect, IssueCounter, LabelLook, effect::Write},
};
use chrono::{DateTime, Utc};

use crate::{issue, slot, slot::Slot, state::time};

/// The label of an issue that nothing is built for by itself.
pub const TRIAGE_LABEL: &str = "triage";
const LABEL_COLOUR: &str = "0366d6";
const LABEL_DESCRIPTION: &str = "Created by Booty Observability";

/// The issue that the state waits for.
pub fn new_issue(
    state: &AlertState,
    fingerprint: &Fingerprint,
    alert: &Alert,
    label: &str,
    auto_build: AutoBuild,
    now: DateTime<Utc>,
) -> Effect {
    let slot = Slot::Issue(state.generation);
    let id = slot.effect_id(fingerprint);
    let label = if auto_build == AutoBuild::Off { TRIAGE_LABEL } else { label };
    let wanted = CreateIssue {
        title: issue::title(alert),
        body: issue::body(alert),
        labels: vec![label.to_owned()],
        label_looks: vec![LabelLook {
            name: label.to_owned(),
            colour: LABEL_COLOUR.to_owned(),
            description: LABEL_DESCRIPTION.to_owned(),
        }],
        origin: Some(AlertOrigin {
            fingerprint: fingerprint.to_string(),
            effect_id: id.to_string(),
            // Forge knows with which account it writes.
            author: String::new(),
            facts: Some(alert.facts()),
        }),
    };
    effect(state, fingerprint, slot, &id, Write::CreateIssue(wanted), now)
}

/// The counter's version that the state waits for.
pub fn counter(state: &AlertState, fingerprint: &Fingerprint, now: DateTime<Utc>) -> Effect {
    let slot = Slot::Counter(state.version);
    let id = slot.effect_id(fingerprint);
    let wanted = IssueCounter {
        issue: state.issue,
        name: fingerprint.to_string(),
        body: counter_text(state),
        version: state.version,
        reopen: state.reopening,
    };
    effect(state, fingerprint, slot, &id, Write::IssueCounter(wanted), now)
}

/// Nothing in it comes from outside.
fn counter_text(state: &AlertState) -> String {
    let shown = |at: Option<&booty_events::Timestamp>| {
        time(at).map_or("unknown".to_owned(), |at| at.format("%Y-%m-%d %H:%M UTC").to_string())
    };
    let times = if state.count == 1 { "once" } else { &format!("{} times", state.count) };
    let mut text = format!(
        "Reported **{times}** by now: first {}, last {}.",
        shown(state.first_seen.as_ref()),
        shown(state.last_seen.as_ref()),
    );
    if state.reopening {
        text.push_str("\n\nIt came again after this issue was closed, so the issue is open again.");
    }
    text
}

fn effect(
    state: &AlertState,
    fingerprint: &Fingerprint,
    slot: Slot,
    id: &EffectId,
    write: Write,
    now: DateTime<Utc>,
) -> Effect {
    Effect {
        id: id.to_string(),
        cause: slot::cause(fingerprint),
        slot: slot.to_string(),
        repository: state.repository.clone(),
        // Forge finds it.
        installation: 0,
        created: Some(now.into()),
        requested_by: Service::Observability.as_str().to_owned(),
        dry_run: false,
        write: Some(write),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_says_how_often_and_when() {
        let at = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_000);
        let mut state = AlertState {
            count: 17,
            first_seen: Some(at.into()),
            last_seen: Some((at + chrono::TimeDelta::minutes(90)).into()),
            ..AlertState::default()
        };
        insta::assert_snapshot!(counter_text(&state), @"Reported **17 times** by now: first 2024-10-04 00:00 UTC, last 2024-10-04 01:30 UTC.");
        (state.count, state.reopening) = (1, true);
        insta::assert_snapshot!(counter_text(&state), @"
        Reported **once** by now: first 2024-10-04 00:00 UTC, last 2024-10-04 01:30 UTC.

        It came again after this issue was closed, so the issue is open again.
        ");
    }
}
