//! How an answer's bytes leave, and how they stop.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::{api::Event, fault::Fault};

/// The connection is broken off on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the answer is cut on purpose")]
pub(super) struct Cut;

/// What is sent, and what comes after.
#[derive(Debug)]
pub(super) struct Plan {
    chunks: Vec<Bytes>,
    pause: Duration,
    end: End,
    /// What the answer promises to be long, where it says so.
    pub(super) length: Option<usize>,
}

#[derive(Debug)]
enum End {
    Proper,
    Cut,
    Silence,
    /// The same again and again.
    Endless(Bytes),
}

impl Plan {
    /// An answer in one piece.
    pub(super) fn whole(body: Vec<u8>, fault: Option<&Fault>) -> Self {
        let length = body.len();
        let body = Bytes::from(body);
        let half = body.slice(..length / 2);
        let plan = |chunks, end, length| Self { chunks, pause: Duration::ZERO, end, length };
        match fault {
            Some(Fault::Silent { .. }) => plan(vec![], End::Silence, Some(length)),
            Some(Fault::CutAfterEvents { .. }) => plan(vec![half], End::Cut, Some(length)),
            Some(Fault::CutAfterBytes { bytes }) => {
                plan(vec![body.slice(..length.min(*bytes))], End::Cut, Some(length))
            }
            Some(Fault::EndsEarly { .. } | Fault::MalformedJson { .. }) => {
                plan(vec![half], End::Proper, None)
            }
            Some(Fault::Endless) => {
                // White space may go on for ever in front of JSON.
                plan(vec![], End::Endless(Bytes::from_static(&[b' '; 4096])), None)
            }
            Some(Fault::Slow { bytes, millis }) => {
                plan(vec![body], End::Proper, Some(length)).dripping(*bytes, *millis)
            }
            _ => plan(vec![body], End::Proper, Some(length)),
        }
    }

    /// A stream; `again` is the event that an endless one repeats, `error` the one that ends it badly.
    pub(super) fn stream(
        events: &[Event],
        again: Option<&Event>,
        error: &Event,
        fault: Option<&Fault>,
    ) -> Self {
        let bytes = |event: &Event| Bytes::from(event.bytes());
        let all: Vec<Bytes> = events.iter().map(bytes).collect();
        let first = |count: usize| all.iter().take(count).cloned().collect::<Vec<_>>();
        let plan = |chunks, end| Self { chunks, pause: Duration::ZERO, end, length: None };
        match fault {
            Some(Fault::Silent { after_events }) => plan(first(*after_events), End::Silence),
            Some(Fault::CutAfterEvents { events }) => plan(first(*events), End::Cut),
            Some(Fault::CutAfterBytes { bytes }) => {
                let joined = Bytes::from(all.concat());
                plan(vec![joined.slice(..joined.len().min(*bytes))], End::Cut)
            }
            Some(Fault::EndsEarly { events }) => plan(first(*events), End::Proper),
            Some(Fault::ErrorEvent { after_events }) => {
                let mut chunks = first(*after_events);
                chunks.push(bytes(error));
                plan(chunks, End::Proper)
            }
            Some(Fault::MalformedJson { after_events }) => {
                let mut chunks = all.clone();
                if let (Some(chunk), Some(event)) =
                    (chunks.get_mut(*after_events), events.get(*after_events))
                {
                    let mut data = event.data.clone();
                    data.truncate(data.floor_char_boundary(data.len() / 2));
                    *chunk = Bytes::from(Event { name: event.name, data }.bytes());
                }
                plan(chunks, End::Proper)
            }
            Some(Fault::Endless) => match again {
                Some(again) => {
                    let until = events.iter().position(|event| event.data == again.data);
                    plan(first(until.unwrap_or(all.len())), End::Endless(bytes(again)))
                }
                None => plan(all, End::Silence),
            },
            Some(Fault::Slow { bytes, millis }) => plan(all, End::Proper).dripping(*bytes, *millis),
            _ => plan(all, End::Proper),
        }
    }

    fn dripping(mut self, bytes: usize, millis: u64) -> Self {
        let joined = self.chunks.concat();
        self.chunks = joined.chunks(bytes.max(1)).map(Bytes::copy_from_slice).collect();
        self.pause = Duration::from_millis(millis);
        self
    }

    /// Starts to send; it ends by itself when nobody reads any more.
    pub(super) fn start(self) -> Flow {
        // One at a time: what the client does not take is not made.
        let (sender, pieces) = mpsc::channel(1);
        tokio::spawn(self.send(sender));
        Flow { pieces, is_cut: false }
    }

    async fn send(self, sender: mpsc::Sender<Result<Bytes, Cut>>) {
        for (index, chunk) in self.chunks.into_iter().enumerate() {
            if index > 0 && !self.pause.is_zero() {
                tokio::time::sleep(self.pause).await;
            }
            if sender.send(Ok(chunk)).await.is_err() {
                return;
            }
        }
        match self.end {
            End::Proper => {}
            End::Cut => _ = sender.send(Err(Cut)).await,
            End::Silence => sender.closed().await,
            End::Endless(chunk) => while sender.send(Ok(chunk.clone())).await.is_ok() {},
        }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Flow {
    pieces: mpsc::Receiver<Result<Bytes, Cut>>,
    is_cut: bool,
}

impl Body for Flow {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.is_cut {
            return Poll::Ready(Some(Err(Cut)));
        }
        match self.pieces.poll_recv(context) {
            Poll::Ready(Some(Ok(chunk))) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            Poll::Ready(Some(Err(Cut))) => {
                // hyper throws away what it has not flushed when a body fails; it flushes when one
                // is not ready.
                self.is_cut = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
