//! One effect in hand: what it is, what is known of it, and the right to write for it.

use booty_events::{
    EffectId, JobId, RepoName,
    v1::{Effect, Event},
};
use booty_github::{Client, Response, pace::Write};
use chrono::{DateTime, Utc};

use crate::{
    core::{Account, Core},
    outcome::{self, Stop},
    record::Record,
    writer::{Gate, NotSent},
};

/// What everything that handles an effect gets.
pub(crate) struct Work<'a> {
    pub(crate) core: &'a Core,
    pub(crate) github: &'a Client,
    pub(crate) gate: Gate<'a>,
    pub(crate) effect: &'a Effect,
    pub(crate) id: EffectId,
    pub(crate) repo: RepoName,
    pub(crate) record: Record,
    /// Nothing of this effect's can be older.
    pub(crate) asked_at: DateTime<Utc>,
    /// Whose token it is.
    pub(crate) account: &'a Account,
}

impl Work<'_> {
    /// Reads, or writes a whole: what may be done twice without harm.
    pub(crate) async fn repeatable<T>(&mut self, result: Result<T, NotSent>) -> Result<T, Stop> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                let failures = self.record.state.attempts;
                let (delays, now) = (&self.core.settings.retry_delays, self.core.records.now());
                let stop = outcome::after(error, &mut self.record, delays, now);
                if self.record.state.attempts != failures {
                    self.save().await?;
                }
                Err(stop)
            }
        }
    }

    /// [`Work::repeatable`] for a read.
    pub(crate) async fn read<T>(
        &mut self,
        result: Result<T, booty_github::Error>,
    ) -> Result<T, Stop> {
        self.repeatable(result.map_err(NotSent::Github)).await
    }

    pub(crate) async fn save(&mut self) -> Result<(), Stop> {
        Ok(self.core.records.save(&mut self.record).await?)
    }

    /// Notes what came of a step, durably.
    pub(crate) async fn done(&mut self, step: &str, value: impl Into<String>) -> Result<(), Stop> {
        self.record.done(step, value);
        self.save().await
    }

    /// Whether an object's author is the account that forge writes with, or the one that this effect
    /// was begun with.
    pub(crate) fn is_ours(&self, author: Option<&booty_github::object::User>) -> bool {
        author.is_some_and(|user| {
            user.login.eq_ignore_ascii_case(&self.account.login)
                || self.record.is_account(&user.login)
        })
    }

    /// An event about this effect, with all that is known of its cause.
    pub(crate) fn event(&self) -> Event {
        let mut event = event_about(self.effect);
        event.number = self.record.state.number;
        event.url.clone_from(&self.record.state.url);
        event
    }
}

/// An event about an effect that may not even be valid.
pub(crate) fn event_about(effect: &Effect) -> Event {
    let job: Option<JobId> = effect.cause.parse().ok();
    let delivery = job.as_ref().and_then(JobId::delivery);
    let mut event = Event {
        job_id: effect.cause.clone(),
        delivery_id: delivery.map(String::from).unwrap_or_default(),
        repository: effect.repository.clone(),
        issue: issue_of(effect).unwrap_or_default(),
        effect_id: effect.id.clone(),
        ..Event::default()
    };
    event.attributes.insert("kind".to_owned(), booty_service::effect_kind(effect).to_owned());
    event.attributes.insert("slot".to_owned(), effect.slot.clone());
    event
}

fn issue_of(effect: &Effect) -> Option<u64> {
    use booty_events::v1::effect::Write as Content;
    match effect.write.as_ref()? {
        Content::OpenPullRequest(write) => Some(write.issue),
        Content::IssueOutcome(write) => Some(write.issue),
        Content::Comment(write) => Some(write.issue),
        Content::LabelState(write) => Some(write.issue),
        Content::CreateIssue(_) => None,
        Content::CheckRun(write) => Some(write.pull_request).filter(|n| *n != 0),
        Content::MarkReady(write) => Some(write.issue).filter(|n| *n != 0),
        Content::UpdatePullRequest(write) => Some(write.issue),
        Content::IssueCounter(write) => Some(write.issue),
    }
}

impl Gate<'_> {
    /// Sends a write that may be done twice without harm: one of a whole, or of what is named by its
    /// content. When its answer gets lost it is sent again, within the pace, and only while the lease
    /// lasts long enough.
    pub(crate) async fn send<T, F>(&self, request: impl Fn() -> F) -> Result<T, NotSent>
    where
        F: Future<Output = Result<Response<T>, booty_github::Error>>,
    {
        let mut delays = self.resend_delays.iter();
        loop {
            self.admit(Write::Other).await?;
            self.check()?;
            match (request().await, delays.next()) {
                (Ok(answer), _) => return Ok(answer.body),
                (Err(error), Some(delay)) if error.is_lost_answer() => {
                    tracing::debug!(%error, "sent again");
                    tokio::time::sleep(*delay).await;
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
    }
}
