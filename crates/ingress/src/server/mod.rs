//! The public port: HTTP/1.1 and HTTP/2 on one listener, with limits against peers that waste it.

mod connection;
mod head;
mod socket;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use head::Framing;
use socket::Wire;

use crate::{answer::AnswerBody, metrics::Metrics, settings::ConnectionLimits};

/// What answers requests.
pub(crate) trait Handle: Send + Sync + 'static {
    /// Answers one request. `framing`: how its head gave the body's length, if that was seen.
    fn handle(
        &self,
        request: Request<Incoming>,
        framing: Option<Framing>,
    ) -> impl Future<Output = Response<AnswerBody>> + Send;
}

/// The bound public port.
pub(crate) struct Server {
    listener: TcpListener,
    limits: ConnectionLimits,
    metrics: Metrics,
}

/// The kernel's queue of connections that nobody has accepted yet.
const BACKLOG: u32 = 4096;
/// How long accepting rests when the system has no more descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

impl Server {
    pub(crate) fn bind(
        address: SocketAddr,
        limits: ConnectionLimits,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self { listener: socket.listen(BACKLOG)?, limits, metrics })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts until `shutdown`, then lets requests in hand end, for at most `grace`. A delivery whose
    /// connection was made before the end is in hand: nobody sends it again when it is reset.
    pub(crate) async fn serve<H: Handle>(
        self,
        handler: Arc<H>,
        shutdown: CancellationToken,
        grace: Duration,
    ) {
        let open = Arc::new(Open::default());
        let tasks = TaskTracker::new();
        let take = |stream| {
            let Some(seat) = open.admit(stream, self.limits.max_connections) else {
                self.metrics.connection_refused();
                return;
            };
            self.metrics.connections(open.count());
            let handler = Arc::clone(&handler);
            let (limits, shutdown) = (self.limits, shutdown.clone());
            tasks.spawn(connection::serve(seat, handler, limits, shutdown));
        };
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => take(stream),
                    Err(error) => self.pause_accepting(&open, &error).await,
                },
                () = shutdown.cancelled() => break,
            }
        }
        for stream in waiting(&self.listener) {
            take(stream);
        }
        drop(self.listener);
        tasks.close();
        if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
            tracing::warn!(
                event = "connections_cut",
                open = open.count(),
                "shutdown took too long"
            );
            open.evict(usize::MAX, true);
        }
    }

    /// An error of one connection needs no rest; a lack of descriptors would come again at once.
    async fn pause_accepting(&self, open: &Open, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if matches!(
            error.kind(),
            ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
        ) {
            return;
        }
        self.metrics.connection_refused();
        tracing::warn!(event = "accept_failed", %error, open = open.count(), "closing idle connections");
        open.evict(EVICT_AT_ONCE, false);
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// The connections that the kernel has made and nobody has accepted: closing the listener resets
/// them. One that is made between the last look and the close still is.
fn waiting(listener: &TcpListener) -> impl Iterator<Item = TcpStream> {
    use rustix::net::{SocketFlags, accept_with};
    let next = move || {
        // Asked of the kernel itself: the runtime may not have heard yet of those that wait.
        let accepted = accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC);
        match accepted.map_err(io::Error::from) {
            Ok(socket) => Some(TcpStream::from_std(socket.into())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error)),
        }
    };
    // No more than its queue held when it ended; the rest came later.
    std::iter::from_fn(next).take(BACKLOG as usize + 1).filter_map(|accepted| {
        accepted
            .inspect_err(|error| tracing::warn!(event = "accept_failed", %error, "at the end"))
            .ok()
    })
}

/// How many idle connections make room at once: looking for them costs a pass over all.
const EVICT_AT_ONCE: usize = 64;

/// All open connections.
#[derive(Default)]
struct Open {
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    next: u64,
    taken: std::collections::HashMap<u64, (Arc<Wire>, CancellationToken)>,
}

/// One connection's place among the open ones.
struct Seat {
    id: u64,
    wire: Arc<Wire>,
    /// Cancelled when the place is needed for another.
    evicted: CancellationToken,
    open: Arc<Open>,
}

impl Open {
    fn seats(&self) -> std::sync::MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.seats().taken.len()
    }

    /// A place for a new connection. When all are taken, those that have been idle for longest make
    /// room; when none is idle, the new one is closed.
    fn admit(self: &Arc<Self>, stream: TcpStream, max: usize) -> Option<Seat> {
        if self.count() >= max && self.evict(EVICT_AT_ONCE, false) == 0 {
            return None;
        }
        let _ = stream.set_nodelay(true);
        let wire = Arc::new(Wire::new(stream));
        let evicted = CancellationToken::new();
        let mut seats = self.seats();
        let id = seats.next;
        seats.next += 1;
        seats.taken.insert(id, (Arc::clone(&wire), evicted.clone()));
        Some(Seat { id, wire, evicted, open: Arc::clone(self) })
    }

    fn evict(&self, at_most: usize, busy_too: bool) -> usize {
        let mut seats = self.seats();
        let mut idle: Vec<(Instant, u64)> = seats
            .taken
            .iter()
            .filter_map(|(id, (wire, _))| match wire.idle_since() {
                Some(since) => Some((since, *id)),
                None => busy_too.then(|| (Instant::now(), *id)),
            })
            .collect();
        let count = idle.len().min(at_most);
        if count < idle.len() {
            idle.select_nth_unstable(count);
        }
        for (_, id) in &idle[..count] {
            if let Some((_, evicted)) = seats.taken.remove(id) {
                evicted.cancel();
            }
        }
        count
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.seats().taken.remove(&self.id);
    }
}

/// What hyper calls a service error can't happen: every request gets an answer.
type Answered = Result<Response<AnswerBody>, Infallible>;

/// Lets this process open as many files as the system allows it: each connection is one. Gives how
/// many connections fit beside everything else.
pub(crate) fn room_for_connections(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// For the broker's connection, the spool, logs and the admin port.
    const OTHER_FILES: u64 = 128;
    let limit = getrlimit(Resource::Nofile);
    let current =
        if setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
            .is_ok()
        {
            limit.maximum
        } else {
            limit.current
        };
    let room = current.map_or(usize::MAX, |files| {
        usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX)
    });
    wanted.min(room.max(1))
}
