//! What the durable of jobs brings: new deliveries, and whatever an operator replays to the builder.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};

use super::{
    follow_up::FollowUps,
    labeled::Labeled,
    reported::Reported,
    verdict::{Judged, Verdicts},
};
use crate::shared::Shared;

/// Gives each message to the handler of what it was before it was spooled.
pub(crate) struct Replayed {
    pub(crate) labeled: Labeled,
    pub(crate) reported: Reported,
    pub(crate) verdicts: Verdicts,
    pub(crate) follow_ups: FollowUps,
}

impl Replayed {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            labeled: Labeled::new(Arc::clone(shared)),
            reported: Reported::new(Arc::clone(shared)),
            verdicts: Verdicts::new(Arc::clone(shared)),
            follow_ups: FollowUps::new(Arc::clone(shared)),
        }
    }

    fn handler(&self, delivery: &Delivery) -> &dyn Handler {
        if delivery.subject.starts_with("booty.event.forge.") {
            &self.reported
        } else if delivery.subject.starts_with("booty.event.verifier.") {
            let is_red = Judged::read(delivery).is_ok_and(|judged| judged.is_red());
            if is_red { &self.follow_ups } else { &self.verdicts }
        } else {
            &self.labeled
        }
    }
}

#[async_trait]
impl Handler for Replayed {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        self.handler(delivery).handle(delivery).await
    }

    async fn given_up(&self, delivery: &Delivery, why: &str) -> Result<(), String> {
        self.handler(delivery).given_up(delivery, why).await
    }
}
