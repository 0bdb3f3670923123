//! How a job ended, said on its issue: one label, one comment.

use booty_events::v1::IssueOutcome;

use super::comment::post;
use crate::{labels, outcome::Stop, work::Work};

pub(super) async fn apply(work: &mut Work<'_>, write: &IssueOutcome) -> Result<(), Stop> {
    say(work, write, &write.comment).await
}

/// The same with a text of its own. Only a pull request's outcome has placeholders: any other text
/// may quote what people wrote, and stays as it is.
pub(super) async fn say(work: &mut Work<'_>, write: &IssueOutcome, text: &str) -> Result<(), Stop> {
    if !labels::is_outcome(&write.label) {
        let why = format!("{:?} is not one of Booty's outcome labels", write.label);
        return Err(Stop::failed("invalid", why));
    }
    if let Some(own) = write.more_labels.iter().find(|label| labels::is_own(label)) {
        let why = format!("{own:?} is one of Booty's own labels, and no further one");
        return Err(Stop::failed("invalid", why));
    }
    let mut wanted = vec![write.label.clone()];
    wanted.extend(write.more_labels.iter().cloned());
    labels::set(work, write.issue, &wanted, labels::is_outcome).await?;
    post(work, write.issue, text).await.map(drop)
}
