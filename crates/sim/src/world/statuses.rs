//! Commit statuses.

use chrono::{DateTime, Utc};
use gix::ObjectId;

use super::World;
use super::model::Repo;
use crate::answer::Refusal;
use crate::show;

/// Longest description.
const MAX_DESCRIPTION_CHARS: usize = 140;
/// Statuses that one context can have at one commit.
const MAX_OF_CONTEXT: usize = 1000;

#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) id: u64,
    pub(crate) sha: ObjectId,
    /// `error`, `failure`, `pending` or `success`.
    pub(crate) state: String,
    pub(crate) context: String,
    pub(crate) description: Option<String>,
    pub(crate) target_url: Option<String>,
    pub(crate) creator: String,
    pub(crate) at: DateTime<Utc>,
}

/// What `POST /statuses/{sha}` asks for.
#[derive(Debug)]
pub(crate) struct NewStatus<'a> {
    pub(crate) state: &'a str,
    pub(crate) context: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) target_url: Option<&'a str>,
}

impl Repo {
    /// Of a commit, newest first.
    pub(crate) fn statuses_at(&self, sha: ObjectId) -> impl Iterator<Item = &Status> {
        self.statuses.iter().rev().filter(move |status| status.sha == sha)
    }

    /// Of a commit, only the newest of every context.
    pub(crate) fn latest_statuses(&self, sha: ObjectId) -> Vec<&Status> {
        let mut found: Vec<&Status> = Vec::new();
        for status in self.statuses_at(sha) {
            if !found.iter().any(|other| other.context == status.context) {
                found.push(status);
            }
        }
        found
    }
}

impl World {
    pub(crate) fn create_status(
        &mut self,
        repo: &str,
        creator: &str,
        sha: ObjectId,
        new: &NewStatus<'_>,
    ) -> Result<Status, Refusal> {
        if !["error", "failure", "pending", "success"].contains(&new.state) {
            return Err(Refusal::custom(
                "Status",
                Some("state"),
                "state is not included in the list",
            ));
        }
        if new.description.is_some_and(|text| text.chars().count() > MAX_DESCRIPTION_CHARS) {
            return Err(Refusal::custom(
                "Status",
                Some("description"),
                format!("description is too long (maximum is {MAX_DESCRIPTION_CHARS} characters)"),
            ));
        }
        if new.target_url.is_some_and(|url| !url.is_empty() && !is_web(url)) {
            return Err(Refusal::custom(
                "Status",
                Some("target_url"),
                "target_url must use http(s) scheme",
            ));
        }
        let found = self.repo(repo)?;
        let count = found.statuses_at(sha).filter(|old| old.context == new.context).count();
        if count >= MAX_OF_CONTEXT {
            return Err(Refusal::custom(
                "Status",
                None,
                "This SHA and context has reached the maximum number of statuses.",
            ));
        }
        let status = Status {
            id: self.next_id(),
            sha,
            state: new.state.to_owned(),
            context: new.context.to_owned(),
            description: new.description.map(str::to_owned),
            target_url: new.target_url.filter(|url| !url.is_empty()).map(str::to_owned),
            creator: creator.to_owned(),
            at: self.now(),
        };
        self.repo_mut(repo)?.statuses.push(status.clone());
        let body = show::status_in_event(self, self.repo(repo)?, &status)?;
        self.emit(repo, "status", "", creator, body);
        Ok(status)
    }
}

/// Whether an address is one of the web.
pub(crate) fn is_web(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}
