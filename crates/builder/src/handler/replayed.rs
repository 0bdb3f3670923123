//! What the durable of jobs brings: new deliveries, and whatever an operator replays to the builder.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};

use super::{
    Station,
    ended::Ended,
    follow_up::FollowUps,
    heard::kind,
    labeled::Labeled,
    reported::Reported,
    talk::Talk,
    verdict::{Judged, Verdicts},
};
use crate::shared::Shared;

/// Gives each message to the handler of what it was before it was spooled.
pub(crate) struct Replayed {
    pub(crate) labeled: Labeled,
    pub(crate) reported: Reported,
    pub(crate) verdicts: Verdicts,
    pub(crate) follow_ups: FollowUps,
    pub(crate) talk: Talk,
    pub(crate) ended: Ended,
}

impl Replayed {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            labeled: Labeled::new(Arc::clone(shared), Station::Work),
            reported: Reported::new(Arc::clone(shared)),
            verdicts: Verdicts::new(Arc::clone(shared)),
            follow_ups: FollowUps::new(Arc::clone(shared)),
            talk: Talk::new(shared, Station::Replay),
            ended: Ended::new(shared),
        }
    }

    fn handler(&self, delivery: &Delivery) -> &dyn Handler {
        if delivery.subject.starts_with("booty.event.forge.") {
            &self.reported
        } else if delivery.subject.starts_with("booty.event.verifier.") {
            let is_red = Judged::read(delivery).is_ok_and(|judged| judged.is_red());
            if is_red { &self.follow_ups } else { &self.verdicts }
        } else {
            match kind(delivery) {
                Some((event, _)) if event == "issue_comment" || event == "pull_request_review" => {
                    &self.talk
                }
                Some((event, action)) if event == "pull_request" || action != "labeled" => {
                    &self.ended
                }
                _ => &self.labeled,
            }
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
