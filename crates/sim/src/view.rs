//! The state as plain structs, for tests and for people.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Everything, as it is now.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// In the order of their names.
    pub repos: Vec<RepoView>,
    /// Webhooks that were sent or failed, oldest first.
    pub deliveries: Vec<DeliveryView>,
    /// API and git requests, oldest first (the newest 50,000).
    pub requests: Vec<RequestView>,
    /// Writes that took effect, by route (`POST /repos/{owner}/{repo}/pulls`).
    pub writes: BTreeMap<String, u64>,
    /// How often a fault has struck.
    pub faults_struck: u64,
}

/// A repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RepoView {
    /// `owner/name`.
    pub name: String,
    /// Its default branch.
    pub default_branch: String,
    /// Names of all labels.
    pub labels: Vec<String>,
    /// Issues that aren't pull requests, by number.
    pub issues: Vec<IssueView>,
    /// Pull requests, by number.
    pub pulls: Vec<PullView>,
    /// References by full name, with their shas.
    pub refs: BTreeMap<String, String>,
    /// Check runs, oldest first.
    pub checks: Vec<CheckRunView>,
    /// Commit statuses, oldest first.
    pub statuses: Vec<StatusView>,
}

/// A check run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckRunView {
    /// Its id.
    pub id: u64,
    /// Slug of the App that made it.
    pub app: String,
    /// Its name.
    pub name: String,
    /// The commit that it is about.
    pub head_sha: String,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// Once it is completed.
    pub conclusion: Option<String>,
    /// The App's own id for it; empty when it gave none.
    pub external_id: String,
    /// The App's page about it.
    pub details_url: Option<String>,
    /// Title of its output.
    pub title: Option<String>,
    /// Summary of its output.
    pub summary: Option<String>,
    /// Details of its output.
    pub text: Option<String>,
    /// Everything that was ever added, oldest first.
    pub annotations: Vec<AnnotationView>,
    /// How often it was updated.
    pub updates: u64,
    /// How many runs of this name its App has made at this commit, this one included.
    pub created: u64,
}

/// An annotation of a check run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnotationView {
    /// Path of the file.
    pub path: String,
    /// First line, from 1.
    pub start_line: u64,
    /// Last line.
    pub end_line: u64,
    /// `notice`, `warning` or `failure`.
    pub level: String,
    /// Its title.
    pub title: Option<String>,
    /// What it says.
    pub message: String,
    /// More of it.
    pub raw_details: Option<String>,
}

/// A commit status.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusView {
    /// The commit that it is about.
    pub sha: String,
    /// `error`, `failure`, `pending` or `success`.
    pub state: String,
    /// What it is about; the newest of a context counts.
    pub context: String,
    /// A few words.
    pub description: Option<String>,
    /// Where more is told.
    pub target_url: Option<String>,
    /// Who set it.
    pub creator: String,
}

/// An App that was made.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewApp {
    /// Its id, the `iss` of what it signs.
    pub id: u64,
    /// Another name for it in `iss`.
    pub client_id: String,
    /// Its RSA key in PEM.
    pub private_key: String,
}

impl std::fmt::Debug for NewApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApp").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An issue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssueView {
    /// Its number.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Who opened it.
    pub author: String,
    /// Whether it is open.
    pub open: bool,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Its comments, oldest first.
    pub comments: Vec<CommentView>,
}

/// A comment on an issue or a pull request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommentView {
    /// Its id.
    pub id: u64,
    /// Who wrote it.
    pub author: String,
    /// Its text.
    pub body: String,
}

/// A pull request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PullView {
    /// Its number.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Who opened it.
    pub author: String,
    /// Whether it is open.
    pub open: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether it was merged.
    pub merged: bool,
    /// Head branch.
    pub head: String,
    /// `owner/name` of the head's repository; `None` once a fork is deleted.
    pub head_repo: Option<String>,
    /// Commit of the head.
    pub head_sha: String,
    /// Base branch.
    pub base: String,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Its comments, oldest first.
    pub comments: Vec<CommentView>,
}

/// A webhook that was sent, or failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryView {
    /// Its id.
    pub id: u64,
    /// `X-GitHub-Delivery`; the same when sent again.
    pub guid: String,
    /// `owner/name` in lower case.
    pub repo: String,
    /// `issues`, `pull_request`, …
    pub event: String,
    /// `opened`, `labeled`, …
    pub action: Option<String>,
    /// Whether it was sent again.
    pub redelivery: bool,
    /// When.
    pub at: DateTime<Utc>,
    /// What the receiver answered; 502 and 504 when it did not.
    pub status: u16,
    /// `OK`, or what went wrong.
    pub status_text: String,
}

/// A request that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestView {
    /// When.
    pub at: DateTime<Utc>,
    /// Method.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// Whose token it carried; empty when unknown.
    pub user: String,
    /// What was answered; 0 when the connection was closed instead.
    pub status: u16,
}

impl Snapshot {
    /// A repository by its name.
    pub fn repo(&self, name: &str) -> Option<&RepoView> {
        self.repos.iter().find(|repo| repo.name.eq_ignore_ascii_case(name))
    }

    /// Writes that took effect on routes that end so, like `POST /repos/{owner}/{repo}/pulls`.
    pub fn writes(&self, route: &str) -> u64 {
        self.writes.get(route).copied().unwrap_or(0)
    }
}

impl RepoView {
    /// An issue by its number.
    pub fn issue(&self, number: u64) -> Option<&IssueView> {
        self.issues.iter().find(|issue| issue.number == number)
    }

    /// The check runs of this name at a commit, oldest first.
    pub fn check_runs(&self, name: &str, head_sha: &str) -> Vec<&CheckRunView> {
        self.checks.iter().filter(|run| run.name == name && run.head_sha == head_sha).collect()
    }

    /// A pull request by its number.
    pub fn pull(&self, number: u64) -> Option<&PullView> {
        self.pulls.iter().find(|pull| pull.number == number)
    }
}

/// Wakes those who wait for a change.
#[derive(Clone, Debug)]
pub(crate) struct Changed(watch::Sender<u64>);

impl Changed {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(crate) fn tell(&self) {
        self.0.send_modify(|version| *version += 1);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
