//! The connection, and the handle that everything else hangs on.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_nats::{
    ConnectOptions, Event, Message, Request, ServerAddr, connection::State, jetstream,
};
use booty_events::{JobId, bucket::BucketDefinition};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{
    bucket::Bucket, clock::Clock, error::Error, journal::Journal, lease::Leases, stored::Stored,
};

/// The longest pause between two attempts to connect: a broker that is back is found within it.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(2);

/// How to reach the broker.
#[derive(Debug, Clone)]
pub struct BusSettings {
    /// `nats://host:port`, several separated by commas.
    pub url: String,
    /// A credentials file (`.creds`).
    pub creds: Option<PathBuf>,
    /// How the connection is called in the server's own lists.
    pub client_name: String,
    /// How long one request may take, waiting for the connection included. 5 s is usual.
    pub request_timeout: Duration,
    /// Replaces every stream's and bucket's `max_bytes`: for small disks and for tests.
    pub max_bytes: Option<i64>,
}

impl BusSettings {
    /// The usual settings for a broker without credentials.
    pub fn new(url: impl Into<String>, client_name: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            creds: None,
            client_name: client_name.into(),
            request_timeout: Duration::from_secs(5),
            max_bytes: None,
        }
    }
}

/// The handle on the broker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus {
    inner: Arc<Inner>,
    clock: Clock,
}

#[derive(Debug)]
struct Inner {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    request_timeout: Duration,
    max_bytes: Option<i64>,
    link: watch::Receiver<Link>,
}

/// What the client last said about its connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) is_up: bool,
    /// Grows with every connection made: requests that were out before are lost.
    pub(crate) epoch: u64,
}

impl Bus {
    /// Returns at once even when the server is down, and reconnects for ever.
    ///
    /// # Errors
    /// A URL or credentials file that can't be used.
    pub async fn connect(settings: BusSettings) -> Result<Self, Error> {
        let servers = settings
            .url
            .split(',')
            .map(|url| url.trim().parse::<ServerAddr>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Error::Url(e.into()))?;
        let (said, link) = watch::channel(Link::default());
        let mut options = ConnectOptions::new()
            .name(&settings.client_name)
            .request_timeout(Some(settings.request_timeout))
            .connection_timeout(settings.request_timeout)
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(reconnect_delay)
            .event_callback(move |event| {
                note(&said, &event);
                std::future::ready(())
            });
        if let Some(path) = settings.creds {
            options = options
                .credentials_file(&path)
                .await
                .map_err(|source| Error::Credentials { path, source })?;
        }
        let client = options.connect(servers).await.map_err(|e| Error::Connect(e.into()))?;
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(settings.request_timeout)
            .build(client.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                jetstream,
                request_timeout: settings.request_timeout,
                max_bytes: settings.max_bytes,
                link,
            }),
            clock: Clock::system(),
        })
    }

    /// The same connection under another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Whether the connection is up now.
    pub fn is_connected(&self) -> bool {
        self.inner.client.connection_state() == State::Connected
    }

    /// A key-value bucket; nothing is asked of the server yet.
    pub fn bucket(&self, definition: &BucketDefinition) -> Bucket {
        Bucket::new(self.clone(), definition)
    }

    /// The leases in `booty_leases`.
    pub fn leases(&self) -> Leases {
        Leases::new(self.clone())
    }

    /// A job's journal, read whole; appending goes on where it ends.
    ///
    /// # Errors
    /// The broker is not there or refuses.
    pub async fn open_journal(&self, job: &JobId) -> Result<Journal, Error> {
        Journal::open(self.clone(), job).await
    }

    /// The newest message on a subject (or on a filter with wildcards): "is it there?".
    ///
    /// # Errors
    /// The broker is not there or refuses.
    pub async fn last_message(
        &self,
        stream: &str,
        subject_filter: &str,
    ) -> Result<Option<Stored>, Error> {
        crate::stored::last(self, stream, subject_filter).await
    }

    /// Sends what is buffered and closes the connection.
    pub async fn drain(&self) {
        let flush = tokio::time::timeout(self.inner.request_timeout, self.inner.client.flush());
        match flush.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the connection was closed before all was sent"),
            Err(_) => warn!("the connection was closed before all was sent: the broker is away"),
        }
        if let Err(error) = self.inner.client.drain().await {
            warn!(%error, "the connection could not be closed in order");
        }
    }

    /// The client below.
    pub fn client(&self) -> &async_nats::Client {
        &self.inner.client
    }

    /// The JetStream context below.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.inner.jetstream
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.inner.request_timeout
    }

    pub(crate) fn max_bytes_override(&self) -> Option<i64> {
        self.inner.max_bytes
    }

    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.inner.link.clone()
    }

    /// Waits for the connection, at most the request timeout. Nothing is handed to the client while
    /// it is down: it would buffer, and deliver later what the caller was told had failed.
    pub(crate) async fn connected(&self) -> Result<(), Disconnected> {
        if self.is_connected() {
            return Ok(());
        }
        let mut link = self.link();
        let up = link.wait_for(|link| link.is_up);
        match tokio::time::timeout(self.inner.request_timeout, up).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Disconnected),
        }
    }

    /// One request and its answer. Ends early when the connection is lost, because the answer is lost
    /// with it; what was asked may have been done all the same.
    pub(crate) async fn request(
        &self,
        subject: String,
        request: Request,
        timeout: Duration,
    ) -> Result<Message, RequestFailed> {
        // The client's own timeout begins when it has taken the request; a full queue counts, too.
        let asked = self.inner.client.send_request(subject, request.timeout(Some(timeout)));
        tokio::select! {
            answer = tokio::time::timeout(timeout, asked) => match answer {
                Ok(answer) => answer.map_err(RequestFailed::Client),
                Err(elapsed) => Err(RequestFailed::Elapsed(elapsed)),
            },
            () = self.lost() => Err(RequestFailed::Lost),
        }
    }

    async fn lost(&self) {
        let mut link = self.link();
        // The events trail behind the client's state.
        let up = link.wait_for(|link| link.is_up).await.map(|link| link.epoch);
        let Ok(epoch) = up else { return std::future::pending().await };
        if link.wait_for(|link| !link.is_up || link.epoch != epoch).await.is_err() {
            std::future::pending().await
        }
    }

    /// An id that no other call of any process gets.
    pub(crate) fn unique_id(&self) -> String {
        let inbox = self.inner.client.new_inbox();
        inbox.rsplit('.').next().unwrap_or(&inbox).to_owned()
    }
}

/// There is no connection to the broker.
#[derive(Debug, thiserror::Error)]
#[error("not connected to the broker")]
pub(crate) struct Disconnected;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestFailed {
    #[error(transparent)]
    Client(async_nats::client::RequestError),
    #[error("no answer in time")]
    Elapsed(#[source] tokio::time::error::Elapsed),
    #[error("the connection was lost before the answer came")]
    Lost,
}

fn reconnect_delay(attempts: usize) -> Duration {
    let step = Duration::from_millis(50);
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(8);
    step.saturating_mul(2_u32.pow(doublings)).min(MAX_RECONNECT_DELAY)
}

fn note(link: &watch::Sender<Link>, event: &Event) {
    match event {
        Event::Connected => {
            info!("connected to the broker");
            link.send_modify(|link| {
                link.is_up = true;
                link.epoch += 1;
            });
        }
        Event::Disconnected | Event::Closed => {
            warn!("disconnected from the broker");
            link.send_modify(|link| link.is_up = false);
        }
        Event::ServerError(error) => warn!(%error, "the broker reports an error"),
        Event::ClientError(error) => warn!(%error, "the broker's client reports an error"),
        Event::SlowConsumer(_) | Event::LameDuckMode | Event::Draining => {
            info!(%event, "the broker's client reports");
        }
    }
}
