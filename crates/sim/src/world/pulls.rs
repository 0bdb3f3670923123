//! Pull requests.

use std::sync::Arc;

use gix::ObjectId;
use serde_json::{Value, json};

use super::World;
use super::issues::{check_body, check_title, happening};
use super::model::{Happening, Pull};
use crate::answer::Refusal;
use crate::git::FileDiff;

/// What `POST /pulls` asks for.
#[derive(Debug)]
pub(crate) struct NewPull<'a> {
    pub(crate) title: &'a str,
    pub(crate) body: Option<&'a str>,
    /// `branch` or `owner:branch`.
    pub(crate) head: &'a str,
    pub(crate) base: &'a str,
    pub(crate) draft: bool,
    pub(crate) maintainer_can_modify: bool,
}

impl World {
    pub(crate) fn open_pull(
        &mut self,
        repo: &str,
        author: &str,
        new: &NewPull<'_>,
    ) -> Result<u64, Refusal> {
        check_title("PullRequest", new.title)?;
        check_body("PullRequest", new.body)?;
        let found = self.repo(repo)?;
        let invalid = |field| Refusal::invalid("PullRequest", field, "invalid");
        let head = match new.head.split_once(':') {
            // Forks have no place here: another owner's branch isn't found.
            Some((owner, head)) if owner.eq_ignore_ascii_case(&found.owner) => head,
            Some(_) => return Err(invalid("head")),
            None => new.head,
        };
        let base_sha = found.git.branch(new.base).ok_or_else(|| invalid("base"))?;
        let head_sha = found.git.branch(head).ok_or_else(|| invalid("head"))?;
        let custom = |message: String| Refusal::custom("PullRequest", None, message);
        match found.git.between(base_sha, head_sha)? {
            None => {
                return Err(custom(format!(
                    "The {head} branch has no history in common with {}",
                    new.base
                )));
            }
            Some(commits) if commits.is_empty() => {
                return Err(custom(format!("No commits between {} and {head}", new.base)));
            }
            Some(_) => {}
        }
        if self.open_pull_for(repo, head, new.base)?.is_some() {
            let owner = &self.repo(repo)?.owner;
            return Err(custom(format!("A pull request already exists for {owner}:{head}.")));
        }
        if new.draft && !self.repo(repo)?.drafts {
            return Err(Refusal::unprocessable(
                "Draft pull requests are not supported in this repository.",
            ));
        }
        let pull = Pull {
            id: self.next_id(),
            head: head.to_owned(),
            head_owner: self.repo(repo)?.owner.clone(),
            head_repo: Some(self.repo(repo)?.id),
            head_sha,
            base: new.base.to_owned(),
            base_sha,
            draft: new.draft,
            maintainer_can_modify: new.maintainer_can_modify,
            merged_at: None,
            merged_by: None,
            merge_commit: None,
        };
        let number = self.insert_issue(repo, author, new.title, new.body, Some(pull))?;
        self.repo(repo)?.git.set_reference(&format!("refs/pull/{number}/head"), head_sha)?;
        self.emit_issue(repo, number, "opened", author, Value::Null);
        Ok(number)
    }

    pub(crate) fn open_pull_for(
        &self,
        repo: &str,
        head: &str,
        base: &str,
    ) -> Result<Option<u64>, Refusal> {
        Ok(self.repo(repo)?.issues.values().find_map(|issue| {
            let pull = issue.pull.as_ref().filter(|_| issue.open)?;
            (pull.head == head && pull.base == base).then_some(issue.number)
        }))
    }

    pub(crate) fn pull(&self, repo: &str, number: u64) -> Result<&Pull, Refusal> {
        self.issue(repo, number)?.pull.as_ref().ok_or_else(Refusal::not_found)
    }

    fn pull_mut(&mut self, repo: &str, number: u64) -> Result<&mut Pull, Refusal> {
        self.issue_mut(repo, number)?.pull.as_mut().ok_or_else(Refusal::not_found)
    }

    pub(super) fn check_reopen(&self, repo: &str, number: u64) -> Result<(), Refusal> {
        let Some(pull) = &self.issue(repo, number)?.pull else { return Ok(()) };
        let refuse = |message: String| Err(Refusal::custom("PullRequest", Some("state"), message));
        if pull.merged_at.is_some() {
            return refuse("state cannot be changed. The pull request is merged.".to_owned());
        }
        if self.repo(repo)?.git.branch(&pull.head).is_none() {
            return refuse(format!(
                "state cannot be changed. The {} branch has been deleted.",
                pull.head
            ));
        }
        if self.open_pull_for(repo, &pull.head, &pull.base)?.is_some() {
            return refuse(
                "state cannot be changed. There is already an open pull request for this branch."
                    .to_owned(),
            );
        }
        Ok(())
    }

    pub(crate) fn set_pull_base(
        &mut self,
        repo: &str,
        number: u64,
        base: &str,
    ) -> Result<(), Refusal> {
        let base_sha = self
            .repo(repo)?
            .git
            .branch(base)
            .ok_or_else(|| Refusal::invalid("PullRequest", "base", "invalid"))?;
        let pull = self.pull_mut(repo, number)?;
        base.clone_into(&mut pull.base);
        pull.base_sha = base_sha;
        Ok(())
    }

    pub(crate) fn set_ready(
        &mut self,
        repo: &str,
        number: u64,
        actor: &str,
    ) -> Result<(), Refusal> {
        if !self.pull(repo, number)?.draft {
            return Ok(());
        }
        let (id, now) = (self.next_id(), self.now());
        self.pull_mut(repo, number)?.draft = false;
        self.issue_mut(repo, number)?.history.push(happening(id, "ready_for_review", actor, now));
        self.emit_issue(repo, number, "ready_for_review", actor, Value::Null);
        Ok(())
    }

    /// Merges with a merge commit, as the green button does.
    pub(crate) fn merge_pull(
        &mut self,
        repo: &str,
        number: u64,
        actor: &str,
    ) -> Result<ObjectId, Refusal> {
        let not_allowed =
            |message: &str| Refusal::new(http::StatusCode::METHOD_NOT_ALLOWED, message);
        let pull = self.pull(repo, number)?.clone();
        let title = self.issue(repo, number)?.title.clone();
        if !self.issue(repo, number)?.open {
            return Err(not_allowed("Pull Request is not mergeable"));
        }
        if pull.draft {
            return Err(not_allowed("Pull Request is still a draft"));
        }
        let person = self.person(actor);
        let found = self.repo(repo)?;
        let onto = found.git.branch(&pull.base).ok_or_else(Refusal::not_found)?;
        let tree = found
            .git
            .merge_trees(onto, pull.head_sha)?
            .ok_or_else(|| not_allowed("Merge conflict"))?;
        let message =
            format!("Merge pull request #{number} from {}/{}\n\n{title}", found.owner, pull.head);
        let parents = [onto, pull.head_sha];
        let merged = found.git.write_commit(tree, &parents, &person, &person, &message)?;
        found.git.set_reference(&format!("refs/heads/{}", pull.base), merged)?;
        let (first, second, now) = (self.next_id(), self.next_id(), self.now());
        let changed = self.pull_mut(repo, number)?;
        changed.merged_at = Some(now);
        changed.merged_by = Some(actor.to_owned());
        changed.merge_commit = Some(merged);
        let issue = self.issue_mut(repo, number)?;
        issue.open = false;
        issue.closed_at = Some(now);
        issue.closed_by = Some(actor.to_owned());
        issue
            .history
            .push(Happening { commit: Some(merged), ..happening(first, "merged", actor, now) });
        issue.history.push(happening(second, "closed", actor, now));
        self.emit_issue(repo, number, "closed", actor, Value::Null);
        self.after_move(
            repo,
            actor,
            &format!("refs/heads/{}", pull.base),
            Some(onto),
            Some(merged),
        )?;
        Ok(merged)
    }

    /// A head branch moved or went: its open pull requests follow it or are closed.
    pub(super) fn follow_head(
        &mut self,
        repo: &str,
        actor: &str,
        branch: &str,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
    ) -> Result<(), Refusal> {
        let numbers: Vec<u64> = self
            .repo(repo)?
            .issues
            .values()
            .filter(|issue| issue.open)
            .filter(|issue| issue.pull.as_ref().is_some_and(|pull| pull.head == branch))
            .map(|issue| issue.number)
            .collect();
        for number in numbers {
            match new {
                None => self.set_open(repo, number, actor, false, None)?,
                Some(new) => {
                    self.pull_mut(repo, number)?.head_sha = new;
                    self.repo(repo)?.git.set_reference(&format!("refs/pull/{number}/head"), new)?;
                    let shas = json!({
                        "before": old.map(|id| id.to_string()),
                        "after": new.to_string(),
                    });
                    self.emit_issue(repo, number, "synchronize", actor, shas);
                }
            }
        }
        Ok(())
    }

    /// What a pull request changes, against where it left its base.
    pub(crate) fn pull_files(
        &self,
        repo: &str,
        number: u64,
    ) -> Result<Arc<Vec<FileDiff>>, Refusal> {
        Ok(self.pull(repo, number)?.files(&self.repo(repo)?.git)?)
    }

    pub(crate) fn pull_diff(&self, repo: &str, number: u64) -> Result<String, Refusal> {
        let pull = self.pull(repo, number)?;
        let git = &self.repo(repo)?.git;
        Ok(git.unified(pull.left_base(git), pull.head_sha)?)
    }
}
