//! Pulling: never more messages than free permits, and always again.

use std::sync::Arc;

use async_nats::jetstream::{
    self, AckKind,
    consumer::{Consumer, pull},
};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{FIRST_BACKOFF, Handler, MAX_BACKOFF, Worker, durable, settle};
use crate::error::BoxError;

/// How long one pull waits at the server. No idle heartbeat goes with it: the client's batch stops
/// being polled after one. A lost connection is seen by its epoch instead.
const PULL_WAIT: std::time::Duration = std::time::Duration::from_secs(20);

impl<H: Handler> Worker<H> {
    pub(super) async fn pull_until(
        self: &Arc<Self>,
        mut consumer: Consumer<pull::Config>,
        shutdown: &CancellationToken,
    ) {
        let mut pause = FIRST_BACKOFF;
        loop {
            let first = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                permit = Arc::clone(&self.permits).acquire_owned() => permit,
            };
            // The semaphore is never closed.
            let Ok(first) = first else { return };
            let mut free = vec![first];
            while let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                free.push(permit);
            }
            let pulled = self.pull(&consumer, free, shutdown).await;
            let Err(error) = pulled else {
                pause = FIRST_BACKOFF;
                continue;
            };
            warn!(%error, durable = self.settings.durable, "pulling failed; tries again");
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(MAX_BACKOFF);
            // It may have been deleted, or its stream may have been made anew.
            tokio::select! {
                () = shutdown.cancelled() => return,
                attached = durable::attach(&self.bus, &self.settings) => match attached {
                    Ok(attached) => consumer = attached,
                    Err(error) => warn!(%error, durable = self.settings.durable, "no durable"),
                }
            }
        }
    }

    /// One pull, to its end: `free` permits' worth of messages, or the wait, or a new connection.
    async fn pull(
        self: &Arc<Self>,
        consumer: &Consumer<pull::Config>,
        mut free: Vec<OwnedSemaphorePermit>,
        shutdown: &CancellationToken,
    ) -> Result<(), BoxError> {
        let mut link = self.bus.link();
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            connected = self.bus.connected() => connected?,
        }
        let epoch = link.borrow_and_update().epoch;
        let mut batch =
            consumer.batch().max_messages(free.len()).expires(PULL_WAIT).messages().await?;
        loop {
            let message = tokio::select! {
                biased;
                message = batch.next() => message,
                () = shutdown.cancelled() => {
                    // What has arrived goes back; what is still under way comes after the ack wait.
                    while let Some(Some(Ok(message))) = batch.next().now_or_never() {
                        hand_back(&message).await;
                    }
                    return Ok(());
                }
                changed = link.changed() => {
                    // Requests made over an earlier connection are forgotten by the server.
                    if changed.is_err() || link.borrow_and_update().epoch != epoch {
                        debug!(durable = self.settings.durable, "pulls again: the connection is new");
                        return Ok(());
                    }
                    continue;
                }
            };
            let Some(message) = message else { return Ok(()) };
            let message = message?;
            // The server sends no more than was asked for.
            let Some(permit) = free.pop() else { return Ok(()) };
            let worker = Arc::clone(self);
            let delivered = message.info().map_or(0, |info| info.consumer_sequence);
            let arriving = self.handler.arriving(delivered);
            self.tasks.spawn(async move { worker.attend(message, permit, arriving).await });
        }
    }
}

async fn hand_back(message: &jetstream::Message) {
    if let Err(error) = message.ack_with(AckKind::Nak(Some(settle::MIN_DELAY))).await {
        debug!(%error, "not handed back; it comes after the ack wait");
    }
}
