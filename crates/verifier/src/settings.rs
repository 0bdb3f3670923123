//! What the operator decides about the verifier.

use std::{path::PathBuf, time::Duration};

use booty_events::stream::INBOX_MAX_AGE;
use booty_sandbox::SandboxSettings;
use booty_service::{AllowList, Env, ReadAccess, common};
use booty_setup::{Operator, SetupNetwork, SetupSettings, parse_hosts};
use url::Url;

const DEFAULT_MAX_EVENT_AGE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
const DEFAULT_LEASE: Duration = Duration::from_secs(30);
/// All services are to be done 25 s after a request to stop, and a job needs time to be handed back.
const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(16);
/// A superseded head's sandbox is stopped within this.
const DEFAULT_LOOK_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_WATCH_INTERVAL: Duration = Duration::from_secs(60);
/// Three times the longest judgement: jobs also wait for workers.
const DEFAULT_LOST_AFTER: Duration = booty_judge::LONGEST.saturating_mul(3);

/// The verifier's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `ALLOWED_REPOS`, or else `TARGET_REPO_URL`. None: nothing is allowed.
    pub allowed: AllowList,
    /// `GITHUB_READ_TOKEN`, or forge's App.
    pub read_access: ReadAccess,
    /// `GITHUB_API_URL`
    pub api_url: Url,
    /// `GITHUB_GIT_URL`
    pub git_url: Url,
    /// `WORKER_COUNT`: heads that are judged at one time.
    pub worker_count: usize,
    /// `MAX_EVENT_AGE`
    pub max_event_age: Duration,
    /// `BOOTY_SANDBOX`, `BOOTY_SANDBOX_RO`
    pub sandbox: SandboxSettings,
    /// `SETUP_NETWORK`, `SETUP_REGISTRY_HOSTS`; caches lie in the data directory.
    pub setup: SetupSettings,
    /// The operator's environment, as far as clients of registries read it; set by the binary.
    pub operator: Operator,
    /// `BOOTY_DATA_DIR`: mirrors and checkouts lie in `verifier/` in it.
    pub data_dir: PathBuf,
    /// `LEASE`: how long a job's worker may be silent.
    pub lease: Duration,
    /// The name under which leases are held; set by the binary.
    pub holder: String,
    /// Waits before a failed job is tried again; the last one repeats.
    pub retry_delays: Vec<Duration>,
    /// How long a job in hand may go on after a request to stop.
    pub shutdown_grace: Duration,
    /// How often a worker looks whether its head is still the newest.
    pub look_interval: Duration,
    /// How often it is looked for checks that nobody will complete.
    pub watch_interval: Duration,
    /// How long nothing may be heard of a job before it counts as lost.
    pub lost_after: Duration,
}

impl Settings {
    /// Reads them; mistakes are kept in `env`. The binary sets `holder` afterwards.
    pub fn from_env(env: &mut Env) -> Self {
        let common::GithubUrls { api: api_url, git: git_url } = common::github_urls(env);
        let max_event_age = env.duration_or("MAX_EVENT_AGE", DEFAULT_MAX_EVENT_AGE);
        if max_event_age > INBOX_MAX_AGE {
            env.problem("MAX_EVENT_AGE", "is above 7d, for which the inbox keeps deliveries");
        }
        let data_dir = common::data_dir(env);
        Self {
            allowed: AllowList::from_env(env),
            read_access: ReadAccess::from_env(env),
            api_url,
            git_url,
            worker_count: usize::try_from(env.number_or("WORKER_COUNT", 2, 1..=64)).unwrap_or(2),
            max_event_age,
            sandbox: sandbox(env),
            setup: setup(env, &data_dir),
            operator: Operator::default(),
            data_dir,
            lease: env.duration_or("LEASE", DEFAULT_LEASE),
            holder: String::new(),
            retry_delays: [2, 8, 30, 60].map(Duration::from_secs).to_vec(),
            shutdown_grace: DEFAULT_SHUTDOWN_GRACE,
            look_interval: DEFAULT_LOOK_INTERVAL,
            watch_interval: DEFAULT_WATCH_INTERVAL,
            lost_after: DEFAULT_LOST_AFTER,
        }
    }
}

fn sandbox(env: &mut Env) -> SandboxSettings {
    let backend = env.optional("BOOTY_SANDBOX");
    let read_only = env.optional("BOOTY_SANDBOX_RO").unwrap_or_default();
    SandboxSettings::from_words(backend.as_deref(), &read_only).unwrap_or_else(|relative| {
        env.problem("BOOTY_SANDBOX_RO", &format!("{relative:?} is not an absolute path"));
        SandboxSettings::default()
    })
}

/// `SETUP_NETWORK` and `SETUP_REGISTRY_HOSTS`; mistakes are kept in `env`.
pub fn setup(env: &mut Env, data_dir: &std::path::Path) -> SetupSettings {
    let mut settings = SetupSettings::new(data_dir.join("setup"));
    if let Some(text) = env.optional("SETUP_NETWORK") {
        match text.parse::<SetupNetwork>() {
            Ok(network) => settings.network = network,
            Err(why) => env.problem("SETUP_NETWORK", &why),
        }
    }
    if let Some(text) = env.optional("SETUP_REGISTRY_HOSTS") {
        match parse_hosts(&text) {
            Ok(hosts) => settings.hosts = hosts,
            Err(error) => env.problem("SETUP_REGISTRY_HOSTS", &error.to_string()),
        }
    }
    settings
}
