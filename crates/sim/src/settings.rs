//! What a simulated GitHub is started with.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

/// Everything a [`Sim`](crate::Sim) is started with.
#[derive(Clone, Debug)]
pub struct SimSettings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Bare repositories are made below it.
    pub data_dir: PathBuf,
    /// Every repository made later gets this webhook, and its `ping`.
    pub webhook: Option<Webhook>,
    /// The time that timestamps, rate windows and delayed visibility are taken from.
    pub clock: Clock,
    /// Rate limits.
    pub paces: Paces,
    /// Feeds probabilities, request ids and delivery ids; the same seed repeats the same run.
    pub seed: u64,
    /// Guards `/_sim/…`; made from the seed when absent.
    pub control_token: Option<SecretString>,
    /// All traffic as JSON lines, without tokens.
    pub record_to: Option<PathBuf>,
    /// How long a receiver may take for one delivery; GitHub's is 10 s.
    pub delivery_timeout: Duration,
}

impl SimSettings {
    /// GitHub's own limits, the real clock, a free port of loopback, a fresh seed.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: data_dir.into(),
            webhook: None,
            clock: Clock::system(),
            paces: Paces::github(),
            seed: rand::random(),
            control_token: None,
            record_to: None,
            delivery_timeout: Duration::from_secs(10),
        }
    }

    /// Sends webhooks to `url`, signed with `secret`.
    #[must_use]
    pub fn webhook(mut self, url: impl Into<String>, secret: SecretString) -> Self {
        self.webhook = Some(Webhook { url: url.into(), secret });
        self
    }
}

/// A receiver of webhooks.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where deliveries are posted.
    pub url: String,
    /// Signs their bodies.
    pub secret: SecretString,
}

/// GitHub's rate limits, each per user.
///
/// <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paces {
    /// Issues, comments and pull requests in any 60 s.
    pub content_per_minute: u32,
    /// The same in any hour.
    pub content_per_hour: u32,
    /// Points in any 60 s: 1 for a read, 5 for a write.
    pub points_per_minute: u32,
    /// Requests in an hour (the primary limit).
    pub requests_per_hour: u32,
    /// Requests in flight at once.
    pub concurrent: u32,
    /// Divides every window: with 1000 a minute lasts 60 ms.
    pub scale: f64,
}

impl Paces {
    /// What GitHub documents.
    pub const fn github() -> Self {
        Self {
            content_per_minute: 80,
            content_per_hour: 500,
            points_per_minute: 900,
            requests_per_hour: 5000,
            concurrent: 100,
            scale: 1.0,
        }
    }

    /// GitHub's numbers in windows `scale` times shorter.
    pub const fn scaled(scale: f64) -> Self {
        Self { scale, ..Self::github() }
    }

    /// No limit that a test could meet.
    pub const fn unlimited() -> Self {
        Self {
            content_per_minute: u32::MAX,
            content_per_hour: u32::MAX,
            points_per_minute: u32::MAX,
            requests_per_hour: u32::MAX,
            concurrent: u32::MAX,
            scale: 1.0,
        }
    }
}

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The machine's own.
    pub fn system() -> Self {
        Self(Arc::new(Utc::now))
    }

    /// A test's own.
    pub fn from_fn(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Now, by this clock.
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
