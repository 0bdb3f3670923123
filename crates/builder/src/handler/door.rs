//! What must not wait for a place to work: deliveries are decided on, answered and, where they stop
//! something, obeyed at once. What is work is left to the workers, which get the same deliveries.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};

use super::{Station, ended::Ended, heard::kind, labeled::Labeled, talk::Talk};
use crate::shared::Shared;

/// Handles all that comes from GitHub, and works on nothing.
pub(crate) struct Door {
    labeled: Labeled,
    talk: Talk,
    ended: Ended,
}

impl Door {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            labeled: Labeled::new(Arc::clone(shared), Station::Door),
            talk: Talk::new(shared, Station::Door),
            ended: Ended::new(shared),
        }
    }
}

#[async_trait]
impl Handler for Door {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let kind = kind(delivery).unwrap_or_default();
        let handler: &dyn Handler = match (kind.0.as_str(), kind.1.as_str()) {
            ("issues", "labeled") => &self.labeled,
            ("issue_comment" | "pull_request_review", _) => &self.talk,
            _ => &self.ended,
        };
        handler.handle(delivery).await
    }
}
