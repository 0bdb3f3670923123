//! Telling the outside: what webhooks say when something changes.

use serde_json::{Map, Value, json};

use super::World;
use crate::show;

impl World {
    /// Sends an event of a repository to its hooks. `action` is empty for events without one.
    pub(crate) fn emit(
        &mut self,
        repo: &str,
        event: &'static str,
        action: &str,
        sender: &str,
        members: Value,
    ) {
        self.emit_to(repo, event, action, sender, members, None);
    }

    /// The same for what only one App is told. Where an App is installed the hook is the App's:
    /// the body says for which installation.
    pub(super) fn emit_to(
        &mut self,
        repo: &str,
        event: &'static str,
        action: &str,
        sender: &str,
        members: Value,
        app: Option<u64>,
    ) {
        let Ok(found) = self.repo(repo) else { return };
        let (repo_id, hooks) = (found.id, found.hooks.clone());
        let mut body = Map::new();
        if !action.is_empty() {
            body.insert("action".to_owned(), action.into());
        }
        if let Value::Object(members) = members {
            body.extend(members);
        }
        body.insert("repository".to_owned(), show::repository_in_event(self, found));
        body.insert("sender".to_owned(), show::user(self, sender));
        let installation = self
            .installed_on(found)
            .find(|installation| app.is_none_or(|app| installation.app == app))
            .map(|installation| (installation.id, installation.app));
        if let Some((id, _)) = installation {
            let node = show::node("IntegrationInstallation", id);
            body.insert("installation".to_owned(), json!({"id": id, "node_id": node}));
        }
        let action = (!action.is_empty()).then(|| action.to_owned());
        for hook in hooks {
            let (id, guid) = (self.next_id(), self.uuid());
            let lost = self.faults.loses_delivery(&mut self.rng);
            self.outbox.send(crate::hooks::Delivery {
                id,
                guid,
                event,
                action: action.clone(),
                repo: repo.to_lowercase(),
                repo_id,
                installation,
                hook: hook.clone(),
                body: Value::Object(body.clone()).to_string().into(),
                redelivery: false,
                lost,
            });
        }
    }

    /// `issues` or `pull_request`, whichever the number is.
    pub(crate) fn emit_issue(
        &mut self,
        repo: &str,
        number: u64,
        action: &str,
        sender: &str,
        more: Value,
    ) {
        let Ok(found) = self.repo(repo) else { return };
        let Some(issue) = found.issues.get(&number) else { return };
        let mut members = match more {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        let event = if let Some(pull) = &issue.pull {
            members.insert("number".to_owned(), number.into());
            members.insert("pull_request".to_owned(), show::pull_full(self, found, issue, pull));
            "pull_request"
        } else {
            members.insert("issue".to_owned(), show::issue(self, found, issue));
            "issues"
        };
        self.emit(repo, event, action, sender, Value::Object(members));
    }

    pub(crate) fn emit_comment(
        &mut self,
        repo: &str,
        id: u64,
        action: &str,
        sender: &str,
        more: Value,
    ) {
        let Ok(found) = self.repo(repo) else { return };
        let Some(comment) = found.comments.get(&id) else { return };
        let Some(issue) = found.issues.get(&comment.issue) else { return };
        let mut members = json!({
            "issue": show::issue(self, found, issue),
            "comment": show::comment(self, found, comment),
        });
        if let (Some(members), Value::Object(more)) = (members.as_object_mut(), more) {
            members.extend(more);
        }
        self.emit(repo, "issue_comment", action, sender, members);
    }

    /// Sends an old delivery again, with its own GUID.
    pub(crate) fn redeliver(&mut self, repo: &str, delivery: u64) -> Option<u64> {
        let mut again = self.outbox.original(repo, delivery)?;
        again.id = self.next_id();
        again.redelivery = true;
        again.lost = self.faults.loses_delivery(&mut self.rng);
        // A redelivery goes to where the hook points now.
        if let Some(hook) =
            self.repo(repo).ok().and_then(|repo| repo.hooks.iter().find(|h| h.id == again.hook.id))
        {
            again.hook = hook.clone();
        }
        let id = again.id;
        self.outbox.send(again);
        Some(id)
    }
}
