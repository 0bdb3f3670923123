//! How a job ended, said on its issue: one label, one comment.

use booty_events::v1::IssueOutcome;

use super::comment::post;
use crate::{labels, outcome::Stop, work::Work};

pub(super) async fn apply(work: &mut Work<'_>, write: &IssueOutcome) -> Result<(), Stop> {
    if !labels::is_outcome(&write.label) {
        let why = format!("{:?} is not one of Booty's outcome labels", write.label);
        return Err(Stop::failed("invalid", why));
    }
    let wanted = std::slice::from_ref(&write.label);
    labels::set(work, write.issue, wanted, labels::is_outcome).await?;
    let state = &work.record.state;
    let text =
        write.comment.replace("{number}", &state.number.to_string()).replace("{url}", &state.url);
    post(work, write.issue, &text).await.map(drop)
}
