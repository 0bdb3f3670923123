//! Forks: repositories that share history, and what pull requests take from them.

use super::World;
use super::model::{Pull, Repo};
use crate::answer::Refusal;
use crate::git::{Person, Store};

impl World {
    pub(crate) fn repo_by_id(&self, id: u64) -> Option<&Repo> {
        self.repos.values().find(|repo| repo.id == id)
    }

    /// Forks a repository to another account; gives the fork's name.
    pub(crate) fn create_fork(&mut self, repo: &str, owner: &str) -> Result<String, Refusal> {
        let owner = self.user(owner).login;
        let parent = self.repo(repo)?;
        if parent.owner.eq_ignore_ascii_case(&owner) {
            return Err(Refusal::forbidden("You cannot fork your own repository."));
        }
        let full_name = format!("{owner}/{}", parent.name);
        let (id, path) = (parent.id, parent.git.path().to_owned());
        let (branch, private) = (parent.default_branch.clone(), parent.private);
        let to = self.data_dir().join(format!("{}.git", full_name.to_lowercase()));
        if self.repos.contains_key(&full_name.to_lowercase()) {
            return Err(Refusal::custom(
                "Repository",
                Some("name"),
                "name already exists on this account",
            ));
        }
        let git = Store::init(to, &branch)?;
        git.fetch(&path, &["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"])?;
        let name = full_name.split('/').next_back().unwrap_or_default().to_owned();
        let fork = self.new_repo(&owner, &name, &branch, git);
        self.repos.insert(
            full_name.to_lowercase(),
            // Whoever listens to a repository hears nothing of its forks.
            Repo { private, parent: Some(id), hooks: Vec::new(), ..fork },
        );
        Ok(full_name)
    }

    /// Deletes a fork. Pull requests from it stay as they are, and know no head's repository.
    pub(crate) fn delete_fork(&mut self, fork: &str) -> Result<(), Refusal> {
        let found = self.repo(fork)?;
        if found.parent.is_none() {
            return Err(Refusal::unprocessable("this repository is no fork"));
        }
        let (id, path) = (found.id, found.git.path().to_owned());
        self.repos.remove(&fork.to_lowercase());
        for repo in self.repos.values_mut() {
            for pull in repo.issues.values_mut().filter_map(|issue| issue.pull.as_mut()) {
                if pull.head_repo == Some(id) {
                    pull.head_repo = None;
                }
            }
        }
        std::fs::remove_dir_all(path).map_err(Refusal::server)
    }

    /// Key of the repository that `owner:branch` means in a pull request to `base`: `base` itself,
    /// or a fork of it, or what it is a fork of.
    pub(crate) fn head_repository(&self, base: &str, owner: &str) -> Option<String> {
        let base = self.repo(base).ok()?;
        let related = |repo: &Repo| {
            repo.id == base.id || repo.parent == Some(base.id) || base.parent == Some(repo.id)
        };
        self.repos
            .iter()
            .find(|(_, repo)| repo.owner.eq_ignore_ascii_case(owner) && related(repo))
            .map(|(key, _)| key.clone())
    }

    /// Numbers of the open pull requests, with the keys of their repositories, whose head is this
    /// branch.
    pub(super) fn pulls_from(&self, head: u64, branch: &str) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        for (key, repo) in &self.repos {
            for issue in repo.issues.values().filter(|issue| issue.open) {
                let Some(pull) = &issue.pull else { continue };
                if pull.head_repo == Some(head) && pull.head == branch {
                    found.push((key.clone(), issue.number));
                }
            }
        }
        found
    }

    /// Brings the head of a pull request into its base's repository, as far as it isn't there.
    pub(super) fn bring(
        &self,
        base: &str,
        head_repo: u64,
        head: gix::ObjectId,
    ) -> Result<(), Refusal> {
        let base = self.repo(base)?;
        if base.id == head_repo {
            return Ok(());
        }
        let from = self.repo_by_id(head_repo).ok_or_else(Refusal::not_found)?;
        Ok(base.git.fetch(from.git.path(), &[&head.to_string()])?)
    }

    /// The tip of a pull request's head branch, while it exists.
    pub(super) fn head_tip(&self, pull: &Pull) -> Option<gix::ObjectId> {
        self.repo_by_id(pull.head_repo?)?.git.branch(&pull.head)
    }

    /// Points `refs/pull/<n>/merge` to what merging now would make. Where that conflicts, the
    /// reference stays where it was, as GitHub's does.
    pub(crate) fn try_merge(
        &mut self,
        repo: &str,
        number: u64,
    ) -> Result<Option<gix::ObjectId>, Refusal> {
        let now = self.now();
        let found = self.repo(repo)?;
        let pull = self.pull(repo, number)?;
        let Some(onto) = found.git.branch(&pull.base) else { return Ok(None) };
        let head = pull.head_sha;
        if let Some((tried_onto, tried_head, made)) = pull.tried
            && (tried_onto, tried_head) == (onto, head)
        {
            return Ok(made);
        }
        let made = match found.git.merge_trees(onto, head)? {
            None => None,
            Some(tree) => {
                let github = Person {
                    name: "GitHub".to_owned(),
                    email: "noreply@github.com".to_owned(),
                    seconds: now.timestamp(),
                    offset: 0,
                };
                let message = format!("Merge {head} into {onto}");
                let id = found.git.write_commit(tree, &[onto, head], &github, &github, &message)?;
                found.git.set_reference(&format!("refs/pull/{number}/merge"), id)?;
                Some(id)
            }
        };
        if let Some(pull) =
            self.repo_mut(repo)?.issues.get_mut(&number).and_then(|issue| issue.pull.as_mut())
        {
            pull.tried = Some((onto, head, made));
        }
        Ok(made)
    }

    /// The same for all open pull requests of a repository, before git looks at them.
    pub(crate) fn try_merges(&mut self, repo: &str) -> Result<(), Refusal> {
        let numbers: Vec<u64> = self
            .repo(repo)?
            .issues
            .values()
            .filter(|issue| issue.open && issue.pull.is_some())
            .map(|issue| issue.number)
            .collect();
        for number in numbers {
            self.try_merge(repo, number)?;
        }
        Ok(())
    }

    /// Tells the bases of all pull requests from a branch that it moved, or went.
    pub(super) fn tell_bases(
        &mut self,
        repo: &str,
        actor: &str,
        branch: &str,
        old: Option<gix::ObjectId>,
        new: Option<gix::ObjectId>,
    ) -> Result<(), Refusal> {
        let head_repo = self.repo(repo)?.id;
        for (base, number) in self.pulls_from(head_repo, branch) {
            match new {
                None => self.set_open(&base, number, actor, false, None)?,
                Some(new) => {
                    self.bring(&base, head_repo, new)?;
                    self.move_head(&base, number, actor, old, new)?;
                }
            }
        }
        Ok(())
    }
}
