//! One job from its acceptance to its end. Every step is journalled before the next one, so that a
//! builder killed anywhere goes on where it stopped: answers are not asked for again, commands not run
//! again, and the end is in the journal before it is said.

mod cage;
mod child;
pub(crate) mod conclusion;
mod converse;
mod egress;
pub(crate) mod journal;
mod leak;
mod overlap;
mod proposal;
pub(crate) mod workplace;

use booty_bus::Delivery;
use booty_events::{
    IssueNumber, Lane, RepoName,
    v1::{BaseChosen, Effect, Event, Job, JobState},
};
use booty_policy::Untrusted;
use booty_sandbox::Backend;
use booty_workspace::Want;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use self::{
    conclusion::{Decision, Terms, decide},
    journal::End,
    overlap::Overlaps,
    proposal::Material,
    workplace::{Workplace, mentions},
};
pub(crate) use self::{journal::JobJournal, workplace::refused};
use crate::{
    agent::protocol::{NotAccepted, Report, Task},
    alert::{self, Origin, Told},
    budget::{self, UsedUp},
    claim,
    order::{FollowUp, Order, is_pull_for},
    outcome::{self, Ending},
    shared::{Pause, Shared},
    stop::Stopped,
};

/// How often the end of a stopped job is journalled when something else is journalled at the same moment.
const STOP_TRIES: u32 = 3;

/// Why work on a job stops before its proposal.
pub(crate) enum Stop {
    /// For now.
    Pause(Pause),
    /// For good, with this outcome.
    End(Ending),
    /// Nothing is left of this budget.
    UsedUp(UsedUp),
}

impl Stop {
    fn away(why: impl Into<String>) -> Self {
        Self::Pause(Pause::away(why))
    }

    fn failed(why: impl Into<String>) -> Self {
        Self::Pause(Pause::Failed { why: why.into() })
    }
}

impl<E: Into<Pause>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Pause(error.into())
    }
}

/// Runs a job to its end, or as far as it gets.
pub(crate) async fn run(shared: &Shared, order: &Order, delivery: &Delivery) -> Result<(), Pause> {
    let mut journal = JobJournal::open(shared, order).await?;
    let end = match journal.end()? {
        Some(end) => end,
        None => {
            if let Some(stopped) = Stopped::of(shared, order).await? {
                return end_stopped(shared, order, delivery, &stopped).await;
            }
            // Also the wait for a place: what is queued ends at once. What is dropped here kills the agent
            // and all that it runs, and removes the checkouts.
            // Boxed: it is large, and would be copied around with the futures of all callers.
            let end = tokio::select! {
                end = Box::pin(work_in_place(shared, order, &mut journal, delivery)) => end?,
                stopped = Stopped::wait(shared, order) => Err(stopped),
                () = delivery.stop.cancelled() => return Err(Pause::away("the worker stops")),
            };
            match end {
                Ok(end) => {
                    finish(shared, order, &mut journal, &end).await?;
                    end
                }
                Err(stopped) => return end_stopped(shared, order, delivery, &stopped).await,
            }
        }
    };
    say_end(shared, order, delivery, &end).await
}

/// Journals the end of a run, once all that it has paid for is counted.
async fn finish(
    shared: &Shared,
    order: &Order,
    journal: &mut JobJournal,
    end: &End,
) -> Result<(), Pause> {
    shared.budgets.count(order, journal, None).await?;
    let worked = journal.worked();
    journal.append_end(end, (shared.now)()).await?;
    shared.budgets.metrics.ended(end.word(), Some(worked));
    shared.budgets.close(order, worked).await;
    Ok(())
}

/// Whether somebody has begun to work on it.
pub(crate) async fn is_begun(shared: &Shared, order: &Order) -> Result<bool, Pause> {
    Ok(JobJournal::open(shared, order).await?.len() > 0)
}

/// Works once there is a place for it. An error within is a stop that the watch did not bring in time.
async fn work_in_place(
    shared: &Shared,
    order: &Order,
    journal: &mut JobJournal,
    delivery: &Delivery,
) -> Result<Result<End, Stopped>, Pause> {
    let _place = shared.place(&delivery.stop).await?;
    let end = work(shared, order, journal, delivery).await?;
    Ok(match Stopped::of(shared, order).await? {
        None => Ok(end),
        Some(stopped) => Err(stopped),
    })
}

/// Ends a job that was stopped, unless it ended before that.
pub(crate) async fn end_stopped(
    shared: &Shared,
    order: &Order,
    delivery: &Delivery,
    stopped: &Stopped,
) -> Result<(), Pause> {
    tracing::info!(event = "job_stopped", how = stopped.how.word(), by = stopped.by);
    let mut tries = 1;
    loop {
        // Opened anew: an entry may have been on its way when the work was dropped.
        let mut journal = JobJournal::open(shared, order).await?;
        if let Some(end) = journal.end()? {
            return say_end(shared, order, delivery, &end).await;
        }
        let now = (shared.now)();
        let end = ended(order, &Ending::stopped(stopped), &outcome::signature(order), now);
        match finish(shared, order, &mut journal, &end).await {
            Ok(()) => return say_end(shared, order, delivery, &end).await,
            Err(pause) if tries == STOP_TRIES => return Err(pause),
            Err(_) => tries += 1,
        }
    }
}

/// Ends a job that failed too often, unless its end is in the journal already.
async fn give_up(
    shared: &Shared,
    order: &Order,
    delivery: &Delivery,
    why: &str,
) -> Result<(), Pause> {
    let mut journal = JobJournal::open(shared, order).await?;
    let end = match journal.end()? {
        Some(end) => end,
        None => {
            let ending =
                Ending::gave_up("failed", "I gave up because working on this kept failing:");
            let footer = footer(shared, order, &mut journal, None)?;
            let end = ended(order, &ending.quoting(why), &footer, (shared.now)());
            finish(shared, order, &mut journal, &end).await?;
            end
        }
    };
    say_end(shared, order, delivery, &end).await
}

/// What a message that failed too often leaves of its job: an outcome, as far as one can be said. An
/// error only when something is away: what can never work must not be tried for ever.
pub(crate) async fn give_up_for_good(
    shared: &Shared,
    order: &Order,
    delivery: &Delivery,
    is_over: bool,
    why: &str,
) -> Result<(), Pause> {
    let said = if is_over {
        say_end_again(shared, order, delivery).await
    } else {
        give_up(shared, order, delivery, why).await
    };
    match said {
        // What was said and written of a job that is over stays.
        Err(Pause::Failed { why }) if is_over => {
            tracing::error!(event = "outcome_not_said", why);
            claim::release(shared, order).await
        }
        Err(Pause::Failed { why }) => give_up_without_journal(shared, order, &why).await,
        said => said,
    }
}

/// Says the end of a job whose state says already that it is over: a worker that was killed between
/// that state and its acknowledgement asked for the outcome under a lease that is an older one by now,
/// and forge refuses what is asked for under such a one.
pub(crate) async fn say_end_again(
    shared: &Shared,
    order: &Order,
    delivery: &Delivery,
) -> Result<(), Pause> {
    match JobJournal::open(shared, order).await?.end()? {
        Some(end @ End::Ended { .. }) => say_end(shared, order, delivery, &end).await,
        // A proposal's job is over by forge's report on it, so it was not refused. But the report may have
        // come while nobody was there to say that it was made.
        Some(End::Proposed(effect)) => say_proposed(shared, order, &effect).await,
        None => Ok(()),
    }
}

/// Ends a job whose journal can't be used: what can be said and written is, and nothing is waited for
/// but what is away.
pub(crate) async fn give_up_without_journal(
    shared: &Shared,
    order: &Order,
    why: &str,
) -> Result<(), Pause> {
    let ending = Ending::gave_up("broken", "I gave up because this job can't be gone on with:");
    let effect = ending.quoting(why).effect(order, &outcome::signature(order), (shared.now)());
    // Without a lease: it is said once, in these words, by whoever comes first.
    unless_away(shared.outbox.effect(Lane::Outcome, &effect, None).await)?;
    let event = Event {
        reason: "broken".to_owned(),
        detail: why.to_owned(),
        effect_id: effect.id,
        ..Event::default()
    };
    unless_away(shared.say(order, "job_failed", "failed", event).await)?;
    shared.budgets.metrics.ended("gave_up", None);
    let failed = |job: &mut Job| {
        job.state = JobState::Failed.into();
        "gave_up".clone_into(&mut job.step);
        "broken".clone_into(&mut job.reason);
    };
    unless_away(shared.jobs.update(&order.job, failed).await)?;
    unless_away(claim::release(shared, order).await)
}

/// Passes on that something is away; what can never work is logged, so that the rest is done.
pub(crate) fn unless_away<T, E: Into<Pause>>(result: Result<T, E>) -> Result<(), Pause> {
    match result.map_err(Into::into) {
        Ok(_) => Ok(()),
        Err(pause @ Pause::Away { .. }) => Err(pause),
        Err(Pause::Failed { why }) => {
            tracing::error!(event = "outcome_not_said", why);
            Ok(())
        }
    }
}

/// Says in the job's state what it is doing; a job that is over stays as it is.
pub(crate) async fn note_step(shared: &Shared, order: &Order, step: &str) -> Result<(), Pause> {
    let attempt = order.attempt;
    let step = match &order.follow_up {
        None => step.to_owned(),
        Some(follow_up) => format!("{}: {step}", follow_up.counted()),
    };
    shared
        .jobs
        .update(&order.job, |job| {
            let is_over = matches!(job.state(), JobState::Completed | JobState::Failed);
            if !(is_over && job.attempt == attempt) {
                job.state = JobState::Running.into();
                job.step.clone_from(&step);
            }
        })
        .await?;
    Ok(())
}

/// All work up to the end, which is not durable yet.
async fn work(
    shared: &Shared,
    order: &Order,
    journal: &mut JobJournal,
    delivery: &Delivery,
) -> Result<End, Pause> {
    let stop = &delivery.stop;
    let worked = async {
        // A worker before this one may have been killed before it counted.
        shared.budgets.count(order, journal, None).await?;
        // A job that has begun may need no further question; each is asked for by itself.
        if journal.len() == 0
            && let Some(used_up) = shared.budgets.used_up(order).await?
        {
            return Err(Stop::UsedUp(used_up));
        }
        let step = if journal.len() == 0 { "checkout" } else { "resuming" };
        note_step(shared, order, step).await?;
        let base = base(shared, order, journal, stop).await?;
        let want = Want::Commit { branch: base.branch.clone(), sha: base.sha.clone() };
        let source = workplace::check_out(shared, order, &want, "", stop).await?;
        let place = workplace::prepare(shared, order, &base, source, stop).await?;
        let event = Event {
            attributes: [
                ("base".to_owned(), base.sha.clone()),
                ("branch".to_owned(), base.branch.clone()),
                ("restricted".to_owned(), base.restricted.to_string()),
            ]
            .into(),
            ..Event::default()
        };
        shared.say(order, "workspace_created", "workspace", event).await?;
        let result = attempt(shared, order, journal, &place, &base).await;
        place.close().await;
        result
    };
    let ending = match worked.await {
        Ok(end) => return Ok(end),
        Err(Stop::Pause(pause)) => return Err(pause),
        Err(Stop::End(ending)) => ending,
        Err(Stop::UsedUp(used_up)) => budget::put_off(shared, order, delivery, &used_up).await?,
    };
    let footer = footer(shared, order, journal, None)?;
    Ok(ended(order, &ending, &footer, (shared.now)()))
}

/// The commit and the task, as the journal has them or as they are now.
async fn base(
    shared: &Shared,
    order: &Order,
    journal: &mut JobJournal,
    stop: &CancellationToken,
) -> Result<BaseChosen, Stop> {
    if let Some(known) = journal.base() {
        return Ok(known);
    }
    let base = match &order.follow_up {
        None => newest(shared, order, stop).await?,
        Some(follow_up) => BaseChosen {
            branch: follow_up.branch.clone(),
            sha: follow_up.head.to_string(),
            findings: follow_up.findings.clone(),
            follow_up: follow_up.number,
            follow_ups: follow_up.of,
            by_person: follow_up.by.is_some(),
            ..task_of_opener(shared, order, follow_up, stop).await?
        },
    };
    let base = BaseChosen { salt: (shared.salt)().to_vec().into(), ..base };
    journal.append_base(base.clone(), (shared.now)()).await?;
    Ok(base)
}

/// The task as the attempt had it that opened the pull request: nobody who may label has read what the
/// issue was changed to since.
async fn task_of_opener(
    shared: &Shared,
    order: &Order,
    follow_up: &FollowUp,
    stop: &CancellationToken,
) -> Result<BaseChosen, Stop> {
    let opener = Order { attempt: follow_up.opener, follow_up: None, ..order.clone() };
    let known = JobJournal::open(shared, &opener).await?.base();
    let known = known.ok_or_else(|| gone("task's journal"))?;
    let told = alert::retell(shared, order, &known).await?;
    told.allows_a_build()?;
    let BaseChosen { title, body, restricted, .. } = known;
    let task = BaseChosen { title, body, restricted, ..BaseChosen::default() };
    if matches!(told, Told::Issue) {
        return Ok(task);
    }
    let (branch, sha) = (follow_up.branch.clone(), follow_up.head.to_string());
    let tree = workplace::check_out(shared, order, &Want::Commit { branch, sha }, "", stop).await?;
    let task = alert::tell(&shared.github(order), order, &told, &tree, task).await;
    let _ = tree.close().await;
    task
}

/// The issue, the target branch's newest commit, and who else works on the issue.
async fn newest(
    shared: &Shared,
    order: &Order,
    stop: &CancellationToken,
) -> Result<BaseChosen, Stop> {
    let github = &shared.github(order);
    let repository = github.get_repository(&order.repository).await.map_err(Pause::from)?;
    let repository = repository.ok_or_else(|| gone("repository"))?;
    let issue =
        github.get_issue(&order.repository, order.issue.get()).await.map_err(Pause::from)?;
    let issue = issue.ok_or_else(|| gone("issue"))?;
    let said = issue.body.unwrap_or_default();
    let origin = Origin::of(shared, &order.repository, order.issue, &said).await?;
    let told = origin.told(shared.settings.auto_build);
    told.allows_a_build()?;
    let pulls = github.list_pulls(&order.repository, None, "open").await.map_err(Pause::from)?;
    let mentioned_by = pulls
        .iter()
        .filter(|pull| !is_pull_for(pull, order))
        .filter(|pull| {
            mentions(&pull.title, order.issue)
                || pull.body.as_deref().is_some_and(|body| mentions(body, order.issue))
        })
        .map(|pull| pull.number)
        .collect();
    let branch = shared.settings.target_branch.clone().unwrap_or(repository.default_branch);
    let checkout =
        workplace::check_out(shared, order, &Want::Branch(branch.clone()), "", stop).await?;
    let task = BaseChosen {
        branch,
        sha: checkout.base().to_owned(),
        title: issue.title,
        body: said,
        mentioned_by,
        ..BaseChosen::default()
    };
    let task = alert::tell(github, order, &told, &checkout, task).await;
    let _ = checkout.close().await;
    task
}

fn gone(what: &str) -> Stop {
    let sentence = format!("I can't go on: the {what} is gone.");
    Stop::End(Ending::needs_human("gone", sentence))
}

/// The agent's run, and what comes of it.
async fn attempt(
    shared: &Shared,
    order: &Order,
    journal: &mut JobJournal,
    place: &Workplace,
    base: &BaseChosen,
) -> Result<End, Stop> {
    let settings = &shared.settings;
    let rounds = place.rounds(settings.rounds);
    let limits = shared.budgets.for_job(&place.config.builder.budget).map_err(Stop::End)?;
    let task = task(&order.repository, order.issue, &order.run(), base);
    let start = converse::start(shared, task, place, rounds);
    let report = converse::converse(shared, order, journal, start, &limits).await?;

    let now = (shared.now)();
    let worked = journal.worked();
    let terms = Terms {
        rounds,
        unfinished: settings.unfinished,
        is_update: order.follow_up.is_some(),
        config: &place.config,
    };
    let ending = match decide(&report, &place.source, &terms).await? {
        Decision::Ended(ending) => ending,
        Decision::TryAgain(pause) => return Err(Stop::Pause(pause)),
        Decision::Propose(standing, changes) => {
            let github = shared.github(order);
            let overlaps = Overlaps::find(&github, order, &proposal::paths(&changes)).await;
            let material = Material {
                overlaps: &overlaps,
                order,
                base,
                commands: &place.commands,
                is_configured: place.is_configured,
                promote: place.config.builder.promote && !place.is_own,
                is_own: place.is_own,
                sandbox: match settings.sandbox.backend {
                    Backend::Bwrap { .. } => "bubblewrap, no network",
                    Backend::None => "**none: the operator switched it off**",
                },
                report: &report,
                standing: &standing,
                rounds,
                spent: shared.budgets.spent(journal)?,
                worked,
                now,
            };
            return Ok(End::Proposed(match &order.follow_up {
                None => proposal::effect(&material, changes),
                Some(follow_up) => proposal::update(&material, follow_up, changes),
            }));
        }
    };
    let footer = footer(shared, order, journal, Some((&report, rounds)))?;
    Ok(ended(order, &ending, &footer, now))
}

/// The task as the journal has it.
pub(crate) fn task(
    repository: &RepoName,
    issue: IssueNumber,
    run: &str,
    base: &BaseChosen,
) -> Task {
    Task {
        repository: repository.to_string(),
        issue: issue.get(),
        title: Untrusted::new(base.title.clone()),
        body: Untrusted::new(base.body.clone()),
        restricted: base.restricted,
        nonce: nonce(run, &base.salt),
        follow_up: (base.follow_up > 0).then(|| NotAccepted {
            number: base.follow_up,
            of: base.follow_ups,
            findings: Untrusted::new(base.findings.clone()),
            person: base.by_person,
        }),
    }
}

fn ended(order: &Order, ending: &Ending, footer: &str, now: DateTime<Utc>) -> End {
    End::Ended {
        outcome: ending.outcome.to_owned(),
        reason: ending.reason.to_owned(),
        effect: Some(ending.effect(order, footer, now)),
    }
}

/// What a run has cost, if it cost anything, and whose it is. `report`: the agent's, and how many rounds there
/// might have been.
fn footer(
    shared: &Shared,
    order: &Order,
    journal: &mut JobJournal,
    report: Option<(&Report, u32)>,
) -> Result<String, Pause> {
    let signature = outcome::signature(order);
    let spent = shared.budgets.spent(journal)?;
    if spent.calls == 0 {
        return Ok(signature);
    }
    let model = journal.paid()?.last().map(|paid| paid.model.clone()).unwrap_or_default();
    let rounds = report.map(|(report, of)| (report.rounds, of));
    let used = proposal::budget(&spent, &model, rounds, journal.worked());
    Ok(format!("Used: {used}.\n\n{signature}"))
}

/// Publishes what the journal says is the end; again, if need be.
async fn say_end(
    shared: &Shared,
    order: &Order,
    delivery: &Delivery,
    end: &End,
) -> Result<(), Pause> {
    let lease = Some((delivery.lease_key.as_str(), delivery.lease_token));
    match end {
        End::Proposed(effect) => {
            shared.outbox.effect(Lane::Outcome, effect, lease).await?;
            say_proposed(shared, order, effect).await?;
            // The job ends, and gives its issue back, when forge has applied it.
            note_step(shared, order, "proposed").await
        }
        End::Ended { outcome, reason, effect } => {
            if let Some(effect) = effect {
                shared.outbox.effect(Lane::Outcome, effect, lease).await?;
            }
            let event = Event {
                reason: reason.clone(),
                detail: outcome.clone(),
                effect_id: effect.as_ref().map(|e: &Effect| e.id.clone()).unwrap_or_default(),
                ..Event::default()
            };
            shared.say(order, "job_failed", "failed", event).await?;
            shared
                .jobs
                .update(&order.job, |job| {
                    job.state = JobState::Failed.into();
                    job.step.clone_from(outcome);
                    job.reason.clone_from(reason);
                })
                .await?;
            claim::release(shared, order).await
        }
    }
}

async fn say_proposed(shared: &Shared, order: &Order, effect: &Effect) -> Result<(), Pause> {
    let event = Event { effect_id: effect.id.clone(), ..Event::default() };
    shared.say(order, "proposal_made", "proposed", event).await
}

/// What fences outside text in this job's prompts: not to be guessed by who wrote the issue, and the
/// same when the job is resumed.
fn nonce(run: &str, salt: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(run);
    hex::encode(hash.finalize().get(..8).unwrap_or_default())
}
