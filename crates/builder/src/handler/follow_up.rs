//! The verifier's verdicts against a pull request of ours: the job goes back to it, so many times.
//!
//! A follow-up is a further attempt of the job that opened the pull request, with a journal, events
//! and effects of its own. Which verdict it follows up is in the job's state, so that a verdict that is
//! delivered again goes on with its own attempt and makes no other.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};
use booty_events::{
    Lane,
    v1::{Event, Job, JobState},
};
use tracing::Instrument as _;

use super::{
    labeled::is_over,
    verdict::{Judged, find, wait_for_end},
};
use crate::{
    claim::{self, Claimed},
    job,
    order::{Asked, FollowUp, Order},
    ours::{Pull, Whose, is_unfinished},
    outcome,
    shared::{Pause, Shared},
    stop::Stopped,
};

/// Handles verdicts against a change.
pub(crate) struct FollowUps {
    shared: Arc<Shared>,
}

#[async_trait]
impl Handler for FollowUps {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let judged = match Judged::read(delivery) {
            Ok(judged) if judged.is_red() => judged,
            // What can't be read is told once, by who handles all other verdicts.
            _ => return Verdict::Ignore { reason: "not_red".to_owned() },
        };
        // Boxed: a job's future is large, and would be copied around with its caller's.
        match Box::pin(self.follow(delivery, &judged)).await {
            Ok(None) => Verdict::Done,
            Ok(Some(reason)) => Verdict::Ignore { reason: reason.to_owned() },
            Err(pause) => pause.verdict(&self.shared.settings.retry_delays, delivery),
        }
    }

    async fn given_up(&self, delivery: &Delivery, why: &str) -> Result<(), String> {
        match Judged::read(delivery) {
            Ok(judged) if judged.is_red() => {
                self.give_up(delivery, &judged, why).await.map_err(Pause::why)
            }
            _ => Ok(()),
        }
    }
}

impl FollowUps {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn follow(
        &self,
        delivery: &Delivery,
        judged: &Judged,
    ) -> Result<Option<&'static str>, Pause> {
        let pull = match find(&self.shared, judged, delivery).await? {
            Ok(pull) => pull,
            Err(reason) => return Ok(Some(reason)),
        };
        let span = tracing::info_span!(
            "job",
            job_id = %pull.opener.job,
            delivery_id = %pull.opener.delivery,
            repository = %pull.opener.repository,
            issue = pull.opener.issue.get(),
        );
        self.go_back(delivery, judged, pull).instrument(span).await
    }

    async fn go_back(
        &self,
        delivery: &Delivery,
        judged: &Judged,
        pull: Pull,
    ) -> Result<Option<&'static str>, Pause> {
        let shared = &self.shared;
        let order = if is_begun(&pull.job, judged, delivery) {
            let order = self.order(&pull, &pull.job, judged);
            if is_over(&pull.job) {
                job::say_end_again(shared, &order, delivery).await?;
                return Ok(None);
            }
            order
        } else {
            match self.begin(delivery, judged, &pull).await? {
                Ok(order) => order,
                Err(reason) => return Ok(Some(reason)),
            }
        };
        if let Claimed::By(job) = claim::take(shared, &order, delivery).await? {
            return Err(Pause::away(format!("the issue has another active job, {job}")));
        }
        self.say_started(&order).await?;
        job::run(shared, &order, delivery).await?;
        Ok(None)
    }

    /// Makes the next attempt; a word when there is to be none.
    async fn begin(
        &self,
        delivery: &Delivery,
        judged: &Judged,
        pull: &Pull,
    ) -> Result<Result<Order, &'static str>, Pause> {
        let shared = &self.shared;
        // What is under way may be this very head's: forge knows its commit only afterwards.
        wait_for_end(pull)?;
        match pull.whose(&judged.head) {
            Whose::Newest => {}
            Whose::Older => return Ok(Err("older_head")),
            Whose::Foreign => return Ok(Err("foreign_head")),
        }
        // Nobody has to be told that it fails: it was opened saying so.
        if is_unfinished(&pull.opened) {
            return Ok(Err("unfinished"));
        }
        let now = shared.github(&pull.opener).get_pull(&judged.repository, pull.number).await?;
        match now {
            Some(now) if now.state == "open" => {
                if now.head.sha != judged.head.as_str() {
                    return Ok(Err("head_moved"));
                }
            }
            _ => return Ok(Err("not_open")),
        }
        let order = Order { asked: Asked::of(&pull.job), ..pull.opener.clone() };
        if Stopped::of_work(shared, &order, Some(pull.number)).await?.is_some() {
            return Ok(Err("stopped"));
        }
        if pull.job.follow_ups >= shared.settings.follow_ups {
            self.say_used_up(pull, judged).await?;
            return Ok(Err("follow_ups_used"));
        }
        if let Claimed::By(job) = claim::take(shared, &pull.opener, delivery).await? {
            return Err(Pause::away(format!("the issue has another active job, {job}")));
        }
        let known = &pull.job;
        let job = shared
            .jobs
            .update(&pull.opener.job, |job| {
                // Another verdict on the same head may have been quicker.
                if is_over(job) && job.attempt == known.attempt {
                    job.attempt = job.attempt.max(1) + 1;
                    job.follow_ups += 1;
                    job.verdict.clone_from(&judged.job);
                    job.requested_by.clear();
                    judged.head.as_str().clone_into(&mut job.head_sha);
                    job.replay_of = replay_of(delivery);
                    job.state = JobState::Queued.into();
                    "queued".clone_into(&mut job.step);
                    job.reason.clear();
                }
            })
            .await?;
        if !is_begun(&job, judged, delivery) {
            return Err(Pause::away("another verdict is followed up"));
        }
        Ok(Ok(self.order(pull, &job, judged)))
    }

    fn order(&self, pull: &Pull, job: &Job, judged: &Judged) -> Order {
        let follow_up = FollowUp {
            cause: judged.job.clone(),
            by: None,
            pull_request: pull.number,
            opener: pull.opener.attempt,
            branch: pull.branch.clone(),
            head: judged.head.clone(),
            findings: judged.findings.clone(),
            number: job.follow_ups,
            // Lowered meanwhile, it counts for the next one.
            of: self.shared.settings.follow_ups.max(job.follow_ups),
        };
        Order {
            attempt: job.attempt,
            asked: Asked::of(job),
            follow_up: Some(follow_up),
            ..pull.opener.clone()
        }
    }

    async fn say_started(&self, order: &Order) -> Result<(), Pause> {
        let Some(follow_up) = &order.follow_up else { return Ok(()) };
        let event = Event {
            number: follow_up.pull_request,
            detail: follow_up.counted(),
            attributes: [
                ("head".to_owned(), follow_up.head.to_string()),
                ("verdict".to_owned(), follow_up.cause.clone()),
            ]
            .into(),
            ..Event::default()
        };
        self.shared.say(order, "follow_up_started", "follow-up", event).await
    }

    /// One comment and label, however often the pull request is judged from here on.
    async fn say_used_up(&self, pull: &Pull, judged: &Judged) -> Result<(), Pause> {
        let shared = &self.shared;
        let (order, of) = (&pull.opener, shared.settings.follow_ups);
        let effect = outcome::used_up(order, pull.number, of, (shared.now)());
        shared.outbox.effect(Lane::Outcome, &effect, None).await?;
        let event = Event {
            number: pull.number,
            reason: "follow_ups_used".to_owned(),
            detail: format!("the verifier does not accept it after {of} follow-ups"),
            effect_id: effect.id,
            attributes: [("head".to_owned(), judged.head.to_string())].into(),
            ..Event::default()
        };
        shared.say(order, "follow_ups_used", "follow-ups-used", event).await?;
        let needs_human = |job: &mut Job| {
            if is_over(job) {
                job.state = JobState::Failed.into();
                "needs_human".clone_into(&mut job.step);
                "follow_ups_used".clone_into(&mut job.reason);
            }
        };
        shared.jobs.update(&order.job, needs_human).await?;
        Ok(())
    }

    /// Says the outcome of a follow-up that failed too often. One that was never begun owes nobody any.
    async fn give_up(&self, delivery: &Delivery, judged: &Judged, why: &str) -> Result<(), Pause> {
        let pull = match find(&self.shared, judged, delivery).await {
            Ok(Ok(pull)) if is_begun(&pull.job, judged, delivery) => pull,
            Ok(_) => return Ok(()),
            Err(pause) => return job::unless_away(Err::<(), _>(pause)),
        };
        let order = self.order(&pull, &pull.job, judged);
        let is_over = is_over(&pull.job);
        job::give_up_for_good(&self.shared, &order, delivery, is_over, why).await
    }
}

/// Whether the job's current attempt follows this verdict up. A replay of a verdict whose follow-up
/// failed is to make another.
fn is_begun(job: &Job, judged: &Judged, delivery: &Delivery) -> bool {
    let is_this_one = !judged.job.is_empty() && job.verdict == judged.job;
    is_this_one && (job.state() != JobState::Failed || job.replay_of == replay_of(delivery))
}

fn replay_of(delivery: &Delivery) -> u64 {
    delivery.replay_of.unwrap_or(0)
}
