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
