//! A person asks for changes of a pull request of ours: the job goes back to it, so many times.
//!
//! Like a follow-up to a verdict this is a further attempt of the job that opened the pull request. It has
//! a budget of its own, counted in the job's state, and the head must be ours here, too.

use booty_bus::Delivery;
use booty_events::{
    CommitSha, IssueNumber, RepoName,
    v1::{Event, Job, JobState},
};
use booty_github::object::PullRequest;

use super::{heard::Heard, labeled::is_over, verdict::wait_for_end};
use crate::{
    claim::{self, Claimed},
    job,
    order::{FollowUp, Order, is_pull_for},
    ours::{self, Pull, Whose},
    shared::{Pause, Shared},
    stop::{How, Stopped},
};

/// What is noted of a delivery that a job goes back for.
pub(super) const BEGUN: &str = "request";
const SLOT: &str = "reply";
/// Of an answer that takes an earlier one back.
const SLOT_LATER: &str = "reply_later";

/// What is asked for, and by whom.
pub(super) struct Request<'a> {
    pub(super) heard: &'a Heard<'a>,
    pub(super) by: &'a str,
    /// What is told to the model; `None` when it was taken back.
    pub(super) findings: Option<String>,
}

impl Request<'_> {
    /// Begins the attempt, and works on it unless `is_door`. A word when there is to be none.
    pub(super) async fn follow(
        &self,
        shared: &Shared,
        delivery: &Delivery,
        pull: Pull,
        is_door: bool,
    ) -> Result<Option<&'static str>, Pause> {
        let order = if self.is_begun(&pull.job, delivery) {
            let Some(order) = self.order(shared, &pull, &pull.job) else {
                return Ok(Some(self.heard.refused("unknown_commit").await?));
            };
            if is_over(&pull.job) {
                if !is_door {
                    job::say_end_again(shared, &order, delivery).await?;
                }
                return Ok(None);
            }
            order
        } else {
            match self.begin(shared, delivery, &pull).await? {
                Ok(order) => order,
                Err(reason) => return Ok(Some(self.heard.refused(reason).await?)),
            }
        };
        self.say_started(shared, &order).await?;
        self.heard.note(BEGUN, "").await?;
        if is_door {
            return Ok(None);
        }
        if let Claimed::By(job) = claim::take(shared, &order, delivery).await? {
            return Err(Pause::away(format!("the issue has another active job, {job}")));
        }
        if self.findings.is_none() && !job::is_begun(shared, &order).await? {
            let withdrawn =
                Stopped { how: How::Withdrawn, by: self.by.to_owned(), asked: order.asked };
            job::end_stopped(shared, &order, delivery, &withdrawn).await?;
            return Ok(None);
        }
        job::run(shared, &order, delivery).await?;
        Ok(None)
    }

    /// Makes the next attempt; a word when there is to be none. Whoever asked is answered before the wait
    /// for what is at work.
    async fn begin(
        &self,
        shared: &Shared,
        delivery: &Delivery,
        pull: &Pull,
    ) -> Result<Result<Order, &'static str>, Pause> {
        if self.findings.is_none() {
            return Ok(Err("withdrawn"));
        }
        let (repository, number) = (&self.heard.order.repository, pull.number);
        let asked = Order { asked: self.heard.order.asked, ..pull.opener.clone() };
        if Stopped::of_work(shared, &asked, Some(number)).await?.is_some() {
            return Ok(Err("stopped"));
        }
        let now = shared.github(&pull.opener).get_pull(repository, number).await?;
        let Some(now) = now.filter(|now| now.state == "open") else {
            self.heard.answer(SLOT, &format!("I do nothing: #{number} is not open.")).await?;
            return Ok(Err("not_open"));
        };
        let of = shared.settings.requests;
        if pull.job.requests >= of {
            let text = format!(
                "I do nothing: #{number} was gone back to as often as I am allowed to be asked ({of})."
            );
            self.heard.answer(SLOT, &text).await?;
            return Ok(Err("requests_used"));
        }
        if is_over(&pull.job)
            && let Err(no) = head(pull, &now)
        {
            self.heard.answer(SLOT, &not_mine(number)).await?;
            return Ok(Err(no));
        }
        let text = format!("I go back to #{number}: it gets another commit, or a word why not.");
        self.heard.answer(SLOT, &text).await?;
        wait_for_end(pull)?;
        let head = match head(pull, &now) {
            Ok(head) => head,
            Err(no) => {
                self.heard.answer(SLOT_LATER, &not_mine(number)).await?;
                return Ok(Err(no));
            }
        };
        if let Claimed::By(job) = claim::take(shared, &pull.opener, delivery).await? {
            return Err(Pause::away(format!("the issue has another active job, {job}")));
        }
        let known = &pull.job;
        let job = shared
            .jobs
            .update(&pull.opener.job, |job| {
                // Somebody else's words may have been quicker.
                if is_over(job) && job.attempt == known.attempt {
                    job.attempt = job.attempt.max(1) + 1;
                    job.requests += 1;
                    self.heard.order.job.as_str().clone_into(&mut job.verdict);
                    self.by.clone_into(&mut job.requested_by);
                    head.as_str().clone_into(&mut job.head_sha);
                    self.heard.order.asked.note(job);
                    job.replay_of = delivery.replay_of.unwrap_or(0);
                    job.state = JobState::Queued.into();
                    "queued".clone_into(&mut job.step);
                    job.reason.clear();
                }
            })
            .await?;
        if !self.is_begun(&job, delivery) {
            return Err(Pause::away("something else is followed up"));
        }
        self.order(shared, pull, &job).map_or(Ok(Err("unknown_commit")), |order| Ok(Ok(order)))
    }

    /// Whether the job's current attempt is this request's.
    pub(super) fn is_begun(&self, job: &Job, delivery: &Delivery) -> bool {
        let is_this_one = job.verdict == self.heard.order.job.as_str();
        let replay_of = delivery.replay_of.unwrap_or(0);
        is_this_one && (job.state() != JobState::Failed || job.replay_of == replay_of)
    }

    pub(super) fn order(&self, shared: &Shared, pull: &Pull, job: &Job) -> Option<Order> {
        let follow_up = FollowUp {
            cause: job.verdict.clone(),
            by: Some(job.requested_by.clone()),
            pull_request: pull.number,
            opener: pull.opener.attempt,
            branch: pull.branch.clone(),
            head: job.head_sha.parse().ok()?,
            findings: self.findings.clone().unwrap_or_default(),
            number: job.requests,
            // Lowered meanwhile, it counts for the next one.
            of: shared.settings.requests.max(job.requests),
        };
        Some(Order {
            attempt: job.attempt,
            asked: self.heard.order.asked,
            follow_up: Some(follow_up),
            ..pull.opener.clone()
        })
    }

    async fn say_started(&self, shared: &Shared, order: &Order) -> Result<(), Pause> {
        let Some(follow_up) = &order.follow_up else { return Ok(()) };
        let event = Event {
            number: follow_up.pull_request,
            detail: follow_up.counted(),
            attributes: [
                ("head".to_owned(), follow_up.head.to_string()),
                ("request".to_owned(), follow_up.cause.clone()),
                ("by".to_owned(), self.by.to_owned()),
            ]
            .into(),
            ..Event::default()
        };
        shared.say(order, "request_started", "request", event).await
    }
}

/// The pull request of ours for an issue that is open; `None` when there is none.
pub(super) async fn of_issue(
    shared: &Shared,
    order: &Order,
    delivery: &Delivery,
) -> Result<Option<Pull>, Pause> {
    let open = shared.github(order).list_pulls(&order.repository, None, "open").await?;
    let Some(found) = open.iter().find(|pull| is_pull_for(pull, order)) else { return Ok(None) };
    let pull = ours::pull(shared, &order.repository, found.number, delivery.published).await?;
    // A branch of that name may be anybody's.
    Ok(pull.ok().filter(|pull| pull.opener.issue == order.issue))
}

/// The issue of a pull request of ours.
pub(super) async fn issue_of(
    shared: &Shared,
    repository: &RepoName,
    number: u64,
    delivery: &Delivery,
) -> Result<Result<IssueNumber, &'static str>, Pause> {
    let pull = ours::pull(shared, repository, number, delivery.published).await?;
    Ok(pull.map(|pull| pull.opener.issue))
}

/// The head, if it is the newest that forge made for us.
fn head(pull: &Pull, now: &PullRequest) -> Result<CommitSha, &'static str> {
    let head: CommitSha = now.head.sha.parse().map_err(|_| "unknown_commit")?;
    match pull.whose(&head) {
        Whose::Newest => Ok(head),
        Whose::Older | Whose::Foreign => Err("foreign_head"),
    }
}

fn not_mine(number: u64) -> String {
    format!(
        "I do nothing: the newest commit of #{number} is not mine, and I don't build on others'."
    )
}
