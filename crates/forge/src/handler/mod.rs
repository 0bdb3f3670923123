//! From a message to its write: what is checked, what is remembered, what is said.

mod check_run;
mod comment;
mod create_issue;
mod dry_run;
mod issue_counter;
mod issue_outcome;
mod label_state;
mod mark_ready;
mod open_pull_request;
mod update_pull_request;

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};
use booty_events::{
    EffectId, Message, RepoName, header,
    v1::{Effect, EffectStatus, Event, effect::Write},
};
use booty_github::Scope;
use booty_service::effect_kind;
use tokio_util::sync::CancellationToken;

use crate::{
    core::{Account, Core},
    lanes::Queue,
    once,
    outcome::Stop,
    paces::{self, Paces},
    record::{self, Record, RecordError},
    work::{Work, event_about},
    writer::{Gate, Role},
};

/// The message that an effect failed on: the same one again fails again, another one is a new try.
const FAILED_ON: &str = "failed_on";

/// The attribute of a `failed` event that names the message's entry in the spool.
const SPOOL_ORIGIN: &str = "spool_origin";

/// The longest text in an event, in bytes. An effect may be as large as the broker takes, and what is
/// said of it must still fit.
const LONGEST_TEXT: usize = 64 * 1024;

/// Handles one queue's effects.
pub(crate) struct Effects {
    pub(crate) core: Arc<Core>,
    pub(crate) paces: Arc<Paces>,
    pub(crate) queue: Queue,
    pub(crate) role: Role,
    pub(crate) account: Arc<Account>,
    pub(crate) shutdown: CancellationToken,
}

/// How a handling ended that did not stop halfway.
enum End {
    Done,
    Ignored(&'static str),
}

#[async_trait]
impl Handler for Effects {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let effect = match Effect::decode(delivery.payload.clone()) {
            Ok(effect) => effect,
            Err(error) => {
                let why = format!("not a booty.v1.Effect: {error}");
                return Verdict::Reject { reason: "undecodable".to_owned(), why };
            }
        };
        match self.apply(delivery, &effect).await {
            Ok(End::Done) => Verdict::Done,
            Ok(End::Ignored(reason)) => Verdict::Ignore { reason: reason.to_owned() },
            Err(stop) => stop.into_verdict(),
        }
    }

    fn arriving(&self, delivered: u64) -> Option<Box<dyn Send>> {
        Some(Box::new(self.core.turns.arrived(self.queue, delivered)))
    }

    async fn given_up(&self, delivery: &Delivery, why: &str) -> Result<(), String> {
        let Ok(effect) = Effect::decode(delivery.payload.clone()) else { return Ok(()) };
        match self.tell_given_up(delivery, &effect, why).await {
            Ok(()) => Ok(()),
            Err(Stop::Later { why, .. }) => Err(why),
            Err(Stop::Broken { why } | Stop::Failed { why, .. }) => {
                tracing::error!(why, effect_id = effect.id, "a given up effect can't be told");
                Ok(())
            }
        }
    }
}

impl Effects {
    async fn apply(&self, delivery: &Delivery, effect: &Effect) -> Result<End, Stop> {
        let (id, repo) = match identify(effect) {
            Ok(ids) => ids,
            Err(why) => return self.fail(delivery, effect, None, "invalid", why).await,
        };
        let _turn = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => None,
            () = self.role.lost.cancelled() => None,
            turn = self.core.turns.take(self.queue, &delivery.stop) => turn,
        }
        .ok_or_else(Stop::stopped)?;
        self.wait_until_open(&delivery.stop).await?;

        let mut record = self.core.records.of_effect(&id).await?;
        let hash = record::content_hash(effect);
        if record.exists() && record.state.content_hash != hash {
            return self.conflict(delivery, effect).await;
        }
        match record.status() {
            EffectStatus::Applied => {
                self.tell_applied(effect, &record).await?;
                return Ok(End::Done);
            }
            EffectStatus::Skipped if !is_replay(delivery) => return Ok(End::Done),
            EffectStatus::Failed if record.step(FAILED_ON) == Some(origin(delivery).as_str()) => {
                let why = record.state.error.clone();
                return Err(Stop::failed("failed_before", why));
            }
            // A second message for the same effect: it was told as failed, and only an operator
            // begins it anew.
            EffectStatus::Failed if !is_replay(delivery) => {
                return Ok(End::Ignored("failed_before"));
            }
            _ => {}
        }
        // What was begun is ended: half of it would be worse than a stale whole.
        let begun = record.status() == EffectStatus::Intended;
        if !begun && self.is_stale(delivery).await? {
            let mut event = event_about(effect);
            event.reason = "stale_lease".to_owned();
            event.detail = "asked for under a lease that another holder has taken".to_owned();
            let key = format!("{id}-{}", origin(delivery));
            self.say("refused_stale", &key, event).await?;
            return Ok(End::Ignored("stale_lease"));
        }
        if !begun {
            let traceparent = delivery.headers.get(header::TRACEPARENT).unwrap_or_default();
            record.begin(hash, traceparent, &self.account.login);
        } else if let Some(left) = record.pause_left(self.core.records.now()) {
            return Err(Stop::later(left, "the effect waits for its next try"));
        }

        let scope = Scope {
            installation: Some(effect.installation).filter(|id| *id != 0),
            repository: Some(repo.clone()),
        };
        let github = self.core.github.scoped(scope);
        let settings = &self.core.settings;
        let mut work = Work {
            core: &self.core,
            github: &github,
            gate: Gate {
                paces: &self.paces,
                pace_account: paces::account(self.account.app.is_some(), &repo),
                patience: settings.patience,
                http_timeout: settings.http_timeout,
                resend_delays: &settings.resend_delays,
                stop: &delivery.stop,
                role: &self.role,
            },
            effect,
            id,
            repo,
            record,
            asked_at: delivery.published,
            account: &self.account,
        };
        if settings.dry_run || effect.dry_run {
            return self.dry_run(work).await;
        }
        match dispatch(&mut work).await {
            Ok(Applied::Now) => self.finish(work).await,
            Ok(Applied::Skipped { reason, why }) => {
                work.record.state.status = EffectStatus::Skipped.into();
                let mut event = work.event();
                event.reason = reason.to_owned();
                event.detail = why;
                self.say("skipped", work.id.as_str(), event).await?;
                work.save().await?;
                Ok(End::Ignored(reason))
            }
            Err(Stop::Failed { reason, why }) => {
                let Work { record, .. } = work;
                self.fail(delivery, effect, Some(record), reason, why).await
            }
            Err(later) => Err(later),
        }
    }

    /// While GitHub takes no requests nothing else can be done either: the turn is kept, and nothing
    /// more is pulled.
    async fn wait_until_open(&self, stop: &CancellationToken) -> Result<(), Stop> {
        while let Some(wait) = self.core.github.closed_for() {
            tracing::info!(?wait, "waits: GitHub takes no requests");
            tokio::select! {
                () = stop.cancelled() => return Err(Stop::stopped()),
                () = self.role.lost.cancelled() => return Err(Stop::stopped()),
                () = self.shutdown.cancelled() => return Err(Stop::stopped()),
                () = tokio::time::sleep(wait) => {}
            }
        }
        Ok(())
    }

    /// Says that it is applied, and remembers the object under its own number.
    async fn finish(&self, mut work: Work<'_>) -> Result<End, Stop> {
        self.tell_applied(work.effect, &work.record).await?;
        if once::is_audit_due(&work.record) {
            let pause = self.core.settings.lookup_delays.last().copied().unwrap_or_default();
            work.record.pause(self.core.records.now(), pause);
            work.save().await?;
            return Err(Stop::later(pause, "applied; looks once more for a second one"));
        }
        if work.record.state.number != 0 {
            let state = &work.record.state;
            let mut object = self.core.records.new_object(&work.repo, state.number);
            object.state.effect_id.clone_from(&state.effect_id);
            object.state.traceparent.clone_from(&state.traceparent);
            object.state.url.clone_from(&state.url);
            object.state.number = state.number;
            object.state.status = EffectStatus::Applied.into();
            match self.core.records.save(&mut object).await {
                // It is known already, by what made it.
                Ok(()) | Err(RecordError::Taken { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        work.record.state.status = EffectStatus::Applied.into();
        work.save().await?;
        Ok(End::Done)
    }

    async fn tell_applied(&self, effect: &Effect, record: &Record) -> Result<(), Stop> {
        let mut event = event_about(effect);
        event.number = record.state.number;
        event.url.clone_from(&record.state.url);
        for step in ["branch", "commit", "check_run", "status", issue_counter::REOPENED] {
            if let Some(value) = record.step(step) {
                event.attributes.insert(step.to_owned(), value.to_owned());
            }
        }
        self.say("applied", &effect.id, event).await
    }

    async fn dry_run(&self, mut work: Work<'_>) -> Result<End, Stop> {
        let mut event = work.event();
        event.detail = dry_run::summary(work.effect);
        event.attributes.extend(dry_run::attributes(work.effect));
        self.say("dry_run", work.id.as_str(), event).await?;
        work.record.state.status = EffectStatus::Skipped.into();
        work.save().await?;
        Ok(End::Done)
    }

    /// The first content stays: whoever asks for another under the same id is told.
    async fn conflict(&self, delivery: &Delivery, effect: &Effect) -> Result<End, Stop> {
        let mut event = event_about(effect);
        event.reason = "effect_conflict".to_owned();
        event.detail = "the same effect was asked for before with another content".to_owned();
        let key = format!("{}-{}", effect.id, origin(delivery));
        self.say("effect_conflict", &key, event).await?;
        tracing::warn!(effect_id = effect.id, "effect_conflict: the first content stays");
        Ok(End::Ignored("effect_conflict"))
    }

    /// Says that it failed, remembers it, and rejects the message.
    async fn fail(
        &self,
        delivery: &Delivery,
        effect: &Effect,
        record: Option<Record>,
        reason: &'static str,
        why: String,
    ) -> Result<End, Stop> {
        self.tell_failed(delivery, effect, record, reason, &why).await?;
        tracing::warn!(effect_id = effect.id, job_id = effect.cause, reason, why, "effect failed");
        Err(Stop::failed(reason, why))
    }

    /// After so many failures on the way. What was applied meanwhile is not told as failed.
    async fn tell_given_up(
        &self,
        delivery: &Delivery,
        effect: &Effect,
        why: &str,
    ) -> Result<(), Stop> {
        let mut record = None;
        if let Ok((id, _)) = identify(effect) {
            match self.core.records.of_effect(&id).await.map_err(Stop::from) {
                // Another content's record is not this one's to end.
                Ok(found) => {
                    let hash = record::content_hash(effect);
                    record = Some(found).filter(|r| !r.exists() || r.state.content_hash == hash);
                }
                Err(later @ Stop::Later { .. }) => return Err(later),
                Err(error) => tracing::warn!(?error, effect_id = effect.id, "no record to end"),
            }
        }
        match record {
            Some(record) if record.status() == EffectStatus::Applied => {
                self.tell_applied(effect, &record).await
            }
            record => self.tell_failed(delivery, effect, record, "given_up", why).await,
        }
    }

    /// Says that it failed, and remembers it.
    async fn tell_failed(
        &self,
        delivery: &Delivery,
        effect: &Effect,
        record: Option<Record>,
        reason: &str,
        why: &str,
    ) -> Result<(), Stop> {
        let mut event = event_about(effect);
        event.reason = reason.to_owned();
        event.detail = why.to_owned();
        // The spool's subject ends with it, and a replay's begins with it.
        event.attributes.insert(SPOOL_ORIGIN.to_owned(), origin(delivery));
        if let Some(record) = &record {
            event.number = record.state.number;
            event.url.clone_from(&record.state.url);
        }
        let said = self.say("failed", &failed_key(effect, delivery), event).await;
        // Nobody can be told, now or later: it is over all the same.
        if !matches!(said, Err(Stop::Later { .. }))
            && let Some(mut record) = record
        {
            if record.state.content_hash.is_empty() {
                record.state.content_hash = record::content_hash(effect).into();
            }
            record.state.status = EffectStatus::Failed.into();
            record.state.error = why.to_owned();
            record.state.steps.insert(FAILED_ON.to_owned(), origin(delivery));
            self.core.records.save(&mut record).await?;
        }
        said
    }

    /// Whether the lease that the effect was asked under has passed to another holder.
    async fn is_stale(&self, delivery: &Delivery) -> Result<bool, Stop> {
        let headers = &delivery.headers;
        let (Some(key), Some(token)) =
            (headers.get(header::LEASE_KEY), headers.get(header::LEASE_TOKEN))
        else {
            return Ok(false);
        };
        // An operator's replay is a decision of its own.
        if is_replay(delivery) {
            return Ok(false);
        }
        let Ok(token) = token.parse::<u64>() else { return Ok(true) };
        let current = self.core.leases.current_token(key).await?;
        Ok(current.is_some_and(|current| current > token))
    }

    async fn say(&self, what: &str, key: &str, mut event: Event) -> Result<(), Stop> {
        bound(&mut event);
        tracing::info!(
            event = format!("effect_{what}"),
            effect_id = event.effect_id,
            job_id = event.job_id,
            issue = event.issue,
            number = event.number,
            reason = event.reason,
            "effect {what}"
        );
        self.core.outbox.event(what, key, event).await?;
        Ok(())
    }
}

/// Cuts what an effect brought along, so that the broker takes the event whatever that was.
fn bound(event: &mut Event) {
    cut(&mut event.detail);
    event.attributes.values_mut().for_each(cut);
}

fn cut(text: &mut String) {
    if text.len() > LONGEST_TEXT {
        let whole = text.len();
        text.truncate(text.floor_char_boundary(LONGEST_TEXT));
        text.push_str(&format!("… (cut: {whole} bytes)"));
    }
}

/// What a dispatched effect came to.
enum Applied {
    Now,
    /// What was wanted is past.
    Skipped {
        reason: &'static str,
        why: String,
    },
}

impl Applied {
    /// A state whose version is not above the applied one.
    fn not_newer(version: u64, applied: u64) -> Self {
        let why = format!("version {version} is not above version {applied}, which was applied");
        Self::Skipped { reason: "not_newer", why }
    }
}

async fn dispatch(work: &mut Work<'_>) -> Result<Applied, Stop> {
    match &work.effect.write {
        Some(Write::OpenPullRequest(write)) => open_pull_request::apply(work, write).await?,
        Some(Write::IssueOutcome(write)) => issue_outcome::apply(work, write).await?,
        Some(Write::Comment(write)) => comment::apply(work, write).await?,
        Some(Write::LabelState(write)) => return label_state::apply(work, write).await,
        Some(Write::CreateIssue(write)) => create_issue::apply(work, write).await?,
        Some(Write::CheckRun(write)) => return check_run::apply(work, write).await,
        Some(Write::MarkReady(write)) => return mark_ready::apply(work, write).await,
        Some(Write::UpdatePullRequest(write)) => {
            return update_pull_request::apply(work, write).await;
        }
        Some(Write::IssueCounter(write)) => return issue_counter::apply(work, write).await,
        None => return Err(Stop::failed("invalid", "there is nothing to write")),
    }
    Ok(Applied::Now)
}

fn identify(effect: &Effect) -> Result<(EffectId, RepoName), String> {
    let id: EffectId = effect.id.parse().map_err(|e| format!("{:?}: {e}", effect.id))?;
    let repo = effect.repository.parse().map_err(|e| format!("{:?}: {e}", effect.repository))?;
    if effect.write.is_none() {
        return Err("there is nothing to write, or a newer version's kind of write".to_owned());
    }
    if id != EffectId::new(&effect.cause, &effect.slot) {
        return Err(format!("the id is not that of cause {:?}, {:?}", effect.cause, effect.slot));
    }
    Ok((id, repo))
}

fn origin(delivery: &Delivery) -> String {
    format!("{}-{}", delivery.stream, delivery.sequence)
}

fn is_replay(delivery: &Delivery) -> bool {
    delivery.replay_of.is_some()
}

/// One event for each message that the effect failed on.
fn failed_key(effect: &Effect, delivery: &Delivery) -> String {
    let kind = effect_kind(effect);
    let id = if effect.id.is_empty() { kind } else { &effect.id };
    format!("{id}-{}", origin(delivery))
}
