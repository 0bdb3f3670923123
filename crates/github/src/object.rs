//! What GitHub's REST API answers, as far as Booty reads it.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct User {
    #[serde(default)]
    pub id: u64,
    pub login: String,
    /// `User`, `Bot`, `Organization`.
    #[serde(default, rename = "type")]
    pub kind: String,
}

/// A label.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct Label {
    pub name: String,
    #[serde(default)]
    pub color: String,
    #[serde(default)]
    pub description: Option<String>,
}

/// An issue, or a pull request seen as one.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Issue {
    pub number: u64,
    #[serde(default)]
    pub html_url: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub body: Option<String>,
    /// `open` or `closed`.
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub labels: Vec<Label>,
    #[serde(default)]
    pub user: Option<User>,
    #[serde(default)]
    pub locked: bool,
    #[serde(default)]
    pub created_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub updated_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub closed_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub pull_request: Option<serde::de::IgnoredAny>,
}

impl Issue {
    /// `owner/name` of the repository that it is in, by its address; `None` where that is no issue's.
    pub fn repository(&self) -> Option<String> {
        let mut parts = self.html_url.rsplit('/');
        let (_number, kind) = (parts.next()?, parts.next()?);
        if !matches!(kind, "issues" | "pull") {
            return None;
        }
        let (name, owner) = (parts.next()?, parts.next()?);
        (!name.is_empty() && !owner.is_empty()).then(|| format!("{owner}/{name}"))
    }
}

/// A repository.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Repository {
    pub id: u64,
    pub full_name: String,
    #[serde(default)]
    pub default_branch: String,
    #[serde(default)]
    pub clone_url: String,
    #[serde(default)]
    pub private: bool,
    #[serde(default)]
    pub archived: bool,
    #[serde(default)]
    pub fork: bool,
}

/// What an account may do in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Permission {
    /// `admin`, `write`, `read` or `none`; custom roles are shown as the nearest of these.
    pub permission: String,
    /// The same with `maintain` and `triage`, or a custom role's own name.
    #[serde(default)]
    pub role_name: String,
    #[serde(default)]
    user: Option<PermittedUser>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PermittedUser {
    #[serde(default)]
    permissions: Option<std::collections::BTreeMap<String, bool>>,
}

impl Permission {
    /// Whether the account may push.
    pub fn can_write(&self) -> bool {
        matches!(self.permission.as_str(), "admin" | "maintain" | "write")
    }

    /// Whether the account may set and take away labels. Of a custom role only its permissions tell.
    pub fn can_triage(&self) -> bool {
        let permissions = self.user.as_ref().and_then(|user| user.permissions.as_ref());
        self.can_write()
            || self.role_name == "triage"
            || permissions.is_some_and(|held| held.get("triage") == Some(&true))
    }
}

/// A pull request.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct PullRequest {
    pub number: u64,
    /// Its name in the GraphQL API.
    #[serde(default)]
    pub node_id: String,
    #[serde(default)]
    pub html_url: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub body: Option<String>,
    /// `open` or `closed`.
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub draft: bool,
    #[serde(default)]
    pub merged_at: Option<DateTime<Utc>>,
    /// `None` while GitHub works it out, and in listings.
    #[serde(default)]
    pub mergeable: Option<bool>,
    #[serde(default)]
    pub user: Option<User>,
    pub head: Tip,
    pub base: Tip,
    #[serde(default)]
    pub labels: Vec<Label>,
    #[serde(default)]
    pub created_at: Option<DateTime<Utc>>,
}

/// One side of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct Tip {
    #[serde(rename = "ref")]
    pub branch: String,
    pub sha: String,
    /// `owner:branch`.
    #[serde(default)]
    pub label: Option<String>,
    /// Where the branch is; `None` when its fork was deleted.
    #[serde(default)]
    pub repo: Option<TipRepository>,
}

impl Tip {
    /// Whether the branch is in this repository, and not in a fork, where anybody may name a branch
    /// as they like.
    pub fn is_in(&self, full_name: &str) -> bool {
        self.repo.as_ref().is_some_and(|repo| repo.full_name.eq_ignore_ascii_case(full_name))
    }
}

/// The repository of a [`Tip`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct TipRepository {
    pub full_name: String,
}

/// A check run.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct CheckRun {
    pub id: u64,
    #[serde(default)]
    pub html_url: String,
    pub name: String,
    #[serde(default)]
    pub head_sha: String,
    #[serde(default)]
    pub external_id: Option<String>,
    /// `queued`, `in_progress`, `completed`, …
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub conclusion: Option<String>,
    #[serde(default)]
    pub started_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub completed_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub output: CheckOutput,
    /// Who made it, and alone can change it.
    #[serde(default)]
    pub app: Option<App>,
}

/// What a [`CheckRun`] says.
#[derive(Debug, Clone, Default, Deserialize)]
#[allow(missing_docs)]
pub struct CheckOutput {
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub summary: Option<String>,
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default)]
    pub annotations_count: u64,
}

/// A GitHub App.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct App {
    pub id: u64,
    /// Its name in addresses; `<slug>[bot]` is the login of what it writes.
    #[serde(default)]
    pub slug: String,
    /// What it was granted: `checks` → `write`, …
    #[serde(default)]
    pub permissions: std::collections::BTreeMap<String, String>,
}

impl App {
    /// The login that everything of the App's is written by.
    pub fn login(&self) -> String {
        format!("{}[bot]", self.slug)
    }
}

/// A commit status.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Status {
    pub id: u64,
    /// `pending`, `success`, `failure` or `error`.
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub context: String,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub target_url: Option<String>,
    #[serde(default)]
    pub creator: Option<User>,
}

/// A comment on an issue or pull request.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Comment {
    pub id: u64,
    #[serde(default)]
    pub html_url: String,
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default)]
    pub user: Option<User>,
    #[serde(default)]
    pub created_at: Option<DateTime<Utc>>,
}

/// A review of a pull request.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Review {
    pub id: u64,
    #[serde(default)]
    pub user: Option<User>,
    #[serde(default)]
    pub body: Option<String>,
    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`, `DISMISSED` or `PENDING`.
    #[serde(default)]
    pub state: String,
    /// The commit that was looked at; `None` when it is gone.
    #[serde(default)]
    pub commit_id: Option<String>,
    #[serde(default)]
    pub submitted_at: Option<DateTime<Utc>>,
}

/// A comment of a review on a line of the change.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct ReviewComment {
    pub id: u64,
    #[serde(default)]
    pub pull_request_review_id: Option<u64>,
    #[serde(default)]
    pub user: Option<User>,
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default)]
    pub path: String,
    /// In the file as it is now; `None` when the line is not in the change any more, or the comment is
    /// about the whole file.
    #[serde(default)]
    pub line: Option<u64>,
    /// In the file as it was when it was commented on.
    #[serde(default)]
    pub original_line: Option<u64>,
}

/// A file that a pull request changes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct PullFile {
    pub filename: String,
    /// The name that a renamed file had.
    #[serde(default)]
    pub previous_filename: Option<String>,
}

/// Something that happened to an issue.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct IssueEvent {
    pub id: u64,
    /// `labeled`, `unlabeled`, `closed`, …
    pub event: String,
    #[serde(default)]
    pub actor: Option<User>,
    #[serde(default)]
    pub label: Option<Label>,
    #[serde(default)]
    pub created_at: Option<DateTime<Utc>>,
}

/// A branch or tag.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct GitRef {
    /// `refs/heads/…`
    #[serde(rename = "ref")]
    pub name: String,
    pub object: GitObject,
}

/// What a ref points to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct GitObject {
    pub sha: String,
    #[serde(default, rename = "type")]
    pub kind: String,
}

/// An object of the Git Data API of which only the name matters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct Sha {
    pub sha: String,
}

/// A commit as Git has it.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct GitCommit {
    pub sha: String,
    pub tree: Sha,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub parents: Vec<Sha>,
}

/// A commit as GitHub has it: with the account that its author's address belongs to.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Commit {
    pub sha: String,
    pub commit: CommitText,
    /// `None` when the address belongs to nobody.
    #[serde(default)]
    pub author: Option<User>,
    #[serde(default)]
    pub parents: Vec<Sha>,
}

/// The Git half of a [`Commit`].
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct CommitText {
    #[serde(default)]
    pub message: String,
    pub tree: Sha,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_triage_is_told_by_role_or_permissions() {
        for (answer, write, triage) in [
            (r#"{"permission":"write","role_name":"maintain"}"#, true, true),
            (r#"{"permission":"read","role_name":"triage"}"#, false, true),
            (r#"{"permission":"read","role_name":"read"}"#, false, false),
            (
                r#"{"permission":"read","role_name":"sorter","user":{"permissions":{"triage":true}}}"#,
                false,
                true,
            ),
            (r#"{"permission":"read","user":null}"#, false, false),
            (r#"{"permission":"none","user":{"permissions":{"triage":false}}}"#, false, false),
        ] {
            let permission: Permission = serde_json::from_str(answer).unwrap();
            assert_eq!(
                (permission.can_write(), permission.can_triage()),
                (write, triage),
                "{answer}"
            );
        }
    }

    #[test]
    fn an_issue_says_where_it_is() {
        for (url, home) in [
            ("https://github.com/octo/calc/issues/7", Some("octo/calc")),
            ("https://git.example.org/octo/calc/pull/7", Some("octo/calc")),
            ("https://github.com/octo/calc", None),
            ("", None),
        ] {
            let issue: Issue =
                serde_json::from_value(serde_json::json!({"number": 7, "html_url": url})).unwrap();
            assert_eq!(issue.repository().as_deref(), home, "{url}");
        }
    }

    #[test]
    fn a_branch_of_a_fork_is_not_in_the_repository() {
        for (repo, expected) in [
            (r#"{"full_name":"Octo/Calc"}"#, true),
            (r#"{"full_name":"mallory/calc"}"#, false),
            ("null", false),
        ] {
            let tip = format!(r#"{{"ref":"agent/issue-7","sha":"a","repo":{repo}}}"#);
            let tip: Tip = serde_json::from_str(&tip).unwrap();
            assert_eq!(tip.is_in("octo/calc"), expected, "{repo}");
        }
        let without: Tip = serde_json::from_str(r#"{"ref":"b","sha":"a"}"#).unwrap();
        assert!(!without.is_in("octo/calc"));
    }
}
