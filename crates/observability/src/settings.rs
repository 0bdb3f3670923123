//! What the operator decides about alerts.

use std::{path::PathBuf, time::Duration};

use booty_alert::{AutoBuild, Severity};
use booty_events::{RepoName, stream::INBOX_MAX_AGE};
use booty_service::{AllowList, Env, ReadAccess, allow, common};
use chrono::{DateTime, TimeDelta, Utc};
use url::Url;

use crate::{decide::Rules, issue::DEFAULT_LINK_HOST, rate::Rhythm};

const DEFAULT_TRIGGER_LABEL: &str = "agent:builder";
const DEFAULT_MAX_EVENT_AGE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
const DEFAULT_LEASE: Duration = Duration::from_secs(30);
const DEFAULT_COOLDOWN_HOURS: u64 = 6;
const MAX_COOLDOWN_HOURS: u64 = 720;
/// Alerts that are decided on at one time: a few requests to the broker each.
const DEFAULT_PERMITS: usize = 16;
/// How long GitHub's answer about an issue is believed.
const DEFAULT_LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// How long an alert waits for GitHub.
const DEFAULT_LOOK_PATIENCE: Duration = Duration::from_secs(3);
const DEFAULT_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// All services are to be done 25 s after a request to stop.
const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(16);

/// The settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `TARGET_REPO_URL`: where alerts become issues. `None` only after a mistake, which is told.
    pub target: Option<RepoName>,
    /// `ALLOWED_REPOS`, or else the target.
    pub allowed: AllowList,
    /// `OBSV_MIN_SEVERITY`, `OBSV_COOLDOWN_HOURS`, `MAX_EVENT_AGE`
    pub rules: Rules,
    /// `OBSV_AUTO_BUILD`
    pub auto_build: AutoBuild,
    /// `TRIGGER_LABEL`
    pub trigger_label: String,
    /// `OBSV_SENTRY_HOSTS`: where the link to an event may lead, subdomains included.
    pub link_hosts: Vec<String>,
    /// `OBSV_SPOOL_PATH`: where alerts are kept that could not be handled while the broker takes no
    /// spool entry.
    pub spool_path: PathBuf,
    /// `GITHUB_READ_TOKEN`, or else tokens from forge.
    pub read_access: ReadAccess,
    /// `GITHUB_API_URL`
    pub api_url: Url,
    /// `LEASE`: how long an alert's worker may be silent.
    pub lease: Duration,
    /// The name under which leases are held; set by the binary.
    pub holder: String,
    /// Alerts at one time.
    pub permits: usize,
    /// How long GitHub's answer about an issue is believed, and how long it is left alone after it gave
    /// none.
    pub look_interval: Duration,
    /// How long an alert waits for GitHub's answer before it is counted without one.
    pub look_patience: Duration,
    /// How often it is looked for counts that are due, and for issues that GitHub could not be asked
    /// about.
    pub sweep_interval: Duration,
    /// When counts are due.
    pub rhythm: Rhythm,
    /// Waits before an alert that failed is tried again; the last one repeats.
    pub retry_delays: Vec<Duration>,
    /// How long what is in hand may go on after a request to stop.
    pub shutdown_grace: Duration,
    /// The wall clock.
    pub clock: fn() -> DateTime<Utc>,
}

impl Settings {
    /// Reads them; mistakes are kept in `env`. The binary sets `holder` afterwards.
    pub fn from_env(env: &mut Env) -> Self {
        let allowed = AllowList::from_env(env);
        let target = allow::target(env);
        if env.optional("TARGET_REPO_URL").is_none() {
            let why = "is not set: alerts become issues of this repository";
            env.problem("TARGET_REPO_URL", why);
        }
        if let Some(target) = target.as_ref().filter(|target| !allowed.allows(target)) {
            let why = format!("does not allow {target}, where alerts become issues");
            env.problem("ALLOWED_REPOS", &why);
        }
        let data_dir = common::data_dir(env);
        Self {
            target,
            allowed,
            rules: rules(env),
            auto_build: env.parse_or("OBSV_AUTO_BUILD", AutoBuild::default()),
            trigger_label: env
                .optional("TRIGGER_LABEL")
                .unwrap_or_else(|| DEFAULT_TRIGGER_LABEL.to_owned()),
            link_hosts: link_hosts(env),
            spool_path: env
                .optional("OBSV_SPOOL_PATH")
                .map_or_else(|| data_dir.join("observability-spool.jsonl"), PathBuf::from),
            read_access: ReadAccess::from_env(env),
            api_url: common::github_api(env),
            lease: env.duration_or("LEASE", DEFAULT_LEASE),
            holder: String::new(),
            permits: DEFAULT_PERMITS,
            look_interval: DEFAULT_LOOK_INTERVAL,
            look_patience: DEFAULT_LOOK_PATIENCE,
            sweep_interval: DEFAULT_SWEEP_INTERVAL,
            rhythm: Rhythm::default(),
            retry_delays: [2, 8, 30, 60].map(Duration::from_secs).to_vec(),
            shutdown_grace: DEFAULT_SHUTDOWN_GRACE,
            clock: Utc::now,
        }
    }
}

fn link_hosts(env: &mut Env) -> Vec<String> {
    let mut hosts = env.list("OBSV_SENTRY_HOSTS");
    hosts.retain(|host| {
        let url = Url::parse(&format!("https://{host}/"));
        let is_host = url.is_ok_and(|url| url.path() == "/" && url.username().is_empty());
        if !is_host {
            let why = format!("{host:?} is no host such as sentry.example.org");
            env.problem("OBSV_SENTRY_HOSTS", &why);
        }
        is_host
    });
    if hosts.is_empty() {
        hosts.push(DEFAULT_LINK_HOST.to_owned());
    }
    hosts
}

fn rules(env: &mut Env) -> Rules {
    let min_severity = env.parse_or("OBSV_MIN_SEVERITY", Severity::Error);
    let hours =
        env.number_or("OBSV_COOLDOWN_HOURS", DEFAULT_COOLDOWN_HOURS, 0..=MAX_COOLDOWN_HOURS);
    let max_event_age = env.duration_or("MAX_EVENT_AGE", DEFAULT_MAX_EVENT_AGE);
    if max_event_age > INBOX_MAX_AGE {
        env.problem("MAX_EVENT_AGE", "is above 7d, for which the inbox keeps deliveries");
    }
    Rules {
        min_severity,
        cooldown: TimeDelta::hours(i64::try_from(hours).unwrap_or_default()),
        max_event_age: TimeDelta::from_std(max_event_age).unwrap_or(TimeDelta::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let needed = [("BOOTY_DATA_DIR", "/tmp/booty"), ("GITHUB_READ_TOKEN", "t")];
        let mut env = Env::from_map(needed.into_iter().chain(values.iter().copied()));
        let settings = Settings::from_env(&mut env);
        let problems = env.finish().err().map(|errors| errors.0).unwrap_or_default();
        (settings, problems.into_iter().map(|problem| problem.name).collect())
    }

    const TARGET: (&str, &str) = ("TARGET_REPO_URL", "https://github.com/octo/shop");

    #[test]
    fn one_variable_is_enough() {
        let (settings, problems) = read(&[TARGET]);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(settings.target.unwrap().as_str(), "octo/shop");
        assert_eq!(settings.rules.min_severity, Severity::Error);
        assert_eq!(settings.rules.cooldown, TimeDelta::hours(6));
        assert_eq!(settings.auto_build, AutoBuild::Restricted);
        assert_eq!(
            settings.spool_path,
            std::path::Path::new("/tmp/booty/observability-spool.jsonl")
        );
    }

    #[test]
    fn every_mistake_is_named() {
        assert_eq!(read(&[]).1, ["TARGET_REPO_URL"]);
        let (_, problems) = read(&[
            TARGET,
            ("ALLOWED_REPOS", "octo/other"),
            ("OBSV_MIN_SEVERITY", "loud"),
            ("OBSV_COOLDOWN_HOURS", "721"),
            ("OBSV_AUTO_BUILD", "yes"),
            ("OBSV_SENTRY_HOSTS", "sentry.example.org,https://x/"),
            ("MAX_EVENT_AGE", "8d"),
            ("GITHUB_API_URL", "ftp://x"),
            ("LEASE", "soon"),
        ]);
        let expected = [
            "ALLOWED_REPOS",
            "OBSV_MIN_SEVERITY",
            "OBSV_COOLDOWN_HOURS",
            "MAX_EVENT_AGE",
            "OBSV_AUTO_BUILD",
            "OBSV_SENTRY_HOSTS",
            "GITHUB_API_URL",
            "LEASE",
        ];
        assert_eq!(problems, expected);
    }
}
