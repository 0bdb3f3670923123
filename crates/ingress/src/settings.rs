//! What can be set, with its bounds.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use booty_service::{Env, common};
pub use booty_spool::Settings as SpoolSettings;
use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::allow::AllowList;

/// Everything that ingress is told from outside.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The public port.
    pub listen: SocketAddr,
    /// GitHub's webhook secrets; none: GitHub's path is not served.
    pub github_secrets: Vec<SecretString>,
    /// Sentry's client secrets; none: Sentry's path is not served.
    pub sentry_secrets: Vec<SecretString>,
    /// Who is served.
    pub allowed: AllowList,
    /// The label that starts a job.
    pub trigger_label: String,
    /// Deliveries that wait for the broker at a time; the next ones go to the disk spool at once.
    pub queue_max_size: usize,
    /// The disk spool.
    pub spool: SpoolSettings,
    /// Limits of request bodies.
    pub body: BodyLimits,
    /// Limits of connections.
    pub connections: ConnectionLimits,
    /// How long the broker may take to confirm a delivery before the spool gets it.
    pub publish_limit: Duration,
    /// From a body's last byte to its answer.
    pub answer_limit: Duration,
    /// How long requests in hand may take after shutdown was asked for.
    pub shutdown_grace: Duration,
    /// The wall clock, for `ce-time` and the spool.
    pub clock: fn() -> DateTime<Utc>,
}

/// Limits of request bodies.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// The largest body. GitHub sends up to 25 MB.
    pub max_bytes: usize,
    /// Bodies above this size share [`BodyLimits::large_budget`], and wait for their share of it
    /// before they are read; smaller ones never wait for them.
    pub large_from: usize,
    /// Memory for small bodies that are in hand at the same time.
    pub small_budget: usize,
    /// Memory for large bodies that are in hand at the same time.
    pub large_budget: usize,
    /// The longest wait for memory.
    pub wait: Duration,
    /// The longest silence within a body.
    pub idle: Duration,
    /// The longest time that a body may take, waiting for memory aside.
    pub total: Duration,
}

/// Limits of connections.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Open ones at a time, as far as the system's own limit goes; above it the idlest is closed.
    pub max_connections: usize,
    /// From a connection's (or a request head's) first moment to the end of the head.
    pub head: Duration,
    /// The longest silence between two requests of a connection.
    pub idle: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            max_bytes: 25 * MIB,
            // Nothing that a service wants is near this: an issue's text has 64 Ki characters at most.
            large_from: MIB,
            small_budget: 64 * MIB,
            // Two of the largest: one comes in while the other is made durable. With more of them
            // neither the broker nor a disk confirms each in time.
            large_budget: 50 * MIB,
            wait: Duration::from_secs(60),
            idle: Duration::from_secs(5),
            // GitHub itself gives up after 10 s.
            total: Duration::from_secs(8),
        }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            head: Duration::from_secs(8),
            idle: Duration::from_secs(60),
        }
    }
}

impl Settings {
    /// The usual limits, with nobody allowed and no secret: a start for callers without an
    /// environment.
    pub fn new(listen: SocketAddr, spool: SpoolSettings, allowed: AllowList) -> Self {
        Self {
            listen,
            github_secrets: Vec::new(),
            sentry_secrets: Vec::new(),
            allowed,
            trigger_label: DEFAULT_TRIGGER_LABEL.to_owned(),
            queue_max_size: DEFAULT_QUEUE_MAX_SIZE,
            spool,
            body: BodyLimits::default(),
            connections: ConnectionLimits::default(),
            // 400 ms for the broker and as much for the disk stay below the 900 ms of an answer.
            publish_limit: Duration::from_millis(400),
            answer_limit: Duration::from_millis(850),
            shutdown_grace: Duration::from_secs(20),
            clock: Utc::now,
        }
    }

    /// Reads them; mistakes are remembered by `env`.
    pub fn from_env(env: &mut Env) -> Self {
        let listen = env.parse_or("LISTEN_ADDR", SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)));
        let mut spool = match env.optional("INGRESS_SPOOL_DIR") {
            Some(dir) => SpoolSettings::in_dir(dir),
            None => SpoolSettings::in_dir(common::data_dir(env).join("spool")),
        };
        let usual = spool.max_bytes;
        spool.max_bytes = env.number_or("INGRESS_SPOOL_MAX_BYTES", usual, 1..=u64::MAX);
        let allowed = allow_list(env);
        let mut settings = Self::new(listen, spool, allowed);
        settings.github_secrets = env.secret_list("WEBHOOK_SECRET");
        settings.sentry_secrets = env.secret_list("SENTRY_WEBHOOK_SECRET");
        if settings.github_secrets.is_empty() && settings.sentry_secrets.is_empty() {
            env.problem(
                "WEBHOOK_SECRET",
                "is not set, and neither is SENTRY_WEBHOOK_SECRET; without a secret no delivery \
                 could be told from a forged one",
            );
        }
        if let Some(label) = env.optional("TRIGGER_LABEL") {
            settings.trigger_label = label;
        }
        let queue = env.number_or("QUEUE_MAX_SIZE", DEFAULT_QUEUE_MAX_SIZE as u64, 1..=10_000);
        settings.queue_max_size = usize::try_from(queue).unwrap_or(DEFAULT_QUEUE_MAX_SIZE);
        settings
    }
}

const DEFAULT_TRIGGER_LABEL: &str = "agent:builder";
const DEFAULT_QUEUE_MAX_SIZE: usize = 100;

fn allow_list(env: &mut Env) -> AllowList {
    let repositories = booty_service::AllowList::from_env(env);
    let mut installations = BTreeSet::new();
    for text in env.list("ALLOWED_INSTALLATIONS") {
        match text.parse() {
            Ok(id) => {
                installations.insert(id);
            }
            Err(_) => env.problem(
                "ALLOWED_INSTALLATIONS",
                &format!("{text:?} is not an installation's id, which is a number"),
            ),
        }
    }
    let installations = (!installations.is_empty()).then_some(installations);
    AllowList::of(repositories, installations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let mut env = Env::from_map(pairs.iter().copied());
        let settings = Settings::from_env(&mut env);
        env.finish().map(|()| settings).map_err(|e| e.to_string())
    }

    #[test]
    fn a_secret_of_either_source_is_needed() {
        let error = read(&[("BOOTY_DATA_DIR", "/d")]).unwrap_err();
        assert!(error.contains("WEBHOOK_SECRET"), "{error}");
        for name in ["WEBHOOK_SECRET", "SENTRY_WEBHOOK_SECRET"] {
            assert!(read(&[("BOOTY_DATA_DIR", "/d"), (name, "s")]).is_ok());
        }
    }

    #[test]
    fn the_target_repository_is_the_default_allow_list() {
        let base = [("BOOTY_DATA_DIR", "/d"), ("WEBHOOK_SECRET", "a,b")];
        let url = ("TARGET_REPO_URL", "https://github.com/Octo/Hello.git");
        let name = "octo/hello".parse().unwrap();
        let other = "octo/other".parse().unwrap();

        let settings = read(&[base[0], base[1], url]).unwrap();
        assert_eq!(settings.github_secrets.len(), 2);
        assert!(settings.allowed.repository(&name));
        assert!(!settings.allowed.repository(&other));

        let settings = read(&[base[0], base[1], url, ("ALLOWED_REPOS", "octo/other")]).unwrap();
        assert!(settings.allowed.repository(&other));
        assert!(!settings.allowed.repository(&name), "an explicit list replaces the default");
    }

    #[test]
    fn all_mistakes_are_named() {
        let error = read(&[
            ("BOOTY_DATA_DIR", "/d"),
            ("WEBHOOK_SECRET", "s"),
            ("LISTEN_ADDR", "8080"),
            ("TARGET_REPO_URL", "octo/hello"),
            ("ALLOWED_REPOS", "octo"),
            ("ALLOWED_INSTALLATIONS", "1,x"),
            ("QUEUE_MAX_SIZE", "0"),
        ])
        .unwrap_err();
        for name in [
            "LISTEN_ADDR",
            "TARGET_REPO_URL",
            "ALLOWED_REPOS",
            "ALLOWED_INSTALLATIONS",
            "QUEUE_MAX_SIZE",
        ] {
            assert!(error.contains(name), "{name} in {error}");
        }
    }
}
