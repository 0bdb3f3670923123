//! A broker, a GitHub, a repository with an issue, and as many forges as a test wants.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use booty_bus::{Bus, BusSettings, Outgoing, local::LocalServer};
use booty_events::{
    EffectId, Lane, Message, Service, bucket, header, stream,
    v1::{
        AlertFacts, AlertOrigin, CheckRun, CheckStatus, Comment, CreateIssue, Effect, Event,
        FileChange, FileMode, IssueOutcome, LabelLook, OpenPullRequest, effect::Write,
    },
};
use booty_forge::{App, Credentials, Error, Settings, Status, marker::Markers};
use booty_github::{
    AppKey, AppTokens, Client, ClientSettings, Endpoint, PointLimit, StaticToken, object::Sha,
    pace::PaceSettings,
};
use booty_service::Outbox;
use booty_sim::{
    CheckRunView, Clock, IssueView, NewApp, Paces, Permission, Scope, Sim, SimSettings, Snapshot,
};
use chrono::Utc;
use futures_util::StreamExt;
use tokio::{runtime::Runtime, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub const REPO: &str = "octo/hello";
pub const BOT: &str = "booty-bot";
pub const APP: &str = "booty-app";
pub const CHECK: &str = "booty/verifier";
pub const TRIGGER: &str = "agent:builder";
const PERMISSIONS: [(&str, &str); 5] = [
    ("checks", "write"),
    ("contents", "write"),
    ("issues", "write"),
    ("pull_requests", "write"),
    ("statuses", "write"),
];
pub const KEY: &str = "marker key of the tests";
const PATIENCE: Duration = Duration::from_secs(30);

pub struct World {
    pub server: LocalServer,
    pub sim: Sim,
    pub bus: Bus,
    pub outbox: Outbox,
    pub token: String,
    /// Forge's account, when it is no person.
    pub app: Option<NewApp>,
    pub base_sha: String,
    pub issue: u64,
    events: watch::Receiver<u64>,
    seen: Arc<Mutex<Seen>>,
    _collector: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

/// What forge said, in order.
#[derive(Default)]
struct Seen {
    events: Vec<(String, Event)>,
    /// The effects that an event of a name was about.
    effects: BTreeMap<String, BTreeSet<String>>,
}

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub async fn connect(url: &str) -> Bus {
    let settings = BusSettings {
        url: url.to_owned(),
        creds: None,
        client_name: "test".to_owned(),
        request_timeout: Duration::from_secs(5),
        max_bytes: Some(64 << 20),
    };
    Bus::connect(settings).await.unwrap()
}

impl World {
    pub async fn start() -> Self {
        Self::with_paces(Paces::unlimited()).await
    }

    /// Forge is a GitHub App, installed on the repository.
    pub async fn with_app() -> Self {
        Self::with_app_and_clock(Clock::system()).await
    }

    pub async fn with_app_and_clock(clock: Clock) -> Self {
        let mut world = Self::make(Paces::unlimited(), clock).await;
        let app = world.sim.create_app(APP, &PERMISSIONS).unwrap();
        world.sim.install_app(app.id, "octo", &[REPO]).unwrap();
        world.app = Some(app);
        world
    }

    pub async fn with_paces(paces: Paces) -> Self {
        Self::make(paces, Clock::system()).await
    }

    async fn make(paces: Paces, clock: Clock) -> Self {
        let server = LocalServer::start_temporary().await.unwrap();
        let bus = connect(&server.url()).await;
        bus.ensure().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let settings = SimSettings { paces, clock, seed: 7, ..SimSettings::new(dir.path()) };
        let sim = Sim::start(settings).await.unwrap();
        sim.create_repo(
            REPO,
            &[
                ("README.md", "# hello\n", "100644"),
                ("src/old.py", "print('old')\n", "100644"),
                ("run.sh", "#!/bin/sh\n", "100755"),
            ],
            "main",
        )
        .unwrap();
        let token = sim.create_token(BOT, Scope::Write).unwrap();
        sim.set_permission(REPO, BOT, Permission::Write).unwrap();
        let issue = sim.open_issue(REPO, "ann", "It is broken", "Please mend it.").unwrap();
        let base_sha = sim.snapshot().unwrap().repo(REPO).unwrap().refs["refs/heads/main"].clone();

        let seen = Arc::new(Mutex::new(Seen::default()));
        let (count, events) = watch::channel(0);
        let mut messages = bus.client().subscribe("booty.event.forge.>").await.unwrap();
        bus.client().flush().await.unwrap();
        let record = Arc::clone(&seen);
        let collector = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                let event = Event::decode(message.payload).unwrap();
                let mut seen = record.lock().unwrap();
                let effects = seen.effects.entry(event.name.clone()).or_default();
                effects.insert(event.effect_id.clone());
                seen.events.push((event.name.clone(), event));
                drop(seen);
                count.send_modify(|n| *n += 1);
            }
        });
        Self {
            outbox: Outbox::new(bus.clone(), Service::Builder),
            server,
            sim,
            bus,
            token,
            app: None,
            base_sha,
            issue,
            events,
            seen,
            _collector: collector,
            _dir: dir,
        }
    }

    pub fn credentials(&self) -> Credentials {
        match &self.app {
            Some(app) => {
                let key = app.private_key.as_str().into();
                Credentials::App(AppKey::new(&app.id.to_string(), &key).unwrap())
            }
            None => Credentials::Token(self.token.as_str().into()),
        }
    }

    /// Real behaviour, small delays.
    pub fn settings(&self) -> Settings {
        Settings {
            retry_delays: vec![ms(100), ms(150), ms(200)],
            lookup_delays: vec![ms(100), ms(150), ms(200)],
            resend_delays: vec![ms(5); 3],
            http_timeout: ms(900),
            lease: ms(3000),
            pace: PaceSettings { spacing: Duration::ZERO, burst: 0, content: Vec::new() },
            points: PointLimit { points: u32::MAX, window: ms(60_000) },
            patience: ms(500),
            holder: "forge-1".to_owned(),
            shutdown_grace: ms(2000),
            ..Settings::new(self.sim.api_url(), self.credentials(), KEY.into())
        }
    }

    pub async fn forge(&self) -> Forge {
        self.forge_with(self.settings()).await
    }

    pub async fn forge_with(&self, settings: Settings) -> Forge {
        let url = self.server.url();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let (sender, status) = tokio::sync::oneshot::channel();
        let run = runtime.spawn(async move {
            let app = App::build(settings, connect(&url).await).await?;
            let _ = sender.send(app.status());
            app.run(stop).await
        });
        Forge { runtime: Some(runtime), run, shutdown, status: status.await.unwrap() }
    }

    pub fn effect(&self, cause: &str, slot: &str, write: Write) -> Effect {
        Effect {
            id: EffectId::new(cause, slot).to_string(),
            cause: cause.to_owned(),
            slot: slot.to_owned(),
            repository: REPO.to_owned(),
            requested_by: "builder".to_owned(),
            write: Some(write),
            ..Effect::default()
        }
    }

    pub fn open_pull_request(&self, cause: &str, issue: u64) -> Effect {
        let write = OpenPullRequest {
            issue,
            base_branch: "main".to_owned(),
            base_sha: self.base_sha.clone(),
            branch: format!("agent/issue-{issue}"),
            commit_message: format!("Mend it\n\nFixes #{issue}"),
            changes: vec![change("src/new.py", FileMode::Regular, b"print('new')\n")],
            title: "Mend it".to_owned(),
            body: format!("Closes #{issue}."),
            draft: true,
            labels: vec!["agent:pr".to_owned()],
            outcome: Some(self.outcome(issue, "booty:opened", "Opened #{number}: {url}")),
            promote: true,
        };
        self.effect(cause, "open_pr", Write::OpenPullRequest(write))
    }

    /// A state of the check run that the tests are about.
    pub fn check(&self, head_sha: &str, version: u64, status: CheckStatus) -> CheckRun {
        CheckRun {
            head_sha: head_sha.to_owned(),
            name: CHECK.to_owned(),
            external_id: format!("job-{head_sha}"),
            status: status.into(),
            title: format!("{status:?}"),
            summary: format!("State {version}."),
            version,
            ..CheckRun::default()
        }
    }

    pub fn completed(&self, head_sha: &str, version: u64, conclusion: &str) -> CheckRun {
        CheckRun {
            conclusion: conclusion.to_owned(),
            title: format!("It is a {conclusion}"),
            text: "All of it.".to_owned(),
            ..self.check(head_sha, version, CheckStatus::Completed)
        }
    }

    /// Asks for a state; each is an effect of its own.
    pub async fn ask_check(&self, write: CheckRun) -> Effect {
        let cause = format!("pr-{}", write.head_sha);
        let slot = format!("check#{}", write.version);
        let effect = self.effect(&cause, &slot, Write::CheckRun(write));
        self.ask_in(Lane::Check, &effect, None).await;
        effect
    }

    /// The runs of the tests' name at a commit, oldest first.
    pub fn runs(&self, head_sha: &str) -> Vec<CheckRunView> {
        let snapshot = self.snapshot();
        snapshot.repo(REPO).unwrap().check_runs(CHECK, head_sha).into_iter().cloned().collect()
    }

    /// How many requests were of this method to paths that end so.
    pub fn requests(&self, method: &str, end: &str) -> usize {
        let requests = self.snapshot().requests;
        requests.iter().filter(|r| r.method == method && r.path.ends_with(end)).count()
    }

    pub fn outcome(&self, issue: u64, label: &str, comment: &str) -> IssueOutcome {
        IssueOutcome {
            issue,
            label: label.to_owned(),
            comment: comment.to_owned(),
            ..IssueOutcome::default()
        }
    }

    /// An issue as an alert asks for it.
    pub fn alert_issue(&self, cause: &str) -> Effect {
        let origin = AlertOrigin {
            fingerprint: "f".repeat(32),
            effect_id: "what is asked for is not believed".to_owned(),
            author: "mallory".to_owned(),
            facts: Some(AlertFacts {
                exception_type: "ValueError".to_owned(),
                ..AlertFacts::default()
            }),
        };
        let look = LabelLook {
            name: TRIGGER.to_owned(),
            colour: "0366d6".to_owned(),
            description: "Created by Booty Observability".to_owned(),
        };
        let write = CreateIssue {
            title: format!("[error] ValueError of {cause}"),
            body: "It broke.".to_owned(),
            labels: vec![TRIGGER.to_owned(), "sentry".to_owned()],
            label_looks: vec![look],
            origin: Some(origin),
        };
        self.effect(cause, "issue#1", Write::CreateIssue(write))
    }

    /// What is written down about where an issue comes from.
    pub async fn origin(&self, issue: u64) -> Option<AlertOrigin> {
        let key = bucket::origin_key(&REPO.parse().unwrap(), issue);
        let entry = self.bus.bucket(&bucket::ORIGINS).get(&key).await.unwrap();
        entry.map(|entry| AlertOrigin::decode(entry.value).unwrap())
    }

    /// The issues that were made for a cause.
    pub fn issues_of(&self, cause: &str) -> Vec<IssueView> {
        let title = format!("[error] ValueError of {cause}");
        let issues = self.snapshot().repo(REPO).unwrap().issues.clone();
        issues.into_iter().filter(|issue| issue.title == title).collect()
    }

    /// Publishes what is in the spool about an effect's message once more, as the entry says.
    pub async fn replay(&self, origin: &str) {
        let filter = format!("booty.spool.forge.*.{origin}");
        let look = async {
            loop {
                let found = self.bus.last_message(stream::SPOOL.name, &filter).await.unwrap();
                if let Some(entry) = found {
                    return entry;
                }
                tokio::time::sleep(ms(10)).await;
            }
        };
        let entry = tokio::time::timeout(PATIENCE, look).await.expect("it is in the spool");
        let subject = entry.headers.get(header::SPOOL_REPLAY_SUBJECT).unwrap().to_owned();
        let mut headers = entry.headers.without_broker_headers();
        headers.insert(header::REPLAY_OF, entry.sequence.to_string());
        let payload = entry.payload;
        self.bus.publish(Outgoing { subject, headers, payload }).await.unwrap();
    }

    pub fn comment(&self, cause: &str, body: &str) -> Effect {
        let write = Comment { issue: self.issue, body: body.to_owned() };
        self.effect(cause, "comment", Write::Comment(write))
    }

    pub async fn ask(&self, effect: &Effect) {
        self.ask_in(Lane::Outcome, effect, None).await;
    }

    pub async fn ask_in(&self, lane: Lane, effect: &Effect, lease: Option<(&str, u64)>) {
        self.outbox.effect(lane, effect, lease).await.unwrap();
    }

    /// Waits for an event about an effect.
    pub async fn event(&self, name: &str, effect: &Effect) -> Event {
        self.event_of(&[name], effect).await
    }

    /// Waits until an effect is applied or failed.
    pub async fn ended(&self, effect: &Effect) -> Event {
        self.event_of(&["applied", "failed"], effect).await
    }

    async fn event_of(&self, names: &[&str], effect: &Effect) -> Event {
        let mut events = self.events.clone();
        let find = || {
            let seen = self.seen.lock().unwrap();
            let mut found = seen.events.iter().filter(|(_, e)| e.effect_id == effect.id);
            found.find(|(n, _)| names.contains(&n.as_str())).map(|(_, e)| e.clone())
        };
        let wait = async {
            loop {
                events.mark_unchanged();
                if let Some(found) = find() {
                    return found;
                }
                events.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("no {names:?} of {}, only {}", effect.id, self.told()))
    }

    /// All events, a line each.
    fn told(&self) -> String {
        let line = |(name, e): &(String, Event)| {
            format!("\n{name} {} {} {}", e.effect_id, e.reason, e.detail)
        };
        self.seen.lock().unwrap().events.iter().map(line).collect()
    }

    pub async fn applied(&self, effect: &Effect) -> Event {
        self.event("applied", effect).await
    }

    pub fn count_events(&self, name: &str) -> usize {
        self.seen.lock().unwrap().events.iter().filter(|(n, _)| n == name).count()
    }

    /// How many effects an event of this name was about: one may be said twice, over a restart.
    pub fn count_effects(&self, name: &str) -> usize {
        self.seen.lock().unwrap().effects.get(name).map_or(0, BTreeSet::len)
    }

    /// Waits until an event of this name was about so many effects, as long as any come at all.
    pub async fn count_reaches(&self, name: &str, count: usize) {
        let mut events = self.events.clone();
        loop {
            events.mark_unchanged();
            let found = self.count_effects(name);
            if found >= count {
                return;
            }
            let more = tokio::time::timeout(PATIENCE, events.changed()).await;
            more.unwrap_or_else(|_| panic!("no more than {found} of {count} {name}")).unwrap();
        }
    }

    /// How many events of a name came before the one about this effect.
    pub fn position(&self, name: &str, effect: &Effect) -> usize {
        let seen = self.seen.lock().unwrap();
        let mut named = seen.events.iter().filter(|(n, _)| n == name);
        named.position(|(_, event)| event.effect_id == effect.id).unwrap()
    }

    pub fn snapshot(&self) -> Snapshot {
        self.sim.snapshot().unwrap()
    }

    /// Waits until GitHub is as it should be.
    pub async fn until(&self, mut holds: impl FnMut(&Snapshot) -> bool) {
        let found = self.sim.wait_for(PATIENCE, |s| holds(s).then_some(())).await.unwrap();
        assert!(found.is_some(), "never came true: {:#?}", self.snapshot().repos);
    }

    /// Waits until a fault has struck. Nobody tells of a request that is still under way.
    pub async fn struck(&self) {
        let look = async {
            while self.snapshot().faults_struck == 0 {
                tokio::time::sleep(ms(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap();
    }

    pub async fn spooled(&self, reason: &str) -> bool {
        let filter = format!("booty.spool.forge.{reason}.*");
        for _ in 0..200 {
            if self.bus.last_message(stream::SPOOL.name, &filter).await.unwrap().is_some() {
                return true;
            }
            tokio::time::sleep(ms(10)).await;
        }
        false
    }

    /// Waits until a durable has a verdict on everything that was published.
    pub async fn settled(&self, stream: &str, durable: &str) {
        let look = async {
            let stream = self.bus.jetstream().get_stream(stream).await.unwrap();
            loop {
                let info = stream.consumer_info(durable).await.unwrap();
                if (info.num_pending, info.num_ack_pending) == (0, 0) {
                    return;
                }
                tokio::time::sleep(ms(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap();
    }

    pub fn markers(&self) -> Markers {
        Markers::new(KEY.into())
    }

    pub fn github(&self) -> Client {
        let settings = ClientSettings::new(self.sim.api_url().parse().unwrap());
        Client::new(settings, Arc::new(StaticToken::new(self.token.as_str().into()))).unwrap()
    }

    /// GitHub as forge's App sees the repository.
    pub fn as_app(&self) -> Client {
        let Credentials::App(key) = self.credentials() else { panic!("forge is a person") };
        let settings = ClientSettings::new(self.sim.api_url().parse().unwrap());
        let tokens = AppTokens::new(settings.clone(), key, Utc::now).unwrap();
        let repository = Some(REPO.parse().unwrap());
        let scope = booty_github::Scope { installation: None, repository };
        Client::new(settings, Arc::new(tokens)).unwrap().scoped(scope)
    }

    /// A commit of its own that no branch needs, made by a person.
    pub async fn commit(&self, message: &str) -> String {
        let (github, repo) = (self.github(), REPO.parse().unwrap());
        let git = Endpoint::repo(&repo).at("git");
        let base = github.get_git_commit(&repo, &self.base_sha).await.unwrap().unwrap();
        let body = serde_json::json!({
            "message": message, "tree": base.tree.sha, "parents": [base.sha],
        });
        let made = github.post::<Sha>(git.at("commits"), &body).await.unwrap();
        made.body.sha
    }

    /// Forge remembers nothing of these.
    pub async fn forget_records(&self, keys: &str) {
        let stream = self.bus.jetstream().get_stream("KV_booty_effects").await.unwrap();
        stream.purge().filter(format!("$KV.booty_effects.{keys}")).await.unwrap();
    }

    /// Path to mode and content of a commit's tree.
    pub async fn tree(&self, commit: &str) -> BTreeMap<String, (String, Vec<u8>)> {
        use base64::Engine as _;
        let (github, repo) = (self.github(), REPO.parse().unwrap());
        let at = Endpoint::repo(&repo).at("git").at("trees").at(commit).query("recursive", "1");
        let tree: serde_json::Value = github.get_json(at).await.unwrap();
        let mut files = BTreeMap::new();
        for entry in tree["tree"].as_array().unwrap() {
            if entry["type"] != "blob" {
                continue;
            }
            let sha = entry["sha"].as_str().unwrap();
            let at = Endpoint::repo(&repo).at("git").at("blobs").at(sha);
            let blob: serde_json::Value = github.get_json(at).await.unwrap();
            let packed = blob["content"].as_str().unwrap().replace('\n', "");
            let bytes = base64::engine::general_purpose::STANDARD.decode(packed).unwrap();
            let mode = entry["mode"].as_str().unwrap().to_owned();
            files.insert(entry["path"].as_str().unwrap().to_owned(), (mode, bytes));
        }
        files
    }
}

pub fn change(path: &str, mode: FileMode, content: &[u8]) -> FileChange {
    FileChange {
        path: path.as_bytes().to_vec().into(),
        mode: mode.into(),
        content: content.to_vec().into(),
    }
}

/// A forge in a runtime of its own, so that it can die as a process dies.
pub struct Forge {
    runtime: Option<Runtime>,
    run: JoinHandle<Result<(), Error>>,
    shutdown: CancellationToken,
    pub status: watch::Receiver<Status>,
}

impl Forge {
    pub async fn writing(&mut self) {
        let wait = self.status.wait_for(|status| *status == Status::Writing);
        tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap();
    }

    /// Nothing of it goes on, and nothing is given back.
    pub fn kill(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub async fn ended(&mut self) -> Result<(), Error> {
        tokio::time::timeout(PATIENCE, &mut self.run).await.unwrap().unwrap()
    }

    pub async fn stop(mut self) {
        self.shutdown.cancel();
        self.ended().await.unwrap();
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
