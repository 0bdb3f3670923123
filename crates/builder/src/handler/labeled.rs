//! `issues.labeled`: decides whether a job starts, and runs it.
//!
//! `/booty retry` is decided on by the same questions, except for the label.
//!
//! The decision is a list of questions, each with one word for "no". The cheap ones come first, and what
//! the payload says is asked of GitHub again: a delivery can be late, in the wrong order, or old.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use booty_alert::AutoBuild;
use booty_bus::{Delivery, Handler, Verdict};
use booty_events::{
    IssueNumber, JobId, RepoName,
    v1::{Event, Job, JobState},
};
use booty_github::payload::Envelope;
use chrono::{DateTime, Utc};
use tracing::Instrument as _;

use super::{Station, heard::delivery_id};
use crate::{
    alert::Origin,
    claim::{self, Claimed},
    job,
    order::{Asked, Order, is_pull_for},
    shared::{Pause, Shared},
    stop::Stopped,
};

/// How soon an issue is asked for again whose job is being stopped.
const STOP_LOOK: Duration = Duration::from_secs(1);
/// The step of a job of which nothing came.
const IGNORED: &str = "ignored";
/// How soon a missing record of forge's is looked for again.
const ORIGIN_LOOK: Duration = Duration::from_secs(1);

/// Handles `issues.labeled` and its replays.
pub(crate) struct Labeled {
    shared: Arc<Shared>,
    station: Station,
}

/// What the payload says, as far as it is used. Nothing in it is believed without asking GitHub.
#[derive(Debug, PartialEq, Eq)]
struct Payload {
    wish: Wish,
    repository: RepoName,
    installation: u64,
    issue: IssueNumber,
    is_pull_request: bool,
    sender: Option<String>,
    updated: Option<DateTime<Utc>>,
}

/// What asks for a job.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    /// This label was set; `None` when it is gone.
    Label(Option<String>),
    /// A command that counts.
    Retry,
}

/// Where a delivery leads.
pub(super) enum Way {
    /// To a job that runs: a new one, or one that was begun before.
    Run(Order),
    /// To a job that is over already.
    Over(Order),
    /// To nothing, for this one word.
    No(&'static str),
    /// To nothing, as was decided before.
    Ignored(String),
}

#[async_trait]
impl Handler for Labeled {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let payload = match read(&delivery.payload) {
            Ok(payload) => payload,
            Err(why) => return Verdict::Reject { reason: "unreadable".to_owned(), why },
        };
        let Some(order) = order(delivery, &payload) else {
            let why = "neither headers nor subject name the delivery".to_owned();
            return Verdict::Reject { reason: "unreadable".to_owned(), why };
        };
        let span = tracing::info_span!(
            "job",
            job_id = %order.job,
            delivery_id = %order.delivery,
            repository = %order.repository,
            issue = order.issue.get(),
        );
        // Boxed: a job's future is large, and would be copied around with its caller's.
        match Box::pin(self.follow(delivery, &payload, order).instrument(span)).await {
            Ok(verdict) => verdict,
            Err(pause) => pause.verdict(&self.shared.settings.retry_delays, delivery),
        }
    }

    async fn given_up(&self, delivery: &Delivery, why: &str) -> Result<(), String> {
        // The workers get the same delivery, and say what is to be said.
        if self.station == Station::Door {
            return Ok(());
        }
        let Ok(payload) = read(&delivery.payload) else { return Ok(()) };
        let Some(order) = order(delivery, &payload) else { return Ok(()) };
        self.give_up(delivery, order, why).await.map_err(Pause::why)
    }
}

impl Labeled {
    pub(crate) fn new(shared: Arc<Shared>, station: Station) -> Self {
        Self { shared, station }
    }

    /// Says the outcome of a job that failed too often. An error only when something is away: what can
    /// never work must not be tried for ever.
    pub(super) async fn give_up(
        &self,
        delivery: &Delivery,
        mut order: Order,
        why: &str,
    ) -> Result<(), Pause> {
        let shared = &self.shared;
        let known = match shared.jobs.get(&order.job).await.map_err(Pause::from) {
            Ok(known) => known,
            Err(away @ Pause::Away { .. }) => return Err(away),
            Err(Pause::Failed { why }) => {
                return job::give_up_without_journal(shared, &order, &why).await;
            }
        };
        // A job that was never accepted owes nobody an outcome: its sender is not known.
        let Some(known) = known else { return claim::release(shared, &order).await };
        if !known.verdict.is_empty() {
            return Ok(());
        }
        order.attempt = known.attempt.max(1);
        job::give_up_for_good(shared, &order, delivery, is_over(&known), why).await
    }

    async fn follow(
        &self,
        delivery: &Delivery,
        payload: &Payload,
        order: Order,
    ) -> Result<Verdict, Pause> {
        match self.settle(delivery, payload, order).await? {
            Way::Over(_) if self.station == Station::Door => Ok(Verdict::Done),
            Way::Over(order) => {
                job::say_end_again(&self.shared, &order, delivery).await?;
                Ok(Verdict::Done)
            }
            Way::No(reason) => Ok(Verdict::Ignore { reason: reason.to_owned() }),
            Way::Ignored(reason) => Ok(Verdict::Ignore { reason }),
            Way::Run(_) if self.station == Station::Door => Ok(Verdict::Done),
            Way::Run(order) => {
                job::run(&self.shared, &order, delivery).await?;
                Ok(Verdict::Done)
            }
        }
    }

    /// Decides on a `/booty retry` of somebody who may say so.
    pub(super) async fn retry(
        &self,
        delivery: &Delivery,
        order: &Order,
        by: &str,
    ) -> Result<Way, Pause> {
        let payload = Payload {
            wish: Wish::Retry,
            repository: order.repository.clone(),
            installation: order.installation,
            issue: order.issue,
            is_pull_request: false,
            sender: Some(by.to_owned()),
            updated: Some(order.asked.at),
        };
        self.settle(delivery, &payload, order.clone()).await
    }

    /// Decides, and says it when the answer is no.
    async fn settle(
        &self,
        delivery: &Delivery,
        payload: &Payload,
        order: Order,
    ) -> Result<Way, Pause> {
        let way = self.decide(delivery, payload, order.clone()).await?;
        let Way::No(reason) = way else { return Ok(way) };
        // Slower than the workers, the door may meet what has come of this very delivery.
        if self.station == Station::Door && self.is_accepted(&order).await? {
            return Ok(Way::Over(order));
        }
        let event = Event { reason: reason.to_owned(), ..Event::default() };
        self.shared.say(&order, "job_ignored", "ignored", event).await?;
        self.note_ignored(&order, reason).await?;
        Ok(way)
    }

    /// Whether the job that has the issue ends by a stop that does not end what is asked for now: then the
    /// issue is soon free.
    async fn is_being_stopped(&self, order: &Order, holder: &str) -> Result<bool, Pause> {
        let Ok(holder) = holder.parse::<JobId>() else { return Ok(false) };
        let Some(job) = self.shared.jobs.get(&holder).await? else { return Ok(false) };
        let before = Order { asked: Asked::of(&job), ..order.clone() };
        Ok(Stopped::of(&self.shared, &before).await?.is_some())
    }

    async fn is_accepted(&self, order: &Order) -> Result<bool, Pause> {
        let known = self.shared.jobs.get(&order.job).await?;
        Ok(known.is_some_and(|job| !job.service.is_empty() && job.step != IGNORED))
    }

    async fn decide(
        &self,
        delivery: &Delivery,
        payload: &Payload,
        mut order: Order,
    ) -> Result<Way, Pause> {
        let settings = &self.shared.settings;
        let trigger = settings.trigger_label.as_str();
        // GitHub's names of labels ignore case.
        if let Wish::Label(label) = &payload.wish
            && !label.as_deref().is_some_and(|label| label.eq_ignore_ascii_case(trigger))
        {
            return Ok(Way::No("label"));
        }
        if !settings.allowed.allows(&order.repository) {
            return Ok(Way::No("repository"));
        }
        if payload.is_pull_request {
            return Ok(Way::No("pull_request"));
        }

        let is_replay = delivery.replay_of.is_some();
        let known = self.shared.jobs.get(&order.job).await?;
        match &known {
            // Delivered again after its worker was killed, the same replay is no further attempt.
            Some(job) if job.state() == JobState::Failed && is_another_replay(delivery, job) => {
                order.attempt = job.attempt.max(1) + 1;
            }
            Some(job) if job.step == IGNORED => return Ok(Way::Ignored(job.reason.clone())),
            Some(job) if is_over(job) => {
                order.attempt = job.attempt.max(1);
                return Ok(Way::Over(order));
            }
            // By now the job goes back to the pull request that this delivery has led to.
            Some(job) if !job.verdict.is_empty() => return Ok(Way::No("job_active")),
            // It was accepted before: what it needs by now is in its journal.
            Some(job) => {
                order.attempt = job.attempt.max(1);
                return Ok(match claim::take(&self.shared, &order, delivery).await? {
                    Claimed::Ours => {
                        // The crash may have come between the state and its event.
                        self.say_enqueued(&order).await?;
                        Way::Run(order)
                    }
                    Claimed::By(_) => Way::No("job_active"),
                });
            }
            None => {}
        }

        if !is_replay {
            if self.shared.is_too_old(payload.updated) {
                return Ok(Way::No("too_old"));
            }
            if self.shared.is_duplicate(delivery, &order.delivery).await? {
                return Ok(Way::No("duplicate_body"));
            }
        }
        if let Some(no) = self.ask_github(delivery, payload, &order).await? {
            return Ok(Way::No(no));
        }
        if known.is_none() && Stopped::of(&self.shared, &order).await?.is_some() {
            return Ok(Way::No("stopped"));
        }
        if let Claimed::By(job) = claim::take(&self.shared, &order, delivery).await? {
            if self.is_being_stopped(&order, &job).await? {
                let why = format!("the job before, {job}, is being stopped");
                return Err(Pause::Away { after: STOP_LOOK, why });
            }
            tracing::info!(event = "job_active", active = job);
            return Ok(Way::No("job_active"));
        }
        // Asked under the claim: a job that just ended may have opened one.
        if let Some(number) = self.open_pull_request(&order).await? {
            if self.is_accepted(&order).await? {
                return Ok(Way::Over(order));
            }
            claim::release(&self.shared, &order).await?;
            tracing::info!(event = "pull_request_open", number);
            return Ok(Way::No("pull_request_open"));
        }
        self.accept(&order).await?;
        Ok(Way::Run(order))
    }

    async fn ask_github(
        &self,
        delivery: &Delivery,
        payload: &Payload,
        order: &Order,
    ) -> Result<Option<&'static str>, Pause> {
        let github = &self.shared.github(order);
        let Some(repository) = github.get_repository(&order.repository).await? else {
            return Ok(Some("repository_gone"));
        };
        if !repository.full_name.eq_ignore_ascii_case(order.repository.as_str()) {
            return Ok(Some("repository_moved"));
        }
        let issue = match github.get_issue(&order.repository, order.issue.get()).await? {
            // A transferred issue answers under its new number and place.
            Some(issue) if issue.number == order.issue.get() => issue,
            _ => return Ok(Some("issue_gone")),
        };
        if issue.pull_request.is_some() {
            return Ok(Some("pull_request"));
        }
        if issue.state != "open" {
            return Ok(Some("issue_closed"));
        }
        let trigger = &self.shared.settings.trigger_label;
        if payload.wish != Wish::Retry
            && !issue.labels.iter().any(|label| label.name.eq_ignore_ascii_case(trigger))
        {
            return Ok(Some("label_removed"));
        }
        let origin = self.origin(delivery, order, &issue.body.unwrap_or_default()).await?;
        let mode = self.shared.settings.auto_build;
        if !matches!(origin, Origin::People) && mode == AutoBuild::Off {
            return Ok(Some("auto_build_off"));
        }
        let Some(sender) = &payload.sender else { return Ok(Some("no_sender")) };
        // An App is no collaborator: what it made and labelled is known by forge's record.
        if origin.is_by(sender) {
            tracing::info!(event = "own_label", auto_build = mode.as_str());
            return Ok(None);
        }
        let permission = github.collaborator_permission(&order.repository, sender).await?;
        if !permission.is_some_and(|permission| permission.can_write()) {
            return Ok(Some("no_write_access"));
        }
        Ok(None)
    }

    /// Where the issue comes from. One that looks like forge's is waited for, as long as forge may be
    /// late; from then on nobody vouches for it.
    async fn origin(
        &self,
        delivery: &Delivery,
        order: &Order,
        body: &str,
    ) -> Result<Origin, Pause> {
        let origin = Origin::of(&self.shared, &order.repository, order.issue, body).await?;
        if let Origin::Unwritten = origin {
            let age = ((self.shared.now)() - delivery.published).to_std().unwrap_or_default();
            if age < self.shared.settings.origin_wait {
                let why = "forge has not written down where the issue comes from";
                return Err(Pause::Away { after: ORIGIN_LOOK, why: why.to_owned() });
            }
        }
        Ok(origin)
    }

    async fn open_pull_request(&self, order: &Order) -> Result<Option<u64>, Pause> {
        let github = self.shared.github(order);
        let open = github.list_pulls(&order.repository, None, "open").await?;
        let ours = open.iter().find(|pull| is_pull_for(pull, order));
        Ok(ours.map(|pull| pull.number))
    }

    async fn accept(&self, order: &Order) -> Result<(), Pause> {
        self.shared
            .jobs
            .update(&order.job, |job| {
                // The same delivery may be further at its other station.
                let is_newer = order.attempt > job.attempt.max(1);
                if job.service.is_empty() || job.step == IGNORED || is_newer {
                    *job = state(order, job, JobState::Queued, "queued");
                }
            })
            .await?;
        self.say_enqueued(order).await
    }

    async fn say_enqueued(&self, order: &Order) -> Result<(), Pause> {
        self.shared.say(order, "job_enqueued", "enqueued", Event::default()).await
    }

    /// The sender was told a job id, so asking for it must not answer "queued" for ever.
    async fn note_ignored(&self, order: &Order, reason: &str) -> Result<(), Pause> {
        self.shared
            .jobs
            .update(&order.job, |job| {
                // A job that was accepted before keeps what is known of it.
                if job.service.is_empty() {
                    let ignored = state(order, job, JobState::Completed, IGNORED);
                    *job = Job { reason: reason.to_owned(), ..ignored };
                }
            })
            .await?;
        Ok(())
    }
}

fn state(order: &Order, known: &Job, state: JobState, step: &str) -> Job {
    Job {
        id: order.job.to_string(),
        created: known.created,
        state: state.into(),
        service: "builder".to_owned(),
        repository: order.repository.to_string(),
        issue: order.issue.get(),
        delivery_id: order.delivery.to_string(),
        attempt: order.attempt,
        replay_of: order.replay_of,
        step: step.to_owned(),
        asked: Some(order.asked.at.into()),
        asked_sequence: order.asked.sequence,
        trace_id: booty_telemetry::current_trace_id().unwrap_or_default(),
        ..Job::default()
    }
}

/// Whether this is a replay, and not the one that made the job's current attempt.
fn is_another_replay(delivery: &Delivery, job: &Job) -> bool {
    delivery.replay_of.is_some_and(|replay| replay != job.replay_of)
}

pub(super) fn is_over(job: &Job) -> bool {
    matches!(job.state(), JobState::Completed | JobState::Failed)
}

fn read(body: &[u8]) -> Result<Payload, String> {
    let envelope = Envelope::parse(body).map_err(|error| error.to_string())?;
    let missing = |what: &str| format!("the body has no usable {what}");
    let repository = envelope.repository.value().and_then(|repo| repo.full_name.as_deref());
    let issue = envelope.issue.value().ok_or_else(|| missing("issue"))?;
    let updated = issue.updated_at.as_deref().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
    let owned = |text: &booty_github::payload::Text<'_>| (**text).to_owned();
    Ok(Payload {
        wish: Wish::Label(envelope.label.value().and_then(|label| label.name.as_ref()).map(owned)),
        repository: repository
            .and_then(|name| name.parse().ok())
            .ok_or_else(|| missing("repository"))?,
        installation: envelope.installation.value().map_or(0, |installation| installation.id),
        issue: IssueNumber::new(issue.number).ok_or_else(|| missing("issue number"))?,
        is_pull_request: issue.is_pull_request(),
        sender: envelope.sender.value().and_then(|user| user.login.as_ref()).map(owned),
        updated: updated.map(|at| at.with_timezone(&Utc)),
    })
}

/// The job of a delivery; `None` when nothing says which delivery it was.
fn order(delivery: &Delivery, payload: &Payload) -> Option<Order> {
    let id = delivery_id(delivery)?;
    // Whoever replays it asks for it anew.
    let at = payload.updated.filter(|_| delivery.replay_of.is_none());
    let at = at.unwrap_or(delivery.published);
    Some(Order {
        job: JobId::for_issue(payload.issue, &id),
        delivery: id,
        repository: payload.repository.clone(),
        installation: payload.installation,
        issue: payload.issue,
        attempt: 1,
        replay_of: delivery.replay_of.unwrap_or(0),
        asked: Asked::new(at, delivery.sequence),
        follow_up: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_labels_and_ghosts_are_no_error() {
        let body = br#"{"action":"labeled","issue":{"number":7,"user":null,"updated_at":"2026-01-02T03:04:05Z"},
            "label":null,"sender":null,"repository":{"full_name":"o/r"}}"#;
        let payload = read(body).unwrap();
        assert_eq!((payload.wish, payload.sender), (Wish::Label(None), None));
        assert_eq!(payload.updated.unwrap().timestamp(), 1_767_323_045);
    }

    #[test]
    fn what_can_not_be_an_issue_is_refused() {
        for body in [
            &b"null"[..],
            b"{}",
            br#"{"issue":null,"repository":{"full_name":"o/r"}}"#,
            br#"{"issue":{"number":0},"repository":{"full_name":"o/r"}}"#,
            br#"{"issue":{"number":7},"repository":{"full_name":"o/../r"}}"#,
            br#"{"issue":{"number":7},"repository":null}"#,
        ] {
            assert!(read(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
