//! References, and what moving one does to pull requests.

use gix::ObjectId;
use gix::objs::Kind;
use serde_json::{Value, json};

use super::World;
use super::repos::write_files;
use crate::answer::Refusal;
use crate::show;

/// What a webhook's `before` or `after` says for "nothing".
const NO_SHA: &str = "0000000000000000000000000000000000000000";

impl World {
    pub(crate) fn create_ref(
        &mut self,
        repo: &str,
        actor: &str,
        name: &str,
        sha: &str,
    ) -> Result<ObjectId, Refusal> {
        let visible_from = self.visible_from();
        let delayed = !self.faults.list_delay.is_zero();
        let found = self.repo_mut(repo)?;
        let id = found
            .git
            .kind(sha)
            .map(|(id, kind, _)| (id, kind))
            .ok_or_else(|| Refusal::unprocessable("Object does not exist"))?;
        if name.starts_with("refs/heads/") && id.1 != Kind::Commit {
            return Err(Refusal::unprocessable("Reference update failed"));
        }
        let id = id.0;
        if found.git.reference(name).is_some() {
            return Err(Refusal::unprocessable("Reference already exists"));
        }
        if is_hidden(name) {
            return Err(Refusal::unprocessable("Reference update failed"));
        }
        found
            .git
            .set_reference(name, id)
            .map_err(|_| Refusal::unprocessable("Reference update failed"))?;
        if delayed {
            found.ref_visible.insert(name.to_owned(), visible_from);
        }
        self.after_move(repo, actor, name, None, Some(id))?;
        Ok(id)
    }

    pub(crate) fn update_ref(
        &mut self,
        repo: &str,
        actor: &str,
        name: &str,
        sha: &str,
        force: bool,
    ) -> Result<ObjectId, Refusal> {
        let found = self.repo(repo)?;
        let old = found
            .git
            .reference(name)
            .ok_or_else(|| Refusal::unprocessable("Reference does not exist"))?;
        let (new, _, _) =
            found.git.kind(sha).ok_or_else(|| Refusal::unprocessable("Object does not exist"))?;
        self.check_unprotected(repo, name)?;
        let found = self.repo(repo)?;
        if !force && found.git.merge_base(old, new) != Some(old) {
            return Err(Refusal::unprocessable("Update is not a fast forward"));
        }
        found
            .git
            .set_reference(name, new)
            .map_err(|_| Refusal::unprocessable("Reference update failed"))?;
        self.after_move(repo, actor, name, Some(old), Some(new))?;
        Ok(new)
    }

    pub(crate) fn delete_ref(
        &mut self,
        repo: &str,
        actor: &str,
        name: &str,
    ) -> Result<(), Refusal> {
        let found = self.repo(repo)?;
        let old = found
            .git
            .reference(name)
            .ok_or_else(|| Refusal::unprocessable("Reference does not exist"))?;
        if name == format!("refs/heads/{}", found.default_branch) {
            return Err(Refusal::unprocessable("Cannot delete the default branch"));
        }
        self.check_unprotected(repo, name)?;
        self.repo(repo)?.git.delete_reference(name)?;
        self.after_move(repo, actor, name, Some(old), None)
    }

    fn check_unprotected(&self, repo: &str, name: &str) -> Result<(), Refusal> {
        if is_hidden(name) {
            return Err(Refusal::unprocessable("Reference update failed"));
        }
        let branch = name.strip_prefix("refs/heads/").unwrap_or_default();
        if self.repo(repo)?.protected.contains(branch) {
            return Err(Refusal::unprocessable("Cannot update this protected ref.")
                .documented("https://docs.github.com/articles/about-protected-branches"));
        }
        Ok(())
    }

    /// Commits whole files straight to a branch, protected or not, as a person's push would.
    pub(crate) fn push_files(
        &mut self,
        repo: &str,
        actor: &str,
        branch: &str,
        message: &str,
        files: &[(String, Vec<u8>, String)],
    ) -> Result<ObjectId, Refusal> {
        let person = self.person(actor);
        let found = self.repo(repo)?;
        let name = format!("refs/heads/{branch}");
        let old = found.git.reference(&name);
        let parent = old
            .or_else(|| found.git.branch(&found.default_branch))
            .ok_or_else(Refusal::not_found)?;
        let tree = write_files(&found.git, Some(found.git.commit(parent)?.tree), files)?;
        let new = found.git.write_commit(tree, &[parent], &person, &person, message)?;
        found.git.set_reference(&name, new)?;
        self.after_move(repo, actor, &name, old, Some(new))?;
        Ok(new)
    }

    /// Webhooks and pull requests follow a reference that moved.
    pub(super) fn after_move(
        &mut self,
        repo: &str,
        actor: &str,
        name: &str,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let found = self.repo_mut(repo)?;
        found.pushed_at = now;
        let default_branch = found.default_branch.clone();
        let (kind, short) =
            match (name.strip_prefix("refs/heads/"), name.strip_prefix("refs/tags/")) {
                (Some(branch), _) => ("branch", branch.to_owned()),
                (None, Some(tag)) => ("tag", tag.to_owned()),
                (None, None) => return Ok(()),
            };
        let about = json!({
            "ref": short, "ref_type": kind, "master_branch": default_branch,
            "description": null, "pusher_type": "user",
        });
        match (old, new) {
            (None, Some(_)) => self.emit(repo, "create", "", actor, about),
            (Some(_), None) => {
                let about = json!({"ref": short, "ref_type": kind, "pusher_type": "user"});
                self.emit(repo, "delete", "", actor, about);
            }
            _ => {}
        }
        let push = self.push_event(repo, actor, name, old, new)?;
        self.emit(repo, "push", "", actor, push);
        if kind == "branch" {
            self.tell_bases(repo, actor, &short, old, new)?;
            if let Some(new) = new {
                self.request_suites(repo, actor, &short, old, new)?;
            }
        }
        Ok(())
    }

    fn push_event(
        &mut self,
        repo: &str,
        actor: &str,
        name: &str,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
    ) -> Result<Value, Refusal> {
        let person = self.person(actor);
        let found = self.repo(repo)?;
        let base = old.or_else(|| found.git.branch(&found.default_branch));
        let mut commits = match (base, new) {
            (Some(base), Some(new)) => found.git.between(base, new)?.unwrap_or_default(),
            _ => Vec::new(),
        };
        commits.reverse();
        let forced = match (old, new) {
            (Some(old), Some(new)) => found.git.merge_base(old, new) != Some(old),
            _ => false,
        };
        let mut shown = Vec::new();
        for commit in commits.iter().take(20) {
            shown.push(show::pushed_commit(self, found, *commit)?);
        }
        let head = match new {
            Some(new) if found.git.has(&new.to_string(), Kind::Commit).is_some() => {
                show::pushed_commit(self, found, new)?
            }
            _ => Value::Null,
        };
        let sha = |id: Option<ObjectId>| id.map_or_else(|| NO_SHA.to_owned(), |id| id.to_string());
        let (before, after) = (sha(old), sha(new));
        Ok(json!({
            "ref": name,
            "compare": format!("{}/{}/compare/{}...{}", self.base, found.full_name(),
                before.get(..12).unwrap_or_default(), after.get(..12).unwrap_or_default()),
            "before": before,
            "after": after,
            "created": old.is_none(),
            "deleted": new.is_none(),
            "forced": forced,
            "base_ref": null,
            "commits": shown,
            "head_commit": head,
            "pusher": {"name": person.name, "email": person.email},
        }))
    }
}

/// What GitHub keeps about pull requests is for reading alone.
fn is_hidden(name: &str) -> bool {
    name.starts_with("refs/pull/")
}
