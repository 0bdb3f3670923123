//! The end of a draft of ours: asked of forge after a verdict for its head, and said when it is there.

use booty_events::{
    CommitSha, EffectId, JobId, Lane,
    v1::{Effect, Event, Job, JobState, MarkReady, effect::Write},
};

use crate::{
    order::{Asked, Order},
    ours::Pull,
    shared::{Pause, Shared},
};

/// Digits of a commit that tell the heads of one pull request apart.
const SHORT: usize = 12;

/// Asks forge to end the draft. Forge looks whether the head is still this one.
pub(crate) async fn ask(shared: &Shared, pull: &Pull, head: &CommitSha) -> Result<(), Pause> {
    let opener = &pull.opener;
    let write = MarkReady {
        pull_request: pull.number,
        head_sha: head.to_string(),
        issue: opener.issue.get(),
    };
    let slot = slot(head.as_str());
    let effect = Effect {
        id: EffectId::new(opener.job.as_str(), &slot).to_string(),
        cause: opener.job.to_string(),
        slot,
        repository: opener.repository.to_string(),
        installation: opener.installation,
        created: Some((shared.now)().into()),
        requested_by: "builder".to_owned(),
        dry_run: false,
        write: Some(Write::MarkReady(write)),
    };
    // Without a lease: there is one such effect for a head, whoever asks for it.
    shared.outbox.effect(Lane::Outcome, &effect, None).await?;
    Ok(())
}

/// Says why a draft stays one. The same reason for the same head is one fact.
pub(crate) async fn refuse(
    shared: &Shared,
    order: &Order,
    pull_request: u64,
    head: &str,
    reason: &str,
    detail: &str,
) -> Result<(), Pause> {
    let event = Event {
        number: pull_request,
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        attributes: [("head".to_owned(), head.to_owned())].into(),
        ..Event::default()
    };
    let step = format!("not-{}-{reason}", short(head));
    shared.say(&first(order), "not_promoted", &step, event).await
}

/// The order behind a [`MarkReady`] of the builder's.
pub(crate) fn order(effect: &Effect, wanted: &MarkReady) -> Option<Order> {
    let job: JobId = effect.cause.parse().ok()?;
    let order = Order {
        delivery: job.delivery()?,
        job,
        repository: effect.repository.parse().ok()?,
        installation: effect.installation,
        issue: booty_events::IssueNumber::new(wanted.issue)?,
        attempt: 1,
        replay_of: 0,
        asked: Asked::default(),
        follow_up: None,
    };
    let id = EffectId::new(order.job.as_str(), &slot(&wanted.head_sha));
    (id.as_str() == effect.id).then_some(order)
}

/// What forge says became of it.
pub(crate) async fn reported(
    shared: &Shared,
    order: &Order,
    asked: &MarkReady,
    report: &Event,
) -> Result<(), Pause> {
    let number = asked.pull_request;
    if report.name != "applied" {
        let reason = if report.reason.is_empty() { &report.name } else { &report.reason };
        return refuse(shared, order, number, &asked.head_sha, reason, &report.detail).await;
    }
    let event = Event {
        number,
        url: report.url.clone(),
        detail: format!("#{number} is ready for review"),
        attributes: [("head".to_owned(), asked.head_sha.clone())].into(),
        ..Event::default()
    };
    let step = slot(&asked.head_sha);
    shared.say(&first(order), "promoted", &step, event).await?;
    let ready = |job: &mut Job| {
        // Another attempt may have begun meanwhile; its state is its own.
        if matches!(job.state(), JobState::Completed | JobState::Failed) {
            job.state = JobState::Completed.into();
            "ready".clone_into(&mut job.step);
            job.reason.clear();
        }
    };
    if shared.jobs.get(&order.job).await?.is_some() {
        shared.jobs.update(&order.job, ready).await?;
    }
    Ok(())
}

/// Facts about a head are no attempt's.
fn first(order: &Order) -> Order {
    Order { attempt: 1, ..order.clone() }
}

fn slot(head: &str) -> String {
    format!("ready#{}", short(head))
}

fn short(head: &str) -> &str {
    head.get(..SHORT).unwrap_or(head)
}
