//! Reading a stream from one end to the other, many messages at a time.

use std::{collections::VecDeque, time::Duration};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, Consumer, DeliverPolicy, pull},
    stream::{ConsumerErrorKind, DirectGetErrorKind},
};
use futures_util::{Stream, StreamExt as _, stream};

use crate::{
    connect::Bus,
    error::{BoxError, Error},
    headers::Headers,
    stored::{self, Stored},
};

/// How long the server keeps what stands for a reading, after the last question.
const INACTIVE: Duration = Duration::from_secs(60);
/// Messages a question, where they are small.
const MANY: usize = 2_000;
/// Messages a question, where each may have 25 MiB.
const FEW: usize = 8;

/// Which messages of a stream are read, and what of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Subjects with wildcards; none: all messages.
    pub filters: Vec<String>,
    /// The first sequence that is looked at.
    pub from: u64,
    /// How much of each message.
    pub content: Content,
}

/// How much of each message is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Content {
    /// Subject, sequence, time and headers. The payload is empty; `Nats-Msg-Size` says its bytes.
    #[default]
    Headers,
    /// All of it, few messages at a time: each may be large.
    Whole,
    /// All of it, many messages at a time: each is small.
    Small,
}

impl Reading {
    /// Headers of the messages on these subjects.
    pub fn headers(filters: &[&str]) -> Self {
        let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
        Self { filters, from: 0, content: Content::Headers }
    }

    fn at_a_time(&self) -> usize {
        match self.content {
            Content::Headers | Content::Small => MANY,
            Content::Whole => FEW,
        }
    }
}

impl Bus {
    /// The messages of a stream in their order, up to the stream's end as it is when it is reached.
    /// Whatever comes or goes meanwhile is there or not; nothing is there twice.
    ///
    /// # Errors
    /// As items: the broker went away or refuses. The first error ends it.
    pub fn read(
        &self,
        stream: &str,
        reading: Reading,
    ) -> impl Stream<Item = Result<Stored, Error>> + Send + use<> {
        let first = Reader::Unopened { bus: self.clone(), stream: stream.to_owned(), reading };
        stream::unfold(first, Reader::next)
    }

    /// The message at a sequence.
    ///
    /// # Errors
    /// The broker is not there or refuses.
    pub async fn message_at(&self, stream: &str, sequence: u64) -> Result<Option<Stored>, Error> {
        let doing = || format!("read message {sequence} of stream {stream}");
        self.connected().await.map_err(|e| unavailable(doing(), e.into()))?;
        let handle = self.jetstream().get_stream_no_info(stream).await;
        let handle = handle.map_err(|e| unavailable(doing(), e.into()))?;
        match handle.direct_get(sequence).await {
            Ok(message) => Ok(Some(message.into())),
            Err(error) => match error.kind() {
                DirectGetErrorKind::NotFound => Ok(None),
                _ => Err(unavailable(doing(), error.into())),
            },
        }
    }

    /// Deletes the message at a sequence; `false` when there is none.
    ///
    /// # Errors
    /// The broker is not there or refuses.
    pub async fn delete_message(&self, stream: &str, sequence: u64) -> Result<bool, Error> {
        /// The server's code for a sequence that holds nothing.
        const NO_MESSAGE: u64 = 10_037;
        const NOT_FOUND: u64 = 10_043;
        let doing = format!("delete message {sequence} of stream {stream}");
        self.connected().await.map_err(|e| unavailable(doing.clone(), e.into()))?;
        let subject = format!("STREAM.MSG.DELETE.{stream}");
        let question = serde_json::json!({ "seq": sequence });
        match self.tell::<_, serde_json::Value>(doing.clone(), &subject, &question).await? {
            Ok(_) => Ok(true),
            Err(error) if [NO_MESSAGE, NOT_FOUND].contains(&error.error_code().0) => Ok(false),
            Err(error) => Err(Error::from_api(doing, error)),
        }
    }
}

/// Where a reading is.
enum Reader {
    Unopened { bus: Bus, stream: String, reading: Reading },
    Open(Box<Open>),
    Ended,
}

struct Open {
    bus: Bus,
    stream: String,
    consumer: Consumer<pull::Config>,
    at_a_time: usize,
    ready: VecDeque<Stored>,
}

impl Reader {
    async fn next(self) -> Option<(Result<Stored, Error>, Self)> {
        let mut open = match self {
            Self::Ended => return None,
            Self::Open(open) => open,
            Self::Unopened { bus, stream, reading } => {
                match Open::new(bus, stream, &reading).await {
                    Ok(open) => Box::new(open),
                    Err(error) => return Some((Err(error), Self::Ended)),
                }
            }
        };
        if open.ready.is_empty()
            && let Err(error) = open.fetch().await
        {
            open.close().await;
            return Some((Err(error), Self::Ended));
        }
        match open.ready.pop_front() {
            Some(message) => Some((Ok(message), Self::Open(open))),
            None => {
                open.close().await;
                None
            }
        }
    }
}

impl Open {
    async fn new(bus: Bus, stream: String, reading: &Reading) -> Result<Self, Error> {
        let doing = || format!("read stream {stream}");
        bus.connected().await.map_err(|e| unavailable(doing(), e.into()))?;
        let handle = bus.jetstream().get_stream_no_info(&stream).await;
        let handle = handle.map_err(|e| unavailable(doing(), e.into()))?;
        let config = pull::Config {
            description: Some("a reading; it passes by itself".to_owned()),
            deliver_policy: match reading.from {
                0 | 1 => DeliverPolicy::All,
                from => DeliverPolicy::ByStartSequence { start_sequence: from },
            },
            ack_policy: AckPolicy::None,
            filter_subjects: reading.filters.clone(),
            headers_only: reading.content == Content::Headers,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: INACTIVE,
            ..pull::Config::default()
        };
        let consumer =
            handle.create_consumer(config).await.map_err(|error| match error.kind() {
                ConsumerErrorKind::InvalidConsumerType | ConsumerErrorKind::InvalidName => {
                    Error::Refused { doing: doing(), source: error.into() }
                }
                ConsumerErrorKind::TimedOut
                | ConsumerErrorKind::Request
                | ConsumerErrorKind::JetStream(_)
                | ConsumerErrorKind::Other => unavailable(doing(), error.into()),
            })?;
        let at_a_time = reading.at_a_time();
        Ok(Self { bus, stream, consumer, at_a_time, ready: VecDeque::new() })
    }

    /// Asks for what is there; nothing at all means the end.
    async fn fetch(&mut self) -> Result<(), Error> {
        let doing = || format!("read stream {}", self.stream);
        let patience = self.bus.request_timeout();
        self.bus.connected().await.map_err(|e| unavailable(doing(), e.into()))?;
        let fetch = self.consumer.fetch().max_messages(self.at_a_time).messages();
        let mut batch = fetch.await.map_err(|e| unavailable(doing(), e.into()))?;
        loop {
            let next = tokio::time::timeout(patience, batch.next());
            match next.await.map_err(|e| unavailable(doing(), e.into()))? {
                None => return Ok(()),
                Some(Err(error)) => return Err(unavailable(doing(), error)),
                Some(Ok(message)) => self
                    .ready
                    .push_back(stored_from(&message).map_err(|error| unavailable(doing(), error))?),
            }
        }
    }

    /// The server would forget it by itself.
    async fn close(&self) {
        let name = self.consumer.cached_info().name.clone();
        let subject = format!("CONSUMER.DELETE.{}.{name}", self.stream);
        let deleted = self.bus.ask::<serde_json::Value>("end a reading".to_owned(), &subject);
        if let Err(error) = deleted.await {
            tracing::debug!(%error, "a reading is left to the server");
        }
    }
}

fn stored_from(message: &jetstream::Message) -> Result<Stored, BoxError> {
    let info = message.info()?;
    Ok(Stored {
        subject: message.subject.to_string(),
        sequence: info.stream_sequence,
        headers: Headers::from_nats(message.headers.as_ref()),
        payload: message.payload.clone(),
        time: stored::from_unix_nanos(info.published.unix_timestamp_nanos()),
    })
}

fn unavailable(doing: String, source: BoxError) -> Error {
    Error::Unavailable { doing, source }
}
