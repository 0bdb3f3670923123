//! What can be done to the simulator from outside HTTP's API, in one table: for a test that holds
//! the [`Sim`], and for another process through a [`SimClient`].

use chrono::TimeDelta;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::Refusal;
use crate::client::SimClient;
use crate::error::Error;
use crate::faults::Rule;
use crate::settings::Webhook;
use crate::sim::Sim;
use crate::view::{NewApp, Snapshot};
use crate::world::{NewPull, Permission, ReviewState, Scope, World};

/// Path, content and mode (`100644`, `100755`, `120000`).
pub type File<'a> = (&'a str, &'a str, &'a str);

macro_rules! verbs {
    ($(
        $(#[$doc:meta])*
        $verb:ident { $($name:ident : $given:ty as $kept:ty),* $(,)? } -> $out:ty;
    )*) => {
        /// One verb with its arguments, as the control endpoint takes it.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(tag = "verb", rename_all = "snake_case")]
        #[allow(non_camel_case_types)]
        pub(crate) enum Command {
            $($verb { $($name: $kept),* },)*
        }

        impl Sim {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// When GitHub would refuse it.
                pub fn $verb(&self, $($name: $given),*) -> Result<$out, Error> {
                    self.run(Command::$verb { $($name: Keep::keep($name)),* })
                }
            )*
        }

        impl SimClient {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// When GitHub would refuse it, or the simulator can't be reached.
                pub async fn $verb(&self, $($name: $given),*) -> Result<$out, Error> {
                    self.run(&Command::$verb { $($name: Keep::keep($name)),* }).await
                }
            )*
        }
    };
}

verbs! {
    /// Makes a user.
    create_user { login: &str as String } -> ();
    /// Makes a fine-grained token of a user; the user is made if new.
    create_token { login: &str as String, scope: Scope as Scope } -> String;
    /// Makes a GitHub App with these permissions (`("checks", "write")`) and a fresh RSA key.
    create_app {
        slug: &str as String, permissions: &[(&str, &str)] as Vec<(String, String)>,
    } -> NewApp;
    /// Installs an App on an account, on these of its repositories or, when none is named, on all;
    /// gives the installation's id.
    install_app {
        app: u64 as u64, account: &str as String, repositories: &[&str] as Vec<String>,
    } -> u64;
    /// Suspends an installation, or ends that.
    suspend_installation { installation: u64 as u64, suspended: bool as bool } -> ();
    /// Takes an App away from an account; its tokens die.
    uninstall_app { installation: u64 as u64 } -> ();
    /// Makes a public repository `owner/name` with one commit; the owner is its admin.
    create_repo {
        repo: &str as String, files: &[File<'_>] as Vec<(String, String, String)>,
        default_branch: &str as String,
    } -> ();
    /// Forks a repository to another account, which is made if new; gives the fork's `owner/name`.
    create_fork { repo: &str as String, owner: &str as String } -> String;
    /// Deletes a fork.
    delete_fork { fork: &str as String } -> ();
    /// Private repositories aren't there for those without a permission.
    set_private { repo: &str as String, private: bool as bool } -> ();
    /// Whether draft pull requests exist in this repository.
    set_drafts { repo: &str as String, drafts: bool as bool } -> ();
    /// Whether a repository takes no writes any more.
    set_archived { repo: &str as String, archived: bool as bool } -> ();
    /// Whether a repository has issues.
    set_has_issues { repo: &str as String, has_issues: bool as bool } -> ();
    /// Whether a branch takes direct updates.
    set_protected { repo: &str as String, branch: &str as String, protected: bool as bool } -> ();
    /// What a user may do in a repository.
    set_permission { repo: &str as String, login: &str as String, permission: Permission as Permission } -> ();
    /// Opens an issue; gives its number.
    open_issue { repo: &str as String, author: &str as String, title: &str as String, body: &str as String } -> u64;
    /// Changes title and body of an issue.
    edit_issue { repo: &str as String, number: u64 as u64, actor: &str as String, title: &str as String, body: &str as String } -> ();
    /// Sets a label; it is made if new.
    add_label { repo: &str as String, number: u64 as u64, label: &str as String, actor: &str as String } -> ();
    /// Takes a label away.
    remove_label { repo: &str as String, number: u64 as u64, label: &str as String, actor: &str as String } -> ();
    /// Writes a comment; gives its id.
    comment { repo: &str as String, number: u64 as u64, author: &str as String, body: &str as String } -> u64;
    /// Changes a comment.
    edit_comment { repo: &str as String, id: u64 as u64, actor: &str as String, body: &str as String } -> ();
    /// Deletes a comment.
    delete_comment { repo: &str as String, id: u64 as u64, actor: &str as String } -> ();
    /// Submits a review with comments on lines of the new side (path, line, text); gives its id.
    review {
        repo: &str as String, number: u64 as u64, author: &str as String,
        state: ReviewState as ReviewState, body: &str as String,
        comments: &[(&str, u64, &str)] as Vec<(String, u64, String)>,
    } -> u64;
    /// Changes the text of a review.
    edit_review { repo: &str as String, id: u64 as u64, body: &str as String } -> ();
    /// Takes a review back, its own or another's.
    dismiss_review { repo: &str as String, id: u64 as u64, actor: &str as String } -> ();
    /// Closes an issue.
    close_issue { repo: &str as String, number: u64 as u64, actor: &str as String } -> ();
    /// Opens an issue or a pull request again.
    reopen { repo: &str as String, number: u64 as u64, actor: &str as String } -> ();
    /// Deletes an issue, as an admin can.
    delete_issue { repo: &str as String, number: u64 as u64 } -> ();
    /// Moves an issue to another repository; gives its number there.
    transfer_issue { repo: &str as String, number: u64 as u64, to: &str as String } -> u64;
    /// Locks or unlocks the conversation.
    set_locked { repo: &str as String, number: u64 as u64, actor: &str as String, locked: bool as bool } -> ();
    /// Opens a pull request of a branch, or of a fork's `owner:branch`, as a person would; gives its
    /// number.
    open_pull { repo: &str as String, author: &str as String, title: &str as String, body: &str as String, head: &str as String, base: &str as String } -> u64;
    /// Closes a pull request without merging it.
    close_pull { repo: &str as String, number: u64 as u64, actor: &str as String } -> ();
    /// Makes it a draft.
    draft_pull { repo: &str as String, number: u64 as u64, actor: &str as String } -> ();
    /// Ends the draft.
    ready_pull { repo: &str as String, number: u64 as u64, actor: &str as String } -> ();
    /// Merges a pull request, draft or not; gives the merge commit.
    merge_pull { repo: &str as String, number: u64 as u64, actor: &str as String } -> String;
    /// What a pull request changes, as unified text.
    pull_diff { repo: &str as String, number: u64 as u64 } -> String;
    /// Asks the App of a check run for it again.
    rerequest_check_run { repo: &str as String, id: u64 as u64, actor: &str as String } -> ();
    /// Asks every App that has a check suite at a commit for it again.
    rerequest_check_suite { repo: &str as String, head_sha: &str as String, actor: &str as String } -> ();
    /// A file of a branch or commit; `None` when it isn't there.
    read_file { repo: &str as String, at: &str as String, path: &str as String } -> Option<String>;
    /// Commits whole files to a branch, made from the default branch if new; gives the commit.
    push_files {
        repo: &str as String, actor: &str as String, branch: &str as String,
        message: &str as String, files: &[File<'_>] as Vec<(String, String, String)>,
    } -> String;
    /// Points a branch to a commit that the repository has, whatever it pointed to before.
    force_push { repo: &str as String, actor: &str as String, branch: &str as String, sha: &str as String } -> ();
    /// Points all webhooks, also of repositories made later, to this receiver.
    set_webhook { url: &str as String, secret: &str as String } -> ();
    /// Points all webhooks to another address; the secret stays.
    set_webhook_url { url: &str as String } -> ();
    /// Sends a delivery again, with the same GUID.
    redeliver { repo: &str as String, delivery: u64 as u64 } -> ();
    /// Adds trouble; the first rule that strikes wins.
    add_fault { rule: Rule as Rule } -> ();
    /// Ends all trouble.
    clear_faults {} -> ();
    /// While down, every connection is closed without an answer.
    set_down { down: bool as bool } -> ();
    /// What is made from now on is missing from lists for so long; a GET by number finds it.
    delay_lists { millis: u64 as u64 } -> ();
    /// Loses the next `count` webhooks, and of the others this part.
    lose_deliveries { count: u64 as u64, part: f64 as f64 } -> ();
    /// Everything, as it is now.
    snapshot {} -> Snapshot;
}

/// From what a verb is given to what its command holds.
trait Keep<T> {
    fn keep(self) -> T;
}

impl Keep<String> for &str {
    fn keep(self) -> String {
        self.to_owned()
    }
}

impl Keep<Vec<(String, String, String)>> for &[File<'_>] {
    fn keep(self) -> Vec<(String, String, String)> {
        self.iter()
            .map(|(path, content, mode)| (path.keep(), content.keep(), mode.keep()))
            .collect()
    }
}

impl Keep<Vec<(String, String)>> for &[(&str, &str)] {
    fn keep(self) -> Vec<(String, String)> {
        self.iter().map(|(name, value)| (name.keep(), value.keep())).collect()
    }
}

impl Keep<Vec<(String, u64, String)>> for &[(&str, u64, &str)] {
    fn keep(self) -> Vec<(String, u64, String)> {
        self.iter().map(|(path, line, text)| (path.keep(), *line, text.keep())).collect()
    }
}

impl Keep<Vec<String>> for &[&str] {
    fn keep(self) -> Vec<String> {
        self.iter().map(|text| text.keep()).collect()
    }
}

macro_rules! keep_as_it_is {
    ($($kind:ty),*) => {$(
        impl Keep<$kind> for $kind {
            fn keep(self) -> $kind {
                self
            }
        }
    )*};
}

keep_as_it_is!(u64, f64, bool, Scope, Permission, ReviewState, Rule);

impl Sim {
    fn run<T: DeserializeOwned>(&self, command: Command) -> Result<T, Error> {
        let value = self.shared().world().run(command)?;
        self.shared().changed.tell();
        serde_json::from_value(value)
            .map_err(|error| Error::Refused { status: 500, message: error.to_string() })
    }
}

impl World {
    /// Does what a verb says; gives its result as JSON.
    pub(crate) fn run(&mut self, command: Command) -> Result<Value, Refusal> {
        let bytes = |files: Vec<(String, String, String)>| -> Vec<(String, Vec<u8>, String)> {
            files.into_iter().map(|(path, text, mode)| (path, text.into_bytes(), mode)).collect()
        };
        Ok(match command {
            Command::create_user { login } => {
                self.user(&login);
                Value::Null
            }
            Command::create_token { login, scope } => self.create_token(&login, scope).into(),
            Command::create_app { slug, permissions } => {
                json!(self.create_app(&slug, &permissions)?)
            }
            Command::install_app { app, account, repositories } => {
                self.install_app(app, &account, &repositories)?.into()
            }
            Command::suspend_installation { installation, suspended } => {
                self.suspend_installation(installation, suspended)?;
                Value::Null
            }
            Command::uninstall_app { installation } => {
                self.uninstall_app(installation)?;
                Value::Null
            }
            Command::rerequest_check_run { repo, id, actor } => {
                let actor = self.user(&actor).login;
                self.rerequest_check_run(&repo, id, &actor)?;
                Value::Null
            }
            Command::rerequest_check_suite { repo, head_sha, actor } => {
                let actor = self.user(&actor).login;
                self.rerequest_check_suite(&repo, &head_sha, &actor)?;
                Value::Null
            }
            Command::create_repo { repo, files, default_branch } => {
                self.create_repo(&repo, &bytes(files), &default_branch)?;
                Value::Null
            }
            Command::create_fork { repo, owner } => self.create_fork(&repo, &owner)?.into(),
            Command::delete_fork { fork } => {
                self.delete_fork(&fork)?;
                Value::Null
            }
            Command::set_private { repo, private } => {
                self.repo_mut(&repo)?.private = private;
                Value::Null
            }
            Command::set_drafts { repo, drafts } => {
                self.repo_mut(&repo)?.drafts = drafts;
                Value::Null
            }
            Command::set_archived { repo, archived } => {
                self.repo_mut(&repo)?.archived = archived;
                Value::Null
            }
            Command::set_has_issues { repo, has_issues } => {
                self.repo_mut(&repo)?.has_issues = has_issues;
                Value::Null
            }
            Command::delete_issue { repo, number } => {
                self.delete_issue(&repo, number)?;
                Value::Null
            }
            Command::transfer_issue { repo, number, to } => {
                self.transfer_issue(&repo, number, &to)?.into()
            }
            Command::set_protected { repo, branch, protected } => {
                let branches = &mut self.repo_mut(&repo)?.protected;
                if protected {
                    branches.insert(branch)
                } else {
                    branches.remove(&branch)
                };
                Value::Null
            }
            Command::set_permission { repo, login, permission } => {
                let login = self.user(&login).login.to_lowercase();
                self.repo_mut(&repo)?.permissions.insert(login, permission);
                Value::Null
            }
            Command::open_issue { repo, author, title, body } => {
                self.open_issue(&repo, &author, &title, Some(&body), &[])?.into()
            }
            Command::edit_issue { repo, number, actor, title, body } => {
                let edit = crate::world::IssueEdit {
                    title: Some(title),
                    body: Some(body),
                    ..Default::default()
                };
                self.edit_issue(&repo, number, &actor, edit)?;
                Value::Null
            }
            Command::add_label { repo, number, label, actor } => {
                let actor = self.user(&actor).login;
                self.add_labels(&repo, number, &actor, &[label])?;
                Value::Null
            }
            Command::remove_label { repo, number, label, actor } => {
                let actor = self.user(&actor).login;
                self.remove_label(&repo, number, &actor, &label)?;
                Value::Null
            }
            Command::comment { repo, number, author, body } => {
                self.comment(&repo, number, &author, &body)?.into()
            }
            Command::edit_comment { repo, id, actor, body } => {
                let actor = self.user(&actor).login;
                self.edit_comment(&repo, id, &actor, &body)?;
                Value::Null
            }
            Command::delete_comment { repo, id, actor } => {
                let actor = self.user(&actor).login;
                self.delete_comment(&repo, id, &actor)?;
                Value::Null
            }
            Command::review { repo, number, author, state, body, comments } => {
                self.review(&repo, number, &author, state, &body, &comments)?.into()
            }
            Command::edit_review { repo, id, body } => {
                self.edit_review(&repo, id, &body)?;
                Value::Null
            }
            Command::dismiss_review { repo, id, actor } => {
                self.dismiss_review(&repo, id, &actor)?;
                Value::Null
            }
            Command::close_issue { repo, number, actor }
            | Command::close_pull { repo, number, actor } => {
                let actor = self.user(&actor).login;
                self.set_open(&repo, number, &actor, false, None)?;
                Value::Null
            }
            Command::reopen { repo, number, actor } => {
                let actor = self.user(&actor).login;
                self.set_open(&repo, number, &actor, true, None)?;
                Value::Null
            }
            Command::set_locked { repo, number, actor, locked } => {
                let actor = self.user(&actor).login;
                self.set_locked(&repo, number, &actor, locked)?;
                Value::Null
            }
            Command::open_pull { repo, author, title, body, head, base } => {
                let new = NewPull {
                    title: &title,
                    body: Some(&body),
                    head: &head,
                    base: &base,
                    draft: false,
                    maintainer_can_modify: false,
                };
                self.open_pull(&repo, &author, &new)?.into()
            }
            Command::draft_pull { repo, number, actor } => {
                let actor = self.user(&actor).login;
                self.set_draft(&repo, number, &actor, true)?;
                Value::Null
            }
            Command::ready_pull { repo, number, actor } => {
                let actor = self.user(&actor).login;
                self.set_draft(&repo, number, &actor, false)?;
                Value::Null
            }
            Command::merge_pull { repo, number, actor } => {
                let actor = self.user(&actor).login;
                self.set_draft(&repo, number, &actor, false)?;
                self.merge_pull(&repo, number, &actor)?.to_string().into()
            }
            Command::pull_diff { repo, number } => self.pull_diff(&repo, number)?.into(),
            Command::read_file { repo, at, path } => json!(self.read_file(&repo, &at, &path)?),
            Command::push_files { repo, actor, branch, message, files } => {
                let actor = self.user(&actor).login;
                self.push_files(&repo, &actor, &branch, &message, &bytes(files))?.to_string().into()
            }
            Command::force_push { repo, actor, branch, sha } => {
                let actor = self.user(&actor).login;
                self.update_ref(&repo, &actor, &format!("refs/heads/{branch}"), &sha, true)?;
                Value::Null
            }
            Command::set_webhook { url, secret } => {
                self.set_webhook(Webhook { url, secret: SecretString::from(secret) });
                Value::Null
            }
            Command::set_webhook_url { url } => {
                let secret = self
                    .webhook
                    .as_ref()
                    .map(|webhook| webhook.secret.clone())
                    .ok_or_else(|| Refusal::unprocessable("there is no webhook yet"))?;
                self.set_webhook(Webhook { url, secret });
                Value::Null
            }
            Command::redeliver { repo, delivery } => {
                self.redeliver(&repo, delivery).ok_or_else(Refusal::not_found)?;
                Value::Null
            }
            Command::add_fault { rule } => {
                self.faults.add(rule);
                Value::Null
            }
            Command::clear_faults {} => {
                self.faults.clear();
                Value::Null
            }
            Command::set_down { down } => {
                self.faults.down = down;
                Value::Null
            }
            Command::delay_lists { millis } => {
                let millis = i64::try_from(millis).unwrap_or(i64::MAX / 1000);
                self.faults.list_delay = TimeDelta::milliseconds(millis);
                Value::Null
            }
            Command::lose_deliveries { count, part } => {
                self.faults.lose_next = count;
                self.faults.lose_part = part;
                Value::Null
            }
            Command::snapshot {} => json!(self.snapshot()?),
        })
    }
}
