//! Forge's reports: what became of the effects that end a job.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};
use booty_events::{
    IssueNumber, JobId, Lane, Message as _, Service, stream,
    v1::{Effect, Event, Job, JobState, effect::Write},
};

use crate::{
    claim,
    order::Order,
    outcome,
    shared::{Pause, Shared},
};

/// Handles `forge.applied` and `forge.failed`.
pub(crate) struct Applied {
    shared: Arc<Shared>,
}

#[async_trait]
impl Handler for Applied {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let event = match Event::decode(delivery.payload.clone()) {
            Ok(event) => event,
            Err(error) => {
                return Verdict::Reject { reason: "unreadable".to_owned(), why: error.to_string() };
            }
        };
        match self.note(&event).await {
            Ok(None) => Verdict::Done,
            Ok(Some(reason)) => Verdict::Ignore { reason: reason.to_owned() },
            Err(pause) => pause.verdict(&self.shared, delivery),
        }
    }
}

impl Applied {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Writes down what the report says of a job of ours; a word when it is about something else.
    async fn note(&self, event: &Event) -> Result<Option<&'static str>, Pause> {
        let Some(effect) = self.effect(&event.effect_id).await? else {
            return Ok(Some("unknown_effect"));
        };
        if effect.requested_by != Service::Builder.as_str() {
            return Ok(Some("not_ours"));
        }
        let Some(Write::OpenPullRequest(wanted)) = &effect.write else {
            // Its job was over when it was asked for.
            return Ok(Some("not_an_end"));
        };
        let Ok(id) = effect.cause.parse::<JobId>() else { return Ok(Some("unknown_job")) };
        let Some(job) = self.shared.jobs.get(&id).await? else { return Ok(Some("unknown_job")) };
        let Some(order) = order(id, &job, &effect) else { return Ok(Some("unknown_job")) };
        // The report may be about an earlier run of the job.
        if order.effect_id(outcome::SLOT_OPEN).as_str() != effect.id {
            return Ok(Some("earlier_run"));
        }
        if event.name == "applied" {
            self.opened(&order, event).await?;
        } else {
            self.not_opened(&order, &effect, wanted.issue, event).await?;
        }
        claim::release(&self.shared, &order).await?;
        Ok(None)
    }

    async fn opened(&self, order: &Order, event: &Event) -> Result<(), Pause> {
        let said = Event {
            number: event.number,
            url: event.url.clone(),
            detail: format!("opened #{}", event.number),
            ..Event::default()
        };
        self.shared.say(order, "job_completed", "completed", said).await?;
        self.shared
            .jobs
            .update(&order.job, |job| {
                job.state = JobState::Completed.into();
                job.step = "opened".to_owned();
                job.reason = String::new();
                job.pull_request = event.number;
                job.url.clone_from(&event.url);
            })
            .await?;
        Ok(())
    }

    /// The pull request could not be opened: the issue still hears of an outcome.
    async fn not_opened(
        &self,
        order: &Order,
        effect: &Effect,
        issue: u64,
        event: &Event,
    ) -> Result<(), Pause> {
        let why = if event.detail.is_empty() { &event.reason } else { &event.detail };
        let outcome = outcome::not_opened(order, effect, issue, why);
        self.shared.outbox.effect(Lane::Outcome, &outcome, None).await?;
        let said =
            Event { reason: "not_opened".to_owned(), detail: why.clone(), ..Event::default() };
        self.shared.say(order, "job_failed", "failed", said).await?;
        self.shared
            .jobs
            .update(&order.job, |job| {
                job.state = JobState::Failed.into();
                job.step = "not_opened".to_owned();
                job.reason = format!("the pull request could not be opened: {why}");
            })
            .await?;
        Ok(())
    }

    /// The effect that a report is about. Ids are hexadecimal digits, so none can widen the filter.
    async fn effect(&self, id: &str) -> Result<Option<Effect>, Pause> {
        let Ok(id) = id.parse::<booty_events::EffectId>() else { return Ok(None) };
        let filter = format!("booty.effect.*.*.{id}");
        let stored = self.shared.bus.last_message(stream::EFFECTS.name, &filter).await?;
        Ok(stored.and_then(|stored| Effect::decode(stored.payload).ok()))
    }
}

fn order(id: JobId, job: &Job, effect: &Effect) -> Option<Order> {
    Some(Order {
        delivery: id.delivery()?,
        job: id,
        repository: effect.repository.parse().ok()?,
        installation: effect.installation,
        issue: IssueNumber::new(job.issue)?,
        attempt: job.attempt.max(1),
    })
}
