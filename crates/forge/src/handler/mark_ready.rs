//! To come.

use booty_events::v1::MarkReady;

use super::Applied;
use crate::{outcome::Stop, work::Work};

pub(super) async fn apply(_work: &mut Work<'_>, _write: &MarkReady) -> Result<Applied, Stop> {
    Err(Stop::failed("invalid", "not yet"))
}
