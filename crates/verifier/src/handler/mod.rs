//! Deliveries: decided on at once, and judged as workers get free.

pub(crate) mod door;
pub(crate) mod judge;

use booty_events::v1::{Event, Job, JobState};

use crate::{
    order::Order,
    payload::Asked,
    shared::{Pause, Shared},
};

/// Notes that nothing is judged, and why. The sender was told a job id, so asking for it must not
/// answer "queued" for ever.
async fn ignore(
    shared: &Shared,
    asked: &Asked,
    sequence: u64,
    reason: &'static str,
) -> Result<(), Pause> {
    let event = Event {
        delivery_id: asked.delivery.to_string(),
        job_id: asked.job.to_string(),
        repository: asked.repository.to_string(),
        issue: asked.pull.unwrap_or_default(),
        reason: reason.to_owned(),
        ..Event::default()
    };
    tracing::info!(event = "job_ignored", reason, sequence);
    shared.outbox.event("job_ignored", &format!("{}-ignored", asked.job), event).await?;
    shared
        .jobs
        .update(&asked.job, |job| {
            // A job that was begun keeps what is known of it.
            if job.service.is_empty() {
                let ignored = Job {
                    id: asked.job.to_string(),
                    state: JobState::Completed.into(),
                    service: "verifier".to_owned(),
                    repository: asked.repository.to_string(),
                    issue: asked.pull.unwrap_or_default(),
                    delivery_id: asked.delivery.to_string(),
                    attempt: 1,
                    step: "ignored".to_owned(),
                    reason: reason.to_owned(),
                    created: job.created,
                    ..Job::default()
                };
                *job = ignored;
            }
        })
        .await?;
    Ok(())
}

/// A job's state at its beginning.
fn begun(order: &Order, known: &Job, state: JobState, step: &str) -> Job {
    Job {
        id: order.job.to_string(),
        created: known.created,
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
        trace_id: booty_telemetry::current_trace_id().unwrap_or_default(),
        ..Job::default()
    }
}
