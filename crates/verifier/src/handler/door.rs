//! The door: every delivery is decided on at once, and its check run is queued, however busy the
//! workers are.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};
use booty_events::{
    Lane,
    v1::{CheckRun, Event, JobState},
};
use tracing::Instrument as _;

use super::{begun, ignore};
use crate::{
    decide::{Way, decide},
    order::{Order, Phase},
    payload,
    shared::{Pause, Shared},
};

/// Decides on deliveries.
pub(crate) struct Door {
    shared: Arc<Shared>,
}

#[async_trait]
impl Handler for Door {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let asked = match payload::read(delivery) {
            Ok(asked) => asked,
            // The worker, which gets it too, has it spooled: once is enough.
            Err(_) => return Verdict::Ignore { reason: "unreadable".to_owned() },
        };
        let span = tracing::info_span!(
            "door",
            job_id = %asked.job,
            delivery_id = %asked.delivery,
            repository = %asked.repository,
        );
        let work = async {
            match decide(&self.shared, delivery, &asked).await? {
                Way::Judge(order) => self.queue(&order).await.map(|()| Verdict::Done),
                Way::Over(_) => Ok(Verdict::Done),
                Way::No(reason) => {
                    ignore(&self.shared, &asked, delivery.sequence, reason).await?;
                    Ok(Verdict::Ignore { reason: reason.to_owned() })
                }
            }
        };
        match work.instrument(span).await {
            Ok(verdict) => verdict,
            Err(pause) => pause.verdict(&self.shared.settings.retry_delays, delivery),
        }
    }
}

impl Door {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The check run first: people look at it, and it is what was promised within seconds.
    async fn queue(&self, order: &Order) -> Result<(), Pause> {
        let shared = &self.shared;
        let state = CheckRun {
            title: "queued".to_owned(),
            summary: "Waiting for a worker.".to_owned(),
            ..CheckRun::default()
        };
        // Without a lease: any verifier may queue it, and says the same.
        shared.outbox.effect(Lane::Check, &order.check(Phase::Queued, state), None).await?;
        shared.say(order, "job_enqueued", "enqueued", Event::default()).await?;
        shared
            .jobs
            .update(&order.job, |job| {
                // A worker may have been faster, also with an earlier head of the same job.
                let is_new = job.service.is_empty() || job.attempt < order.attempt;
                if is_new {
                    *job = begun(order, job, JobState::Queued, "queued");
                }
            })
            .await?;
        Ok(())
    }
}
