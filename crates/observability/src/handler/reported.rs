//! Forge's reports: what became of the writes that were asked for.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};
use booty_events::{
    Fingerprint, Message as _,
    v1::{AlertState, Event, JobState, effect::Write},
};
use booty_service::Pause;
use tracing::Instrument as _;

use crate::{
    decide::Decision,
    report::{About, Came, Report, reported},
    shared::{MAX_RACES, Note, Shared, job_of},
    slot::{self, Slot},
    state,
};

/// The reports that are handled.
pub(crate) const WHAT: [&str; 4] = ["applied", "failed", "skipped", "dry_run"];
/// Forge's word for a state whose version is not above the applied one.
const NOT_NEWER: &str = "not_newer";

/// Handles [`WHAT`].
pub(crate) struct Reported {
    shared: Arc<Shared>,
}

#[async_trait]
impl Handler for Reported {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let event = match Event::decode(delivery.payload.clone()) {
            Ok(event) => event,
            Err(error) => {
                return Verdict::Reject { reason: "unreadable".to_owned(), why: error.to_string() };
            }
        };
        let Some(fingerprint) = slot::of_cause(&event.job_id) else {
            return Verdict::Ignore { reason: "not_ours".to_owned() };
        };
        let span = tracing::info_span!(
            "report",
            effect_id = event.effect_id,
            repository = event.repository,
            %fingerprint,
        );
        let note = self.note(delivery, &event, &fingerprint).instrument(span);
        match Box::pin(note).await {
            Ok(None) => Verdict::Done,
            Ok(Some(reason)) => Verdict::Ignore { reason: reason.to_owned() },
            Err(pause) => pause.verdict(&self.shared.settings.retry_delays, delivery),
        }
    }
}

impl Reported {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Takes a report in; a word when it changes nothing.
    async fn note(
        &self,
        delivery: &Delivery,
        event: &Event,
        fingerprint: &Fingerprint,
    ) -> Result<Option<&'static str>, Pause> {
        let Some(slot) = event.attributes.get("slot").and_then(|text| Slot::parse(text)) else {
            return Ok(Some("unknown_slot"));
        };
        if slot.effect_id(fingerprint).as_str() != event.effect_id {
            return Ok(Some("unknown_effect"));
        }
        let about = self.about(event, slot).await?;
        let origin = origin(delivery, event);
        let report = match event.name.as_str() {
            "applied" => Report::Applied { number: event.number, url: event.url.clone() },
            "failed" => Report::Failed { origin: origin.clone() },
            "skipped" if event.reason != NOT_NEWER => Report::Gone,
            _ => Report::Unwritten,
        };
        let taken_in = {
            let _turn = self.shared.turn(fingerprint).await;
            self.take_in(fingerprint, about, &report).await?
        };
        let Some((came, state)) = taken_in else { return Ok(Some("unknown_alert")) };
        self.conclude(event, fingerprint, &About { ..about }, came, &state, &origin).await?;
        Ok((came == Came::Stale).then_some("settled_before"))
    }

    async fn about(&self, event: &Event, slot: Slot) -> Result<About, Pause> {
        let mut about = About { slot, issue: event.issue, reopens: false };
        if let Slot::Counter(_) = slot
            && let Some(effect) = self.shared.effect(&event.effect_id).await?
            && let Some(Write::IssueCounter(wanted)) = &effect.write
        {
            (about.issue, about.reopens) = (wanted.issue, wanted.reopen);
        }
        Ok(about)
    }

    /// What it means, and the state after it; `None` where nothing is known of the fingerprint.
    async fn take_in(
        &self,
        fingerprint: &Fingerprint,
        about: About,
        report: &Report,
    ) -> Result<Option<(Came, AlertState)>, Pause> {
        for _ in 0..MAX_RACES {
            let Some(kept) = self.shared.alerts.get(fingerprint).await? else { return Ok(None) };
            let mut state = kept.state.clone();
            let came = reported(&mut state, fingerprint, about, report, self.shared.now());
            let is_same = state == kept.state;
            if is_same || self.shared.alerts.put(fingerprint, &state, Some(kept.revision)).await? {
                return Ok(Some((came, state)));
            }
        }
        Err(Pause::away("the alert's state kept being changed by others"))
    }

    /// Says what came of it, and ends the job that asked for it.
    async fn conclude(
        &self,
        event: &Event,
        fingerprint: &Fingerprint,
        about: &About,
        came: Came,
        state: &AlertState,
        origin: &str,
    ) -> Result<(), Pause> {
        let asked = match about.slot {
            Slot::Issue(_) => Some(Decision::Create),
            Slot::Counter(_) => about.reopens.then_some(Decision::Reopen),
        };
        let asker = asked.and_then(|asked| state::asker(state, asked)).unwrap_or_default();
        let job = job_of(fingerprint, asker);
        let why = if event.detail.is_empty() { &event.reason } else { &event.detail };
        let said = Event {
            delivery_id: asker.to_owned(),
            job_id: job.clone().map(String::from).unwrap_or_default(),
            repository: event.repository.clone(),
            issue: if state.issue == 0 { about.issue } else { state.issue },
            number: state.issue,
            url: state.url.clone(),
            effect_id: event.effect_id.clone(),
            ..Event::default()
        };
        let (what, key, said, end) = match came {
            Came::Stale | Came::Told => return Ok(()),
            Came::Created => ("issue_created", "", said, (JobState::Completed, "created", "")),
            Came::Reopened => ("issue_reopened", "", said, (JobState::Completed, "reopened", "")),
            Came::Spooled => {
                let reason = event.reason.clone();
                let said = Event { reason, detail: why.clone(), ..said };
                ("spooled", origin, said, (JobState::Failed, "spooled", why.as_str()))
            }
            Came::Forgotten => {
                let end = (JobState::Completed, "skipped", "issue_gone");
                ("issue_gone", "", Event { reason: event.reason.clone(), ..said }, end)
            }
            Came::Unwritten => {
                let reason = if event.reason.is_empty() { &event.name } else { &event.reason };
                let end = (JobState::Completed, event.name.as_str(), event.reason.as_str());
                ("not_written", "", Event { reason: reason.clone(), ..said }, end)
            }
        };
        let key = match key {
            "" => event.effect_id.clone(),
            origin => format!("{}-{origin}", event.effect_id),
        };
        self.shared.say(what, &key, fingerprint, said.clone()).await?;
        if let Some(job) = &job {
            let (state_of_job, step, reason) = end;
            let note = Note { state: state_of_job, step, reason, alert: Some(state), replay_of: 0 };
            self.shared.note(job, note).await?;
        }
        log(came, &said, why, origin);
        Ok(())
    }
}

fn log(came: Came, said: &Event, why: &str, origin: &str) {
    let Event { delivery_id, job_id, issue, url, .. } = said;
    match came {
        Came::Created => tracing::info!(
            event = "observability_issue_created",
            delivery_id,
            job_id,
            issue,
            url,
            "an issue was made"
        ),
        Came::Reopened => tracing::info!(
            event = "observability_issue_reopened",
            delivery_id,
            job_id,
            issue,
            url,
            "the issue is open again"
        ),
        Came::Spooled => tracing::error!(
            event = "observability_spooled",
            delivery_id,
            job_id,
            issue,
            spooled = origin,
            why,
            "forge could not write it; it is in the spool"
        ),
        Came::Forgotten => tracing::warn!(
            event = "observability_issue_gone",
            delivery_id,
            job_id,
            issue,
            "the next alert makes another issue"
        ),
        Came::Told | Came::Unwritten | Came::Stale => {}
    }
}

/// `<stream>-<sequence>` of the message that forge failed on: the end of the report's subject.
fn origin(delivery: &Delivery, event: &Event) -> String {
    let key = delivery.subject.rsplit('.').next().unwrap_or_default();
    let rest = key.strip_prefix(&event.effect_id).and_then(|rest| rest.strip_prefix('-'));
    rest.unwrap_or(key).to_owned()
}
