//! A response as events, with an eye on the clock and on the bytes.

use std::{fmt, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use reqwest::Response;
use sse_stream::SseStream;
use tokio::time::timeout;

use crate::{Error, remote::refused};

/// Why no more events come.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Nothing arrived.
    Silent { for_: Duration },
    /// The connection ended within the answer.
    Cut { why: String },
    /// More arrived than an answer may have.
    TooLong { limit: usize },
    /// What arrived are no events.
    Garbled { why: String },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent { for_ } => {
                write!(f, "it said nothing for {} ms and was given up", for_.as_millis())
            }
            Self::Cut { why } => write!(f, "the connection broke within the answer: {why}"),
            Self::TooLong { limit } => {
                write!(f, "the answer was longer than {limit} bytes and was cut off")
            }
            Self::Garbled { why } => write!(f, "it sent what are no events: {why}"),
        }
    }
}

impl std::error::Error for Broken {}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        let why = broken.to_string();
        match broken {
            // The same question would be answered at the same length, and paid for again.
            Broken::TooLong { .. } => Self::FailFast { why },
            Broken::Silent { .. } | Broken::Cut { .. } | Broken::Garbled { .. } => {
                Self::Unknown { why }
            }
        }
    }
}

/// The data of each event.
pub(crate) struct Events(Pin<Box<dyn Stream<Item = Result<String, Broken>> + Send>>);

impl Events {
    pub(crate) async fn next(&mut self) -> Option<Result<String, Broken>> {
        self.0.next().await
    }
}

/// `first` is how long the first byte may take, `silence` each later one, `limit` the most bytes.
pub(crate) fn events(
    response: Response,
    first: Duration,
    silence: Duration,
    limit: usize,
) -> Events {
    let bytes = Box::pin(bytes(response, first, silence, limit));
    let events = SseStream::from_bytes_stream(bytes).filter_map(|event| async move {
        match event {
            Ok(event) => event.data.map(Ok),
            Err(sse_stream::Error::Body(error)) => Some(Err(match error.downcast::<Broken>() {
                Ok(broken) => *broken,
                Err(error) => Broken::Garbled { why: error.to_string() },
            })),
            Err(error) => Some(Err(Broken::Garbled { why: error.to_string() })),
        }
    });
    Events(Box::pin(events))
}

fn bytes(
    response: Response,
    first: Duration,
    silence: Duration,
    limit: usize,
) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
    stream::try_unfold((response, first, limit), move |(mut response, patience, left)| async move {
        match timeout(patience, response.chunk()).await {
            Ok(Ok(Some(chunk))) => match left.checked_sub(chunk.len()) {
                Some(left) => Ok(Some((chunk, (response, silence, left)))),
                None => Err(Broken::TooLong { limit }),
            },
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) => Err(Broken::Cut { why: refused::chain(&error.without_url()) }),
            Err(_) => Err(Broken::Silent { for_: patience }),
        }
    })
}
