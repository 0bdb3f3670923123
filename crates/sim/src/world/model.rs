//! The things in the world.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::apps::Grant;
use super::checks::{CheckRun, CheckSuite};
use super::statuses::Status;
use crate::git::{FileDiff, GitError, Store};

/// What a user may do in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Nothing: a private repository is not even there.
    None,
    /// Look, and open issues.
    Read,
    /// Also set labels and close issues.
    Triage,
    /// Also write contents and merge.
    Write,
    /// Also settings and hooks.
    Admin,
}

impl Permission {
    /// The older names, which know no triage.
    pub(crate) fn legacy(self) -> &'static str {
        match self {
            Self::Triage => Self::Read.role(),
            other => other.role(),
        }
    }

    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// What a fine-grained token was given for contents, issues and pull requests; it never allows
/// more than its user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) created_at: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub(crate) enum Token {
    Person {
        login: String,
        scope: Scope,
    },
    /// Of an App's installation.
    App(Grant),
}

#[derive(Debug)]
pub(crate) struct Repo {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) private: bool,
    /// Id of the repository that it is a fork of.
    pub(crate) parent: Option<u64>,
    pub(crate) default_branch: String,
    /// Branches that take no direct update.
    pub(crate) protected: BTreeSet<String>,
    /// Whether it takes no writes any more.
    pub(crate) archived: bool,
    /// Whether it has issues; pull requests it has always.
    pub(crate) has_issues: bool,
    /// Issues that are here no more, and the repository and number where they are now, if anywhere.
    pub(crate) gone: BTreeMap<u64, Option<(String, u64)>>,
    /// Whether draft pull requests exist here (they don't on some plans).
    pub(crate) drafts: bool,
    /// By login in lower case.
    pub(crate) permissions: BTreeMap<String, Permission>,
    pub(crate) labels: Vec<Label>,
    /// Issues and pull requests share their numbers.
    pub(crate) issues: BTreeMap<u64, Issue>,
    pub(crate) comments: BTreeMap<u64, Comment>,
    pub(crate) reviews: BTreeMap<u64, Review>,
    pub(crate) review_comments: BTreeMap<u64, ReviewComment>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) suites: BTreeMap<u64, CheckSuite>,
    pub(crate) checks: BTreeMap<u64, CheckRun>,
    /// Oldest first.
    pub(crate) statuses: Vec<Status>,
    pub(crate) next_number: u64,
    pub(crate) git: Store,
    /// When a reference shows up in lists, where that is later than at once.
    pub(crate) ref_visible: HashMap<String, DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) pushed_at: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) color: String,
    pub(crate) description: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Issue {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) author: String,
    pub(crate) open: bool,
    pub(crate) state_reason: Option<String>,
    pub(crate) locked: bool,
    /// Ids of labels of the repository.
    pub(crate) labels: Vec<u64>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
    pub(crate) closed_by: Option<String>,
    pub(crate) history: Vec<Happening>,
    pub(crate) visible_from: DateTime<Utc>,
    pub(crate) pull: Option<Pull>,
}

#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) id: u64,
    pub(crate) head: String,
    /// Login of the account that the head's repository belongs to, or belonged to.
    pub(crate) head_owner: String,
    /// Id of the head's repository; `None` once that is gone.
    pub(crate) head_repo: Option<u64>,
    pub(crate) head_sha: gix::ObjectId,
    pub(crate) base: String,
    pub(crate) base_sha: gix::ObjectId,
    pub(crate) draft: bool,
    pub(crate) maintainer_can_modify: bool,
    pub(crate) merged_at: Option<DateTime<Utc>>,
    pub(crate) merged_by: Option<String>,
    pub(crate) merge_commit: Option<gix::ObjectId>,
    /// Base and head that were last merged on trial, and what that made; `None` for a conflict.
    pub(crate) tried: Option<(gix::ObjectId, gix::ObjectId, Option<gix::ObjectId>)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) issue: u64,
    pub(crate) author: String,
    pub(crate) body: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) visible_from: DateTime<Utc>,
}

/// A review that was submitted.
#[derive(Clone, Debug)]
pub(crate) struct Review {
    pub(crate) id: u64,
    pub(crate) pull: u64,
    pub(crate) author: String,
    /// Empty for none.
    pub(crate) body: String,
    pub(crate) state: ReviewState,
    pub(crate) commit: gix::ObjectId,
    pub(crate) submitted_at: DateTime<Utc>,
}

/// What a review says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// It may be merged.
    Approved,
    /// It must not, as it is.
    ChangesRequested,
    /// Only words.
    Commented,
    /// It was taken back.
    Dismissed,
}

impl ReviewState {
    /// As webhooks name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::ChangesRequested => "changes_requested",
            Self::Commented => "commented",
            Self::Dismissed => "dismissed",
        }
    }
}

/// A comment of a review on a line.
#[derive(Clone, Debug)]
pub(crate) struct ReviewComment {
    pub(crate) id: u64,
    pub(crate) review: u64,
    pub(crate) pull: u64,
    pub(crate) author: String,
    pub(crate) path: String,
    pub(crate) line: u64,
    pub(crate) body: String,
    pub(crate) commit: gix::ObjectId,
    pub(crate) diff_hunk: String,
    /// Of the line in the diff, from its first hunk's header.
    pub(crate) position: u64,
    pub(crate) at: DateTime<Utc>,
}

/// An entry of an issue's timeline that isn't a comment.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    pub(crate) id: u64,
    /// `labeled`, `unlabeled`, `closed`, …
    pub(crate) event: &'static str,
    pub(crate) actor: String,
    pub(crate) at: DateTime<Utc>,
    /// Name and color.
    pub(crate) label: Option<(String, String)>,
    /// From, to.
    pub(crate) rename: Option<(String, String)>,
    pub(crate) commit: Option<gix::ObjectId>,
}

#[derive(Clone, Debug)]
pub(crate) struct Hook {
    pub(crate) id: u64,
    pub(crate) url: String,
    pub(crate) secret: SecretString,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl Pull {
    /// The commit at which the head left its base.
    pub(crate) fn left_base(&self, git: &Store) -> gix::ObjectId {
        git.merge_base(self.base_sha, self.head_sha).unwrap_or(self.base_sha)
    }

    /// What it changes.
    pub(crate) fn files(&self, git: &Store) -> Result<Arc<Vec<FileDiff>>, GitError> {
        git.file_diffs(self.left_base(git), self.head_sha)
    }
}

impl Repo {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// What a user may do here; strangers may look at what is public.
    pub(crate) fn permission(&self, login: &str) -> Permission {
        let stranger = if self.private { Permission::None } else { Permission::Read };
        self.permissions.get(&login.to_lowercase()).copied().unwrap_or(stranger)
    }

    pub(crate) fn association(&self, login: &str) -> &'static str {
        if login.eq_ignore_ascii_case(&self.owner) {
            "OWNER"
        } else if self.permissions.get(&login.to_lowercase()).is_some_and(|p| *p > Permission::Read)
        {
            "COLLABORATOR"
        } else {
            "NONE"
        }
    }

    pub(crate) fn label(&self, name: &str) -> Option<&Label> {
        self.labels.iter().find(|label| label.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn label_by_id(&self, id: u64) -> Option<&Label> {
        self.labels.iter().find(|label| label.id == id)
    }

    /// The labels of an issue, in the order of their names as GitHub shows them.
    pub(crate) fn labels_of(&self, issue: &Issue) -> Vec<&Label> {
        issue.labels.iter().filter_map(|id| self.label_by_id(*id)).collect()
    }

    pub(crate) fn comments_of(&self, number: u64) -> impl Iterator<Item = &Comment> {
        self.comments.values().filter(move |comment| comment.issue == number)
    }

    pub(crate) fn open_issues(&self) -> usize {
        self.issues.values().filter(|issue| issue.open).count()
    }
}
