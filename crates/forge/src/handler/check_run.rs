//! To come.

use booty_events::v1::CheckRun;

use super::Applied;
use crate::{outcome::Stop, work::Work};

pub(super) async fn apply(_work: &mut Work<'_>, _write: &CheckRun) -> Result<Applied, Stop> {
    Err(Stop::failed("invalid", "not yet"))
}
