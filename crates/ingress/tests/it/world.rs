//! Ingress with a broker, and what a sender and an operator can do to them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{OnceLock, mpsc},
    time::{Duration, Instant},
};

use booty_bus::{
    Bus, BusSettings, Stored,
    local::{LocalServer, LocalServerSettings, find_server},
};
use booty_events::stream::{EVENTS, INBOX};
use booty_ingress::{AllowList, App, Settings, settings::SpoolSettings};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    delivery::{Delivery, REPOSITORY, SECRET},
    raw,
};

/// The requirement: from a body's last byte to its answer.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_millis(900);

/// The broker that tests share which don't harm it; its store goes with the process.
fn shared_broker() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        let (sender, receiver) = mpsc::channel();
        // A thread that never ends: the server dies with the thread that started it.
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let server = LocalServer::start_temporary().await.unwrap();
                let bus = connect(&server.url()).await;
                bus.ensure().await.unwrap();
                sender.send(server.url()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().unwrap()
    })
}

/// A broker of a test's own, which it may kill.
pub(crate) async fn own_broker(dir: &TempDir) -> LocalServer {
    LocalServer::start(LocalServerSettings {
        binary: find_server().unwrap(),
        data_dir: dir.path().join("nats"),
        port: None,
        sync_always: true,
    })
    .await
    .unwrap()
}

pub(crate) async fn connect(url: &str) -> Bus {
    Bus::connect(BusSettings::new(url, "ingress-tests")).await.unwrap()
}

/// Settings of a good ingress with its spool in `dir`.
pub(crate) fn settings(dir: &TempDir) -> Settings {
    let allowed = AllowList::new(&[REPOSITORY.to_owned(), "octo/*".to_owned()], None).unwrap();
    let spool = SpoolSettings::in_dir(dir.path().join("spool"));
    let mut settings = Settings::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), spool, allowed);
    settings.github_secrets = vec![SECRET.into()];
    settings
}

/// A served ingress.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) bus: Bus,
    pub(crate) client: reqwest::Client,
    pub(crate) admin: axum::Router,
    shutdown: CancellationToken,
    running: Option<JoinHandle<()>>,
    _dir: Option<TempDir>,
}

impl World {
    /// On the shared broker.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// On the shared broker, with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = TempDir::new().unwrap();
        let mut settings = settings(&dir);
        change(&mut settings);
        let mut world = Self::serve(settings, connect(shared_broker()).await).await;
        world._dir = Some(dir);
        world
    }

    pub(crate) async fn serve(settings: Settings, bus: Bus) -> Self {
        let app = App::build(settings, bus.clone()).unwrap();
        let address = app.address();
        let admin = app.admin_router();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { app.run(shutdown).await.unwrap() }
        });
        Self {
            address,
            bus,
            client: reqwest::Client::new(),
            admin,
            shutdown,
            running: Some(running),
            _dir: None,
        }
    }

    /// Waits until the broker is connected and its streams are there.
    pub(crate) async fn ready(self) -> Self {
        eventually("the broker is ready", || async { self.bus.ensure().await.is_ok() }).await;
        self
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Delivers; status and answer.
    pub(crate) async fn deliver(&self, delivery: &Delivery) -> (u16, Value) {
        post(&self.client, &self.url("/webhooks/github"), delivery).await
    }

    /// The message on a subject, if it is there.
    pub(crate) async fn inbox(&self, delivery: &Delivery) -> Option<Stored> {
        self.bus.last_message(INBOX.name, &delivery.inbox_subject()).await.unwrap()
    }

    pub(crate) async fn ignored(&self, delivery: &Delivery) -> Option<Stored> {
        self.bus.last_message(EVENTS.name, &delivery.ignored_subject()).await.unwrap()
    }

    /// The point of every bad input: the next good one is accepted, and is in the inbox.
    pub(crate) async fn takes_good_ones(&self) {
        let good = Delivery::good();
        let (status, answer) = self.deliver(&good).await;
        assert_eq!(status, 202, "{answer}");
        assert_eq!(answer["job_id"], format!("7-{}", good.id));
        assert_eq!(self.inbox(&good).await.unwrap().payload, good.body);
    }

    /// Sends raw bytes; the first answer's status.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> u16 {
        raw::send(self.address, bytes).await
    }

    /// A page of the admin port.
    pub(crate) async fn admin(&self, path: &str) -> (u16, String) {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(axum::serve(listener, self.admin.clone()).into_future());
        let response = self.client.get(format!("http://{address}{path}")).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        server.abort();
        (status, text)
    }

    /// Asks it to stop, and lets it do nothing yet.
    pub(crate) fn ask_to_stop(&self) {
        self.shutdown.cancel();
    }

    /// Shuts it down in order.
    pub(crate) async fn stop(&mut self) {
        self.ask_to_stop();
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) async fn post(client: &reqwest::Client, url: &str, delivery: &Delivery) -> (u16, Value) {
    let mut request = client.post(url).body(delivery.body.clone());
    for (name, value) in delivery.headers() {
        request = request.header(name, value);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}")))
}

/// Waits for a state.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !check().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// All inbox messages, in the order of the stream.
pub(crate) async fn all_in_inbox(bus: &Bus) -> Vec<String> {
    use futures_util::StreamExt as _;
    let stream = bus.jetstream().get_stream(INBOX.name).await.unwrap();
    let count = stream.cached_info().state.messages;
    if count == 0 {
        return Vec::new();
    }
    let consumer = stream
        .create_consumer(async_nats::jetstream::consumer::pull::OrderedConfig {
            filter_subject: "booty.inbox.>".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    let messages = consumer.messages().await.unwrap();
    let subjects = messages.take(usize::try_from(count).unwrap());
    subjects.map(|message| message.unwrap().subject.to_string()).collect().await
}
