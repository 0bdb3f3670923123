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
        let invalid = |field| Refusal::invalid("PullRequest", field, "invalid");
        let (from, head) = match new.head.split_once(':') {
            Some((owner, head)) => {
                (self.head_repository(repo, owner).ok_or_else(|| invalid("head"))?, head)
            }
            None => (repo.to_owned(), new.head),
        };
        let base_sha = self.repo(repo)?.git.branch(new.base).ok_or_else(|| invalid("base"))?;
        let from = self.repo(&from)?;
        let (head_repo, head_owner) = (from.id, from.owner.clone());
        let head_sha = from.git.branch(head).ok_or_else(|| invalid("head"))?;
        self.bring(repo, head_repo, head_sha)?;
        let found = self.repo(repo)?;
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
        if self.open_pull_for(repo, head_repo, head, new.base)?.is_some() {
            return Err(custom(format!("A pull request already exists for {head_owner}:{head}.")));
        }
        if new.draft && !self.repo(repo)?.drafts {
            return Err(Refusal::unprocessable(
                "Draft pull requests are not supported in this repository.",
            ));
        }
        let pull = Pull {
            id: self.next_id(),
            head: head.to_owned(),
            head_owner,
            head_repo: Some(head_repo),
            head_sha,
            base: new.base.to_owned(),
            base_sha,
            draft: new.draft,
            maintainer_can_modify: new.maintainer_can_modify,
            merged_at: None,
            merged_by: None,
            merge_commit: None,
            tried: None,
        };
        let number = self.insert_issue(repo, author, new.title, new.body, Some(pull))?;
        self.repo(repo)?.git.set_reference(&format!("refs/pull/{number}/head"), head_sha)?;
        self.emit_issue(repo, number, "opened", author, Value::Null);
        Ok(number)
    }

    pub(crate) fn open_pull_for(
        &self,
        repo: &str,
        head_repo: u64,
        head: &str,
        base: &str,
    ) -> Result<Option<u64>, Refusal> {
        Ok(self.repo(repo)?.issues.values().find_map(|issue| {
            let pull = issue.pull.as_ref().filter(|_| issue.open)?;
            let same = pull.head_repo == Some(head_repo) && pull.head == head && pull.base == base;
            same.then_some(issue.number)
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
        let Some(head_repo) = pull.head_repo else {
            return refuse(
                "state cannot be changed. The repository that submitted this pull request has \
                 been deleted."
                    .to_owned(),
            );
        };
        let Some(tip) = self.head_tip(pull) else {
            return refuse(format!(
                "state cannot be changed. The {} branch has been deleted.",
                pull.head
            ));
        };
        self.bring(repo, head_repo, tip)?;
        if self.repo(repo)?.git.merge_base(tip, pull.head_sha) != Some(pull.head_sha) {
            return refuse(format!(
                "state cannot be changed. The {} branch was force-pushed or recreated.",
                pull.head
            ));
        }
        if self.open_pull_for(repo, head_repo, &pull.head, &pull.base)?.is_some() {
            return refuse(
                "state cannot be changed. There is already an open pull request for this branch."
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// A reopened pull request is where its branch is by now.
    pub(super) fn catch_up(&mut self, repo: &str, number: u64) -> Result<(), Refusal> {
        let Some(pull) = &self.issue(repo, number)?.pull else { return Ok(()) };
        if let Some(tip) = self.head_tip(pull) {
            self.pull_mut(repo, number)?.head_sha = tip;
            self.repo(repo)?.git.set_reference(&format!("refs/pull/{number}/head"), tip)?;
        }
        Ok(())
    }

    pub(crate) fn set_pull_base(
        &mut self,
        repo: &str,
        number: u64,
        actor: &str,
        base: &str,
    ) -> Result<(), Refusal> {
        let base_sha = self
            .repo(repo)?
            .git
            .branch(base)
            .ok_or_else(|| Refusal::invalid("PullRequest", "base", "invalid"))?;
        let pull = self.pull_mut(repo, number)?;
        if pull.base == base {
            return Ok(());
        }
        let was = std::mem::replace(&mut pull.base, base.to_owned());
        let was_sha = std::mem::replace(&mut pull.base_sha, base_sha);
        let changes = json!({"changes": {"base": {
            "ref": {"from": was}, "sha": {"from": was_sha.to_string()},
        }}});
        self.emit_issue(repo, number, "edited", actor, changes);
        Ok(())
    }

    /// Makes it a draft, or ends that.
    pub(crate) fn set_draft(
        &mut self,
        repo: &str,
        number: u64,
        actor: &str,
        draft: bool,
    ) -> Result<(), Refusal> {
        if self.pull(repo, number)?.draft == draft {
            return Ok(());
        }
        let (id, now) = (self.next_id(), self.now());
        let (noted, told) = if draft {
            ("convert_to_draft", "converted_to_draft")
        } else {
            ("ready_for_review", "ready_for_review")
        };
        self.pull_mut(repo, number)?.draft = draft;
        self.issue_mut(repo, number)?.history.push(happening(id, noted, actor, now));
        self.emit_issue(repo, number, told, actor, Value::Null);
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
        let message = format!(
            "Merge pull request #{number} from {}/{}\n\n{title}",
            pull.head_owner, pull.head
        );
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

    /// The head of a pull request is another commit now.
    pub(super) fn move_head(
        &mut self,
        repo: &str,
        number: u64,
        actor: &str,
        old: Option<ObjectId>,
        new: ObjectId,
    ) -> Result<(), Refusal> {
        let was = self.pull(repo, number)?.head_sha;
        if was == new {
            return Ok(());
        }
        let (id, now) = (self.next_id(), self.now());
        let forced = self.repo(repo)?.git.merge_base(was, new) != Some(was);
        self.pull_mut(repo, number)?.head_sha = new;
        if forced {
            self.issue_mut(repo, number)?.history.push(Happening {
                commit: Some(new),
                ..happening(id, "head_ref_force_pushed", actor, now)
            });
        }
        self.repo(repo)?.git.set_reference(&format!("refs/pull/{number}/head"), new)?;
        let shas = json!({
            "before": old.unwrap_or(was).to_string(),
            "after": new.to_string(),
        });
        self.emit_issue(repo, number, "synchronize", actor, shas);
        Ok(())
    }

    /// The pull requests that a commit belongs to: those that merged it, else all that bring it.
    pub(crate) fn pulls_with(&self, repo: &str, commit: ObjectId) -> Result<Vec<u64>, Refusal> {
        let found = self.repo(repo)?;
        let main = found.git.branch(&found.default_branch);
        let is_in = main.is_some_and(|main| found.git.merge_base(main, commit) == Some(commit));
        let mut numbers = Vec::new();
        for issue in found.issues.values() {
            let Some(pull) = &issue.pull else { continue };
            if is_in && pull.merged_at.is_none() {
                continue;
            }
            let brings = found.git.between(pull.base_sha, pull.head_sha)?.unwrap_or_default();
            if brings.contains(&commit) || pull.merge_commit == Some(commit) {
                numbers.push(issue.number);
            }
        }
        Ok(numbers)
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
