//! A default world: broker, GitHub, one Python repository, and a verifier.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use booty_bus::{
    Bus, BusSettings, Headers, Outgoing, Published,
    local::{LocalServer, LocalServerSettings, find_server},
};
use booty_events::{
    DeliveryId, JobId, Message as _, header, stream, subject,
    v1::{CheckRun, Effect, Event, Job, effect::Write},
};
use booty_service::{Env, JobStore};
use booty_sim::{Clock, File, Paces, Permission, Scope, Sim, SimSettings};
use booty_verifier::{App, Settings};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) const REPO: &str = "octo/calc";
pub(crate) const MAINTAINER: &str = "ann";
pub(crate) const TRIAGER: &str = "bob";
/// Far above anything that works; a test that waits longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const CALC: &str = "def add(a, b):\n    return a - b\n";
pub(crate) const FIXED: &str = "def add(a, b):\n    return a + b\n";
pub(crate) const TEST_CALC: &str = "import unittest\n\nfrom calc import add\n\n\nclass AddTest(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n";
pub(crate) const CONFIG: &str = "version: 1\ntest: python3 -B -m unittest -v\n";

pub(crate) struct World {
    _server: LocalServer,
    pub(crate) bus: Bus,
    pub(crate) sim: Sim,
    /// By how many seconds GitHub's clock is ahead; it writes down whole ones.
    ahead: Arc<AtomicI64>,
    _dir: TempDir,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) events: Events,
}

impl World {
    pub(crate) async fn new() -> Self {
        let files = [
            ("calc.py", CALC, "100644"),
            ("test_calc.py", TEST_CALC, "100644"),
            (".booty.yml", CONFIG, "100644"),
        ];
        Self::with_files(&files).await
    }

    pub(crate) async fn with_files(files: &[File<'_>]) -> Self {
        let dir = TempDir::new().unwrap();
        let server = LocalServer::start(LocalServerSettings {
            binary: find_server().unwrap(),
            data_dir: dir.path().join("nats"),
            port: None,
            sync_always: false,
        })
        .await
        .unwrap();
        let settings =
            BusSettings { max_bytes: Some(256 << 20), ..BusSettings::new(server.url(), "test") };
        let bus = Bus::connect(settings).await.unwrap();
        bus.ensure().await.unwrap();
        let mut sim = SimSettings::new(dir.path().join("sim"));
        sim.paces = Paces::unlimited();
        let ahead = Arc::new(AtomicI64::new(0));
        let seconds = Arc::clone(&ahead);
        sim.clock = Clock::from_fn(move || {
            chrono::Utc::now() + chrono::TimeDelta::seconds(seconds.load(Ordering::Relaxed))
        });
        let sim = Sim::start(sim).await.unwrap();
        sim.create_repo(REPO, files, "main").unwrap();
        sim.set_permission(REPO, MAINTAINER, Permission::Write).unwrap();
        sim.set_permission(REPO, TRIAGER, Permission::Triage).unwrap();
        sim.set_permission(REPO, "booty", Permission::Write).unwrap();
        let token = sim.create_token("booty", Scope::Read).unwrap();
        let env = [
            ("GITHUB_API_URL", sim.api_url()),
            ("GITHUB_READ_TOKEN", token),
            ("ALLOWED_REPOS", "octo/*".to_owned()),
            ("BOOTY_DATA_DIR", dir.path().join("data").display().to_string()),
            ("WORKER_COUNT", "2".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let events = Events::follow(&bus).await;
        Self { _server: server, bus, sim, ahead, _dir: dir, env, events }
    }

    /// Time passes on GitHub.
    pub(crate) fn later(&self) {
        self.ahead.fetch_add(2, Ordering::Relaxed);
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut env = Env::from_map(self.env.clone());
        let mut settings = Settings::from_env(&mut env);
        env.finish().unwrap();
        settings.holder = "verifier-1".into();
        settings.retry_delays = vec![Duration::from_millis(20)];
        settings.look_interval = Duration::from_millis(50);
        settings
    }

    pub(crate) async fn start(&self) -> Running {
        self.start_with(self.settings()).await
    }

    pub(crate) async fn start_with(&self, settings: Settings) -> Running {
        let shutdown = CancellationToken::new();
        let app = App::build(settings, self.bus.clone()).await.unwrap();
        let task = tokio::spawn(app.run(shutdown.clone()));
        Running { shutdown, task: Some(task) }
    }

    /// A branch with these files, and a pull request of it; gives its number and head.
    pub(crate) fn open_pull(&self, branch: &str, files: &[File<'_>]) -> (u64, String) {
        let head = self.sim.push_files(REPO, "ann", branch, "change", files).unwrap();
        let pull = self.sim.open_pull(REPO, "ann", "A change", "Of mine.", branch, "main").unwrap();
        (pull, head)
    }

    /// What GitHub sends of a pull request, into the inbox as ingress puts it there.
    pub(crate) async fn deliver(&self, id: &str, action: &str, pull: u64, head: &str) -> JobId {
        self.deliver_body(id, "pull_request", action, &pull_payload(action, pull, head), pull).await
    }

    pub(crate) async fn deliver_body(
        &self,
        id: &str,
        event: &str,
        action: &str,
        body: &Value,
        pull: u64,
    ) -> JobId {
        let delivery: DeliveryId = id.parse().unwrap();
        let job = JobId::for_pull_request(pull, &delivery);
        let mut headers = Headers::new();
        headers.insert(header::DELIVERY_ID, id);
        headers.insert(header::JOB_ID, job.as_str());
        let subject = subject::inbox_github(event, Some(action), &delivery);
        let payload = serde_json::to_vec(body).unwrap().into();
        let published = self.bus.publish(Outgoing { subject, headers, payload }).await.unwrap();
        assert!(matches!(published, Published::New { .. }), "delivered twice");
        job
    }

    pub(crate) async fn job(&self, job: &JobId) -> Option<Job> {
        JobStore::new(&self.bus).get(job).await.unwrap()
    }

    /// A job's state, once it is as wanted: states are written after their events.
    pub(crate) async fn state(&self, job: &JobId, fits: impl Fn(&Job) -> bool) -> Job {
        let look = async {
            loop {
                if let Some(job) = self.job(job).await.filter(|job| fits(job)) {
                    return job;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the job never got there")
    }

    /// Everything that was asked of forge, in order.
    pub(crate) async fn checks(&self) -> Vec<CheckRun> {
        let mut handle = self.bus.jetstream().get_stream(stream::EFFECTS.name).await.unwrap();
        let last = handle.info().await.unwrap().state.last_sequence;
        let mut checks = Vec::new();
        for sequence in 1..=last {
            let Ok(message) = handle.get_raw_message(sequence).await else { continue };
            match Effect::decode(message.payload.as_ref()).unwrap().write {
                Some(Write::CheckRun(check)) => checks.push(check),
                other => panic!("no check run: {other:?}"),
            }
        }
        checks
    }

    /// The check run of a head as GitHub would show it: its newest state.
    pub(crate) async fn check(&self, head: &str) -> CheckRun {
        let all = self.checks().await.into_iter().filter(|check| check.head_sha == head);
        all.max_by_key(|check| check.version).expect("a check run")
    }

    /// What was concluded of a job, with its check run.
    pub(crate) async fn verdict(&self, job: &JobId, head: &str) -> (Event, CheckRun) {
        let event = self.events.verdict(job).await;
        (event, self.check(head).await)
    }
}

/// A verifier in this process.
pub(crate) struct Running {
    shutdown: CancellationToken,
    task: Option<JoinHandle<Result<(), booty_verifier::Error>>>,
}

impl Running {
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        self.task.take().unwrap().await.unwrap().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// All events, as they are said.
pub(crate) struct Events {
    seen: Arc<Mutex<Vec<Event>>>,
    changed: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Events {
    async fn follow(bus: &Bus) -> Self {
        let mut messages = bus.client().subscribe("booty.event.>").await.unwrap();
        bus.client().flush().await.unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let changed = Arc::new(Notify::new());
        let (into, tell) = (Arc::clone(&seen), Arc::clone(&changed));
        let task = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                into.lock().unwrap().push(Event::decode(message.payload.as_ref()).unwrap());
                tell.notify_waiters();
            }
        });
        Self { seen, changed, task }
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.seen.lock().unwrap().clone()
    }

    /// The first event that fits.
    pub(crate) async fn wait(&self, what: &str, fits: impl Fn(&Event) -> bool) -> Event {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if let Some(event) = self.all().into_iter().find(|event| fits(event)) {
                    return event;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(event) => event,
            Err(_) => panic!("never seen: {what}; seen: {:#?}", self.all()),
        }
    }

    pub(crate) async fn verdict(&self, job: &JobId) -> Event {
        self.named("verdict", job).await
    }

    /// Why nothing was judged.
    pub(crate) async fn ignored(&self, job: &JobId) -> String {
        self.named("job_ignored", job).await.reason
    }

    pub(crate) async fn named(&self, name: &str, job: &JobId) -> Event {
        let what = format!("{name} of {job}");
        self.wait(&what, |event| event.name == name && event.job_id == job.as_str()).await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// GitHub's `pull_request`, as far as it matters.
pub(crate) fn pull_payload(action: &str, pull: u64, head: &str) -> Value {
    json!({
        "action": action,
        "number": pull,
        "pull_request": {
            "number": pull,
            "state": "open",
            "updated_at": chrono::Utc::now().to_rfc3339(),
            "head": { "ref": "change", "sha": head, "repo": { "full_name": REPO } },
            "base": { "ref": "main", "sha": "0".repeat(40), "repo": { "full_name": REPO } },
        },
        "repository": { "id": 1, "full_name": REPO, "clone_url": "http://evil.example/x.git" },
        "sender": { "login": MAINTAINER },
    })
}

/// GitHub's `check_run.rerequested` of a run of ours.
pub(crate) fn again_payload(head: &str, external_id: &str) -> Value {
    json!({
        "action": "rerequested",
        "check_run": {
            "id": 1,
            "name": booty_verifier::CHECK_NAME,
            "head_sha": head,
            "external_id": external_id,
            "pull_requests": [],
        },
        "repository": { "id": 1, "full_name": REPO },
        "sender": { "login": MAINTAINER },
    })
}
