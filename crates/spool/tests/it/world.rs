//! A broker whose spool may be full.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::jetstream::stream::Config;
use booty_bus::{Bus, BusSettings, Outgoing, Stored, local::LocalServer};
use booty_events::stream::SPOOL;
use booty_spool::{FileSettings, FileSpool, Line, NotWatched, read_file};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct World {
    pub(crate) server: LocalServer,
    pub(crate) bus: Bus,
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let server = LocalServer::start_temporary().await.unwrap();
        let settings = BusSettings {
            max_bytes: Some(64 << 20),
            request_timeout: Duration::from_secs(2),
            ..BusSettings::new(server.url(), "spool-tests")
        };
        let bus = Bus::connect(settings).await.unwrap();
        bus.ensure().await.unwrap();
        Self { server, bus, dir: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("observability.jsonl")
    }

    pub(crate) fn file(&self) -> FileSpool {
        open(&self.path())
    }

    /// Changes how much the spool on the broker takes.
    pub(crate) async fn resize_spool(&self, max_bytes: i64) {
        let stream = self.bus.jetstream().get_stream(SPOOL.name).await.unwrap();
        let config = Config { max_bytes, ..stream.cached_info().config.clone() };
        self.bus.jetstream().update_stream(config).await.unwrap();
    }

    /// The entries of the spool on the broker, oldest first.
    pub(crate) async fn spooled(&self) -> Vec<Stored> {
        let mut stream = self.bus.jetstream().get_stream(SPOOL.name).await.unwrap();
        let state = stream.info().await.unwrap().state.clone();
        let mut found = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            let Ok(message) = stream.get_raw_message(sequence).await else { continue };
            let subject = message.subject.to_string();
            found.extend(self.bus.last_message(SPOOL.name, &subject).await.unwrap());
        }
        found
    }
}

pub(crate) fn open(path: &Path) -> FileSpool {
    FileSpool::open(FileSettings::at(path), Arc::new(NotWatched)).unwrap()
}

/// An entry of the spool, as a consumer gives it away.
pub(crate) fn entry(n: u32) -> Outgoing {
    let origin = format!("BOOTY_INBOX-{n}");
    let headers = [
        ("booty-spool-origin", &origin[..]),
        ("booty-spool-subject", "booty.inbox.github.issues.labeled.a"),
        ("ce-id", "a"),
    ];
    Outgoing {
        subject: format!("booty.spool.observability.failed_too_often.{origin}"),
        headers: headers.into_iter().collect(),
        payload: format!("{{\"n\":{n}}}").into(),
    }
}

pub(crate) fn lines(path: &Path) -> Vec<Line> {
    read_file(path)
        .unwrap()
        .map(|found| match found.unwrap() {
            booty_spool::Found::Line(line) => line,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// A drain that runs until it is dropped, or stopped.
pub(crate) struct Draining(CancellationToken, Option<JoinHandle<()>>);

impl Draining {
    pub(crate) fn start(file: FileSpool, bus: &Bus) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(file.drain(bus.clone(), shutdown.clone()));
        Self(shutdown, Some(task))
    }

    pub(crate) async fn stop(mut self) {
        self.0.cancel();
        self.1.take().unwrap().await.unwrap();
    }
}

/// Waits for a state.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !check().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}
