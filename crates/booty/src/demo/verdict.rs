//! What must be true at the end.

use anyhow::ensure;
use booty_bus::Bus;
use booty_events::{
    stream,
    v1::{Event, Job, JobState},
};
use booty_sim::Snapshot;

use super::repository;

/// A first attempt that the repository's own tests refused, and a second one that they took.
///
/// # Errors
/// Names the first thing that is not as it must be.
pub(super) fn refined(said: &[Event]) -> anyhow::Result<()> {
    let builder = |name| said.iter().filter(move |e| e.service == "builder" && e.name == name);
    let rounds = builder("round_started").count();
    ensure!(rounds == 2, "{rounds} rounds instead of two");
    let tests: Vec<_> = builder("command_ran")
        .filter(|event| event.attributes.get("command").is_some_and(|name| name == "test"))
        .map(|event| event.attributes.get("passed").map_or("", String::as_str))
        .collect();
    ensure!(
        tests == ["false", "true"],
        "the tests passed as {tests:?} instead of failing first and passing then"
    );
    Ok(())
}

/// No build was told a word of what the alert says.
///
/// # Errors
/// Names where a word of it is.
pub(super) async fn nothing_was_told(bus: &Bus) -> anyhow::Result<()> {
    for name in [stream::JOURNAL.name, stream::EVENTS.name] {
        let stream = bus.jetstream().get_stream(name).await?;
        let last = stream.cached_info().state.last_sequence;
        for sequence in 1..=last {
            let message = stream.get_raw_message(sequence).await?;
            let text = String::from_utf8_lossy(&message.payload);
            ensure!(
                !text.contains(repository::CANARY),
                "{name} {sequence} ({}) holds what the alert says",
                message.subject
            );
        }
    }
    Ok(())
}

/// One issue, one pull request, one comment, one outcome label.
///
/// # Errors
/// Names the first thing that is not as it must be.
pub(super) fn once(github: &Snapshot, job: &Job, chaos: bool) -> anyhow::Result<()> {
    let repo = github.repos.iter().find(|repo| repo.name == repository::NAME);
    let Some(repo) = repo else { anyhow::bail!("the repository is gone") };

    ensure!(repo.pulls.len() == 1, "{} pull requests instead of one", repo.pulls.len());
    let pull = &repo.pulls[0];
    ensure!(pull.open && !pull.draft, "the pull request is not open and ready for review");
    let checks: Vec<_> = repo.checks.iter().filter(|run| run.head_sha == pull.head_sha).collect();
    ensure!(checks.len() == 1, "{} check runs instead of one", checks.len());
    let conclusion = checks[0].conclusion.as_deref().unwrap_or("none yet");
    ensure!(conclusion == "success", "the check run's conclusion is {conclusion}");
    ensure!(pull.head == "agent/issue-1", "it comes from {}", pull.head);
    ensure!(pull.base == repo.default_branch, "it goes to {}", pull.base);
    ensure!(pull.body.contains("#1"), "it does not name its issue");

    ensure!(repo.issues.len() == 1, "{} issues instead of one", repo.issues.len());
    let issue = &repo.issues[0];
    let title = &issue.title;
    ensure!(title == repository::ISSUE_TITLE, "the issue's title is {title:?}");
    ensure!(!issue.body.contains(repository::MENTION), "the issue mentions whom the alert names");
    ensure!(issue.comments.len() == 1, "{} comments instead of one", issue.comments.len());
    let named = format!("#{}", pull.number);
    ensure!(issue.comments[0].body.contains(&named), "the comment does not name the pull request");
    let outcomes: Vec<_> =
        issue.labels.iter().filter(|label| label.starts_with("booty:")).collect();
    ensure!(outcomes == ["booty:opened"], "outcome labels {outcomes:?} instead of booty:opened");

    ensure!(job.state() == JobState::Completed, "the job is {:?}: {}", job.state(), job.reason);
    ensure!(job.pull_request == pull.number, "the job names pull request #{}", job.pull_request);

    // Each write once, also when its first answer never arrived.
    let made = |route: &str| github.writes.get(route).copied().unwrap_or_default();
    ensure!(made("POST /repos/{owner}/{repo}/pulls") == 1, "the pull request was made twice");
    ensure!(made("POST /repos/{owner}/{repo}/issues") == 1, "the issue was made twice");
    ensure!(
        made("POST /repos/{owner}/{repo}/issues/{number}/comments") == 1,
        "the comment was made twice"
    );
    if !chaos {
        let lost = github.deliveries.iter().find(|delivery| !(200..300).contains(&delivery.status));
        ensure!(lost.is_none(), "a delivery was not accepted: {lost:?}");
    }
    Ok(())
}
