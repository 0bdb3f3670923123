//! Sets the stage: broker, simulated GitHub, services.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use booty_bus::{
    Bus, BusSettings,
    local::{self, LocalServer, LocalServerSettings},
};
use booty_events::v1::{Event, Job, JobState};
use booty_service::{
    JobStore,
    supervisor::{Pid, supervise},
};
use booty_sim::{Sim, SimSettings, sentry};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{repository, timeline::say};
use crate::children;

/// What forge writes as: a GitHub App, because check runs need one.
const APP: &str = "booty";
const APP_PERMISSIONS: [(&str, &str); 4] =
    [("checks", "write"), ("contents", "write"), ("issues", "write"), ("pull_requests", "write")];
/// How often a state that has no notification is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Enough for a demo; the shipped limits would reserve 29 GiB of this machine's disk.
const STREAM_MAX_BYTES: u64 = 64 << 20;

/// Everything that plays.
pub(super) struct Stage {
    pub(super) sim: Sim,
    pub(super) server: LocalServer,
    pub(super) bus: Bus,
    pub(super) children: BTreeMap<&'static str, Pid>,
    sentry: sentry::Sender,
    tasks: Vec<tokio::task::JoinHandle<booty_service::supervisor::Ended>>,
    shutdown: CancellationToken,
}

impl Stage {
    pub(super) async fn set(folder: &Path, chaos: bool, started: Instant) -> anyhow::Result<Self> {
        let server = LocalServer::start(LocalServerSettings {
            binary: local::find_server()?,
            data_dir: folder.join("nats"),
            port: None,
            sync_always: true,
        })
        .await?;
        say(started, "demo", &format!("nats-server is up at {}", server.url()));

        let secret = format!("{:032x}", rand::random::<u128>());
        let client_secret = format!("{:032x}", rand::random::<u128>());
        let listen = free_address()?;
        let hook = format!("http://{listen}/webhooks/github");
        let sim = Sim::start(SimSettings::new(folder.join("github"))).await?;
        say(started, "demo", &format!("GitHub (simulated) is up at {}", sim.api_url()));
        let owner = repository::NAME.split('/').next().unwrap_or(repository::NAME);
        sim.create_user(owner)?;
        let app = sim.create_app(APP, &APP_PERMISSIONS)?;
        sim.install_app(app.id, owner, &[])?;

        let script = folder.join("script.yaml");
        std::fs::write(&script, repository::SCRIPT)?;
        let logs = folder.join("logs");
        std::fs::create_dir_all(&logs)?;

        let mut settings = children::environment();
        settings.retain(|name, _| !name.starts_with("OTEL_") && !is_ours(name));
        let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
        set("NATS_URL", server.url());
        set("NATS_MONITOR_URL", server.monitor_url());
        set("BOOTY_STREAM_MAX_BYTES", STREAM_MAX_BYTES.to_string());
        set("BOOTY_DATA_DIR", folder.join("booty").display().to_string());
        set("BOOTY_INSTANCE", "demo".to_owned());
        set("LISTEN_ADDR", listen.to_string());
        set("WEBHOOK_SECRET", secret.clone());
        set("SENTRY_WEBHOOK_SECRET", client_secret.clone());
        set("TARGET_REPO_URL", format!("https://github.com/{}", repository::NAME));
        set("GITHUB_API_URL", sim.api_url());
        set("GITHUB_GIT_URL", sim.api_url());
        set("GITHUB_APP_ID", app.id.to_string());
        set("GITHUB_APP_PRIVATE_KEY", app.private_key.clone());
        set("MODEL", format!("script:{}", script.display()));
        set("LOG_FORMAT", "json".to_owned());
        if chaos {
            // What was in hand when its worker or the broker died comes back after the lease; the
            // shipped 30 s would make this a long film.
            set("LEASE", "2s".to_owned());
            set("FORGE_HTTP_TIMEOUT", "500ms".to_owned());
            set("FORGE_LOOKUP_DELAYS", "100ms,300ms,900ms".to_owned());
            set("FORGE_RETRY_DELAYS", "100ms,300ms,900ms".to_owned());
        }

        let program = std::env::current_exe().context("this program can't be found again")?;
        let shutdown = CancellationToken::new();
        let (mut children, mut tasks, mut admins) = (BTreeMap::new(), Vec::new(), Vec::new());
        let wanted = |service: &&str| children::is_wanted(service, &settings);
        let services: Vec<_> = children::SERVICES.into_iter().filter(wanted).collect();
        for service in services {
            let admin = free_address()?;
            settings.insert("ADMIN_ADDR".to_owned(), admin.to_string());
            let log = logs.join(format!("{service}.log"));
            let spec = children::spec(program.clone(), service, &settings, Some(log));
            let (task, pid) = supervise(spec, shutdown.clone());
            children.insert(service, pid);
            tasks.push(task);
            admins.push((service, admin));
        }
        for (service, admin) in admins {
            ready(admin).await;
            say(started, "demo", &format!("{service} is ready"));
        }
        // Now, so that the simulator's ping finds somebody.
        sim.set_webhook(&hook, &secret)?;
        let bus = Bus::connect(BusSettings::new(server.url(), "booty-demo")).await?;
        let alerts = format!("http://{listen}/webhooks/sentry");
        let sentry = sentry::Sender::new(&alerts, &client_secret);
        Ok(Self { sim, server, bus, children, sentry, tasks, shutdown })
    }

    /// What starts it all: a program fails in production, and an alert rule of Sentry's fires for it.
    pub(super) async fn alert(&self, started: Instant) -> anyhow::Result<()> {
        self.sim.create_repo(repository::NAME, &repository::FILES, "main")?;
        let event = repository::event();
        let what = format!("alert: {} in {}", event.exception_type, repository::FILE);
        say(started, "sentry", &what);
        say(started, "sentry", &format!("its message: {}", event.message));
        let answer = self.sentry.send(&event).await.context("ingress did not answer in time")?;
        anyhow::ensure!(answer.status == 202, "ingress answered {answer:?}");
        say(started, "sentry", &format!("202 {}", answer.body.trim()));
        Ok(())
    }

    /// Waits until the builder has heard of the end of its job.
    pub(super) async fn finished_job(&self) -> anyhow::Result<Job> {
        let store = JobStore::new(&self.bus);
        loop {
            // The broker may be on its way back up.
            if let Ok(mut jobs) = store.list().await
                && let [job] = {
                    jobs.retain(|job| job.service == "builder");
                    jobs.as_slice()
                }
                && matches!(job.state(), JobState::Completed | JobState::Failed)
            {
                return Ok(job.clone());
            }
            sleep(LOOK).await;
        }
    }

    pub(super) fn pull_request_diff(&self) -> anyhow::Result<String> {
        let github = self.sim.snapshot()?;
        let pull =
            github.repos.iter().flat_map(|repo| &repo.pulls).next().context("none is open")?;
        Ok(self.sim.pull_diff(repository::NAME, pull.number)?)
    }

    /// Stops everything, each service with its own orderly shutdown.
    pub(super) async fn clear(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        for task in self.tasks {
            task.await?;
        }
        self.server.stop().await?;
        Ok(())
    }
}

/// Waits until forge said that the pull request's draft is ended; gives all that was said until then.
pub(super) async fn promoted(mut events: broadcast::Receiver<Event>) -> anyhow::Result<Vec<Event>> {
    let mut said = Vec::new();
    loop {
        match events.recv().await {
            Ok(event) if is_end_of_draft(&event) => return Ok(said),
            Ok(event) if event.name == "verdict" && event.detail != "success" => {
                anyhow::bail!("the verdict is {}: {}", event.detail, event.reason)
            }
            Ok(event) if event.service == "forge" && event.name == "failed" => {
                anyhow::bail!("forge gave up: {} {}", event.reason, event.detail)
            }
            Ok(event) if event.service == "builder" && event.name == "job_failed" => {
                anyhow::bail!("the job failed: {} {}", event.reason, event.detail)
            }
            Ok(event) => said.push(event),
            Err(RecvError::Lagged(lost)) => anyhow::bail!("{lost} events were lost"),
            Err(RecvError::Closed) => anyhow::bail!("the timeline ended"),
        }
    }
}

fn is_end_of_draft(event: &Event) -> bool {
    let kind = event.attributes.get("kind").map(String::as_str);
    event.service == "forge" && event.name == "applied" && kind == Some("mark_ready")
}

async fn ready(admin: SocketAddr) {
    let client = reqwest::Client::new();
    let url = format!("http://{admin}/ready");
    while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
        sleep(LOOK).await;
    }
}

/// A port of loopback that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Settings of a real installation have no place in a demo.
fn is_ours(name: &str) -> bool {
    booty_service::variables::VARIABLES.iter().any(|variable| variable.name == name)
}
