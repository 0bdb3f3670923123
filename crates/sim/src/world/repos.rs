//! Repositories and their hooks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gix::ObjectId;
use secrecy::SecretString;
use serde_json::json;

use super::World;
use super::model::{Hook, Permission, Repo};
use crate::answer::Refusal;
use crate::git::{Edit, GitError, Mode, Person, Store, check_path};
use crate::settings::Webhook;
use crate::show;

impl World {
    /// Makes a public repository with one commit on its default branch; the owner is its admin.
    pub(crate) fn create_repo(
        &mut self,
        full_name: &str,
        files: &[(String, Vec<u8>, String)],
        default_branch: &str,
    ) -> Result<(), Refusal> {
        let (owner, name) = full_name
            .split_once('/')
            .filter(|(owner, name)| valid_name(owner) && valid_name(name))
            .ok_or_else(|| Refusal::invalid("Repository", "name", "invalid"))?;
        let key = full_name.to_lowercase();
        if self.repos.contains_key(&key) {
            return Err(Refusal::custom(
                "Repository",
                Some("name"),
                "name already exists on this account",
            ));
        }
        let owner = self.user(owner).login;
        let path = self.data_dir().join(format!("{key}.git"));
        let git = Store::init(path, default_branch)?;
        let person = self.person(&owner);
        let tree = write_files(&git, None, files)?;
        let first = git.write_commit(tree, &[], &person, &person, "Initial commit")?;
        git.set_reference(&format!("refs/heads/{default_branch}"), first)?;
        let repo = self.new_repo(&owner, name, default_branch, git);
        self.repos.insert(key.clone(), repo);
        self.ping(&key);
        Ok(())
    }

    /// A public repository of nobody's but its owner's, with nothing but its git.
    pub(super) fn new_repo(
        &mut self,
        owner: &str,
        name: &str,
        default_branch: &str,
        git: Store,
    ) -> Repo {
        let (id, now) = (self.next_id(), self.now());
        let hooks = match self.webhook.clone() {
            Some(webhook) => vec![self.new_hook(webhook)],
            None => Vec::new(),
        };
        Repo {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            private: false,
            parent: None,
            default_branch: default_branch.to_owned(),
            protected: BTreeSet::new(),
            archived: false,
            has_issues: true,
            gone: BTreeMap::new(),
            drafts: true,
            permissions: BTreeMap::from([(owner.to_lowercase(), Permission::Admin)]),
            labels: Vec::new(),
            issues: BTreeMap::new(),
            comments: BTreeMap::new(),
            reviews: BTreeMap::new(),
            review_comments: BTreeMap::new(),
            hooks,
            suites: BTreeMap::new(),
            checks: BTreeMap::new(),
            statuses: Vec::new(),
            next_number: 1,
            git,
            ref_visible: HashMap::new(),
            created_at: now,
            updated_at: now,
            pushed_at: now,
        }
    }

    /// Points every hook somewhere else; repositories without one get it, and its ping.
    pub(crate) fn set_webhook(&mut self, webhook: Webhook) {
        self.webhook = Some(webhook.clone());
        let now = self.now();
        let keys: Vec<String> = self.repos.keys().cloned().collect();
        for key in keys {
            let hook = self.new_hook(webhook.clone());
            let Ok(repo) = self.repo_mut(&key) else { continue };
            if repo.parent.is_some() {
                continue;
            }
            if repo.hooks.is_empty() {
                repo.hooks.push(hook);
                self.ping(&key);
            } else {
                for hook in &mut repo.hooks {
                    hook.url.clone_from(&webhook.url);
                    hook.secret = webhook.secret.clone();
                    hook.updated_at = now;
                }
            }
        }
    }

    fn new_hook(&mut self, webhook: Webhook) -> Hook {
        let now = self.now();
        Hook {
            id: self.next_id(),
            url: webhook.url,
            secret: SecretString::clone(&webhook.secret),
            created_at: now,
            updated_at: now,
        }
    }

    fn ping(&mut self, key: &str) {
        let Ok(repo) = self.repo(key) else { return };
        let owner = repo.owner.clone();
        let Some(hook) = repo.hooks.first() else { return };
        let members = json!({
            "zen": "Approachable is better than simple.",
            "hook_id": hook.id,
            "hook": show::hook(self, repo, hook, None),
        });
        self.emit(key, "ping", "", &owner, members);
    }

    /// Who a user is in a commit made through the API.
    pub(crate) fn person(&mut self, login: &str) -> Person {
        let user = self.user(login);
        Person {
            email: format!("{}+{}@users.noreply.github.com", user.id, user.login),
            name: user.login,
            seconds: self.now().timestamp(),
            offset: 0,
        }
    }
}

/// A tree of `base` with whole files written over it.
pub(crate) fn write_files(
    git: &Store,
    base: Option<ObjectId>,
    files: &[(String, Vec<u8>, String)],
) -> Result<ObjectId, Refusal> {
    let mut edits: Vec<(String, Edit)> = Vec::with_capacity(files.len());
    for (path, content, mode) in files {
        let mode = Mode::parse(mode)
            .filter(|mode| mode.kind() == "blob")
            .ok_or_else(|| Refusal::unprocessable("Must supply a valid tree.mode"))?;
        if check_path(path).is_err() {
            return Err(Refusal::unprocessable(format!("{path:?} can't be in a tree")));
        }
        edits.push((path.clone(), Some((mode, git.write_blob(content)?))));
    }
    git.edit_tree(base, &edits)?
        .ok_or_else(|| Refusal::server(GitError("nothing was deleted".to_owned())))
}

fn valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
