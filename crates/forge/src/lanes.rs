//! Which effect is next. One writer serves all lanes, and a lane waits while a more urgent one has
//! anything to do.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use booty_bus::{Bus, ConsumerSettings};
use booty_events::{Lane, Service, stream, subject};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;

/// A queue that forge takes effects from, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    Lane(Lane),
    /// What an operator replays from the spool.
    Replay,
}

impl Queue {
    pub(crate) const ALL: [Self; 4] =
        [Self::Lane(Lane::Check), Self::Lane(Lane::Outcome), Self::Replay, Self::Lane(Lane::Issue)];

    fn rank(self) -> usize {
        Self::ALL.iter().position(|queue| *queue == self).unwrap_or(Self::ALL.len())
    }

    fn durable(self) -> String {
        match self {
            Self::Lane(lane) => format!("forge-{lane}"),
            Self::Replay => "forge-replay".to_owned(),
        }
    }

    fn stream(self) -> &'static str {
        match self {
            Self::Lane(_) => stream::EFFECTS.name,
            Self::Replay => stream::INBOX.name,
        }
    }

    /// The durable behind it: one permit, because there is one writer.
    pub(crate) fn consumer(self, settings: &Settings) -> ConsumerSettings {
        let filter = match self {
            Self::Lane(lane) => subject::effect_filter(lane),
            Self::Replay => subject::replay_filter(Service::Forge),
        };
        let holder = settings.holder.as_str();
        ConsumerSettings {
            durable: self.durable(),
            permits: 1,
            lease: settings.lease,
            shutdown_grace: settings.shutdown_grace,
            ..ConsumerSettings::new(Service::Forge, self.stream(), vec![filter], holder)
        }
    }
}

/// How long a less urgent queue looks again for more urgent work that the broker has and no loop
/// has brought yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// After so many looks in which nothing was applied it goes on: a stuck lane must not hold the others
/// for ever.
const MOST_LOOKS: u32 = 100;

/// Gives one effect at a time the turn, the most urgent first.
///
/// A more urgent effect counts from the moment that the broker has it: first as one that was never
/// delivered, then as one that is on its way to the loop, then as one that has arrived and gets its
/// lease. Between any two of these nobody else may slip in.
pub(crate) struct Turns {
    bus: Bus,
    /// By rank.
    consumers: Vec<ConsumerSettings>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    taken: bool,
    /// How many turns there were.
    served: u64,
    queues: [Arrivals; Queue::ALL.len()],
}

/// What a queue's loop has brought.
#[derive(Default, Clone, Copy)]
struct Arrivals {
    /// Effects that have arrived and are not handled yet.
    present: usize,
    /// The newest delivery that has arrived, or was not waited for any longer. `None`: unknown.
    newest: Option<u64>,
}

/// The turn, until it is dropped.
pub(crate) struct Turn {
    turns: Arc<Turns>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.with(|state| state.taken = false);
        self.turns.changed.notify_waiters();
    }
}

/// An effect that has arrived, until it is handled.
pub(crate) struct Arrived {
    turns: Arc<Turns>,
    rank: usize,
}

impl Drop for Arrived {
    fn drop(&mut self) {
        self.turns.with(|state| state.queues[self.rank].present -= 1);
        self.turns.changed.notify_waiters();
    }
}

impl Turns {
    pub(crate) fn new(bus: Bus, settings: &Settings) -> Arc<Self> {
        let consumers = Queue::ALL.iter().map(|queue| queue.consumer(settings)).collect();
        Arc::new(Self { bus, consumers, state: Mutex::default(), changed: Notify::new() })
    }

    /// Before a queue's loop starts: what was delivered by now went to somebody else.
    pub(crate) async fn begin(&self, queue: Queue) {
        let rank = queue.rank();
        let progress = self.bus.delivered(&self.consumers[rank]).await.ok();
        self.with(|state| state.queues[rank].newest = progress.map(|progress| progress.delivered));
    }

    /// The queue's loop has brought a delivery.
    pub(crate) fn arrived(self: &Arc<Self>, queue: Queue, delivered: u64) -> Arrived {
        let rank = queue.rank();
        self.with(|state| {
            let arrivals = &mut state.queues[rank];
            arrivals.present += 1;
            arrivals.newest = arrivals.newest.max(Some(delivered));
        });
        Arrived { turns: Arc::clone(self), rank }
    }

    /// Waits for the turn; `None` when `stop` came first.
    pub(crate) async fn take(
        self: &Arc<Self>,
        queue: Queue,
        stop: &CancellationToken,
    ) -> Option<Turn> {
        let rank = queue.rank();
        let (mut looks, mut served) = (0, 0);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let Some(now_served) = self.try_take(rank) else {
                tokio::select! {
                    () = stop.cancelled() => return None,
                    () = changed => continue,
                }
            };
            let turn = Turn { turns: Arc::clone(self) };
            if now_served != served {
                (looks, served) = (0, now_served);
            }
            if !self.is_more_urgent_waiting(rank, looks >= MOST_LOOKS).await {
                self.with(|state| state.served += 1);
                return (!stop.is_cancelled()).then_some(turn);
            }
            looks += 1;
            drop(turn);
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Takes the turn if it is free and nobody more urgent is here; how many there were before.
    fn try_take(&self, rank: usize) -> Option<u64> {
        self.with(|state| {
            let free = !state.taken && state.queues[..rank].iter().all(|q| q.present == 0);
            state.taken |= free;
            free.then_some(state.served)
        })
    }

    /// Whether the broker has more urgent effects that no loop has brought yet. Who has looked often
    /// enough (`is_tired`) does not wait for them, nor for the same deliveries ever again.
    async fn is_more_urgent_waiting(&self, rank: usize, is_tired: bool) -> bool {
        let asked = self.consumers[..rank].iter().map(|consumer| self.bus.delivered(consumer));
        let answers = futures_util::future::join_all(asked).await;
        self.with(|state| {
            let mut is_waiting = state.queues[..rank].iter().any(|queue| queue.present > 0);
            for (arrivals, progress) in state.queues[..rank].iter_mut().zip(answers) {
                // Unknown is no reason to wait.
                let Ok(progress) = progress else { continue };
                let under_way = arrivals.newest.is_some_and(|newest| newest < progress.delivered);
                if is_tired && under_way {
                    arrivals.newest = Some(progress.delivered);
                }
                is_waiting |= !is_tired && (under_way || progress.waiting > 0);
            }
            is_waiting
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
