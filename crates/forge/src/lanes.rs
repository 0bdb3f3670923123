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
/// After so many looks it goes on: a stuck lane must not hold the others for ever.
const MOST_LOOKS: u32 = 100;

/// Gives one effect at a time the turn, the most urgent first.
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
    waiting: [usize; Queue::ALL.len()],
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

/// A place among those who wait, until it is dropped.
struct Place<'a> {
    turns: &'a Turns,
    rank: usize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.with(|state| state.waiting[self.rank] -= 1);
        self.turns.changed.notify_waiters();
    }
}

impl Turns {
    pub(crate) fn new(bus: Bus, settings: &Settings) -> Arc<Self> {
        let consumers = Queue::ALL.iter().map(|queue| queue.consumer(settings)).collect();
        Arc::new(Self { bus, consumers, state: Mutex::default(), changed: Notify::new() })
    }

    /// Waits for the turn; `None` when `stop` came first.
    pub(crate) async fn take(
        self: &Arc<Self>,
        queue: Queue,
        stop: &CancellationToken,
    ) -> Option<Turn> {
        let rank = queue.rank();
        self.with(|state| state.waiting[rank] += 1);
        let _place = Place { turns: self, rank };
        let mut looks = 0;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.try_take(rank) {
                let turn = Turn { turns: Arc::clone(self) };
                if looks >= MOST_LOOKS || !self.is_more_urgent_waiting(rank).await {
                    return (!stop.is_cancelled()).then_some(turn);
                }
                looks += 1;
                drop(turn);
                tokio::select! {
                    () = stop.cancelled() => return None,
                    () = tokio::time::sleep(LOOK_AGAIN) => continue,
                }
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = changed => {}
            }
        }
    }

    fn try_take(&self, rank: usize) -> bool {
        self.with(|state| {
            let free = !state.taken && state.waiting[..rank].iter().all(|n| *n == 0);
            state.taken |= free;
            free
        })
    }

    /// Whether the broker has more urgent effects that no loop has brought yet.
    async fn is_more_urgent_waiting(&self, rank: usize) -> bool {
        for consumer in &self.consumers[..rank] {
            // Unknown is no reason to wait.
            if self.bus.backlog(consumer).await.is_ok_and(|backlog| backlog.waiting > 0) {
                return true;
            }
        }
        false
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
