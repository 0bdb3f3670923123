//! A default world: broker, GitHub, one Python repository with a bug, and a builder.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use booty_builder::{App, Settings};
use booty_bus::{
    Bus, BusSettings, Headers, Outgoing, Published,
    local::{LocalServer, LocalServerSettings, find_server},
};
use booty_events::{
    DeliveryId, IssueNumber, JobId, Message as _, Service, header, stream, subject,
    v1::{Effect, Event, Job, OpenPullRequest, effect::Write},
};
use booty_service::{Env, JobStore, Outbox};
use booty_sim::{File, Paces, Permission, Scope, Sim, SimSettings};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) const REPO: &str = "octo/calc";
pub(crate) const MAINTAINER: &str = "ann";
pub(crate) const LABEL: &str = "agent:builder";
/// A canary: it must turn up in no child, no prompt, no log.
pub(crate) const DATA: &str = "data";
/// Far above anything that works, a toolchain that compiles its standard library included; a test that
/// waits longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// With all that a title must not do in a commit message.
pub(crate) const TITLE: &str = "`add()` subtracts @octo/team fixes #3 \u{202e}";
pub(crate) const CALC: &str = "def add(a, b):\n    return a - b\n";
pub(crate) const TEST_CALC: &str = "import unittest\n\nfrom calc import add\n\n\nclass AddTest(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n\n    def test_zero(self):\n        self.assertEqual(add(0, 0), 0)\n";
pub(crate) const CONFIG: &str = "version: 1\ntest: python3 -B -m unittest\n";

/// First wrong, then right: the refinement loop is seen.
pub(crate) const WRONG_THEN_RIGHT: &str = r#"
asked_log: asked.log
scenarios:
  - turns:
      - text: I look.
        calls: [{ tool: read, with: { path: calc.py } }]
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return a - b", new: "return a * b" } }
          - { tool: finish, with: { summary: "It multiplies now." } }
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return a * b", new: "return a + b" } }
          - { tool: finish, with: { summary: "`add` subtracted; it adds now. Thanks @octo/team, see #1." } }
"#;

pub(crate) struct World {
    pub(crate) server: LocalServer,
    pub(crate) bus: Bus,
    pub(crate) sim: Sim,
    pub(crate) dir: TempDir,
    pub(crate) token: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) events: Events,
}

impl World {
    /// The default repository, whose model plays `script`.
    pub(crate) async fn new(script: &str) -> Self {
        let files = [
            ("calc.py", CALC, "100644"),
            ("test_calc.py", TEST_CALC, "100644"),
            (".booty.yml", CONFIG, "100644"),
        ];
        Self::with_files(script, &files).await
    }

    pub(crate) async fn with_files(script: &str, files: &[File<'_>]) -> Self {
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
        sim.create_repo(REPO, files, "main").unwrap();
        sim.set_permission(REPO, MAINTAINER, Permission::Write).unwrap();
        sim.set_permission(REPO, "bob", Permission::Triage).unwrap();
        sim.set_permission(REPO, "booty", Permission::Write).unwrap();
        let token = sim.create_token("booty", Scope::Read).unwrap();
        let path =
            dir.path().join(if script.starts_with('{') { "script.json" } else { "script.yml" });
        std::fs::write(&path, script).unwrap();
        let data = dir.path().join(DATA);
        let env = [
            ("GITHUB_API_URL", sim.api_url()),
            ("GITHUB_READ_TOKEN", token.clone()),
            ("ALLOWED_REPOS", "octo/*".to_owned()),
            ("MODEL", format!("script:{}", path.display())),
            ("BOOTY_DATA_DIR", data.display().to_string()),
            ("NATS_URL", server.url()),
            ("WORKER_COUNT", "2".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let events = Events::follow(&bus).await;
        Self { server, bus, sim, dir, token, env, events }
    }

    /// Adds or replaces an environment variable of the builder's.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut env = Env::from_map(self.env.clone());
        let mut settings = Settings::from_env(&mut env);
        env.finish().unwrap();
        settings.holder = "builder-1".into();
        settings.agent = crate::entry::agent_program();
        settings.retry_delays = vec![Duration::from_millis(20)];
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

    pub(crate) fn open_issue(&self) -> u64 {
        self.sim.open_issue(REPO, "eve", TITLE, "`add(2, 3)` is -1.").unwrap()
    }

    /// A maintainer opens an issue and labels it; the delivery goes into the inbox.
    pub(crate) async fn labelled_issue(&self, delivery: &str) -> (u64, JobId) {
        let issue = self.open_issue();
        let job = self.label(issue, delivery).await;
        (issue, job)
    }

    pub(crate) async fn label(&self, issue: u64, delivery: &str) -> JobId {
        self.sim.add_label(REPO, issue, LABEL, MAINTAINER).unwrap();
        self.deliver(delivery, &payload(issue)).await;
        job_id(issue, delivery)
    }

    /// In a later second of GitHub's clock than all before: then it is the later label.
    pub(crate) async fn label_later(&self, issue: u64, delivery: &str) -> JobId {
        self.sim.add_label(REPO, issue, LABEL, MAINTAINER).unwrap();
        let mut body = payload(issue);
        body["issue"]["updated_at"] =
            json!((chrono::Utc::now() + Duration::from_secs(2)).to_rfc3339());
        self.deliver(delivery, &body).await;
        job_id(issue, delivery)
    }

    pub(crate) async fn deliver(&self, delivery: &str, body: &Value) {
        let bytes = serde_json::to_vec(body).unwrap();
        assert!(self.deliver_bytes(delivery, bytes).await, "delivered twice");
    }

    pub(crate) async fn deliver_bytes(&self, delivery: &str, body: Vec<u8>) -> bool {
        let id: DeliveryId = delivery.parse().unwrap();
        let mut headers = Headers::new();
        headers.insert(header::DELIVERY_ID, delivery);
        let subject = subject::inbox_github("issues", Some("labeled"), &id);
        let message = Outgoing { subject, headers, payload: body.into() };
        matches!(self.bus.publish(message).await.unwrap(), Published::New { .. })
    }

    /// Any other delivery of GitHub's.
    pub(crate) async fn deliver_as(&self, event: &str, action: &str, delivery: &str, body: &Value) {
        let id: DeliveryId = delivery.parse().unwrap();
        let mut headers = Headers::new();
        headers.insert(header::DELIVERY_ID, delivery);
        let number = &body["pull_request"]["number"];
        let number = if number.is_null() { &body["issue"]["number"] } else { number };
        let is_pull = !(body["pull_request"].is_null() && body["issue"]["pull_request"].is_null());
        let kind = if is_pull { "pr" } else { "" };
        headers.insert(header::JOB_ID, format!("{kind}{number}-{delivery}"));
        let subject = subject::inbox_github(event, Some(action), &id);
        let payload = serde_json::to_vec(body).unwrap().into();
        let published = self.bus.publish(Outgoing { subject, headers, payload }).await.unwrap();
        assert!(matches!(published, Published::New { .. }), "delivered twice");
    }

    /// An operator replays it from the spool.
    pub(crate) async fn replay_as(
        &self,
        event: &str,
        action: &str,
        delivery: &str,
        body: &Value,
        spool: u64,
    ) {
        let id: DeliveryId = delivery.parse().unwrap();
        let mut headers = Headers::new();
        headers.insert(header::DELIVERY_ID, delivery);
        headers.insert(header::REPLAY_OF, spool.to_string());
        headers.insert(header::SPOOL_SUBJECT, subject::inbox_github(event, Some(action), &id));
        let message = Outgoing {
            subject: subject::replay(Service::Builder, "BOOTY_INBOX-1", spool),
            headers,
            payload: serde_json::to_vec(body).unwrap().into(),
        };
        self.bus.publish(message).await.unwrap();
    }

    /// An operator replays a delivery of the issue's.
    pub(crate) async fn replay(&self, issue: u64, delivery: &str, spool: u64) {
        self.replay_from("BOOTY_INBOX-1", issue, delivery, spool).await;
    }

    /// With another origin it is another message, and so another lease, for the same replay.
    pub(crate) async fn replay_from(&self, origin: &str, issue: u64, delivery: &str, spool: u64) {
        let mut headers = Headers::new();
        headers.insert(header::DELIVERY_ID, delivery);
        headers.insert(header::REPLAY_OF, spool.to_string());
        let mut body = payload(issue);
        body["issue"]["updated_at"] = json!("2024-01-01T00:00:00Z");
        let message = Outgoing {
            subject: subject::replay(Service::Builder, origin, spool),
            headers,
            payload: serde_json::to_vec(&body).unwrap().into(),
        };
        self.bus.publish(message).await.unwrap();
    }

    pub(crate) async fn job(&self, job: &JobId) -> Option<Job> {
        JobStore::new(&self.bus).get(job).await.unwrap()
    }

    /// Everything that was asked of forge, in order.
    pub(crate) async fn effects(&self) -> Vec<Effect> {
        self.messages(stream::EFFECTS.name)
            .await
            .into_iter()
            .map(|(_, payload)| Effect::decode(payload.as_slice()).unwrap())
            .collect()
    }

    pub(crate) async fn messages(&self, stream: &str) -> Vec<(String, Vec<u8>)> {
        let mut handle = self.bus.jetstream().get_stream(stream).await.unwrap();
        let last = handle.info().await.unwrap().state.last_sequence;
        let mut messages = Vec::new();
        for sequence in 1..=last {
            if let Ok(message) = handle.get_raw_message(sequence).await {
                messages.push((message.subject.to_string(), message.payload.to_vec()));
            }
        }
        messages
    }

    /// Says what forge would say of an effect.
    pub(crate) async fn forge_says(&self, what: &str, effect: &Effect, event: Event) {
        let event = Event { effect_id: effect.id.clone(), ..event };
        Outbox::new(self.bus.clone(), Service::Forge).event(what, &effect.id, event).await.unwrap();
    }

    /// The questions that the scripted model was asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir.path().join("asked.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// What is left of checkouts.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let jobs = self.dir.path().join(DATA).join("workspaces/jobs");
        let Ok(entries) = std::fs::read_dir(jobs) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
    }
}

/// A builder in this process.
pub(crate) struct Running {
    shutdown: CancellationToken,
    task: Option<JoinHandle<Result<(), booty_builder::Error>>>,
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
    seen: Arc<Mutex<Vec<(String, Event)>>>,
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
                let event = Event::decode(message.payload.as_ref()).unwrap();
                let subject = message.subject.to_string();
                let mut seen = into.lock().unwrap();
                // Said again it is the same fact: the stream keeps one.
                if !seen.iter().any(|(known, _)| *known == subject) {
                    seen.push((subject, event));
                }
                drop(seen);
                tell.notify_waiters();
            }
        });
        Self { seen, changed, task }
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.seen.lock().unwrap().iter().map(|(_, event)| event.clone()).collect()
    }

    pub(crate) fn names(&self, job: &JobId) -> Vec<String> {
        let mine = self.all().into_iter().filter(|event| event.job_id == job.as_str());
        mine.map(|event| event.name).collect()
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

    /// The event that says what came of a job: a proposal, an end, or why it did not start.
    pub(crate) async fn outcome(&self, job: &JobId) -> Event {
        let ends = ["proposal_made", "job_failed", "job_completed", "job_ignored", "words_ignored"];
        self.wait(&format!("an outcome of {job}"), |event| {
            event.job_id == job.as_str() && ends.contains(&event.name.as_str())
        })
        .await
    }

    /// A job's state, once it is as wanted: states are written after their events.
    pub(crate) async fn state(
        &self,
        world: &World,
        job: &JobId,
        fits: impl Fn(&Job) -> bool,
    ) -> Job {
        let look = async {
            loop {
                if let Some(job) = world.job(job).await.filter(|job| fits(job)) {
                    return job;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the job never got there")
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn job_id(issue: u64, delivery: &str) -> JobId {
    JobId::for_issue(IssueNumber::new(issue).unwrap(), &delivery.parse().unwrap())
}

/// GitHub's `issues.labeled`, as far as it matters.
pub(crate) fn payload(issue: u64) -> Value {
    json!({
        "action": "labeled",
        "issue": {
            "number": issue,
            "title": TITLE,
            "state": "open",
            "user": { "login": "eve" },
            "updated_at": chrono::Utc::now().to_rfc3339(),
            "labels": [{ "name": LABEL }],
        },
        "label": { "name": LABEL },
        "repository": { "id": 1, "full_name": REPO, "default_branch": "main",
            "clone_url": "http://evil.example/octo/calc.git" },
        "sender": { "login": MAINTAINER, "type": "User" },
    })
}

pub(crate) fn opens(effect: &Effect) -> &OpenPullRequest {
    match &effect.write {
        Some(Write::OpenPullRequest(open)) => open,
        other => panic!("no pull request: {other:?}"),
    }
}

/// Label and comment of an outcome that opens nothing.
pub(crate) fn says(effect: &Effect) -> (&str, &str) {
    match &effect.write {
        Some(Write::IssueOutcome(outcome)) => (&outcome.label, &outcome.comment),
        other => panic!("no bare outcome: {other:?}"),
    }
}

/// All regular files below a folder, with what they hold.
pub(crate) fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push((entry.path(), std::fs::read(entry.path()).unwrap_or_default()));
            }
        }
    }
    found
}
