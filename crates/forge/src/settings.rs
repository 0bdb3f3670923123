//! What can be set.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use booty_github::{
    AppKey, PointLimit,
    pace::{Limit, PaceSettings},
};
use booty_service::{Env, common};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use url::Url;

use crate::error::Error;

/// GitHub's own API.
const DEFAULT_API_URL: &str = "https://api.github.com";

/// Everything that forge is told from outside.
#[derive(Clone)]
pub struct Settings {
    /// The API's base URL.
    pub api_url: String,
    /// What GitHub is written with.
    pub credentials: Credentials,
    /// What markers are signed with.
    pub marker_key: SecretString,
    /// Say what would be written, and write nothing.
    pub dry_run: bool,
    /// The pauses before an effect is tried again after a 5xx or without a connection; after the
    /// last it goes to the spool.
    pub retry_delays: Vec<Duration>,
    /// The pauses before it is looked whether a write with an unknown outcome was done; after the
    /// last it is sent again.
    pub lookup_delays: Vec<Duration>,
    /// The pauses before a failed read, or a write that may be done twice without harm and whose
    /// answer was lost, is sent again within one handling.
    pub resend_delays: Vec<Duration>,
    /// For one HTTP request. Below a third of the lease, so that no request outlives it.
    pub http_timeout: Duration,
    /// How long a message or the writer's role may be held without a sign of life.
    pub lease: Duration,
    /// How fast GitHub is written to.
    pub pace: PaceSettings,
    /// What requests may cost GitHub, reads included.
    pub points: PointLimit,
    /// How long nothing is sent after a secondary limit that names no time; doubles while it goes on.
    pub unnamed_wait: Duration,
    /// How long an effect waits in hand for its pace; a longer wait hands it back.
    pub patience: Duration,
    /// The name under which leases are held.
    pub holder: String,
    /// How long effects in hand may take after shutdown was asked for.
    pub shutdown_grace: Duration,
    /// The wall clock.
    pub clock: fn() -> DateTime<Utc>,
}

/// What GitHub is written with: nobody but forge has it.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// One personal token for everything. It can't write check runs.
    Token(SecretString),
    /// An App's key: tokens of its installations, minted as they are needed.
    App(AppKey),
}

impl Credentials {
    /// `GITHUB_APP_ID` and `GITHUB_APP_PRIVATE_KEY`, or `GITHUB_TOKEN`: one account, not two.
    fn from_env(env: &mut Env) -> Self {
        let token = env.secret("GITHUB_TOKEN");
        let id = env.optional("GITHUB_APP_ID");
        let key = env.secret("GITHUB_APP_PRIVATE_KEY");
        match (token, id, key) {
            (Some(token), None, None) => return Self::Token(token),
            (None, Some(id), Some(key)) => match AppKey::new(&id, &key) {
                Ok(key) => return Self::App(key),
                Err(error) => env.problem("GITHUB_APP_PRIVATE_KEY", &error.to_string()),
            },
            (None, Some(_), None) => {
                env.problem("GITHUB_APP_PRIVATE_KEY", "is not set, but GITHUB_APP_ID is");
            }
            (None, None, Some(_)) => {
                env.problem("GITHUB_APP_ID", "is not set, but GITHUB_APP_PRIVATE_KEY is");
            }
            (None, None, None) => env.problem(
                "GITHUB_APP_ID",
                "is not set, and neither is GITHUB_TOKEN: forge writes as a GitHub App \
                 (GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY) or with a personal token",
            ),
            (Some(_), ..) => env.problem(
                "GITHUB_TOKEN",
                "is set, and so is a GitHub App; forge writes under one account: keep one of them",
            ),
        }
        Self::Token(SecretString::default())
    }
}

impl Settings {
    /// GitHub's real paces and the usual delays.
    pub fn new(api_url: String, credentials: Credentials, marker_key: SecretString) -> Self {
        let seconds = |all: &[u64]| all.iter().copied().map(Duration::from_secs).collect();
        Self {
            api_url,
            credentials,
            marker_key,
            dry_run: false,
            retry_delays: seconds(&[2, 8, 30]),
            lookup_delays: seconds(&[5, 15, 45]),
            resend_delays: vec![Duration::from_millis(200), Duration::from_secs(1)],
            http_timeout: Duration::from_secs(8),
            lease: Duration::from_secs(30),
            pace: PaceSettings::default(),
            points: PointLimit::default(),
            unnamed_wait: Duration::from_secs(60),
            patience: Duration::from_secs(10),
            holder: "forge".to_owned(),
            // With what the loops and the role take afterwards everything ends within 25 s.
            shutdown_grace: Duration::from_secs(16),
            clock: Utc::now,
        }
    }

    /// Reads them. Makes the marker key's file on the first start without `BOOTY_MARKER_KEY`.
    pub fn from_env(env: &mut Env, holder: &str) -> Self {
        let api_url = env.optional("GITHUB_API_URL").unwrap_or_else(|| DEFAULT_API_URL.to_owned());
        if !Url::parse(&api_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            env.problem("GITHUB_API_URL", &format!("{api_url:?} is not an http or https address"));
        }
        let credentials = Credentials::from_env(env);
        let marker_key = env.secret("BOOTY_MARKER_KEY");
        let data_dir = common::data_dir(env);
        let marker_key = marker_key.unwrap_or_else(|| {
            let path = data_dir.join("marker.key");
            kept_key(&path).unwrap_or_else(|error| {
                let text = format!("is not set, and {} can't be used: {error}", path.display());
                env.problem("BOOTY_MARKER_KEY", &text);
                SecretString::default()
            })
        });
        let mut settings = Self::new(api_url, credentials, marker_key);
        settings.holder = holder.to_owned();
        settings.dry_run = env.flag_or("DRY_RUN", settings.dry_run);
        settings.retry_delays = delays(env, "FORGE_RETRY_DELAYS", settings.retry_delays);
        settings.lookup_delays = delays(env, "FORGE_LOOKUP_DELAYS", settings.lookup_delays);
        settings.lease = env.duration_or("LEASE", settings.lease);
        let default = settings.http_timeout.min(settings.lease / 4);
        settings.http_timeout = env.duration_or("FORGE_HTTP_TIMEOUT", default);
        if settings.http_timeout * 3 >= settings.lease || settings.http_timeout.is_zero() {
            env.problem(
                "FORGE_HTTP_TIMEOUT",
                "must be above zero and below a third of LEASE, or a request could outlive its lease",
            );
        }
        let per_minute = env.number_or("FORGE_CONTENT_PER_MINUTE", 60, 1..=80);
        let per_hour = env.number_or("FORGE_CONTENT_PER_HOUR", 400, 1..=500);
        settings.pace.content = [(per_minute, 60), (per_hour, 60 * 60)]
            .map(|(count, seconds)| Limit {
                count: usize::try_from(count).unwrap_or(1),
                window: Duration::from_secs(seconds),
            })
            .to_vec();
        let points =
            env.number_or("FORGE_POINTS_PER_MINUTE", settings.points.points.into(), 5..=900);
        settings.points.points = u32::try_from(points).unwrap_or(settings.points.points);
        settings
    }

    pub(crate) fn base_url(&self) -> Result<Url, Error> {
        let url = self.api_url.clone();
        Url::parse(&url).map_err(|source| Error::Address { url, source })
    }
}

/// Comma-separated lengths of time.
fn delays(env: &mut Env, name: &str, default: Vec<Duration>) -> Vec<Duration> {
    let parts = env.list(name);
    if parts.is_empty() {
        return default;
    }
    let parsed: Result<Vec<_>, _> =
        parts.iter().map(|part| humantime::parse_duration(part)).collect();
    parsed.unwrap_or_else(|error| {
        env.problem(name, &format!("is not a list of lengths of time such as 2s,8s,30s: {error}"));
        default
    })
}

/// The key in the file, which is made if it is missing. Of two processes that make it at the same
/// time one wins, and both read the winner's.
fn kept_key(path: &Path) -> std::io::Result<SecretString> {
    if let Ok(text) = fs::read_to_string(path)
        && !text.trim().is_empty()
    {
        return Ok(text.trim().to_owned().into());
    }
    let dir = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    fs::create_dir_all(&dir)?;
    let draft = dir.join(format!(".marker.key.{:016x}", rand::random::<u64>()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(hex::encode(rand::random::<[u8; 32]>()).as_bytes())?;
    file.sync_all()?;
    // A link fails where the name is taken, so a finished key is never replaced.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(fs::read_to_string(path)?.trim().to_owned().into()),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn mistakes_are_told_and_the_key_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("state").display().to_string();
        let read = |extra: &[(&str, &str)]| {
            let mut pairs = vec![("BOOTY_DATA_DIR", data_dir.as_str()), ("GITHUB_TOKEN", "t")];
            pairs.extend(extra);
            let mut env = Env::from_map(pairs);
            let settings = Settings::from_env(&mut env, "forge-1");
            (settings, env.finish())
        };
        let (first, ok) = read(&[]);
        assert_eq!(ok, Ok(()));
        assert_eq!(first.marker_key.expose_secret().len(), 64);
        let (second, _) = read(&[]);
        assert_eq!(first.marker_key.expose_secret(), second.marker_key.expose_secret());

        let (quick, ok) = read(&[("LEASE", "3s"), ("FORGE_RETRY_DELAYS", "20ms, 1s")]);
        assert_eq!(ok, Ok(()));
        assert_eq!(quick.retry_delays, [Duration::from_millis(20), Duration::from_secs(1)]);
        assert!(quick.http_timeout * 3 < quick.lease);

        let (_, both) = read(&[("GITHUB_APP_ID", "7")]);
        assert!(both.unwrap_err().to_string().contains("one account"));

        let (_, bad) = read(&[
            ("FORGE_HTTP_TIMEOUT", "10s"),
            ("FORGE_LOOKUP_DELAYS", "soon"),
            ("GITHUB_API_URL", "ftp://x"),
        ]);
        assert_eq!(bad.unwrap_err().0.len(), 3);
    }

    #[test]
    fn an_app_needs_its_id_and_a_key_that_signs() {
        let read = |pairs: &[(&str, &str)]| {
            let mut env = Env::from_map(pairs.iter().copied());
            let credentials = Credentials::from_env(&mut env);
            let names = env.finish().err().map(|errors| errors.0).unwrap_or_default();
            (credentials, names.into_iter().map(|error| error.name).collect::<Vec<_>>())
        };
        assert_eq!(read(&[]).1, ["GITHUB_APP_ID"]);
        assert_eq!(read(&[("GITHUB_APP_ID", "7")]).1, ["GITHUB_APP_PRIVATE_KEY"]);
        assert_eq!(read(&[("GITHUB_APP_PRIVATE_KEY", "k")]).1, ["GITHUB_APP_ID"]);
        let bad = [("GITHUB_APP_ID", "7"), ("GITHUB_APP_PRIVATE_KEY", "s3cr3t")];
        let (_, names) = read(&bad);
        assert_eq!(names, ["GITHUB_APP_PRIVATE_KEY"]);
    }
}
