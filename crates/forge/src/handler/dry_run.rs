//! What would be written, in words.

use std::collections::BTreeMap;

use booty_events::v1::{
    Annotation, CheckRun, CheckStatus, Effect, FileChange, FileMode, IssueOutcome, effect::Write,
};

/// One sentence.
pub(super) fn summary(effect: &Effect) -> String {
    let repo = &effect.repository;
    match &effect.write {
        Some(Write::OpenPullRequest(write)) => format!(
            "would open {} pull request {:?} in {repo} from {} to {}, with {} changed files",
            if write.draft { "the draft" } else { "the" },
            write.title,
            write.branch,
            write.base_branch,
            write.changes.len()
        ),
        Some(Write::IssueOutcome(write)) => {
            format!("would set {} on {repo}#{} and comment", write.label, write.issue)
        }
        Some(Write::Comment(write)) => format!("would comment on {repo}#{}", write.issue),
        Some(Write::LabelState(write)) => format!(
            "would make [{}] Booty's labels on {repo}#{}",
            write.labels.join(", "),
            write.issue
        ),
        Some(Write::CreateIssue(write)) => format!("would open issue {:?} in {repo}", write.title),
        Some(Write::CheckRun(write)) => format!(
            "would make check run {:?} on {repo} at {} {}, with {} annotations",
            write.name,
            write.head_sha,
            state(write),
            write.annotations.len()
        ),
        Some(Write::MarkReady(write)) => {
            format!("would end the draft of {repo}#{}", write.pull_request)
        }
        Some(Write::UpdatePullRequest(write)) => format!(
            "would put a commit with {} changed files on {} of {repo}#{}",
            write.changes.len(),
            write.branch,
            write.pull_request
        ),
        Some(Write::IssueCounter(write)) => {
            let reopen = if write.reopen { ", and open it again when it is closed" } else { "" };
            format!("would say the count of {} on {repo}#{}{reopen}", write.name, write.issue)
        }
        None => "would write nothing".to_owned(),
    }
}

/// Every part of it; of a file its path, mode and size.
pub(super) fn attributes(effect: &Effect) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut put = |name: &str, value: String| _ = all.insert(name.to_owned(), value);
    match &effect.write {
        Some(Write::OpenPullRequest(write)) => {
            put("branch", write.branch.clone());
            put("base", format!("{} at {}", write.base_branch, write.base_sha));
            put("commit_message", write.commit_message.clone());
            put("changes", lines(write.changes.iter().map(change)));
            put("title", write.title.clone());
            put("body", write.body.clone());
            put("draft", write.draft.to_string());
            put("labels", write.labels.join(", "));
            if let Some(IssueOutcome { issue, label, comment, .. }) = &write.outcome {
                put("outcome_issue", issue.to_string());
                put("outcome_label", label.clone());
                put("outcome_comment", comment.clone());
            }
        }
        Some(Write::IssueOutcome(write)) => {
            put("label", write.label.clone());
            put("more_labels", write.more_labels.join(", "));
            put("comment", write.comment.clone());
        }
        Some(Write::Comment(write)) => put("comment", write.body.clone()),
        Some(Write::LabelState(write)) => {
            put("labels", write.labels.join(", "));
            put("version", write.version.to_string());
        }
        Some(Write::CreateIssue(write)) => {
            put("title", write.title.clone());
            put("body", write.body.clone());
            put("labels", write.labels.join(", "));
        }
        Some(Write::CheckRun(write)) => {
            put("name", write.name.clone());
            put("head", write.head_sha.clone());
            put("state", state(write).to_owned());
            put("title", write.title.clone());
            put("summary", write.summary.clone());
            put("text", write.text.clone());
            put("annotations", lines(write.annotations.iter().map(annotation)));
            put("version", write.version.to_string());
        }
        Some(Write::MarkReady(write)) => put("head", write.head_sha.clone()),
        Some(Write::UpdatePullRequest(write)) => {
            put("branch", write.branch.clone());
            put("head", write.head_sha.clone());
            put("commit_message", write.commit_message.clone());
            put("changes", lines(write.changes.iter().map(change)));
            put("comment", write.comment.clone());
        }
        Some(Write::IssueCounter(write)) => {
            put("body", write.body.clone());
            put("version", write.version.to_string());
        }
        None => {}
    }
    all
}

/// The status, or the conclusion of what is completed.
fn state(write: &CheckRun) -> &str {
    match write.status() {
        CheckStatus::Queued => "queued",
        CheckStatus::InProgress => "in_progress",
        CheckStatus::Completed => &write.conclusion,
        CheckStatus::Unspecified => "?",
    }
}

fn annotation(annotation: &Annotation) -> String {
    let Annotation { path, start_line, level, message, .. } = annotation;
    format!("{path}:{start_line}: {level}: {message}")
}

fn change(change: &FileChange) -> String {
    let path = String::from_utf8_lossy(&change.path);
    let what = match change.mode() {
        FileMode::Regular => "100644",
        FileMode::Executable => "100755",
        FileMode::Symlink => "120000",
        FileMode::Deleted => return format!("delete {path:?}"),
        FileMode::Unspecified => "?",
    };
    format!("write {path:?} ({what}, {} bytes)", change.content.len())
}

fn lines(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join("\n")
}
