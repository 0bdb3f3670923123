//! One head, from its merge to its verdict. The end is in the journal before it is said: a verifier
//! that is killed judges again, or says again what was judged, and never two things.

mod end;
mod remote;

use booty_bus::Delivery;
use booty_events::{
    Lane,
    v1::{CheckRun, Job, JobState},
};
use booty_judge::{Judge, Report, Stage};
use booty_policy::Config;
use booty_sandbox::Limits;
use booty_workspace::{Head, Merge, Proposal, Side, Want};
use tokio_util::sync::CancellationToken;

use self::end::{End, JudgedJournal};
use crate::{
    claim,
    order::{Order, Phase},
    payload::Asked,
    shared::{Pause, Shared, chain},
    waiver,
};

pub(crate) use end::{say_end_again, say_lost};

/// Why a judgement stops before its report.
enum Stop {
    /// For now.
    Pause(Pause),
    /// For good.
    End(End),
}

impl<E: Into<Pause>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Pause(error.into())
    }
}

/// Judges a head to its end, or as far as it gets.
pub(crate) async fn run(shared: &Shared, order: &Order, delivery: &Delivery) -> Result<(), Pause> {
    let mut journal = JudgedJournal::open(shared, order).await?;
    let end = match journal.end() {
        Some(end) => end,
        None => {
            begin(shared, order, delivery).await?;
            let end = tokio::select! {
                end = work(shared, order, &delivery.stop) => end?,
                head = claim::lost(shared, order) => End::superseded(order, &head),
                () = delivery.stop.cancelled() => return Err(Pause::away("the worker stops")),
            };
            journal.append(&end).await?;
            end
        }
    };
    end::say(shared, order, delivery, &end).await
}

/// Says that the head is being judged.
async fn begin(shared: &Shared, order: &Order, delivery: &Delivery) -> Result<(), Pause> {
    let state = CheckRun {
        title: "in progress".to_owned(),
        summary: "Merging the head into its base, then policy, setup, import and compile, tests, \
                  evidence."
            .to_owned(),
        started_at: Some(order.asked_at.into()),
        ..CheckRun::default()
    };
    let lease = Some((delivery.lease_key.as_str(), delivery.lease_token));
    let effect = order.check(Phase::InProgress, state);
    shared.outbox.effect(Lane::Check, &effect, lease).await?;
    note(shared, order, JobState::Running, "merge").await
}

/// Notes what is being done. A job that is over stays as it is.
async fn note(shared: &Shared, order: &Order, state: JobState, step: &str) -> Result<(), Pause> {
    shared
        .jobs
        .update(&order.job, |job| {
            let is_over = matches!(job.state(), JobState::Completed | JobState::Failed);
            if !(is_over && job.attempt == order.attempt) {
                let created = job.created;
                let trace_id = std::mem::take(&mut job.trace_id);
                *job = Job {
                    id: order.job.to_string(),
                    state: state.into(),
                    service: "verifier".to_owned(),
                    repository: order.repository.to_string(),
                    issue: order.pull,
                    pull_request: order.pull,
                    head_sha: order.head.clone(),
                    delivery_id: order.delivery.to_string(),
                    attempt: order.attempt,
                    replay_of: order.replay_of,
                    step: step.to_owned(),
                    created,
                    trace_id,
                    ..Job::default()
                };
            }
        })
        .await?;
    Ok(())
}

/// All work up to the end, which is not durable yet.
async fn work(shared: &Shared, order: &Order, stop: &CancellationToken) -> Result<End, Pause> {
    match judged(shared, order, stop).await {
        Ok(report) => Ok(End::judged(order, &report, (shared.now)())),
        Err(Stop::End(end)) => Ok(end),
        Err(Stop::Pause(pause)) => Err(pause),
    }
}

async fn judged(shared: &Shared, order: &Order, stop: &CancellationToken) -> Result<Report, Stop> {
    // Everything that was begun ends with this future, whoever drops it.
    let stop = stop.child_token();
    let _stop = stop.clone().drop_guard();
    let sandbox = shared.sandbox().await.map_err(|unavailable| {
        let why = chain(&unavailable);
        Stop::End(End::neutral(order, "sandbox_unavailable", "sandbox unavailable", &why))
    })?;
    let judge = Judge {
        sandbox: sandbox.clone(),
        setup: shared.setup.clone(),
        env: Default::default(),
        limits: Limits::default(),
        scratch: shared.scratch.clone(),
    };
    let remote = remote::of(shared, order).await?;
    let key = order.repository.token();
    let base = Want::Branch(order.base_branch.clone());
    let head =
        Head { sha: order.head.clone(), reference: format!("refs/pull/{}/head", order.pull) };
    let merged = shared.workspaces.merge(&key, &remote, &base, &head, stop.clone()).await;
    let merge = merged.map_err(|error| remote::explain(order, &error))?;
    let proposal = match merge {
        Merge::Clean(proposal) => proposal,
        Merge::Conflict { base, head, paths } => {
            return Ok(booty_judge::conflict(&base, &head, &paths));
        }
    };
    let waiver = waiver::find(shared, order, &waiver_label(&proposal).await).await?;
    let name = order.run();
    let scope = format!("pr{}", order.pull);
    let progress = |stage: Stage| tracing::info!(event = "stage_started", stage = stage.as_str());
    let wanted = booty_judge::Order {
        proposal: &proposal,
        repository: &key,
        scope: &scope,
        name: &name,
        waiver,
        cancel: stop,
        progress: &progress,
    };
    judge.judge(&wanted).await.map_err(|error| broken(order, &error))
}

/// The base's word for the label; a broken file has none.
async fn waiver_label(proposal: &Proposal) -> String {
    let file = proposal.content(Side::Base, Config::FILE_NAME.as_bytes()).await;
    let config = file.ok().flatten().and_then(|bytes| Config::parse(&bytes).ok());
    config.unwrap_or_default().verifier.waiver_label
}

fn broken(order: &Order, error: &booty_judge::Error) -> Stop {
    let why = chain(error);
    match error {
        booty_judge::Error::Cancelled => Stop::Pause(Pause::away("the judgement was called off")),
        booty_judge::Error::Workspace(error) => remote::explain(order, error),
        booty_judge::Error::Sandbox(_) => {
            Stop::End(End::neutral(order, "sandbox_unavailable", "sandbox unavailable", &why))
        }
        _ => Stop::Pause(Pause::Failed { why }),
    }
}

/// The order of a job that was begun under this delivery, whatever GitHub says of its head by now.
pub(crate) async fn begun_before(
    shared: &Shared,
    asked: &Asked,
    delivery: &Delivery,
) -> Result<Option<Order>, Pause> {
    let Some(job) = shared.jobs.get(&asked.job).await? else { return Ok(None) };
    let is_open = matches!(job.state(), JobState::Queued | JobState::Running);
    if !is_open || job.head_sha.is_empty() {
        return Ok(None);
    }
    Ok(Some(Order::of_begun(asked, delivery, &job)))
}

/// Ends a job whose head is not the newest any more.
pub(crate) async fn end_superseded(
    shared: &Shared,
    order: &Order,
    delivery: &Delivery,
) -> Result<(), Pause> {
    let newest = claim::current(shared, &order.repository, order.pull).await?;
    let newest = newest.map(|claim| claim.head).unwrap_or_default();
    finish(shared, order, delivery, End::superseded(order, &newest)).await
}

/// Ends a job that failed too often, unless its end is in the journal already.
pub(crate) async fn give_up(
    shared: &Shared,
    asked: &Asked,
    delivery: &Delivery,
    why: &str,
) -> Result<(), Pause> {
    // A job that was never begun owes nobody an end: there is no check run.
    let Some(order) = begun_before(shared, asked, delivery).await? else { return Ok(()) };
    let end = End::neutral(&order, "failed", "could not be judged: it kept failing", why);
    finish(shared, &order, delivery, end).await
}

async fn finish(
    shared: &Shared,
    order: &Order,
    delivery: &Delivery,
    end: End,
) -> Result<(), Pause> {
    let mut journal = JudgedJournal::open(shared, order).await?;
    let end = match journal.end() {
        Some(known) => known,
        None => {
            journal.append(&end).await?;
            end
        }
    };
    end::say(shared, order, delivery, &end).await
}
