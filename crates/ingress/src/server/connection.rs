//! One connection, from accept to close.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Answered, Handle, Seat,
    head::MAX_HEAD_BYTES,
    socket::{Patience, Socket},
};
use crate::settings::ConnectionLimits;

/// HTTP/2: what a peer may have under way on one connection.
const MAX_STREAMS: u32 = 64;
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
/// HTTP/2 rapid reset: streams that the peer took back before we looked at them.
const MAX_PENDING_RESETS: usize = 20;

/// How long, and for how much, a refused peer may go on sending before its connection is closed.
const LINGER_IDLE: Duration = Duration::from_millis(1000);
const LINGER_TOTAL: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 64 * 1024 * 1024;

pub(super) async fn serve<H: Handle>(
    seat: Seat,
    handler: Arc<H>,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) {
    let wire = Arc::clone(&seat.wire);
    let service = service_fn(|request: Request<Incoming>| {
        let busy = seat.wire.begin();
        let framing = seat.wire.framing();
        let handler = Arc::clone(&handler);
        async move {
            let response = handler.handle(request, framing).await;
            drop(busy);
            Answered::Ok(response)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // `Patience` below is stricter: it also holds before the protocol is known, and answers 408.
        .header_read_timeout(None)
        // More than 100 headers, or a head that does not fit, is a 431. The size is also the largest piece of a body at a time.
        .max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .keep_alive_interval(limits.idle)
        .keep_alive_timeout(limits.head);
    let connection = builder.serve_connection(TokioIo::new(Socket(Arc::clone(&wire))), service);
    let mut connection = std::pin::pin!(connection);

    let mut until = Instant::now() + limits.head;
    let mut stopping = false;
    let mut is_told = false;
    loop {
        // Told to end, hyper closes a connection of which it has no whole head, whatever lies unread
        // in the socket: it is told once that can't be a delivery.
        let served = poll_fn(|cx| {
            loop {
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    return Poll::Ready(ended);
                }
                if !stopping || is_told || !wire.may_be_ended(Instant::now()) {
                    return Poll::Pending;
                }
                is_told = true;
                connection.as_mut().graceful_shutdown();
            }
        });
        tokio::select! {
            ended = served => {
                if let Err(error) = ended {
                    // The peer's doing, and too frequent under attack for anything louder.
                    tracing::debug!(event = "connection_ended", %error);
                }
                break;
            }
            () = sleep_until(until) => match wire.patience(Instant::now(), limits.head, limits.idle) {
                Patience::Until(later) => until = later,
                Patience::HeadTimedOut => {
                    wire.say_timeout();
                    return;
                }
                Patience::IdleTimedOut => return,
            },
            () = shutdown.cancelled(), if !stopping => {
                stopping = true;
                until = until.min(wire.fresh_until());
            }
            () = seat.evicted.cancelled() => return,
        }
    }
    if !stopping || wire.has_unread() {
        wire.linger(LINGER_IDLE, LINGER_TOTAL, LINGER_BYTES).await;
    }
}
