//! What must be true at the end.

use anyhow::ensure;
use booty_events::v1::{Job, JobState};
use booty_sim::Snapshot;

use super::repository;

/// # Errors
/// Names the first thing that is not as it must be.
pub(super) fn check(github: &Snapshot, job: &Job, chaos: bool) -> anyhow::Result<()> {
    let repo = github.repos.iter().find(|repo| repo.name == repository::NAME);
    let Some(repo) = repo else { anyhow::bail!("the repository is gone") };

    ensure!(repo.pulls.len() == 1, "{} pull requests instead of one", repo.pulls.len());
    let pull = &repo.pulls[0];
    ensure!(pull.draft && pull.open, "the pull request is no open draft");
    ensure!(pull.head == "agent/issue-1", "it comes from {}", pull.head);
    ensure!(pull.base == repo.default_branch, "it goes to {}", pull.base);
    ensure!(pull.body.contains("#1"), "it does not name its issue");

    ensure!(repo.issues.len() == 1, "{} issues instead of one", repo.issues.len());
    let issue = &repo.issues[0];
    ensure!(issue.comments.len() == 1, "{} comments instead of one", issue.comments.len());
    let named = format!("#{}", pull.number);
    ensure!(issue.comments[0].body.contains(&named), "the comment does not name the pull request");
    let outcomes: Vec<_> = issue.labels.iter().filter(|label| label.starts_with("booty:")).collect();
    ensure!(outcomes == ["booty:opened"], "outcome labels {outcomes:?} instead of booty:opened");

    ensure!(job.state() == JobState::Completed, "the job is {:?}: {}", job.state(), job.reason);
    ensure!(job.pull_request == pull.number, "the job names pull request #{}", job.pull_request);

    // Each write once, also when its first answer never arrived.
    let made = |route: &str| github.writes.get(route).copied().unwrap_or_default();
    ensure!(made("POST /repos/{owner}/{repo}/pulls") == 1, "the pull request was made twice");
    ensure!(
        made("POST /repos/{owner}/{repo}/issues/{issue_number}/comments") == 1,
        "the comment was made twice"
    );
    if !chaos {
        let lost = github.deliveries.iter().find(|delivery| !(200..300).contains(&delivery.status));
        ensure!(lost.is_none(), "a delivery was not accepted: {lost:?}");
    }
    Ok(())
}
