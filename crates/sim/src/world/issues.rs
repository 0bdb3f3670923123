//! Issues (pull requests are issues too), their labels and comments.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::World;
use super::model::{Comment, Happening, Issue, Label};
use crate::answer::Refusal;
use crate::show;

/// Longest body of an issue, a pull request or a comment.
pub(crate) const MAX_BODY_CHARS: usize = 65_536;
/// Longest title.
pub(crate) const MAX_TITLE_CHARS: usize = 256;
/// Longest name of a label.
const MAX_LABEL_CHARS: usize = 50;
/// Labels an issue can have.
const MAX_LABELS: usize = 100;

/// What `PATCH` changes; absent members stay.
#[derive(Debug, Default)]
pub(crate) struct IssueEdit {
    pub(crate) title: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) open: Option<bool>,
    pub(crate) state_reason: Option<String>,
}

impl World {
    pub(crate) fn open_issue(
        &mut self,
        repo: &str,
        author: &str,
        title: &str,
        body: Option<&str>,
        labels: &[String],
    ) -> Result<u64, Refusal> {
        self.repo(repo)?;
        check_title("Issue", title)?;
        check_body("Issue", body)?;
        let number = self.insert_issue(repo, author, title, body, None)?;
        let label_ids = self.label_ids(repo, author, labels)?;
        if let Some(issue) = self.repo_mut(repo)?.issues.get_mut(&number) {
            issue.labels.clone_from(&label_ids);
        }
        self.emit_issue(repo, number, "opened", author, Value::Null);
        for id in label_ids {
            self.note_label(repo, number, id, "labeled", author)?;
        }
        Ok(number)
    }

    pub(super) fn insert_issue(
        &mut self,
        repo: &str,
        author: &str,
        title: &str,
        body: Option<&str>,
        pull: Option<super::model::Pull>,
    ) -> Result<u64, Refusal> {
        let author = self.user(author).login;
        let (id, now, visible_from) = (self.next_id(), self.now(), self.visible_from());
        let repo = self.repo_mut(repo)?;
        let number = repo.next_number;
        repo.next_number += 1;
        repo.issues.insert(
            number,
            Issue {
                id,
                number,
                title: title.to_owned(),
                body: body.map(str::to_owned),
                author,
                open: true,
                state_reason: None,
                locked: false,
                labels: Vec::new(),
                created_at: now,
                updated_at: now,
                closed_at: None,
                closed_by: None,
                history: Vec::new(),
                visible_from,
                pull,
            },
        );
        Ok(number)
    }

    pub(crate) fn issue(&self, repo: &str, number: u64) -> Result<&Issue, Refusal> {
        self.repo(repo)?.issues.get(&number).ok_or_else(Refusal::not_found)
    }

    pub(crate) fn issue_mut(&mut self, repo: &str, number: u64) -> Result<&mut Issue, Refusal> {
        let now = self.now();
        let issue = self.repo_mut(repo)?.issues.get_mut(&number).ok_or_else(Refusal::not_found)?;
        issue.updated_at = now;
        Ok(issue)
    }

    pub(crate) fn edit_issue(
        &mut self,
        repo: &str,
        number: u64,
        actor: &str,
        edit: IssueEdit,
    ) -> Result<(), Refusal> {
        let resource =
            if self.issue(repo, number)?.pull.is_some() { "PullRequest" } else { "Issue" };
        if let Some(title) = &edit.title {
            check_title(resource, title)?;
        }
        check_body(resource, edit.body.as_deref())?;
        let now = self.now();
        let event_id = self.next_id();
        let issue = self.issue_mut(repo, number)?;
        let mut changes = json!({});
        if let Some(title) = edit.title.filter(|title| *title != issue.title) {
            changes["title"] = json!({"from": issue.title});
            issue.history.push(Happening {
                rename: Some((issue.title.clone(), title.clone())),
                ..happening(event_id, "renamed", actor, now)
            });
            issue.title = title;
        }
        if let Some(body) = edit.body.filter(|body| Some(body) != issue.body.as_ref()) {
            changes["body"] = json!({"from": issue.body});
            issue.body = Some(body);
        }
        if changes.as_object().is_some_and(|changes| !changes.is_empty()) {
            self.emit_issue(repo, number, "edited", actor, json!({"changes": changes}));
        }
        match edit.open {
            Some(open) => self.set_open(repo, number, actor, open, edit.state_reason),
            None => Ok(()),
        }
    }

    pub(crate) fn set_open(
        &mut self,
        repo: &str,
        number: u64,
        actor: &str,
        open: bool,
        reason: Option<String>,
    ) -> Result<(), Refusal> {
        if self.issue(repo, number)?.open == open {
            return Ok(());
        }
        if open {
            self.check_reopen(repo, number)?;
            self.catch_up(repo, number)?;
        }
        let (id, now) = (self.next_id(), self.now());
        let issue = self.issue_mut(repo, number)?;
        issue.open = open;
        let is_pull = issue.pull.is_some();
        issue.state_reason = match (is_pull, open) {
            (true, _) => None,
            (false, true) => Some("reopened".to_owned()),
            (false, false) => Some(reason.unwrap_or_else(|| "completed".to_owned())),
        };
        issue.closed_at = (!open).then_some(now);
        issue.closed_by = (!open).then(|| actor.to_owned());
        let event = if open { "reopened" } else { "closed" };
        issue.history.push(happening(id, event, actor, now));
        self.emit_issue(repo, number, event, actor, Value::Null);
        Ok(())
    }

    /// Ids of labels by name; missing ones are made, as GitHub does silently.
    pub(crate) fn label_ids(
        &mut self,
        repo: &str,
        actor: &str,
        names: &[String],
    ) -> Result<Vec<u64>, Refusal> {
        for name in names {
            check_label_name(name)?;
        }
        let mut ids = Vec::new();
        for name in names {
            let known = self.repo(repo)?.label(name).map(|label| label.id);
            let id = match known {
                Some(id) => id,
                None => self.create_label(repo, actor, name, "ededed", None)?,
            };
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    pub(crate) fn create_label(
        &mut self,
        repo: &str,
        actor: &str,
        name: &str,
        color: &str,
        description: Option<&str>,
    ) -> Result<u64, Refusal> {
        check_label_name(name)?;
        check_label_look(color, description)?;
        if self.repo(repo)?.label(name).is_some() {
            return Err(Refusal::invalid("Label", "name", "already_exists"));
        }
        let label = Label {
            id: self.next_id(),
            name: name.to_owned(),
            color: color.to_lowercase(),
            description: description.map(str::to_owned),
        };
        let id = label.id;
        self.repo_mut(repo)?.labels.push(label.clone());
        let shown = show::label(self, self.repo(repo)?, &label);
        self.emit(repo, "label", "created", actor, json!({"label": shown}));
        Ok(id)
    }

    /// Makes the labels of an issue exactly these; says each that came and each that went.
    pub(crate) fn set_labels(
        &mut self,
        repo: &str,
        number: u64,
        actor: &str,
        ids: Vec<u64>,
    ) -> Result<(), Refusal> {
        if ids.len() > MAX_LABELS {
            return Err(Refusal::custom(
                "Issue",
                Some("labels"),
                format!("labels is too long (maximum is {MAX_LABELS} labels)"),
            ));
        }
        let old = self.issue(repo, number)?.labels.clone();
        let (before, after): (BTreeSet<u64>, BTreeSet<u64>) =
            (old.iter().copied().collect(), ids.iter().copied().collect());
        if before == after {
            return Ok(());
        }
        self.issue_mut(repo, number)?.labels.clone_from(&ids);
        for id in ids.iter().filter(|id| !before.contains(id)) {
            self.note_label(repo, number, *id, "labeled", actor)?;
        }
        for id in old.iter().filter(|id| !after.contains(id)) {
            self.note_label(repo, number, *id, "unlabeled", actor)?;
        }
        Ok(())
    }

    fn note_label(
        &mut self,
        repo: &str,
        number: u64,
        label: u64,
        event: &'static str,
        actor: &str,
    ) -> Result<(), Refusal> {
        let (id, now) = (self.next_id(), self.now());
        let Some(label) = self.repo(repo)?.label_by_id(label).cloned() else { return Ok(()) };
        self.issue_mut(repo, number)?.history.push(Happening {
            label: Some((label.name.clone(), label.color.clone())),
            ..happening(id, event, actor, now)
        });
        let shown = show::label(self, self.repo(repo)?, &label);
        self.emit_issue(repo, number, event, actor, json!({"label": shown}));
        Ok(())
    }

    pub(crate) fn add_labels(
        &mut self,
        repo: &str,
        number: u64,
        actor: &str,
        names: &[String],
    ) -> Result<(), Refusal> {
        let mut ids = self.issue(repo, number)?.labels.clone();
        for id in self.label_ids(repo, actor, names)? {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        self.set_labels(repo, number, actor, ids)
    }

    pub(crate) fn remove_label(
        &mut self,
        repo: &str,
        number: u64,
        actor: &str,
        name: &str,
    ) -> Result<(), Refusal> {
        let missing = || Refusal::new(http::StatusCode::NOT_FOUND, "Label does not exist");
        let mut ids = self.issue(repo, number)?.labels.clone();
        let id = self.repo(repo)?.label(name).map(|label| label.id).ok_or_else(missing)?;
        let at = ids.iter().position(|found| *found == id).ok_or_else(missing)?;
        ids.remove(at);
        self.set_labels(repo, number, actor, ids)
    }

    pub(crate) fn comment(
        &mut self,
        repo: &str,
        number: u64,
        author: &str,
        body: &str,
    ) -> Result<u64, Refusal> {
        self.issue(repo, number)?;
        check_comment(body)?;
        let author = self.user(author).login;
        let (id, now, visible_from) = (self.next_id(), self.now(), self.visible_from());
        self.issue_mut(repo, number)?;
        self.repo_mut(repo)?.comments.insert(
            id,
            Comment {
                id,
                issue: number,
                author: author.clone(),
                body: body.to_owned(),
                created_at: now,
                updated_at: now,
                visible_from,
            },
        );
        self.emit_comment(repo, id, "created", &author, Value::Null);
        Ok(id)
    }

    pub(crate) fn edit_comment(
        &mut self,
        repo: &str,
        id: u64,
        actor: &str,
        body: &str,
    ) -> Result<(), Refusal> {
        check_comment(body)?;
        let now = self.now();
        let comment = self.repo_mut(repo)?.comments.get_mut(&id).ok_or_else(Refusal::not_found)?;
        let from = std::mem::replace(&mut comment.body, body.to_owned());
        comment.updated_at = now;
        let number = comment.issue;
        self.issue_mut(repo, number)?;
        self.emit_comment(repo, id, "edited", actor, json!({"changes": {"body": {"from": from}}}));
        Ok(())
    }

    pub(crate) fn delete_comment(
        &mut self,
        repo: &str,
        id: u64,
        actor: &str,
    ) -> Result<(), Refusal> {
        self.repo(repo)?.comments.get(&id).ok_or_else(Refusal::not_found)?;
        self.emit_comment(repo, id, "deleted", actor, Value::Null);
        self.repo_mut(repo)?.comments.remove(&id);
        Ok(())
    }

    pub(crate) fn delete_issue(&mut self, repo: &str, number: u64) -> Result<(), Refusal> {
        let found = self.repo_mut(repo)?;
        found.issues.remove(&number).ok_or_else(Refusal::not_found)?;
        found.comments.retain(|_, comment| comment.issue != number);
        found.gone.insert(number, None);
        Ok(())
    }

    /// Its comments and its author go along; its labels and its number do not.
    pub(crate) fn transfer_issue(
        &mut self,
        repo: &str,
        number: u64,
        to: &str,
    ) -> Result<u64, Refusal> {
        let target = self.repo_mut(to)?;
        let new_number = target.next_number;
        target.next_number += 1;
        let found = self.repo_mut(repo)?;
        let mut issue = found.issues.remove(&number).ok_or_else(Refusal::not_found)?;
        let ids: Vec<u64> = found.comments_of(number).map(|comment| comment.id).collect();
        let comments: Vec<Comment> =
            ids.iter().filter_map(|id| found.comments.remove(id)).collect();
        found.gone.insert(number, Some((to.to_lowercase(), new_number)));
        issue.number = new_number;
        issue.labels.clear();
        let target = self.repo_mut(to)?;
        target.issues.insert(new_number, issue);
        for comment in comments {
            target.comments.insert(comment.id, Comment { issue: new_number, ..comment });
        }
        Ok(new_number)
    }

    pub(crate) fn set_locked(
        &mut self,
        repo: &str,
        number: u64,
        actor: &str,
        locked: bool,
    ) -> Result<(), Refusal> {
        let (id, now) = (self.next_id(), self.now());
        let issue = self.issue_mut(repo, number)?;
        if issue.locked == locked {
            return Ok(());
        }
        issue.locked = locked;
        let event = if locked { "locked" } else { "unlocked" };
        issue.history.push(happening(id, event, actor, now));
        self.emit_issue(repo, number, event, actor, Value::Null);
        Ok(())
    }
}

pub(crate) fn happening(
    id: u64,
    event: &'static str,
    actor: &str,
    at: chrono::DateTime<chrono::Utc>,
) -> Happening {
    Happening { id, event, actor: actor.to_owned(), at, label: None, rename: None, commit: None }
}

pub(crate) fn check_title(resource: &str, title: &str) -> Result<(), Refusal> {
    if title.trim().is_empty() {
        return Err(Refusal::invalid(resource, "title", "missing_field"));
    }
    too_long(resource, "title", title, MAX_TITLE_CHARS)
}

pub(crate) fn check_body(resource: &str, body: Option<&str>) -> Result<(), Refusal> {
    too_long(resource, "body", body.unwrap_or_default(), MAX_BODY_CHARS)
}

fn check_comment(body: &str) -> Result<(), Refusal> {
    if body.trim().is_empty() {
        let mut refusal = Refusal::invalid("IssueComment", "data", "unprocessable");
        if let Some(error) = refusal.errors.first_mut() {
            error["message"] = "Body cannot be blank".into();
        }
        return Err(refusal);
    }
    check_body("IssueComment", Some(body))
}

pub(crate) fn check_label_name(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() {
        return Err(Refusal::invalid("Label", "name", "missing_field"));
    }
    too_long("Label", "name", name, MAX_LABEL_CHARS)
}

/// The color is six hex digits without `#`.
pub(crate) fn check_label_look(color: &str, description: Option<&str>) -> Result<(), Refusal> {
    if color.len() != 6 || !color.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::invalid("Label", "color", "invalid"));
    }
    too_long("Label", "description", description.unwrap_or_default(), 100)
}

fn too_long(resource: &str, field: &str, text: &str, limit: usize) -> Result<(), Refusal> {
    if text.chars().count() <= limit {
        return Ok(());
    }
    let message = format!("{field} is too long (maximum is {limit} characters)");
    Err(Refusal::custom(resource, Some(field), message))
}
