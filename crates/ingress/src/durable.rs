//! Keeps a message where nothing can lose it before its sender is told so: with the broker, or, when
//! the broker does not confirm it in time or is known to be away, in the disk spool.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use booty_bus::{Bus, Outgoing, PublishError, Published};
use booty_spool::{Key, Line, Spool, Watch};
use chrono::{DateTime, Utc};
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout, timeout_at},
};

use crate::metrics::Metrics;

/// The message is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// By this call.
    New,
    /// It was before.
    Duplicate,
}

/// Neither the broker nor the disk has it for sure. Keeping it again is always safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither the broker ({broker}) nor the disk spool ({spool}) took it")]
pub(crate) struct NotKept {
    broker: String,
    spool: String,
}

/// Remembers that a connected broker does not answer, so that only one delivery has to find out.
/// The drain closes it again when the broker has taken something.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breaker(Arc<AtomicBool>);

impl Breaker {
    fn open(&self) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                event = "broker_silent",
                "the broker does not answer; using the disk spool"
            );
        }
    }

    pub(crate) fn close(&self) {
        if self.0.swap(false, Ordering::Relaxed) {
            tracing::info!(event = "broker_answers", "the broker answers again");
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts what the disk spool does. That the broker took something from it is how the breaker learns
/// that it answers.
pub(crate) struct SpoolWatch {
    pub(crate) metrics: Metrics,
    pub(crate) breaker: Breaker,
}

impl Watch for SpoolWatch {
    fn size(&self, entries: usize, bytes: u64) {
        self.metrics.spool_size(entries, bytes);
    }

    fn drained(&self) {
        self.breaker.close();
        self.metrics.drained();
    }

    fn set_aside(&self) {
        self.metrics.set_aside();
    }
}

/// Keeps messages.
pub(crate) struct Durable {
    bus: Bus,
    spool: Spool,
    breaker: Breaker,
    /// Deliveries that may wait for the broker.
    queue: Semaphore,
    in_hand: InHand,
    limits: Limits,
    clock: fn() -> DateTime<Utc>,
    metrics: Metrics,
}

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The broker's confirmation.
    pub(crate) publish: Duration,
    /// All of it, from the body's last byte.
    pub(crate) answer: Duration,
    /// Deliveries that wait for the broker at a time.
    pub(crate) queue: usize,
}

impl Durable {
    pub(crate) fn new(
        bus: Bus,
        spool: Spool,
        breaker: Breaker,
        limits: Limits,
        clock: fn() -> DateTime<Utc>,
        metrics: Metrics,
    ) -> Self {
        let queue = Semaphore::new(limits.queue);
        Self { bus, spool, breaker, queue, in_hand: InHand::default(), limits, clock, metrics }
    }

    /// Keeps a message whose last byte came at `complete`. Of several calls with one subject at the
    /// same time one does the work; the others learn what came of it.
    pub(crate) async fn keep(&self, message: Outgoing, complete: Instant) -> Result<Kept, NotKept> {
        let key = Key::of(&message.subject);
        let deadline = complete + self.limits.answer;
        loop {
            match self.in_hand.join(key) {
                Turn::First(turn) => {
                    // Only now: the one before may just have put it there.
                    if self.spool.holds(&key) {
                        turn.kept();
                        return Ok(Kept::Duplicate);
                    }
                    let kept = self.keep_first(message, deadline).await;
                    if kept.is_ok() {
                        turn.kept();
                    }
                    return kept;
                }
                Turn::Behind(mut first) => {
                    let done = timeout_at(deadline, first.wait_for(|kept| *kept)).await;
                    match done {
                        Ok(Ok(_)) => return Ok(Kept::Duplicate),
                        // The first one failed or gave up: our turn.
                        Ok(Err(_)) => {}
                        Err(_) => {
                            return Err(NotKept {
                                broker: "the same delivery is still waiting for it".to_owned(),
                                spool: "the same delivery is still waiting for it".to_owned(),
                            });
                        }
                    }
                }
            }
        }
    }

    async fn keep_first(&self, message: Outgoing, deadline: Instant) -> Result<Kept, NotKept> {
        let (why, error) = match self.publish(&message).await {
            Ok(kept) => return Ok(kept),
            Err(reason) => reason,
        };
        let line = Line::new((self.clock)(), message, error.clone());
        let spooled = match timeout_at(deadline, self.spool.append(line)).await {
            Ok(Ok(())) => {
                self.metrics.spooled(why);
                tracing::info!(event = "spooled", why);
                return Ok(Kept::New);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the disk did not confirm it in time".to_owned(),
        };
        // With nothing in the spool the drain could not find out that the broker answers again.
        self.breaker.close();
        Err(NotKept { broker: error, spool: spooled })
    }

    /// `Err`: the broker has not confirmed it; one word for metrics, one sentence for people.
    async fn publish(&self, message: &Outgoing) -> Result<Kept, (&'static str, String)> {
        if !self.bus.is_connected() {
            return Err(("disconnected", "the broker is not connected".to_owned()));
        }
        if self.breaker.is_open() {
            return Err(("silent", "the broker does not answer".to_owned()));
        }
        let Ok(_place) = self.queue.try_acquire() else {
            return Err(("queue", "too many deliveries wait for the broker".to_owned()));
        };
        match timeout(self.limits.publish, self.bus.publish(message.clone())).await {
            Ok(Ok(Published::New { .. })) => Ok(Kept::New),
            Ok(Ok(Published::Duplicate)) => Ok(Kept::Duplicate),
            Ok(Err(error)) => Err((word(&error), error.to_string())),
            Err(_) => {
                self.breaker.open();
                Err(("timeout", format!("no confirmation within {:?}", self.limits.publish)))
            }
        }
    }
}

fn word(error: &PublishError) -> &'static str {
    match error {
        PublishError::Full => "full",
        PublishError::TooLarge { .. } => "too_large",
        PublishError::Unavailable(_) => "unavailable",
        PublishError::Refused(_) => "refused",
    }
}

/// Messages that are being kept right now. Bounded by the requests in hand.
#[derive(Default)]
struct InHand {
    keys: Mutex<HashMap<Key, watch::Receiver<bool>>>,
}

enum Turn<'a> {
    /// Nobody else is at it.
    First(First<'a>),
    /// Somebody is; it turns true when the message is kept, and is closed when they gave up.
    Behind(watch::Receiver<bool>),
}

struct First<'a> {
    of: &'a InHand,
    key: Key,
    kept: watch::Sender<bool>,
}

impl InHand {
    fn keys(&self) -> std::sync::MutexGuard<'_, HashMap<Key, watch::Receiver<bool>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, key: Key) -> Turn<'_> {
        let mut keys = self.keys();
        if let Some(first) = keys.get(&key) {
            return Turn::Behind(first.clone());
        }
        let (kept, watched) = watch::channel(false);
        keys.insert(key, watched);
        Turn::First(First { of: self, key, kept })
    }
}

impl First<'_> {
    fn kept(&self) {
        self.kept.send_replace(true);
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        self.of.keys().remove(&self.key);
    }
}
