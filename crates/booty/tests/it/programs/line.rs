//! The whole line over one repository for each program. Builder and verifier are processes of the real
//! program; forge and ingress run here, because their shipped pace is GitHub's.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use booty_bus::{Bus, BusSettings, local::LocalServer};
use booty_events::{Message as _, v1::Event};
use booty_forge::Credentials;
use booty_github::app::AppKey;
use booty_ingress::{AllowList, settings::SpoolSettings};
use booty_ops::audit::{Report, audit};
use booty_sim::{Paces, Permission, Sim, SimSettings, Snapshot};
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    corpus::Program,
    model::{ASKED, Model},
};

const OWNER: &str = "quix";
const PERSON: &str = "mona";
const SECRET: &str = "It's a Secret to Everybody";
/// Only a broken line takes this long for a program. Two work at a time, and the slowest needs 40 s.
const PATIENCE_PER_PROGRAM: Duration = Duration::from_secs(60);
/// For what the last one waits.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often an audit is made that has nothing to wait for.
const LOOK: Duration = Duration::from_millis(100);
const STREAM_MAX_BYTES: i64 = 256 << 20;

pub(super) struct Line {
    pub(super) sim: Sim,
    pub(super) programs: Vec<Program>,
    model: Model,
    bus: Bus,
    events: Arc<Mutex<Vec<Event>>>,
    labelled: DateTime<Utc>,
    shutdown: CancellationToken,
    services: JoinSet<()>,
    follower: JoinHandle<()>,
    processes: Mutex<BTreeMap<&'static str, Process>>,
    env: Vec<(&'static str, String)>,
    _server: LocalServer,
    folder: tempfile::TempDir,
}

impl Line {
    /// Labels one issue for each program.
    pub(super) async fn start(model: Model) -> Self {
        Self::with_lease(model, Duration::from_secs(30)).await
    }

    /// The same; after so long, what a killed process had in hand is given to somebody again.
    pub(super) async fn with_lease(model: Model, lease: Duration) -> Self {
        let programs = Program::chosen();
        let folder = tempfile::tempdir().unwrap();
        let server = LocalServer::start_temporary().await.unwrap();
        let bus = Bus::connect(BusSettings {
            max_bytes: Some(STREAM_MAX_BYTES),
            ..BusSettings::new(server.url(), "booty-programs-test")
        })
        .await
        .unwrap();
        bus.ensure().await.unwrap();
        let events = Arc::default();
        let follower = follow(&bus, &events).await;

        let mut settings = SimSettings::new(folder.path().join("github"));
        settings.paces = Paces::unlimited();
        let sim = Sim::start(settings).await.unwrap();
        sim.create_user(OWNER).unwrap();
        let write = ["checks", "contents", "issues", "pull_requests"].map(|name| (name, "write"));
        let app = sim.create_app("booty", &write).unwrap();
        sim.install_app(app.id, OWNER, &[]).unwrap();
        for program in &programs {
            let mut files = program.surroundings();
            files.push((program.file(), program.buggy.clone()));
            files.push(match model {
                Model::RightWithTests => ("test_there.py".to_owned(), is_there(program)),
                _ => (program.test_file(), program.tests.clone()),
            });
            let files: Vec<_> = files
                .iter()
                .map(|(path, content)| (path.as_str(), content.as_str(), "100644"))
                .collect();
            let repo = repo(program);
            sim.create_repo(&repo, &files, "main").unwrap();
            sim.set_permission(&repo, PERSON, Permission::Write).unwrap();
        }

        let shutdown = CancellationToken::new();
        let mut services = JoinSet::new();
        let allowed = format!("{OWNER}/*");
        let mut settings = booty_ingress::Settings::new(
            "127.0.0.1:0".parse().unwrap(),
            SpoolSettings::in_dir(folder.path().join("spool")),
            AllowList::new(std::slice::from_ref(&allowed), None).unwrap(),
        );
        settings.github_secrets = vec![SECRET.into()];
        let ingress = booty_ingress::App::build(settings, bus.clone()).unwrap();
        sim.set_webhook(&format!("http://{}/webhooks/github", ingress.address()), SECRET).unwrap();
        let token = shutdown.clone();
        services.spawn(async move { ingress.run(token).await.unwrap() });

        let key = AppKey::new(&app.id.to_string(), &app.private_key.clone().into()).unwrap();
        let mut settings =
            booty_forge::Settings::new(sim.api_url(), Credentials::App(key), "a key".into());
        settings.pace = settings.pace.scaled(1000);
        // Forty pull requests cost more than a minute's points; nothing else of this would take minutes.
        settings.points.window /= 1000;
        let forge = booty_forge::App::build(settings, bus.clone()).await.unwrap();
        let token = shutdown.clone();
        services.spawn(async move { forge.run(token).await.unwrap() });

        let script = folder.path().join("script.json");
        std::fs::write(&script, model.script(&programs)).unwrap();
        let env = vec![
            ("NATS_URL", server.url()),
            ("BOOTY_STREAM_MAX_BYTES", STREAM_MAX_BYTES.to_string()),
            ("BOOTY_DATA_DIR", folder.path().join("data").display().to_string()),
            ("ADMIN_ADDR", "127.0.0.1:0".to_owned()),
            ("ALLOWED_REPOS", allowed),
            ("GITHUB_API_URL", sim.api_url()),
            ("GITHUB_GIT_URL", sim.api_url()),
            ("MODEL", format!("script:{}", script.display())),
            ("WORKER_COUNT", "2".to_owned()),
            ("LEASE", format!("{}s", lease.as_secs())),
            ("LOG_FORMAT", "json".to_owned()),
        ];
        let start = |service| (service, Process::start(service, &env, folder.path()));
        let processes = Mutex::new(["builder", "verifier"].map(start).into());

        let labelled = Utc::now();
        for program in &programs {
            let (repo, title) = (repo(program), Model::title(program));
            let issue = sim.open_issue(&repo, PERSON, &title, "Its tests say more.").unwrap();
            sim.add_label(&repo, issue, "agent:builder", PERSON).unwrap();
        }
        Self {
            sim,
            programs,
            model,
            bus,
            events,
            labelled,
            shutdown,
            services,
            follower,
            processes,
            env,
            _server: server,
            folder,
        }
    }

    /// Kills a service with SIGKILL and starts it again.
    pub(super) fn kill(&self, service: &'static str) {
        let mut processes = self.processes.lock().unwrap();
        drop(processes.remove(service));
        processes.insert(service, Process::start(service, &self.env, self.folder.path()));
    }

    /// Waits until this was said so often.
    pub(super) async fn until_said(&self, service: &str, name: &str, times: usize) {
        let count = || {
            let events = self.events.lock().unwrap();
            events.iter().filter(|event| event.service == service && event.name == name).count()
        };
        let said = async {
            while count() < times {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, said).await.expect("never said");
    }

    /// Waits until each repository is as wanted, and then until nothing is in flight any more.
    pub(super) async fn settle(
        &self,
        is_done: impl Fn(&booty_sim::RepoView) -> bool,
    ) -> (Snapshot, Report) {
        let patience =
            PATIENCE + PATIENCE_PER_PROGRAM * u32::try_from(self.programs.len()).unwrap();
        let seen = self.sim.wait_for(patience, |seen| {
            let is_over = self.failure().is_some() || seen.repos.iter().all(&is_done);
            is_over.then_some(())
        });
        let is_over = seen.await.unwrap().is_some();
        if !is_over || self.failure().is_some() {
            let seen = self.sim.snapshot().unwrap();
            let late: Vec<_> = seen.repos.iter().filter(|repo| !is_done(repo)).collect();
            let (failure, kept) = (self.failure(), self.keep());
            panic!("{failure:#?}, logs in {kept:?}; said: {:#?}; not done: {late:#?}", self.said());
        }
        let quiet = async {
            loop {
                let report = audit(&self.bus, Utc::now).await.unwrap();
                if report.rows.iter().all(|row| row.in_flight == 0) {
                    return report;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let report =
            tokio::time::timeout(PATIENCE, quiet).await.expect("something stays in flight");
        (self.sim.snapshot().unwrap(), report)
    }

    /// What no program may end with whose model knows the repair: not waited for, as nothing comes of it.
    fn failure(&self) -> Option<Event> {
        let is_failure = |event: &&Event| match (event.service.as_str(), event.name.as_str()) {
            ("builder", "job_failed" | "not_promoted") | ("forge", "failed") => true,
            ("verifier", "verdict") => event.detail != "success",
            _ => false,
        };
        let events = self.events.lock().unwrap();
        events.iter().find(is_failure).filter(|_| self.model != Model::AlwaysWrong).cloned()
    }

    /// The questions that the model was asked, as `(program, turn)`.
    pub(super) fn asked(&self) -> Vec<(usize, usize)> {
        let log = std::fs::read_to_string(self.folder.path().join(ASKED)).unwrap();
        let number = |word: &str| word.split_once('=').unwrap().1.parse().unwrap();
        log.lines()
            .map(|line| {
                let mut words = line.split(' ').map(number);
                (words.next().unwrap(), words.next().unwrap())
            })
            .collect()
    }

    /// What was said about a program, in order.
    pub(super) fn said_of(&self, program: &Program) -> Vec<Event> {
        let repo = repo(program);
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event.repository == repo).cloned().collect()
    }

    pub(super) fn labelled(&self) -> DateTime<Utc> {
        self.labelled
    }

    pub(super) async fn stop(mut self) {
        self.processes.lock().unwrap().clear();
        self.shutdown.cancel();
        while let Some(ended) = self.services.join_next().await {
            ended.unwrap();
        }
        self.follower.abort();
    }

    fn said(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let line = |event: &Event| {
            let Event { repository, service, name, reason, detail, .. } = event;
            format!("{repository} {service} {name} {reason} {detail}")
        };
        events.iter().map(line).collect()
    }

    /// Copies the logs to where they stay.
    fn keep(&self) -> std::path::PathBuf {
        let kept = tempfile::Builder::new().prefix("booty-programs-").tempdir().unwrap().keep();
        for name in ["builder.log", "verifier.log"] {
            let _ = std::fs::copy(self.folder.path().join(name), kept.join(name));
        }
        kept
    }
}

pub(super) fn repo(program: &Program) -> String {
    format!("{OWNER}/{}", program.name)
}

/// All that a repository without tests for its program knows of it.
fn is_there(program: &Program) -> String {
    let name = &program.name;
    format!(
        "import unittest\n\nfrom {name} import {name}\n\n\nclass ThereTest(unittest.TestCase):\n    \
         def test_there(self):\n        self.assertTrue(callable({name}))\n"
    )
}

async fn follow(bus: &Bus, events: &Arc<Mutex<Vec<Event>>>) -> JoinHandle<()> {
    let mut said = bus.client().subscribe("booty.event.>").await.unwrap();
    bus.client().flush().await.unwrap();
    let events = Arc::clone(events);
    tokio::spawn(async move {
        // What is said again after a death is refused by the stream, but was sent.
        let mut known = HashSet::new();
        while let Some(message) = said.next().await {
            if !known.insert(message.subject.to_string()) {
                continue;
            }
            events.lock().unwrap().push(Event::decode(message.payload.as_ref()).unwrap());
        }
    })
}

/// A service as a process, killed when dropped.
struct Process(Child);

impl Process {
    /// With its own part of the settings, as `booty up` hands them out.
    fn start(service: &str, env: &[(&str, String)], folder: &std::path::Path) -> Self {
        let log = folder.join(format!("{service}.log"));
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_booty"));
        command.arg(service).env_clear();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let is_its = |name: &str| booty_service::variables::is_for(service, name);
        command
            .envs(env.iter().filter(|(name, _)| is_its(name)).map(|(name, value)| (*name, value)));
        // Started again under the same name, it takes its own leases over.
        command.env("BOOTY_INSTANCE", service);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
