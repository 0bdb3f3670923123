//! The consumer loop: pulls no more than there are permits, and outlives everything but a shutdown.

mod attend;
mod durable;
mod fallback;
mod give_up;
mod pull;
mod settle;
mod verdict;

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use booty_events::Service;
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

pub(crate) use self::durable::handle;
pub use self::{
    durable::ensure_consumer,
    fallback::Fallback,
    verdict::{Delivery, Handler, Verdict},
};
use crate::{connect::Bus, error::Error};

/// How long a handler may go on after it was told to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long the last answers to the broker may take at a shutdown, after the handlers have ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How long a loop may go on after its shutdown's grace, whatever its handlers and the broker do.
const END_GRACE: Duration = STOP_GRACE.saturating_add(LAST_ANSWERS);
/// How long a shutdown waits for the pull's end, which gives back what has just arrived.
const PULL_GRACE: Duration = Duration::from_millis(500);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// A message without a verdict for so long is an alarm.
const OLD: chrono::TimeDelta = chrono::TimeDelta::hours(24);
const OLD_CHECK_INTERVAL: Duration = Duration::from_secs(600);

/// A durable, and how its messages are handled.
#[derive(Debug, Clone)]
pub struct ConsumerSettings {
    /// The durable's name.
    pub durable: String,
    /// The service that it belongs to: names leases, spool entries and replays.
    pub service: Service,
    /// The stream.
    pub stream: &'static str,
    /// The subjects it wants, its own replays included.
    pub filters: Vec<String>,
    /// How many messages are in hand at most.
    pub permits: usize,
    /// How long a dead worker keeps a message from others; also the durable's ack wait. 30 s.
    pub lease: Duration,
    /// After so many failures a message is spooled. 5.
    pub max_failures: u32,
    /// How many messages may be without a verdict. Those that wait for a retry count, so a small
    /// number lets a few of them block all others. 1,000.
    pub max_ack_pending: i64,
    /// Who works here. A process that is started again under the same name goes on at once with what
    /// it held; two living ones must never share a name.
    pub holder: String,
    /// How long a shutdown waits for what is in hand. Three seconds later the loop has ended in any
    /// case, so choose it that much, and some more, shorter than what stops the process. 25 s.
    pub shutdown_grace: Duration,
    /// Where a message goes that was given up on, when the spool is full or refuses it; `None`: it stays
    /// with the broker, unsettled, and is tried again.
    pub fallback: Option<Arc<dyn Fallback>>,
}

impl ConsumerSettings {
    /// One permit and the usual times, for the durable that is called as its service.
    pub fn new(
        service: Service,
        stream: &'static str,
        filters: Vec<String>,
        holder: impl Into<String>,
    ) -> Self {
        Self {
            durable: service.as_str().to_owned(),
            service,
            stream,
            filters,
            permits: 1,
            lease: Duration::from_secs(30),
            max_failures: 5,
            max_ack_pending: 1_000,
            holder: holder.into(),
            shutdown_grace: Duration::from_secs(25),
            fallback: None,
        }
    }

    /// The key of a message's lease: two durables of one service may want the same message.
    pub(crate) fn lease_key(&self, sequence: u64) -> String {
        format!("{}.{}-{sequence}", self.durable, self.stream)
    }
}

/// Handles the durable's messages until `shutdown`. A broker that restarts, errors of the stream and
/// panics of the handler don't end it. Returns when all in hand is finished or handed back.
///
/// # Errors
/// Only at the start: the durable on the server differs in a way that can't be mended, or the broker
/// refuses it.
pub async fn consume<H: Handler>(
    bus: Bus,
    settings: ConsumerSettings,
    handler: Arc<H>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let consumer = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        consumer = durable::attach(&bus, &settings) => consumer?,
    };
    let worker = Arc::new(Worker {
        permits: Arc::new(Semaphore::new(settings.permits.max(1))),
        in_hand: InHand::default(),
        stop_all: CancellationToken::new(),
        tasks: TaskTracker::new(),
        bus,
        settings,
        handler,
    });
    tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        () = durable::reclaim(&worker.bus, &worker.settings, &consumer) => {}
    }
    worker.tasks.spawn(watch_age(worker.bus.clone(), worker.settings.clone(), shutdown.clone()));
    let shut_down_at;
    {
        let mut pulling = pin!(worker.pull_until(consumer, &shutdown));
        let is_over = tokio::select! {
            biased;
            () = shutdown.cancelled() => false,
            () = &mut pulling => true,
        };
        shut_down_at = Instant::now();
        if !is_over && timeout_at(shut_down_at + PULL_GRACE, pulling).await.is_err() {
            warn!(durable = worker.settings.durable, "the pull did not end");
        }
    }
    worker.end(shut_down_at + worker.settings.shutdown_grace).await;
    Ok(())
}

/// What the tasks of one loop share.
pub(crate) struct Worker<H> {
    bus: Bus,
    settings: ConsumerSettings,
    handler: Arc<H>,
    permits: Arc<Semaphore>,
    in_hand: InHand,
    /// Cancelled when the shutdown's grace is over.
    stop_all: CancellationToken,
    tasks: TaskTracker,
}

impl<H: Handler> Worker<H> {
    async fn end(&self, grace_over: Instant) {
        let durable = &self.settings.durable;
        self.tasks.close();
        info!(durable, in_hand = self.in_hand.len(), "pulls no more");
        if timeout_at(grace_over, self.tasks.wait()).await.is_ok() {
            return;
        }
        info!(durable, in_hand = self.in_hand.len(), "hands back what is not finished");
        self.stop_all.cancel();
        if timeout_at(grace_over + END_GRACE, self.tasks.wait()).await.is_err() {
            warn!(durable, in_hand = self.in_hand.len(), "left: their leases will run out");
        }
    }
}

/// The messages that this loop is at, and where each is to be answered. The broker delivers one again
/// when it missed its progress, or forgot the delivery in a crash. It must not run twice here, nor
/// take the lease from its own first run; but only the newest delivery's answer is sure to be heard.
#[derive(Debug, Default)]
struct InHand(Arc<Mutex<Replies>>);

type Replies = HashMap<u64, watch::Sender<String>>;

impl InHand {
    /// `None` when the message is in hand already; its answer goes to the new reply from now on.
    fn enter(&self, sequence: u64, reply: &str) -> Option<(InHandGuard, watch::Receiver<String>)> {
        let mut replies = lock(&self.0);
        if let Some(present) = replies.get(&sequence) {
            present.send_replace(reply.to_owned());
            return None;
        }
        let (sender, receiver) = watch::channel(reply.to_owned());
        replies.insert(sequence, sender);
        Some((InHandGuard { replies: Arc::clone(&self.0), sequence }, receiver))
    }

    fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

#[derive(Debug)]
struct InHandGuard {
    replies: Arc<Mutex<Replies>>,
    sequence: u64,
}

impl Drop for InHandGuard {
    fn drop(&mut self) {
        lock(&self.replies).remove(&self.sequence);
    }
}

fn lock(replies: &Mutex<Replies>) -> std::sync::MutexGuard<'_, Replies> {
    // Inserting and removing leaves nothing half done.
    replies.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Raises an alarm while the durable's oldest message is too old.
async fn watch_age(bus: Bus, settings: ConsumerSettings, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(OLD_CHECK_INTERVAL);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        let backlog = tokio::select! {
            () = shutdown.cancelled() => return,
            backlog = bus.backlog(&settings) => backlog,
        };
        if let Ok(backlog) = backlog
            && let Some(oldest) = backlog.oldest
            && bus.clock().now() - oldest > OLD
        {
            error!(
                durable = settings.durable,
                %oldest,
                waiting = backlog.waiting,
                unsettled = backlog.unsettled,
                "a message has had no verdict for more than 24 h"
            );
        }
    }
}
