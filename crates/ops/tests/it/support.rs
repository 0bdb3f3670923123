//! A broker, a bus, and services that do with a message what its payload says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use booty_bus::{
    Bus, BusSettings, ConsumerSettings, Delivery, Handler, Headers, Outgoing, Published, Verdict,
    consume, ensure_consumer, local::LocalServer,
};
use booty_events::{DeliveryId, Service, header, stream, subject};
use booty_ops::{Entry, Filter, Page, Spool};
use bytes::Bytes;
use chrono::Utc;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) server: LocalServer,
    pub(crate) bus: Bus,
    pub(crate) spool: Spool,
}

impl World {
    pub(crate) async fn new() -> Self {
        let server = LocalServer::start_temporary().await.expect("a nats-server");
        let bus = connect(&server.url()).await;
        bus.ensure().await.expect("streams and buckets");
        let spool = Spool::new(&bus, Utc::now);
        Self { server, bus, spool }
    }

    pub(crate) async fn list(&self) -> Vec<Entry> {
        self.spool.list(&Filter::default(), &Page::default()).await.unwrap().entries
    }

    /// A delivery that says what is to be done with it, and its sequence in the inbox.
    pub(crate) async fn deliver(&self, id: &str, body: &str) -> u64 {
        deliver(&self.bus, id, body).await
    }
}

pub(crate) async fn connect(url: &str) -> Bus {
    let settings = BusSettings {
        max_bytes: Some(256 << 20),
        request_timeout: Duration::from_secs(5),
        ..BusSettings::new(url, "test")
    };
    Bus::connect(settings).await.expect("a client")
}

pub(crate) async fn deliver(bus: &Bus, id: &str, body: &str) -> u64 {
    let id: DeliveryId = id.parse().unwrap();
    let headers = [
        (header::CONTENT_TYPE, header::CONTENT_TYPE_JSON.to_owned()),
        (header::DELIVERY_ID, id.to_string()),
        (header::TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    ];
    let message = Outgoing {
        subject: subject::inbox_github("issues", Some("labeled"), &id),
        headers: headers.into_iter().collect::<Headers>(),
        payload: Bytes::copy_from_slice(body.as_bytes()),
    };
    match bus.publish(message).await.expect("published") {
        Published::New { sequence } => sequence,
        Published::Duplicate => panic!("{id} is there already"),
    }
}

/// What a service was given.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) subject: String,
    pub(crate) payload: Bytes,
    pub(crate) headers: Headers,
    pub(crate) replay_of: Option<u64>,
}

/// A service that does what a payload says (`done`, `ignore`, `reject`, `fail`), or, once it is
/// mended, is done with everything.
pub(crate) struct Obedient {
    seen: mpsc::UnboundedSender<Seen>,
    pub(crate) mended: AtomicBool,
    pub(crate) runs: AtomicU64,
}

#[async_trait]
impl Handler for Obedient {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let _ = self.seen.send(Seen {
            subject: delivery.subject.clone(),
            payload: delivery.payload.clone(),
            headers: delivery.headers.clone(),
            replay_of: delivery.replay_of,
        });
        if self.mended.load(Ordering::SeqCst) {
            return Verdict::Done;
        }
        let text = String::from_utf8_lossy(&delivery.payload);
        let soon = Duration::from_millis(100);
        match text {
            text if text.contains("ignore") => Verdict::Ignore { reason: "not_ours".to_owned() },
            text if text.contains("reject") => {
                Verdict::Reject { reason: "broken".to_owned(), why: "it can't be".to_owned() }
            }
            text if text.contains("fail") => {
                Verdict::Retry { after: soon, why: "it failed".to_owned() }
            }
            text if text.contains("hand_back") && delivery.delivered < 2 => {
                Verdict::HandBack { after: soon, why: "not now".to_owned() }
            }
            _ => Verdict::Done,
        }
    }
}

/// Running consumer loops.
pub(crate) struct Running {
    pub(crate) service: Arc<Obedient>,
    pub(crate) seen: mpsc::UnboundedReceiver<Seen>,
    shutdown: CancellationToken,
    loops: JoinSet<()>,
}

pub(crate) fn builder() -> ConsumerSettings {
    ConsumerSettings {
        permits: 8,
        max_failures: 2,
        shutdown_grace: Duration::from_secs(5),
        ..ConsumerSettings::new(
            Service::Builder,
            stream::INBOX.name,
            vec![
                subject::inbox_github_filter("issues", Some("labeled")),
                subject::replay_filter(Service::Builder),
            ],
            "worker",
        )
    }
}

impl Running {
    pub(crate) async fn start(bus: &Bus, durables: &[ConsumerSettings]) -> Self {
        Self::start_as(bus, durables, false).await
    }

    /// `mended`: done with everything from the first message on.
    pub(crate) async fn start_as(bus: &Bus, durables: &[ConsumerSettings], mended: bool) -> Self {
        let (sender, seen) = mpsc::unbounded_channel();
        let service = Arc::new(Obedient {
            seen: sender,
            mended: AtomicBool::new(mended),
            runs: AtomicU64::new(0),
        });
        let shutdown = CancellationToken::new();
        let mut loops = JoinSet::new();
        for settings in durables {
            ensure_consumer(bus, settings).await.expect("a durable");
            let (bus, settings) = (bus.clone(), settings.clone());
            let (service, shutdown) = (Arc::clone(&service), shutdown.clone());
            loops.spawn(async move { consume(bus, settings, service, shutdown).await.unwrap() });
        }
        Self { service, seen, shutdown, loops }
    }

    pub(crate) fn mend(&self) {
        self.service.mended.store(true, Ordering::SeqCst);
    }

    pub(crate) async fn next(&mut self) -> Seen {
        soon("a delivery", self.seen.recv()).await.expect("the loop runs")
    }

    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = soon("the loops' end", self.loops.join_next()).await {
            ended.unwrap();
        }
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

pub(crate) fn ids(ids: &[u64]) -> Filter {
    let ids = ids.iter().map(|id| booty_ops::Id::Sequence(*id)).collect();
    Filter { ids, ..Filter::default() }
}
