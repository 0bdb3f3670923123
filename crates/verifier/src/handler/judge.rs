//! The workers: the same deliveries, judged one a permit.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};
use tracing::Instrument as _;

use super::ignore;
use crate::{
    decide::{Way, decide},
    job,
    payload::{self, Asked},
    shared::{Pause, Shared},
};

/// Judges heads.
pub(crate) struct Work {
    shared: Arc<Shared>,
}

#[async_trait]
impl Handler for Work {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let asked = match payload::read(delivery) {
            Ok(asked) => asked,
            Err(why) => return Verdict::Reject { reason: "unreadable".to_owned(), why },
        };
        let span = tracing::info_span!(
            "job",
            job_id = %asked.job,
            delivery_id = %asked.delivery,
            repository = %asked.repository,
            issue = asked.pull.unwrap_or_default(),
        );
        // Boxed: a job's future is large, and would be copied around with its caller's.
        match Box::pin(self.follow(delivery, &asked).instrument(span)).await {
            Ok(verdict) => verdict,
            Err(pause) => pause.verdict(&self.shared.settings.retry_delays, delivery),
        }
    }

    async fn given_up(&self, delivery: &Delivery, why: &str) -> Result<(), String> {
        let Ok(asked) = payload::read(delivery) else { return Ok(()) };
        job::give_up(&self.shared, &asked, delivery, why).await.map_err(Pause::why)
    }
}

impl Work {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn follow(&self, delivery: &Delivery, asked: &Asked) -> Result<Verdict, Pause> {
        match decide(&self.shared, delivery, asked).await? {
            Way::Judge(order) => {
                job::run(&self.shared, &order, delivery).await?;
                Ok(Verdict::Done)
            }
            Way::Over(order) => {
                job::say_end_again(&self.shared, &order, delivery).await?;
                Ok(Verdict::Done)
            }
            Way::No(reason) => {
                // A job that was begun for a head that is the newest no more still owes its check an end.
                if let Some(order) = job::begun_before(&self.shared, asked, delivery).await? {
                    job::end_superseded(&self.shared, &order, delivery).await?;
                    return Ok(Verdict::Done);
                }
                ignore(&self.shared, asked, delivery.sequence, reason).await?;
                Ok(Verdict::Ignore { reason: reason.to_owned() })
            }
        }
    }
}
