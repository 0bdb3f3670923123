//! A connection's socket, with an eye on what hyper does not tell: when a request's head began, and
//! whether it said its length in two ways.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

use super::head::{Framing, HeadScan};

/// What the connection's task, its requests and the listener share about one connection.
pub(crate) struct Wire {
    stream: TcpStream,
    /// Requests that are between their head and their answer.
    busy: AtomicUsize,
    seen: Mutex<Seen>,
}

struct Seen {
    scan: HeadScan,
    /// When the first byte of an unfinished head came.
    head_since: Option<Instant>,
    /// When the connection was made, or the last request was answered.
    idle_since: Instant,
    /// Whether any request was ever whole.
    served: bool,
    /// The peer has said all it will.
    eof: bool,
}

/// How long a new connection may take to its first byte when the end comes: its peer has something to
/// say, and a way of some 100 ms to say it.
const FRESH: Duration = Duration::from_millis(500);

/// Whether a connection may stay open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// At least until then.
    Until(Instant),
    /// A request's head was begun and not finished in time.
    HeadTimedOut,
    /// Nothing was asked for too long.
    IdleTimedOut,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let seen = Seen {
            scan: HeadScan::default(),
            head_since: None,
            idle_since: Instant::now(),
            served: false,
            eof: false,
        };
        Self { stream, busy: AtomicUsize::new(0), seen: Mutex::new(seen) }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request's head is whole; the guard's end says that its answer is ready.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.seen().served = true;
        Busy(Arc::clone(self))
    }

    /// How the head of the request that has just begun gave the body's length; `None` when its head
    /// came in with an earlier request's bytes and was not seen by itself.
    pub(crate) fn framing(&self) -> Option<Framing> {
        self.seen().scan.take_framing()
    }

    /// Since when nothing was asked; `None` while a request is being answered.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        (self.busy.load(Ordering::Relaxed) == 0).then(|| self.seen().idle_since)
    }

    /// Whether the connection may stay open at `now`.
    pub(crate) fn patience(&self, now: Instant, head: Duration, idle: Duration) -> Patience {
        if self.busy.load(Ordering::Relaxed) > 0 {
            return Patience::Until(now + head);
        }
        let seen = self.seen();
        let (until, late) = match seen.head_since {
            Some(since) => (since + head, Patience::HeadTimedOut),
            None if !seen.served => (seen.idle_since + head, Patience::IdleTimedOut),
            None => (seen.idle_since + idle, Patience::IdleTimedOut),
        };
        if now < until { Patience::Until(until) } else { late }
    }

    /// Until when the peer of a new connection is waited for at the end.
    pub(crate) fn fresh_until(&self) -> Instant {
        let seen = self.seen();
        if seen.served { seen.idle_since } else { seen.idle_since + FRESH }
    }

    /// Whether no delivery is lost when hyper takes no further request: the one in hand has its whole
    /// head, or nothing of one has come.
    pub(crate) fn may_be_ended(&self, now: Instant) -> bool {
        if self.busy.load(Ordering::Relaxed) > 0 {
            return true;
        }
        let has_begun = self.seen().head_since.is_some() || self.has_unread();
        !has_begun && now >= self.fresh_until()
    }

    /// Whether the peer has sent something that nobody has read.
    pub(crate) fn has_unread(&self) -> bool {
        use rustix::net::{RecvFlags, recv};
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        recv(&self.stream, &mut [0_u8; 1], flags).is_ok_and(|(read, _)| read > 0)
    }

    /// Tells a peer that was too slow so, as well as that can be done around hyper.
    pub(crate) fn say_timeout(&self) {
        const ANSWER: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\n\
            connection: close\r\ncontent-length: 92\r\n\r\n\
            {\"status\":\"error\",\"reason\":\"timeout\",\"message\":\"the request's head did not arrive in time\"}\n";
        if self.seen().scan.is_http1() {
            let _ = self.stream.try_write(ANSWER);
            let _ = self.shutdown();
        }
    }

    /// Reads and forgets what the peer still sends. Closing a socket with unread bytes resets it,
    /// and a peer that is still sending would then never see the answer that stopped it.
    pub(crate) async fn linger(&self, idle: Duration, total: Duration, mut bytes: usize) {
        let deadline = Instant::now() + total;
        let mut buffer = vec![0; 16 * 1024];
        while bytes > 0 && !self.seen().eof {
            let until = deadline.min(Instant::now() + idle);
            let Ok(Ok(())) = tokio::time::timeout_at(until, self.stream.readable()).await else {
                return;
            };
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => bytes = bytes.saturating_sub(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    fn shutdown(&self) -> io::Result<()> {
        match rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Write) {
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A request is being answered.
pub(crate) struct Busy(Arc<Wire>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.seen().idle_since = Instant::now();
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The half that hyper gets.
pub(crate) struct Socket(pub(crate) Arc<Wire>);

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            ready!(self.0.stream.poll_read_ready(cx))?;
            match self.0.stream.try_read_buf(buffer) {
                Ok(0) => {
                    self.0.seen().eof = true;
                    return Poll::Ready(Ok(()));
                }
                Ok(_) => {
                    let mut seen = self.0.seen();
                    let unfinished = seen.scan.read(&buffer.filled()[before..]);
                    if !unfinished {
                        seen.head_since = None;
                    } else if seen.head_since.is_none() {
                        seen.head_since = Some(Instant::now());
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.stream.poll_write_ready(cx))?;
            match self.0.stream.try_write_vectored(slices) {
                Ok(n) => {
                    // What comes after an answer is the next request's head. (What is written
                    // before the answer is only `100 Continue`.)
                    if self.0.busy.load(Ordering::Relaxed) == 0 {
                        self.0.seen().scan.written();
                    }
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown())
    }
}
