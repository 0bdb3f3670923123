//! What the inbox's durable brings: new alerts, and whatever an operator replays to the service.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};

use super::{alerted::Alerted, reported::Reported};
use crate::shared::Shared;

/// Gives each message to the handler of what it was before it was spooled.
pub(crate) struct Replayed {
    alerted: Alerted,
    reported: Reported,
}

impl Replayed {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            alerted: Alerted::new(Arc::clone(shared)),
            reported: Reported::new(Arc::clone(shared)),
        }
    }

    fn handler(&self, delivery: &Delivery) -> &dyn Handler {
        if delivery.subject.starts_with("booty.event.forge.") {
            &self.reported
        } else {
            &self.alerted
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
