//! What the builder asked of forge, found again: effects, and the pull requests that came of them.

use booty_events::{
    CommitSha, EffectId, IssueNumber, JobId, Message as _, RepoName, Service, bucket, label,
    stream,
    v1::{Effect, EffectRecord, Job, OpenPullRequest, effect::Write},
};
use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    order::{Asked, Order},
    outcome::{SLOT_OPEN, SLOT_UPDATE},
    shared::{Pause, Shared},
};

/// How long after a verdict forge may take to write down whose the pull request is. Its own note comes
/// last of all, and the verifier may be quicker.
const NOTED_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// A pull request that a job of the builder's opened.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) number: u64,
    /// The run of the job that opened it.
    pub(crate) opener: Order,
    pub(crate) opened: OpenPullRequest,
    /// The branch that it came to have.
    pub(crate) branch: String,
    /// The commits that forge made for us on the branch, the newest last.
    commits: Vec<String>,
    pub(crate) job: Job,
}

/// Whether what was opened does not pass, and was shown as the best attempt there is: its outcome says
/// that a person is needed.
pub(crate) fn is_unfinished(opened: &OpenPullRequest) -> bool {
    opened.outcome.as_ref().is_some_and(|outcome| outcome.label != label::OPENED)
}

/// Whose a judged commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The newest that forge made for us.
    Newest,
    /// One that forge made for us before.
    Older,
    /// Somebody else's, or with something of somebody else's in it.
    Foreign,
}

impl Pull {
    pub(crate) fn whose(&self, head: &CommitSha) -> Whose {
        match self.commits.iter().rposition(|commit| commit == head.as_str()) {
            None => Whose::Foreign,
            Some(at) if at + 1 == self.commits.len() => Whose::Newest,
            Some(_) => Whose::Older,
        }
    }
}

/// The pull request with this number if a job of ours opened it; else a word. `asked` is when the
/// question came up.
pub(crate) async fn pull(
    shared: &Shared,
    repository: &RepoName,
    number: u64,
    asked: DateTime<Utc>,
) -> Result<Result<Pull, &'static str>, Pause> {
    let key = bucket::object_key(repository, number);
    let Some(object) = record(shared, &key).await? else {
        let is_new = (shared.now)() - asked < NOTED_WITHIN;
        if is_new && looks_ours(shared, repository, number).await? {
            return Err(Pause::away("forge has not noted yet whose the pull request is"));
        }
        return Ok(Err("not_ours"));
    };
    let Some(effect) = effect(shared, &object.effect_id).await? else {
        return Ok(Err("unknown_effect"));
    };
    if effect.requested_by != Service::Builder.as_str() {
        return Ok(Err("not_ours"));
    }
    let Some(Write::OpenPullRequest(opened)) = &effect.write else {
        return Ok(Err("not_ours"));
    };
    let Some(opener) = order(&effect, opened.issue, SLOT_OPEN) else {
        return Ok(Err("unknown_job"));
    };
    let Some(job) = shared.jobs.get(&opener.job).await? else { return Ok(Err("unknown_job")) };
    let Some(made) = record(shared, &effect.id).await? else { return Ok(Err("unknown_effect")) };
    let step = |record: &EffectRecord, name: &str| record.steps.get(name).cloned();
    let (Some(branch), Some(first)) = (step(&made, "branch"), step(&made, "commit")) else {
        return Ok(Err("unknown_commit"));
    };
    let mut commits = vec![first];
    for attempt in opener.attempt + 1..=job.attempt {
        let later = Order { attempt, ..opener.clone() };
        let update = record(shared, later.effect_id(SLOT_UPDATE).as_str()).await?;
        // A commit that the branch was never moved to is on no pull request.
        if let Some(update) = update.filter(|update| update.steps.contains_key("branch")) {
            commits.extend(step(&update, "commit"));
        }
    }
    let opened = opened.clone();
    Ok(Ok(Pull { number, opener, opened, branch, commits, job }))
}

/// Whether the pull request is from a branch that only forge makes.
async fn looks_ours(shared: &Shared, repository: &RepoName, number: u64) -> Result<bool, Pause> {
    let github = shared.github_of(repository);
    let pull = github.get_pull(repository, number).await?;
    Ok(pull.is_some_and(|pull| {
        pull.head.is_in(repository.as_str()) && pull.head.branch.starts_with("agent/issue-")
    }))
}

/// What forge remembers under a key.
async fn record(shared: &Shared, key: &str) -> Result<Option<EffectRecord>, Pause> {
    let Some(entry) = shared.effects.get(key).await? else { return Ok(None) };
    let record = EffectRecord::decode(entry.value)
        .map_err(|error| Pause::Failed { why: format!("forge's record {key}: {error}") })?;
    Ok(Some(record))
}

/// The effect with an id. Ids are hexadecimal digits, so none can widen the filter.
pub(crate) async fn effect(shared: &Shared, id: &str) -> Result<Option<Effect>, Pause> {
    let Ok(id) = id.parse::<EffectId>() else { return Ok(None) };
    let filter = format!("booty.effect.*.*.{id}");
    let stored = shared.bus.last_message(stream::EFFECTS.name, &filter).await?;
    Ok(stored.and_then(|stored| Effect::decode(stored.payload).ok()))
}

/// The order that asked for the effect in this slot. Its attempt is the one whose slot gives the
/// effect's id.
pub(crate) fn order(effect: &Effect, issue: u64, slot: &str) -> Option<Order> {
    let job: JobId = effect.cause.parse().ok()?;
    let attempt = match effect.slot.split_once('#') {
        Some((_, attempt)) => attempt.parse().ok()?,
        None => 1,
    };
    let order = Order {
        delivery: job.delivery()?,
        job,
        repository: effect.repository.parse().ok()?,
        installation: effect.installation,
        issue: IssueNumber::new(issue)?,
        attempt,
        replay_of: 0,
        asked: Asked::default(),
        follow_up: None,
    };
    (order.effect_id(slot).as_str() == effect.id).then_some(order)
}
