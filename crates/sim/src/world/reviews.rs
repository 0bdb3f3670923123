//! Reviews of pull requests, and their comments on lines.

use serde_json::{Value, json};

use super::World;
use super::issues::check_body;
use super::model::{Permission, Review, ReviewComment, ReviewState};
use crate::answer::Refusal;
use crate::show;

impl World {
    /// Submits a review with comments on lines (path, line of the new side, text); gives its id.
    pub(crate) fn review(
        &mut self,
        repo: &str,
        number: u64,
        author: &str,
        state: ReviewState,
        body: &str,
        comments: &[(String, u64, String)],
    ) -> Result<u64, Refusal> {
        let commit = self.pull(repo, number)?.head_sha;
        let author = self.user(author).login;
        check_body("PullRequestReview", Some(body))?;
        let is_own = self.issue(repo, number)?.author == author;
        match state {
            ReviewState::Dismissed => {
                return Err(Refusal::unprocessable("A review can't be submitted as dismissed"));
            }
            ReviewState::ChangesRequested if is_own => {
                let message = "Can not request changes on your own pull request";
                return Err(Refusal::unprocessable(message));
            }
            ReviewState::Approved if is_own => {
                return Err(Refusal::unprocessable("Can not approve your own pull request"));
            }
            ReviewState::ChangesRequested | ReviewState::Commented
                if body.trim().is_empty() && comments.is_empty() =>
            {
                return Err(Refusal::unprocessable("Body cannot be blank"));
            }
            _ => {}
        }
        let files = self.pull_files(repo, number)?;
        let mut placed = Vec::new();
        for (path, line, text) in comments {
            let file = files.iter().find(|file| file.path == *path);
            let file = file.ok_or_else(|| Refusal::unprocessable("Path could not be resolved"))?;
            let place = place(file.patch.as_deref().unwrap_or_default(), *line);
            let place =
                place.ok_or_else(|| Refusal::unprocessable("Line could not be resolved"))?;
            if text.trim().is_empty() {
                return Err(Refusal::unprocessable("Body cannot be blank"));
            }
            placed.push((path, *line, text, place));
        }
        let (id, now) = (self.next_id(), self.now());
        let body = body.to_owned();
        let review = Review {
            id,
            pull: number,
            author: author.clone(),
            body,
            state,
            commit,
            submitted_at: now,
        };
        self.repo_mut(repo)?.reviews.insert(id, review);
        let mut ids = Vec::new();
        for (path, line, text, (diff_hunk, position)) in placed {
            let comment = ReviewComment {
                id: self.next_id(),
                review: id,
                pull: number,
                author: author.clone(),
                path: path.clone(),
                line,
                body: text.clone(),
                commit,
                diff_hunk,
                position,
                at: now,
            };
            ids.push(comment.id);
            self.repo_mut(repo)?.review_comments.insert(comment.id, comment);
        }
        self.issue_mut(repo, number)?;
        self.emit_review(repo, id, "submitted", &author, json!({}));
        for comment in ids {
            self.emit_review_comment(repo, comment, &author);
        }
        Ok(id)
    }

    pub(crate) fn edit_review(&mut self, repo: &str, id: u64, body: &str) -> Result<(), Refusal> {
        check_body("PullRequestReview", Some(body))?;
        let review = self.repo_mut(repo)?.reviews.get_mut(&id).ok_or_else(Refusal::not_found)?;
        let from = std::mem::replace(&mut review.body, body.to_owned());
        let author = review.author.clone();
        let changes = json!({"changes": {"body": {"from": from}}});
        self.emit_review(repo, id, "edited", &author, changes);
        Ok(())
    }

    pub(crate) fn dismiss_review(
        &mut self,
        repo: &str,
        id: u64,
        actor: &str,
    ) -> Result<(), Refusal> {
        let actor = self.user(actor).login;
        if self.repo(repo)?.permission(&actor) < Permission::Write {
            return Err(Refusal::not_accessible());
        }
        let review = self.repo_mut(repo)?.reviews.get_mut(&id).ok_or_else(Refusal::not_found)?;
        if !matches!(review.state, ReviewState::Approved | ReviewState::ChangesRequested) {
            let message = "Can not dismiss a commented pull request review";
            return Err(Refusal::unprocessable(message));
        }
        review.state = ReviewState::Dismissed;
        self.emit_review(repo, id, "dismissed", &actor, json!({}));
        Ok(())
    }

    fn emit_review(&mut self, repo: &str, id: u64, action: &str, sender: &str, more: Value) {
        let Ok(found) = self.repo(repo) else { return };
        let Some(review) = found.reviews.get(&id) else { return };
        let Some(pull) = show::pull_in_review(self, found, review.pull) else { return };
        let mut members = json!({
            "review": show::review_in_event(self, found, review),
            "pull_request": pull,
        });
        if let (Some(members), Value::Object(more)) = (members.as_object_mut(), more) {
            members.extend(more);
        }
        self.emit(repo, "pull_request_review", action, sender, members);
    }

    fn emit_review_comment(&mut self, repo: &str, id: u64, sender: &str) {
        let Ok(found) = self.repo(repo) else { return };
        let Some(comment) = found.review_comments.get(&id) else { return };
        let Some(pull) = show::pull_in_review(self, found, comment.pull) else { return };
        let members = json!({
            "comment": show::review_comment(self, found, comment),
            "pull_request": pull,
        });
        self.emit(repo, "pull_request_review_comment", "created", sender, members);
    }
}

/// The hunk up to a line of the new side, and the line's place in the diff; `None` where the diff does
/// not show it.
fn place(patch: &str, wanted: u64) -> Option<(String, u64)> {
    let (mut hunk, mut line) = (Vec::new(), 0);
    for (position, text) in patch.lines().enumerate() {
        if let Some(head) = text.strip_prefix("@@ ") {
            hunk.clear();
            let new = head.split(' ').find_map(|part| part.strip_prefix('+'))?;
            line = new.split(',').next()?.parse::<u64>().ok()?;
            hunk.push(text);
            continue;
        }
        hunk.push(text);
        if text.starts_with(['-', '\\']) {
            continue;
        }
        if line == wanted {
            return Some((hunk.join("\n"), u64::try_from(position).ok()?));
        }
        line += 1;
    }
    None
}
