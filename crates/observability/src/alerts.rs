//! The states in the bucket `booty_alerts`.

use booty_bus::{Bucket, BucketError, Bus};
use booty_events::{Fingerprint, Message as _, bucket, v1::AlertState};
use booty_service::Pause;
use futures_util::TryStreamExt as _;

/// A state, and where it was read.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The state.
    pub state: AlertState,
    /// Its revision.
    pub revision: u64,
}

/// Reads states, and changes them by compare-and-set.
#[derive(Clone)]
pub struct Alerts {
    bucket: Bucket,
}

impl Alerts {
    /// The states on a bus.
    pub fn new(bus: &Bus) -> Self {
        Self { bucket: bus.bucket(&bucket::ALERTS) }
    }

    /// What is known of a fingerprint.
    ///
    /// # Errors
    /// When the broker is away, or the value is not a state.
    pub async fn get(&self, fingerprint: &Fingerprint) -> Result<Option<Kept>, Pause> {
        let key = bucket::alert_key(fingerprint);
        let Some(entry) = self.bucket.get(&key).await? else { return Ok(None) };
        Ok(Some(Kept { state: decoded(&key, &entry.value)?, revision: entry.revision }))
    }

    /// Every fingerprint's state, the longest unchanged first. What can't be read is logged and left out.
    ///
    /// # Errors
    /// When the broker is away.
    pub async fn all(&self) -> Result<Vec<Kept>, Pause> {
        let mut all = Vec::new();
        let mut entries = std::pin::pin!(self.bucket.entries(&[">".to_owned()]));
        while let Some((key, entry)) = entries.try_next().await? {
            match decoded(&key, &entry.value) {
                Ok(state) => all.push(Kept { state, revision: entry.revision }),
                Err(pause) => tracing::error!(why = pause.why(), "left out"),
            }
        }
        Ok(all)
    }

    /// Writes a state where nothing was written since `revision` (`None`: at all). False: somebody was
    /// faster, and the state is to be read again.
    ///
    /// # Errors
    /// When the broker is away.
    pub async fn put(
        &self,
        fingerprint: &Fingerprint,
        state: &AlertState,
        revision: Option<u64>,
    ) -> Result<bool, Pause> {
        let (key, value) = (bucket::alert_key(fingerprint), state.encode_to_vec().into());
        let written = match revision {
            Some(revision) => self.bucket.update(&key, value, revision).await,
            None => self.bucket.create(&key, value).await,
        };
        match written {
            Ok(_) => Ok(true),
            Err(BucketError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn decoded(key: &str, value: &[u8]) -> Result<AlertState, Pause> {
    AlertState::decode(value)
        .map_err(|error| Pause::Failed { why: format!("the state of alert {key}: {error}") })
}
