//! A world of a broker and a bus, and handlers made of closures.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use booty_bus::{
    Bus, BusSettings, ConsumerSettings, Delivery, Error, Handler, Headers, Outgoing, Verdict,
    consume, ensure_consumer, local::LocalServer,
};
use booty_events::{Service, stream, subject};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) server: LocalServer,
    pub(crate) bus: Bus,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_max_bytes(64 << 20).await
    }

    pub(crate) async fn with_max_bytes(max_bytes: i64) -> Self {
        let server = LocalServer::start_temporary().await.expect("a nats-server");
        let bus = connect_with(&server.url(), Some(max_bytes)).await;
        bus.ensure().await.expect("streams and buckets");
        Self { server, bus }
    }

    /// Another connection, as another process has one.
    pub(crate) async fn another_bus(&self) -> Bus {
        connect_with(&self.server.url(), Some(64 << 20)).await
    }

    /// A connection that waits for nothing, for tests of what happens when there is nothing.
    pub(crate) async fn impatient_bus(&self) -> Bus {
        let bus = connect(&self.server.url(), None, Duration::from_millis(300)).await;
        eventually("it connects", async || bus.is_connected()).await;
        bus
    }

    pub(crate) async fn publish(&self, name: &str) -> String {
        let subject = inbox(name);
        self.bus.publish(outgoing(&subject, name)).await.expect("published");
        subject
    }
}

pub(crate) async fn connect_with(url: &str, max_bytes: Option<i64>) -> Bus {
    connect(url, max_bytes, Duration::from_secs(2)).await
}

async fn connect(url: &str, max_bytes: Option<i64>, request_timeout: Duration) -> Bus {
    let settings = BusSettings { max_bytes, request_timeout, ..BusSettings::new(url, "test") };
    Bus::connect(settings).await.expect("a client")
}

pub(crate) fn inbox(name: &str) -> String {
    subject::inbox_github("issues", Some("labeled"), &name.parse().unwrap())
}

pub(crate) fn outgoing(subject: &str, payload: &str) -> Outgoing {
    Outgoing {
        subject: subject.to_owned(),
        headers: Headers::new(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

pub(crate) fn settings(holder: &str) -> ConsumerSettings {
    ConsumerSettings {
        permits: 4,
        shutdown_grace: Duration::from_secs(5),
        ..ConsumerSettings::new(
            Service::Builder,
            stream::INBOX.name,
            vec![
                subject::inbox_github_filter("issues", Some("labeled")),
                subject::replay_filter(Service::Builder),
            ],
            holder,
        )
    }
}

/// Awaits a state that can only be asked for.
pub(crate) async fn eventually<F, Fut>(what: &str, mut check: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let waited = tokio::time::timeout(PATIENCE, async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

/// Awaits something that happens.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("never: {what}"))
}

pub(crate) async fn is_settled(bus: &Bus, settings: &ConsumerSettings) -> bool {
    match bus.backlog(settings).await {
        Ok(backlog) => backlog.waiting == 0 && backlog.unsettled == 0,
        Err(_) => false,
    }
}

type Body = dyn Fn(Delivery) -> BoxFuture<'static, Verdict> + Send + Sync;

/// A handler from a closure, which reports what it is given.
pub(crate) struct Script {
    body: Box<Body>,
    seen: mpsc::UnboundedSender<Delivery>,
    pub(crate) told: Mutex<Vec<String>>,
    /// How often `given_up` fails yet.
    pub(crate) untold: AtomicU32,
    pub(crate) runs: AtomicU32,
}

#[async_trait]
impl Handler for Script {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let _ = self.seen.send(delivery.clone());
        (self.body)(delivery.clone()).await
    }

    async fn given_up(&self, _delivery: &Delivery, why: &str) -> Result<(), String> {
        let takes_one = |left: u32| left.checked_sub(1);
        if self.untold.fetch_update(Ordering::SeqCst, Ordering::SeqCst, takes_one).is_ok() {
            return Err("nobody listens".to_owned());
        }
        self.told.lock().await.push(why.to_owned());
        Ok(())
    }
}

/// A running consumer loop.
pub(crate) struct Running {
    pub(crate) script: Arc<Script>,
    pub(crate) seen: mpsc::UnboundedReceiver<Delivery>,
    pub(crate) shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(crate) async fn start<F, Fut>(bus: &Bus, settings: &ConsumerSettings, body: F) -> Self
    where
        F: Fn(Delivery) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Verdict> + Send + 'static,
    {
        let (seen, receiver) = mpsc::unbounded_channel();
        let script = Arc::new(Script {
            body: Box::new(move |delivery| Box::pin(body(delivery))),
            seen,
            told: Mutex::default(),
            untold: AtomicU32::new(0),
            runs: AtomicU32::new(0),
        });
        ensure_consumer(bus, settings).await.expect("a durable");
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(consume(
            bus.clone(),
            settings.clone(),
            Arc::clone(&script),
            shutdown.clone(),
        ));
        Self { script, seen: receiver, shutdown, task }
    }

    pub(crate) async fn next(&mut self) -> Delivery {
        soon("a delivery", self.seen.recv()).await.expect("the loop runs")
    }

    pub(crate) fn runs(&self) -> u32 {
        self.script.runs.load(Ordering::SeqCst)
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        soon("the loop's end", self.task).await.expect("no panic").expect("no error");
    }
}
