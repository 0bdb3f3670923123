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

/// How issues are made.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// `TRIGGER_LABEL`
    pub trigger_label: &'a str,
    /// `OBSV_AUTO_BUILD`
    pub auto_build: AutoBuild,
}

/// The issue that the state waits for.
pub fn new_issue(
    state: &AlertState,
    fingerprint: &Fingerprint,
    alert: &Alert,
    context: &issue::Context<'_>,
    manner: Manner<'_>,
    now: DateTime<Utc>,
) -> Effect {
    let slot = Slot::Issue(state.generation);
    let id = slot.effect_id(fingerprint);
    let Manner { trigger_label, auto_build } = manner;
    let label = if auto_build == AutoBuild::Off { TRIAGE_LABEL } else { trigger_label };
    let wanted = CreateIssue {
        title: issue::title(alert),
        body: issue::body(alert, context),
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

/// The counter's version that the state waits for. `came` is the alert that opens the issue again, where
/// it is at hand.
pub fn counter(
    state: &AlertState,
    fingerprint: &Fingerprint,
    came: Option<(&Alert, &issue::Context<'_>)>,
    now: DateTime<Utc>,
) -> Effect {
    let slot = Slot::Counter(state.version);
    let id = slot.effect_id(fingerprint);
    let (first_seen, last_seen) = (time(state.first_seen.as_ref()), time(state.last_seen.as_ref()));
    let mut body = issue::counter(state.count, first_seen, last_seen);
    if let Some((alert, context)) = came.filter(|_| state.reopening) {
        body = format!("{body}\n\n{}", issue::reopened(alert, context));
    }
    let wanted = IssueCounter {
        issue: state.issue,
        name: fingerprint.to_string(),
        body,
        version: state.version,
        reopen: state.reopening,
    };
    effect(state, fingerprint, slot, &id, Write::IssueCounter(wanted), now)
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
