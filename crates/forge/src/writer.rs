//! The one active writer: a lease that a replica has to hold, and the right to send that goes with
//! it.

use std::time::Duration;

use booty_bus::{Acquire, Bus, Lease};
use booty_github::Error as GithubError;
use booty_github::pace::Write;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{paces::Paces, record::RecordError};

/// While the role is somebody else's, how often it is asked for again at most and at least.
const ASK_AGAIN_MIN: Duration = Duration::from_millis(100);
const ASK_AGAIN_MAX: Duration = Duration::from_secs(5);

/// What a login that had to be encoded starts with.
const ENCODED: &str = "x--";

/// The writer's role, for as long as its lease is renewed.
#[derive(Clone)]
pub(crate) struct Role {
    /// Cancelled when the role is lost.
    pub(crate) lost: CancellationToken,
    deadline: watch::Receiver<Instant>,
}

/// Why a request was not sent.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// The pace has no place for so long.
    Pace(Duration),
    /// The lease or the role may end before the request does.
    Stopped,
    Github(GithubError),
    /// What has to be known before could not be written down.
    Unknown(RecordError),
}

impl From<RecordError> for NotSent {
    fn from(error: RecordError) -> Self {
        Self::Unknown(error)
    }
}

impl From<GithubError> for NotSent {
    fn from(error: GithubError) -> Self {
        Self::Github(error)
    }
}

/// The right to send under a delivery's lease and the writer's role.
pub(crate) struct Gate<'a> {
    pub(crate) paces: &'a Paces,
    /// Whose limits are used.
    pub(crate) pace_account: String,
    pub(crate) patience: Duration,
    pub(crate) http_timeout: Duration,
    pub(crate) resend_delays: &'a [Duration],
    pub(crate) stop: &'a CancellationToken,
    pub(crate) role: &'a Role,
}

impl Gate<'_> {
    /// Waits for the pace. What it costs is taken also when nothing is sent afterwards.
    pub(crate) async fn admit(&self, write: Write) -> Result<(), NotSent> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(NotSent::Stopped),
            () = self.role.lost.cancelled() => Err(NotSent::Stopped),
            admitted = self.paces.admit(write, &self.pace_account, self.patience) => admitted,
        }
    }

    /// The last look before sending: no request may be under way once another writer can start.
    pub(crate) fn check(&self) -> Result<(), NotSent> {
        let ends = Instant::now() + self.http_timeout;
        if self.stop.is_cancelled()
            || self.role.lost.is_cancelled()
            || ends >= *self.role.deadline.borrow()
        {
            return Err(NotSent::Stopped);
        }
        Ok(())
    }
}

/// The role of the one writer under an account. Logins ignore case; what is not of GitHub's alphabet
/// is written as the hexadecimal of its bytes, because a dot or star would be another key.
pub(crate) fn key(login: &str) -> String {
    let login = login.to_ascii_lowercase();
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !login.is_empty() && login.bytes().all(is_plain) && !login.starts_with(ENCODED) {
        format!("writer.{login}")
    } else {
        format!("writer.{ENCODED}{}", hex::encode(login))
    }
}

/// Waits until the role is ours; `None` at shutdown.
pub(crate) async fn acquire(
    bus: &Bus,
    key: &str,
    holder: &str,
    ttl: Duration,
    shutdown: &CancellationToken,
) -> Option<Lease> {
    let leases = bus.leases();
    loop {
        let acquired = tokio::select! {
            () = shutdown.cancelled() => return None,
            acquired = leases.acquire(key, holder, ttl) => acquired,
        };
        let pause = match acquired {
            Ok(Acquire::Taken(lease)) => return Some(lease),
            Ok(Acquire::Held { by, .. }) => {
                tracing::debug!(holder = by, "standing by: another forge is the writer");
                ttl / 10
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no writer's lease");
                ttl / 10
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return None,
            () = tokio::time::sleep(pause.clamp(ASK_AGAIN_MIN, ASK_AGAIN_MAX)) => {}
        }
    }
}

/// Keeps the role until `end`, and gives it back then.
pub(crate) fn keep(
    mut lease: Lease,
    ttl: Duration,
    end: CancellationToken,
) -> (Role, tokio::task::JoinHandle<()>) {
    let (deadline, role_deadline) = watch::channel(lease.deadline());
    let lost = CancellationToken::new();
    let role = Role { lost: lost.clone(), deadline: role_deadline };
    let keeper = tokio::spawn(async move {
        loop {
            tokio::select! {
                () = end.cancelled() => break,
                () = tokio::time::sleep(ttl / 3) => {}
            }
            if let Err(error) = lease.renew(ttl).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "writer's lease lost");
                lost.cancel();
                return;
            }
            deadline.send_replace(lease.deadline());
        }
        lost.cancel();
        if let Err(error) = lease.release().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "writer's lease not released");
        }
    });
    (role, keeper)
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn each_account_has_a_key_of_its_own() {
        assert_eq!(key("Booty-Bot"), "writer.booty-bot");
        assert_eq!(key("booty-bot"), key("BOOTY-BOT"));
        assert_eq!(key("a[bot]"), "writer.x--615b626f745d");
        assert_ne!(key("x--615b626f745d"), key("a[bot]"));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        assert!(key("*.>é").bytes().all(plain) && key("*.>é").matches('.').count() == 1);
    }
}
