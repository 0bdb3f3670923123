//! Creating something exactly once, although an answer can get lost.
//!
//! The intent is written down before the request leaves. Whoever finds an intent without a result
//! (after a crash, a timeout, a broken connection) looks for the object by listing and by its marker,
//! several times with growing pauses, and sends the request again only then.

use std::time::Duration;

use async_trait::async_trait;
use booty_github::{Kind, pace::Write};

use crate::{
    outcome::{self, Stop},
    record::Record,
    work::Work,
    writer::NotSent,
};

/// How often one creation is sent at most, all unknown outcomes together.
const MOST_SENDS: u32 = 6;

/// What the mark on a step that was sent more than once starts with.
const RESENT: &str = "resent:";

/// An object of ours on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    /// An issue's or pull request's number, or a comment's id. Grows with age.
    pub(crate) id: u64,
    pub(crate) url: String,
}

impl Made {
    fn to_step(&self) -> String {
        format!("{} {}", self.id, self.url)
    }

    pub(crate) fn from_step(text: &str) -> Option<Self> {
        let (id, url) = text.split_once(' ')?;
        Some(Self { id: id.parse().ok()?, url: url.to_owned() })
    }
}

/// Something that notifies people, and that a repeated request would make twice.
#[async_trait]
pub(crate) trait Creation: Sync {
    /// Its step's name in the record.
    fn step(&self) -> &str;
    /// What sending it counts as.
    fn cost(&self) -> Write {
        Write::Content
    }
    /// Whether a second one could be seen and taken away later.
    fn is_removable(&self) -> bool {
        true
    }
    /// Those that are there, by marker and author.
    async fn look_up(&self, work: &Work<'_>) -> Result<Vec<Made>, booty_github::Error>;
    /// Sends the request, once. The gate is passed by the caller.
    async fn create(&self, work: &Work<'_>) -> Result<Made, booty_github::Error>;
    /// Takes one away that is too many.
    async fn remove(&self, work: &Work<'_>, surplus: &Made) -> Result<(), NotSent>;
}

/// [`once`], for something that may be there although nothing is known of it: a record ends, the
/// object stays.
pub(crate) async fn once_ever(work: &mut Work<'_>, creation: &dyn Creation) -> Result<Made, Stop> {
    let step = creation.step();
    if work.record.step(step).is_none() && work.record.state.pending_step != step {
        let listed = creation.look_up(work).await;
        let found = work.read(listed).await?;
        if !found.is_empty() {
            return settle(work, creation, found).await;
        }
    }
    once(work, creation).await
}

/// Creates it, or finds what an earlier try made.
pub(crate) async fn once(work: &mut Work<'_>, creation: &dyn Creation) -> Result<Made, Stop> {
    let step = creation.step();
    if let Some(made) = work.record.step(step).and_then(Made::from_step) {
        return if work.record.step(&resent(step)).is_some() {
            audit(work, creation, made).await
        } else {
            Ok(made)
        };
    }
    if work.record.state.pending_step == step
        && let Some(made) = look_again(work, creation).await?
    {
        return settle(work, creation, made).await;
    }
    if work.record.state.sends >= MOST_SENDS {
        let why = format!("{step}: sent {MOST_SENDS} times, and never seen to be done");
        return Err(Stop::failed("unknown_outcome", why));
    }
    let admitted = work.gate.admit(creation.cost()).await;
    work.repeatable(admitted).await?;
    work.record.state.pending_step = step.to_owned();
    work.record.state.lookups = 0;
    work.record.state.sends += 1;
    work.save().await?;
    let sent = match work.gate.check() {
        Ok(()) => creation.create(work).await.map_err(NotSent::Github),
        Err(stopped) => Err(stopped),
    };
    match sent {
        Ok(made) if work.record.state.sends == 1 || !creation.is_removable() => {
            note(work, step, made).await
        }
        Ok(made) => {
            work.record.state.steps.insert(resent(step), String::new());
            note(work, step, made).await
        }
        Err(error) => after_failure(work, creation, error).await,
    }
}

/// Whether something was sent twice and not yet looked at afterwards.
pub(crate) fn is_audit_due(record: &Record) -> bool {
    record.state.steps.keys().any(|step| step.starts_with(RESENT))
}

/// What is due on one record becomes due on another: several effects may share an object.
pub(crate) fn hand_on_audit(from: &Record, to: &mut Record) {
    let steps = &mut to.state.steps;
    steps.retain(|step, _| !step.starts_with(RESENT));
    if is_audit_due(from) {
        steps.insert(resent("shared"), String::new());
    }
}

/// Whoever takes up what several effects share has tries of its own.
pub(crate) fn forget_failures(target: &mut Record) {
    (target.state.attempts, target.state.sends) = (0, 0);
}

fn resent(step: &str) -> String {
    format!("{RESENT}{step}")
}

/// Looks whether the first sending was done after all, only later than anybody could see.
async fn audit(work: &mut Work<'_>, creation: &dyn Creation, made: Made) -> Result<Made, Stop> {
    let listed = creation.look_up(work).await;
    let mut surplus = work.read(listed).await?;
    // By its id: an address changes with its repository's name.
    surplus.retain(|found| found.id != made.id);
    work.record.state.steps.remove(&resent(creation.step()));
    // This one was told, and what came after was done to it: it stays, also where another is older.
    keep(work, creation, made, surplus).await
}

/// Looks for what an earlier try made: `None` when it may be sent again.
async fn look_again(
    work: &mut Work<'_>,
    creation: &dyn Creation,
) -> Result<Option<Vec<Made>>, Stop> {
    // An object that is seen early is there; one that is not seen early may still come.
    let listed = creation.look_up(work).await;
    let found = work.read(listed).await?;
    if !found.is_empty() {
        return Ok(Some(found));
    }
    let delays = &work.core.settings.lookup_delays;
    let done = usize::try_from(work.record.state.lookups).unwrap_or(usize::MAX);
    if let Some(delay) = delays.get(done) {
        let since = work.record.updated().map(|at| work.core.records.now() - at);
        let waited = since.and_then(|since| since.to_std().ok()).unwrap_or_default();
        // The bus redelivers up to a fifth early.
        if waited < delay.mul_f64(0.75) {
            return Err(Stop::later(*delay - waited, unknown(creation)));
        }
    }
    work.record.state.lookups += 1;
    match delays.get(done + 1) {
        None => Ok(None),
        Some(next) => {
            work.save().await?;
            Err(Stop::later(*next, unknown(creation)))
        }
    }
}

fn unknown(creation: &dyn Creation) -> String {
    format!("{}: its outcome is unknown, looking for it again", creation.step())
}

/// Keeps the oldest.
async fn settle(
    work: &mut Work<'_>,
    creation: &dyn Creation,
    mut found: Vec<Made>,
) -> Result<Made, Stop> {
    found.sort_by_key(|made| made.id);
    let mut found = found.into_iter();
    let Some(oldest) = found.next() else {
        return Err(Stop::later(Duration::ZERO, unknown(creation)));
    };
    keep(work, creation, oldest, found.collect()).await
}

/// Takes the others away and says so.
async fn keep(
    work: &mut Work<'_>,
    creation: &dyn Creation,
    kept: Made,
    others: Vec<Made>,
) -> Result<Made, Stop> {
    for surplus in others {
        let removed = creation.remove(work, &surplus).await;
        work.repeatable(removed).await?;
        let mut event = work.event();
        event.url.clone_from(&surplus.url);
        event.detail = format!("{}: {} was one too many and is gone", creation.step(), surplus.url);
        let key = format!("{}-{}-{}", work.id, creation.step(), surplus.id);
        work.core.outbox.event("duplicate_removed", &key, event).await?;
        tracing::warn!(url = surplus.url, effect_id = %work.id, "a second object with one marker");
    }
    note(work, creation.step(), kept).await
}

async fn note(work: &mut Work<'_>, step: &str, made: Made) -> Result<Made, Stop> {
    work.done(step, made.to_step()).await?;
    Ok(made)
}

/// What a failed sending means: the object after all, or why there is none yet. Saves what has to be
/// known of it.
async fn after_failure(
    work: &mut Work<'_>,
    creation: &dyn Creation,
    error: NotSent,
) -> Result<Made, Stop> {
    let retry_delays = &work.core.settings.retry_delays;
    let lookup_delays = &work.core.settings.lookup_delays;
    let now = work.core.records.now();
    let (known_not_done, stop) = match &error {
        // Also a PATCH that adds to what is there must not be sent twice.
        NotSent::Github(github) if github.kind() == Kind::Unknown || github.is_lost_answer() => {
            // Found at once it needs no pause; not found says nothing yet.
            if let Ok(found) = creation.look_up(work).await
                && !found.is_empty()
            {
                return settle(work, creation, found).await;
            }
            work.record.state.error = outcome::with_sources(github);
            let pause = lookup_delays.first().copied().unwrap_or_default();
            (false, Stop::later(pause, outcome::with_sources(github)))
        }
        NotSent::Github(github) if github.is_already_exists() => {
            let listed = creation.look_up(work).await;
            let found = work.read(listed).await?;
            if !found.is_empty() {
                return settle(work, creation, found).await;
            }
            if work.record.state.sends > 1 {
                // Our own, not to be seen yet.
                (false, outcome::retry(github, &mut work.record, retry_delays, now))
            } else {
                (true, Stop::failed(github.word(), outcome::with_sources(github)))
            }
        }
        // GitHub itself says that it failed: one look makes sure before the next try.
        NotSent::Github(github @ booty_github::Error::Server { .. }) => {
            work.record.state.lookups = u32::try_from(lookup_delays.len()).unwrap_or(u32::MAX);
            (false, outcome::retry(github, &mut work.record, retry_delays, now))
        }
        _ => {
            work.record.state.sends -= 1;
            (true, outcome::after(error, &mut work.record, retry_delays, now))
        }
    };
    if known_not_done {
        work.record.state.pending_step.clear();
    }
    work.save().await?;
    Err(stop)
}
