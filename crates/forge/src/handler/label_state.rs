//! The full set of Booty's own labels on an issue; only a newer state replaces an older one.

use booty_events::v1::LabelState;

use super::Applied;
use crate::{labels, outcome::Stop, work::Work};

pub(super) async fn apply(work: &mut Work<'_>, write: &LabelState) -> Result<Applied, Stop> {
    if let Some(foreign) = write.labels.iter().find(|name| !labels::is_own(name)) {
        return Err(Stop::failed("invalid", format!("{foreign:?} is not a label of Booty's own")));
    }
    let mut applied = work.core.records.of_labels(&work.repo, write.issue).await?;
    let ours = applied.state.effect_id == work.id.as_str();
    if applied.exists() && !ours && write.version <= applied.state.version {
        return Ok(Applied::not_newer(write.version, applied.state.version));
    }
    labels::set(work, write.issue, &write.labels, |_| true).await?;
    applied.state.effect_id = work.id.to_string();
    applied.state.version = write.version;
    work.core.records.save(&mut applied).await?;
    Ok(Applied::Now)
}
