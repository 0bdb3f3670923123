//! Where an issue comes from, in the bucket `booty_origins`.
//!
//! Who builds an issue looks there, and goes by nothing that the issue itself says. So it is written
//! before the issue gets its first label: a label is what starts a build.

use booty_bus::BucketError;
use booty_events::{Message, RepoName, bucket, v1::AlertOrigin};
use bytes::Bytes;

use crate::{core::Core, record::RecordError};

/// Writes down that an issue was made from an alert. Doing it again changes nothing.
///
/// An entry of another effect's is replaced: it is about an issue of this number in an earlier
/// repository of this name.
pub(crate) async fn write(
    core: &Core,
    repo: &RepoName,
    issue: u64,
    origin: &AlertOrigin,
) -> Result<(), RecordError> {
    let key = bucket::origin_key(repo, issue);
    let bucket = core.bus.bucket(&bucket::ORIGINS);
    let value: Bytes = origin.encode_to_vec().into();
    let failed = |source| RecordError::Bus { key: key.clone(), source };
    match bucket.create(&key, value.clone()).await {
        Ok(_) => return Ok(()),
        Err(BucketError::Conflict) => {}
        Err(error) => return Err(failed(error)),
    }
    let found = bucket.get(&key).await.map_err(failed)?;
    match found {
        Some(entry) if is_same(&entry.value, origin) => Ok(()),
        Some(entry) => {
            tracing::warn!(
                key,
                effect_id = origin.effect_id,
                "an older issue's origin is replaced"
            );
            bucket.update(&key, value, entry.revision).await.map(drop).map_err(failed)
        }
        // Deleted in between.
        None => bucket.create(&key, value).await.map(drop).map_err(failed),
    }
}

/// Whether an entry says just this.
fn is_same(stored: &Bytes, origin: &AlertOrigin) -> bool {
    AlertOrigin::decode(stored.clone()).is_ok_and(|stored| stored == *origin)
}
