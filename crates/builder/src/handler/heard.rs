//! One delivery about what a person did or said, under names of its own: what came of it is said as an
//! event, in the state of the job whose id its sender was told, and, to who commanded, in one comment.

use booty_bus::Delivery;
use booty_events::{
    DeliveryId, IssueNumber, JobId, Lane, RepoName, fact, header, subject,
    v1::{Comment, Event, Job, JobState, effect::Write},
};

use crate::{
    order::{Asked, Order},
    outcome,
    shared::{Pause, Shared},
};

/// Event and action of a delivery, by its subject.
pub(super) fn kind(delivery: &Delivery) -> Option<(String, String)> {
    let inbox = subject::parse_inbox_github(&delivery.subject)?;
    Some((inbox.event, inbox.action?))
}

/// The delivery's id; `None` when nothing says which delivery it was.
pub(super) fn delivery_id(delivery: &Delivery) -> Option<DeliveryId> {
    match delivery.headers.get(header::DELIVERY_ID) {
        Some(id) => id.parse().ok(),
        None => Some(subject::parse_inbox_github(&delivery.subject)?.delivery),
    }
}

/// What a delivery is about.
pub(super) struct Heard<'a> {
    shared: &'a Shared,
    /// Of the delivery, and no job's of the builder's: its issue may be a pull request's number.
    pub(super) order: Order,
    is_pull_request: bool,
}

impl<'a> Heard<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        delivery: &Delivery,
        repository: &RepoName,
        installation: u64,
        number: IssueNumber,
        is_pull_request: bool,
        asked: Asked,
    ) -> Option<Self> {
        let id = delivery_id(delivery)?;
        let job = if is_pull_request {
            JobId::for_pull_request(number.get(), &id)
        } else {
            JobId::for_issue(number, &id)
        };
        let order = Order {
            job,
            delivery: id,
            repository: repository.clone(),
            installation,
            issue: number,
            attempt: 1,
            replay_of: delivery.replay_of.unwrap_or(0),
            asked,
            follow_up: None,
        };
        Some(Self { shared, order, is_pull_request })
    }

    pub(super) fn span(&self) -> tracing::Span {
        tracing::info_span!(
            "job",
            job_id = %self.order.job,
            delivery_id = %self.order.delivery,
            repository = %self.order.repository,
            issue = self.order.issue.get(),
        )
    }

    /// Says why nothing comes of it, and gives the word back. Most of what people say and do is none of our
    /// business: that is one event, and no job's state.
    pub(super) async fn ignored(&self, reason: &'static str) -> Result<&'static str, Pause> {
        let event = Event { reason: reason.to_owned(), number: self.pull(), ..Event::default() };
        self.shared.say(&self.order, fact::IGNORED, "ignored", event).await?;
        Ok(reason)
    }

    /// The same for what somebody wanted who may: it stays refused, whoever looks again.
    pub(super) async fn refused(&self, reason: &'static str) -> Result<&'static str, Pause> {
        self.note("ignored", reason).await?;
        self.ignored(reason).await
    }

    /// Notes what came of it, unless that is noted already; gives what is noted then.
    pub(super) async fn note(&self, step: &str, reason: &str) -> Result<Job, Pause> {
        let (order, pull) = (&self.order, self.pull());
        let noted = self.shared.jobs.update(&order.job, |job| {
            if job.service.is_empty() {
                *job = Job {
                    id: order.job.to_string(),
                    created: job.created,
                    state: JobState::Completed.into(),
                    service: "builder".to_owned(),
                    repository: order.repository.to_string(),
                    issue: order.issue.get(),
                    pull_request: pull,
                    delivery_id: order.delivery.to_string(),
                    attempt: 1,
                    step: step.to_owned(),
                    reason: reason.to_owned(),
                    trace_id: booty_telemetry::current_trace_id().unwrap_or_default(),
                    ..Job::default()
                };
            }
        });
        Ok(noted.await?)
    }

    /// What is noted already.
    pub(super) async fn noted(&self) -> Result<Option<Job>, Pause> {
        let known = self.shared.jobs.get(&self.order.job).await?;
        Ok(known.filter(|job| !job.service.is_empty()))
    }

    /// Answers where it was said. There is one such comment for a slot, whoever asks for it again.
    pub(super) async fn answer(&self, slot: &str, text: &str) -> Result<(), Pause> {
        let body = format!("{text}\n\n{}", outcome::signature(&self.order));
        let comment = Write::Comment(Comment { issue: self.order.issue.get(), body });
        let effect = outcome::effect(&self.order, slot, comment, (self.shared.now)());
        self.shared.outbox.effect(Lane::Outcome, &effect, None).await?;
        Ok(())
    }

    fn pull(&self) -> u64 {
        if self.is_pull_request { self.order.issue.get() } else { 0 }
    }
}
