//! Where there can't be a check run: a commit status, and a comment for what does not fit into it.

use async_trait::async_trait;
use booty_events::v1::{CheckRun, CheckStatus};
use booty_github::{Endpoint, object::Status, pace::Write};
use serde_json::json;

use super::{Said, comment, title};
use crate::{
    once::{Creation, Made, once},
    outcome::Stop,
    work::Work,
    writer::NotSent,
};

/// GitHub's limit on a status's description, in characters.
const LONGEST_DESCRIPTION: usize = 140;

/// The step of the newest status; earlier ones are forgotten.
const STEP: &str = "status";

/// Says the state as a status under the run's name, and what came of it in a comment.
pub(super) async fn say(work: &mut Work<'_>, write: &CheckRun) -> Result<Said, Stop> {
    // One status for each version; only an unfinished one is looked for.
    const OF: &str = "status_version";
    let version = write.version.to_string();
    if work.record.step(OF) != Some(&version) {
        work.record.state.steps.remove(STEP);
        work.record.state.pending_step.clear();
        work.record.state.steps.insert(OF.to_owned(), version);
    }
    let (state, description) = state(write);
    let made = once(work, &NewStatus { write, state, description }).await?;
    if write.status() == CheckStatus::Completed && write.pull_request != 0 {
        comment::upsert(work, write).await?;
    }
    Ok(Said { step: STEP, id: made.id, url: made.url })
}

struct NewStatus<'a> {
    write: &'a CheckRun,
    state: &'static str,
    description: String,
}

#[async_trait]
impl Creation for NewStatus<'_> {
    fn step(&self) -> &str {
        STEP
    }

    /// A status notifies nobody.
    fn cost(&self) -> Write {
        Write::Other
    }

    fn is_removable(&self) -> bool {
        false
    }

    /// Only the newest of a context counts, so an older one that is the same is none.
    async fn look_up(&self, work: &Work<'_>) -> Result<Vec<Made>, booty_github::Error> {
        let all = work.github.list_statuses(&work.repo, &self.write.head_sha).await?;
        let newest = all
            .into_iter()
            .filter(|status| status.context == self.write.name)
            .max_by_key(|status| status.id);
        let ours = newest.filter(|status| {
            status.state == self.state
                && status.description.as_deref() == Some(&self.description)
                && work.is_ours(status.creator.as_ref())
        });
        Ok(ours.map(|status| self.made(status)).into_iter().collect())
    }

    async fn create(&self, work: &Work<'_>) -> Result<Made, booty_github::Error> {
        let mut body = json!({
            "state": self.state,
            "context": self.write.name,
            "description": self.description,
        });
        if !self.write.details_url.is_empty() {
            body["target_url"] = json!(self.write.details_url);
        }
        let at = Endpoint::repo(&work.repo).at("statuses").at(&self.write.head_sha);
        Ok(self.made(work.github.post::<Status>(at, &body).await?.body))
    }

    async fn remove(&self, _work: &Work<'_>, _surplus: &Made) -> Result<(), NotSent> {
        Ok(())
    }
}

impl NewStatus<'_> {
    fn made(&self, status: Status) -> Made {
        Made { id: status.id, url: self.write.details_url.clone() }
    }
}

/// State and description. Statuses have neither "neutral" nor "cancelled": everything that is neither
/// success nor failure is an `error`, which nobody can take for a success, and the description begins
/// with the word.
fn state(write: &CheckRun) -> (&'static str, String) {
    let title = title(write);
    let (state, text) = match (write.status(), write.conclusion.as_str()) {
        (CheckStatus::Completed, "success") => ("success", title.to_owned()),
        (CheckStatus::Completed, "failure") => ("failure", title.to_owned()),
        (CheckStatus::Completed, other) if title.starts_with(other) => ("error", title.to_owned()),
        (CheckStatus::Completed, other) => ("error", format!("{other}: {title}")),
        _ => ("pending", title.to_owned()),
    };
    if text.chars().count() <= LONGEST_DESCRIPTION {
        return (state, text);
    }
    let kept: String = text.chars().take(LONGEST_DESCRIPTION - 1).collect();
    (state, format!("{kept}…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: CheckStatus, conclusion: &str, title: &str) -> (&'static str, String) {
        let (conclusion, title) = (conclusion.to_owned(), title.to_owned());
        state(&CheckRun { status: status.into(), conclusion, title, ..CheckRun::default() })
    }

    #[test]
    fn only_a_success_reads_as_one() {
        for (conclusion, expected) in [("success", "success"), ("failure", "failure")] {
            let (state, text) = said(CheckStatus::Completed, conclusion, "3 of 3 tests");
            assert_eq!((state, text.as_str()), (expected, "3 of 3 tests"));
        }
        for conclusion in ["neutral", "cancelled", "timed_out", "action_required", "skipped"] {
            let (state, text) = said(CheckStatus::Completed, conclusion, "no tests");
            assert_eq!((state, text), ("error", format!("{conclusion}: no tests")));
        }
        assert_eq!(said(CheckStatus::Queued, "", ""), ("pending", "Queued".to_owned()));
    }

    #[test]
    fn a_description_is_never_too_long() {
        let (_, text) = said(CheckStatus::Completed, "neutral", &"é".repeat(300));
        assert_eq!(text.chars().count(), LONGEST_DESCRIPTION);
    }
}
