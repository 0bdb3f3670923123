//! Forge's reports: what became of the effects that end a job.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};
use booty_events::{
    Lane, Message as _, Service,
    v1::{Effect, Event, Job, JobState, effect::Write},
};

use crate::{
    claim,
    job::unless_away,
    order::Order,
    ours,
    outcome::{self, SLOT_OPEN, SLOT_UPDATE},
    promotion,
    shared::{Pause, Shared},
};

/// The reports that are handled.
pub(crate) const WHAT: [&str; 4] = ["applied", "failed", "dry_run", "skipped"];

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
        match self.note(&event).await {
            Ok(None) => Verdict::Done,
            Ok(Some(reason)) => Verdict::Ignore { reason: reason.to_owned() },
            Err(pause) => pause.verdict(&self.shared.settings.retry_delays, delivery),
        }
    }

    async fn given_up(&self, delivery: &Delivery, _why: &str) -> Result<(), String> {
        let Ok(event) = Event::decode(delivery.payload.clone()) else { return Ok(()) };
        self.give_up(&event).await.map_err(Pause::why)
    }
}

impl Reported {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Writes down what the report says of a job of ours; a word when it is about something else.
    async fn note(&self, event: &Event) -> Result<Option<&'static str>, Pause> {
        let subject = match self.subject(event).await? {
            Ok(subject) => subject,
            Err(reason) => return Ok(Some(reason)),
        };
        let order = &subject.order;
        if let Some(Write::MarkReady(asked)) = &subject.effect.write {
            promotion::reported(&self.shared, order, asked, event).await?;
            return Ok(None);
        }
        let Some(job) = self.shared.jobs.get(&order.job).await? else {
            return Ok(Some("unknown_job"));
        };
        if job.attempt.max(1) != order.attempt {
            return Ok(Some("earlier_run"));
        }
        self.say(&subject, event).await?;
        self.set_state(&subject, event).await?;
        claim::release(&self.shared, order).await?;
        Ok(None)
    }

    /// Ends the job of a report that could not be handled, as far as that is possible. An error only
    /// when something is away.
    async fn give_up(&self, event: &Event) -> Result<(), Pause> {
        let subject = match self.subject(event).await {
            Ok(Ok(subject)) => subject,
            Ok(Err(_not_ours)) => return Ok(()),
            Err(pause) => return unless_away(Err::<(), _>(pause)),
        };
        let order = &subject.order;
        if let Some(Write::MarkReady(asked)) = &subject.effect.write {
            return unless_away(promotion::reported(&self.shared, order, asked, event).await);
        }
        match self.shared.jobs.get(&order.job).await {
            Ok(Some(job)) if job.attempt.max(1) != order.attempt => return Ok(()),
            Ok(_) => {
                unless_away(self.say(&subject, event).await)?;
                unless_away(self.set_state(&subject, event).await)?;
            }
            Err(error) => unless_away(Err::<(), _>(error))?,
        }
        unless_away(claim::release(&self.shared, order).await)
    }

    /// Whose effect the report is about; a word when it is no end of a job of ours.
    async fn subject(&self, event: &Event) -> Result<Result<Subject, &'static str>, Pause> {
        let Some(effect) = ours::effect(&self.shared, &event.effect_id).await? else {
            return Ok(Err("unknown_effect"));
        };
        if effect.requested_by != Service::Builder.as_str() {
            return Ok(Err("not_ours"));
        }
        let order = match &effect.write {
            Some(Write::OpenPullRequest(wanted)) => ours::order(&effect, wanted.issue, SLOT_OPEN),
            Some(Write::UpdatePullRequest(wanted)) => {
                ours::order(&effect, wanted.issue, SLOT_UPDATE)
            }
            Some(Write::MarkReady(wanted)) => promotion::order(&effect, wanted),
            // Its job was over when it was asked for.
            _ => return Ok(Err("not_an_end")),
        };
        Ok(order.map(|order| Subject { order, effect }).ok_or("unknown_job"))
    }

    async fn say(&self, subject: &Subject, event: &Event) -> Result<(), Pause> {
        let order = &subject.order;
        match event.name.as_str() {
            "applied" => {
                let said = Event {
                    number: event.number,
                    url: event.url.clone(),
                    detail: match subject.updated() {
                        None => format!("opened #{}", event.number),
                        Some(number) => format!("put a commit on #{number}"),
                    },
                    ..Event::default()
                };
                if subject.is_unfinished() {
                    let said = Event { reason: "unfinished".to_owned(), ..said };
                    return self.shared.say(order, "job_failed", "failed", said).await;
                }
                self.shared.say(order, "job_completed", "completed", said).await
            }
            "failed" => {
                // The issue still hears of an outcome.
                let why = why(event);
                let outcome = match subject.updated() {
                    None => outcome::not_opened(order, &subject.effect, why),
                    Some(number) => outcome::not_updated(order, &subject.effect, number, why),
                };
                self.shared.outbox.effect(Lane::Outcome, &outcome, None).await?;
                let said = Event {
                    reason: subject.not_done().to_owned(),
                    detail: why.to_owned(),
                    ..Event::default()
                };
                self.shared.say(order, "job_failed", "failed", said).await
            }
            unwritten => {
                if unwritten == "skipped"
                    && let Some(number) = subject.updated()
                {
                    let comment = outcome::left_alone(order, &subject.effect, number);
                    self.shared.outbox.effect(Lane::Outcome, &comment, None).await?;
                }
                let said = Event {
                    reason: unwritten.to_owned(),
                    detail: "forge wrote nothing".to_owned(),
                    ..Event::default()
                };
                self.shared.say(order, "job_completed", "completed", said).await
            }
        }
    }

    async fn set_state(&self, subject: &Subject, event: &Event) -> Result<(), Pause> {
        let set = |job: &mut Job| match event.name.as_str() {
            "applied" => {
                match subject.is_unfinished() {
                    false => {
                        job.state = JobState::Completed.into();
                        subject.done().clone_into(&mut job.step);
                        job.reason.clear();
                    }
                    true => {
                        job.state = JobState::Failed.into();
                        "gave_up".clone_into(&mut job.step);
                        "unfinished".clone_into(&mut job.reason);
                    }
                }
                job.pull_request = event.number;
                job.url.clone_from(&event.url);
            }
            "failed" => {
                job.state = JobState::Failed.into();
                subject.not_done().clone_into(&mut job.step);
                job.reason = format!("the pull request could not be written: {}", why(event));
            }
            unwritten => {
                job.state = JobState::Completed.into();
                unwritten.clone_into(&mut job.step);
                job.reason.clear();
            }
        };
        self.shared.jobs.update(&subject.order.job, set).await?;
        Ok(())
    }
}

/// What a report is about.
struct Subject {
    order: Order,
    effect: Effect,
}

impl Subject {
    /// The pull request that was to get one more commit; `None` when one was to be opened.
    fn updated(&self) -> Option<u64> {
        match &self.effect.write {
            Some(Write::UpdatePullRequest(wanted)) => Some(wanted.pull_request),
            _ => None,
        }
    }

    /// Whether what was opened is the best attempt of a job that gave up.
    fn is_unfinished(&self) -> bool {
        match &self.effect.write {
            Some(Write::OpenPullRequest(opened)) => ours::is_unfinished(opened),
            _ => false,
        }
    }

    fn done(&self) -> &'static str {
        if self.updated().is_some() { "updated" } else { "opened" }
    }

    fn not_done(&self) -> &'static str {
        if self.updated().is_some() { "not_updated" } else { "not_opened" }
    }
}

fn why(event: &Event) -> &str {
    if event.detail.is_empty() { &event.reason } else { &event.detail }
}
