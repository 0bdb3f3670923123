//! A default world: broker, GitHub with one repository, forge when a test wants one, and the service.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use booty_bus::{
    Bus, BusSettings, Content, Headers, Outgoing, Reading,
    local::{LocalServer, LocalServerSettings, find_server},
};
use booty_events::{
    DeliveryId, Fingerprint, JobId, Message as _, Service, header, stream, subject,
    v1::{AlertState, Effect, Event, Job},
};
use booty_observability::{App, Settings, alerts::Alerts};
use booty_service::{Env, JobStore};
use booty_sim::{IssueView, Paces, Permission, Scope, Sim, SimSettings};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const REPO: &str = "octo/shop";
pub(crate) const PERSON: &str = "ann";
pub(crate) const LABEL: &str = "agent:builder";
const BOT: &str = "booty-bot";
/// Far above anything that works; a test that waits longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a state that is waited for.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct World {
    _server: LocalServer,
    pub(crate) bus: Bus,
    pub(crate) sim: Sim,
    _dir: TempDir,
    pub(crate) env: Vec<(String, String)>,
    write_token: String,
}

impl World {
    pub(crate) async fn new() -> Self {
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
        let sim = Sim::start(sim).await.unwrap();
        sim.create_repo(REPO, &[("README.md", "shop\n", "100644")], "main").unwrap();
        for user in [PERSON, BOT] {
            sim.set_permission(REPO, user, Permission::Write).unwrap();
        }
        let env = [
            ("GITHUB_API_URL", sim.api_url()),
            ("GITHUB_READ_TOKEN", sim.create_token(BOT, Scope::Read).unwrap()),
            ("TARGET_REPO_URL", format!("https://github.com/{REPO}")),
            ("BOOTY_DATA_DIR", dir.path().join("data").display().to_string()),
            // Each test that is about it sets its own.
            ("OBSV_COOLDOWN_HOURS", "0".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let write_token = sim.create_token(BOT, Scope::Write).unwrap();
        Self { _server: server, bus, sim, _dir: dir, env, write_token }
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// The shipped settings, quicker: GitHub is asked with each alert, and swept all the time.
    pub(crate) fn settings(&self, holder: &str) -> Settings {
        let mut env = Env::from_map(self.env.clone());
        let mut settings = Settings::from_env(&mut env);
        env.finish().unwrap();
        settings.holder = holder.to_owned();
        // One that is killed may hold its file for a moment longer.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let name = format!("{holder}-{}.jsonl", STARTED.fetch_add(1, Ordering::Relaxed));
        settings.spool_path = self._dir.path().join(name);
        settings.retry_delays = vec![Duration::from_millis(20)];
        settings.look_interval = Duration::ZERO;
        settings.sweep_interval = Duration::from_millis(100);
        settings
    }

    pub(crate) async fn start(&self) -> Running {
        self.start_with(self.settings("observability-1")).await
    }

    pub(crate) async fn start_with(&self, settings: Settings) -> Running {
        let app = App::build(settings, self.bus.clone()).await.unwrap();
        Running::spawn(|shutdown| async move { app.run(shutdown).await.unwrap() })
    }

    /// A forge with the shipped times divided by a hundred.
    pub(crate) async fn forge(&self) -> Running {
        let millis = |all: &[u64]| all.iter().copied().map(Duration::from_millis).collect();
        let credentials = booty_forge::Credentials::Token(self.write_token.clone().into());
        let url = self.sim.api_url();
        let mut settings = booty_forge::Settings::new(url, credentials, "a key".into());
        settings.pace = settings.pace.scaled(1000);
        settings.lookup_delays = millis(&[50, 150, 450]);
        settings.retry_delays = millis(&[20, 80, 300]);
        let app = booty_forge::App::build(settings, self.bus.clone()).await.unwrap();
        Running::spawn(|shutdown| async move { app.run(shutdown).await.unwrap() })
    }

    /// What ingress does with an alert.
    pub(crate) async fn deliver(&self, body: &Value) -> Delivered {
        self.deliver_bytes(serde_json::to_vec(body).unwrap(), body).await
    }

    pub(crate) async fn deliver_bytes(&self, bytes: Vec<u8>, told: &Value) -> Delivered {
        let delivered = Delivered::of(&bytes, told);
        let mut headers = Headers::new();
        headers.insert(header::DELIVERY_ID, delivered.id.as_str());
        headers.insert(header::JOB_ID, delivered.job.as_str());
        let subject = subject::inbox_sentry("event_alert", Some("triggered"), &delivered.id);
        self.bus.publish(Outgoing { subject, headers, payload: bytes.into() }).await.unwrap();
        delivered
    }

    /// An operator replays the newest entry of a service's in the spool.
    pub(crate) async fn replay(&self, service: Service) {
        let filter = format!("booty.spool.{service}.>");
        let entry = self.bus.last_message(stream::SPOOL.name, &filter).await.unwrap().unwrap();
        let subject = entry.headers.get(header::SPOOL_REPLAY_SUBJECT).unwrap().to_owned();
        let mut headers = entry.headers.without_broker_headers();
        headers.insert(header::REPLAY_OF, entry.sequence.to_string());
        self.bus.publish(Outgoing { subject, headers, payload: entry.payload }).await.unwrap();
    }

    pub(crate) async fn state(&self, fingerprint: &Fingerprint) -> Option<AlertState> {
        let kept = Alerts::new(&self.bus).get(fingerprint).await.unwrap();
        kept.map(|kept| kept.state)
    }

    /// The state, once it is as wanted.
    pub(crate) async fn until(
        &self,
        fingerprint: &Fingerprint,
        fits: impl Fn(&AlertState) -> bool,
    ) -> AlertState {
        let look = async {
            loop {
                if let Some(state) = self.state(fingerprint).await.filter(|state| fits(state)) {
                    return state;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(state) => state,
            Err(_) => panic!("never got there: {:#?}", self.state(fingerprint).await),
        }
    }

    /// A job, once it is as wanted.
    pub(crate) async fn job(&self, job: &JobId, fits: impl Fn(&Job) -> bool) -> Job {
        let store = JobStore::new(&self.bus);
        let look = async {
            loop {
                if let Some(job) = store.get(job).await.unwrap().filter(|job| fits(job)) {
                    return job;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(job) => job,
            Err(_) => panic!("never got there: {:#?}", store.get(job).await.unwrap()),
        }
    }

    /// Facts of the service's, once there are so many of them.
    pub(crate) async fn facts(&self, what: &str, count: usize) -> Vec<Event> {
        let filter = subject::event_filter(Service::Observability, what);
        let look = async {
            loop {
                let stored = self.messages(stream::EVENTS.name, &filter).await;
                if stored.len() >= count {
                    return stored;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let stored = tokio::time::timeout(PATIENCE, look).await;
        let stored = stored.unwrap_or_else(|_| panic!("there are never {count} facts {what}"));
        stored.into_iter().map(|(_, payload)| Event::decode(payload).unwrap()).collect()
    }

    /// All that was asked of forge, in order.
    pub(crate) async fn effects(&self) -> Vec<Effect> {
        let stored = self.messages(stream::EFFECTS.name, "booty.effect.>").await;
        stored.into_iter().map(|(_, payload)| Effect::decode(payload).unwrap()).collect()
    }

    async fn messages(&self, stream: &str, filter: &str) -> Vec<(String, bytes::Bytes)> {
        let reading =
            Reading { filters: vec![filter.to_owned()], from: 0, content: Content::Small };
        let stored: Vec<_> = self.bus.read(stream, reading).try_collect().await.unwrap();
        stored.into_iter().map(|stored| (stored.subject, stored.payload)).collect()
    }

    pub(crate) fn issues(&self) -> Vec<IssueView> {
        self.sim.snapshot().unwrap().repo(REPO).unwrap().issues.clone()
    }
}

/// What ingress told the sender.
#[derive(Debug, Clone)]
pub(crate) struct Delivered {
    pub(crate) id: DeliveryId,
    pub(crate) job: JobId,
    pub(crate) fingerprint: Fingerprint,
}

impl Delivered {
    fn of(bytes: &[u8], told: &Value) -> Self {
        // As good as the hash that ingress makes: it follows from the body.
        let text = String::from_utf8_lossy(bytes);
        let id: DeliveryId = Fingerprint::of("body", &[&text]).as_str().parse().unwrap();
        let fingerprint = fingerprint(told["data"]["event"]["issue_id"].as_str().unwrap_or("1"));
        Self { job: JobId::for_alert(&fingerprint, &id), id, fingerprint }
    }
}

/// The fingerprint of an issue of Sentry's.
pub(crate) fn fingerprint(issue: &str) -> Fingerprint {
    let body = serde_json::to_vec(&alert(issue, 0)).unwrap();
    booty_alert::Alert::parse(&body).unwrap().fingerprint
}

/// The `nth` event of an issue of Sentry's.
pub(crate) fn alert(issue: &str, nth: u32) -> Value {
    alert_at(issue, nth, Utc::now())
}

pub(crate) fn alert_at(issue: &str, nth: u32, at: DateTime<Utc>) -> Value {
    json!({
        "action": "triggered",
        "data": {
            "event": {
                "event_id": format!("{nth:032x}"),
                "issue_id": issue,
                "level": "error",
                "datetime": at.to_rfc3339(),
                "culprit": "shop.cart in total",
                "exception": { "values": [{
                    "type": "ZeroDivisionError",
                    "value": "division by zero",
                    "stacktrace": { "frames": [
                        { "filename": "shop/cart.py", "function": "total", "lineno": 12, "in_app": true },
                    ] },
                }] },
            },
            "triggered_rule": "errors",
        },
    })
}

pub(crate) fn days_ago(days: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::days(days)
}

/// A service in this process.
pub(crate) struct Running {
    shutdown: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Running {
    fn spawn<F: Future<Output = ()> + Send + 'static>(
        run: impl FnOnce(CancellationToken) -> F,
    ) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(run(shutdown.clone()));
        Self { shutdown, task: Some(task) }
    }

    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        self.task.take().unwrap().await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
