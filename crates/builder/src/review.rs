//! What a review asks for, as GitHub has it now: its text and its comments on lines, bounded.

use std::fmt::Write as _;

use booty_events::RepoName;
use booty_github::{
    Client,
    object::{Review, ReviewComment},
};

use crate::{agent::prompt::shorten, shared::Pause};

/// Pages of a pull request's comments that are looked through, of 100 each, the newest first.
const MAX_PAGES: u32 = 5;
/// Comments of one review that are told; the first ones.
const MAX_COMMENTS: usize = 50;
/// Bytes of one text that are told.
const MAX_TEXT_BYTES: usize = 4 * 1024;
/// Bytes of a path that are told.
const MAX_PATH_BYTES: usize = 300;

/// What `login` asks for in the review; `None` when it is gone, dismissed, somebody else's, or empty.
pub(crate) async fn findings(
    github: &Client,
    repository: &RepoName,
    pull_request: u64,
    review: u64,
    login: &str,
) -> Result<Option<String>, Pause> {
    let Some(found) = github.get_review(repository, pull_request, review).await? else {
        return Ok(None);
    };
    let is_by = |user: Option<&booty_github::object::User>| {
        user.is_some_and(|user| user.login.eq_ignore_ascii_case(login))
    };
    if found.state != "CHANGES_REQUESTED" || !is_by(found.user.as_ref()) {
        return Ok(None);
    }
    let (mut own, mut has_more) = (Vec::new(), false);
    for number in 1..=MAX_PAGES {
        let page = github.newest_review_comments(repository, pull_request, number).await?;
        let Some(page) = page else { return Ok(None) };
        own.extend(page.items.into_iter().filter(|comment| {
            comment.pull_request_review_id == Some(review) && is_by(comment.user.as_ref())
        }));
        has_more = page.has_next;
        if !has_more {
            break;
        }
    }
    own.sort_by_key(|comment| comment.id);
    Ok(text(&found, &own, has_more))
}

fn text(review: &Review, comments: &[ReviewComment], has_more: bool) -> Option<String> {
    let mut text = short(review.body.as_deref());
    let told = comments.get(..MAX_COMMENTS).unwrap_or(comments);
    for comment in told {
        let said = short(comment.body.as_deref());
        if said.is_empty() {
            continue;
        }
        let path = shorten(&comment.path.replace(['\n', '\r'], " "), MAX_PATH_BYTES, 0);
        let gap = if text.is_empty() { "" } else { "\n\n" };
        // Writing to a String can't fail.
        let _ = match comment.line.or(comment.original_line) {
            Some(line) => write!(text, "{gap}{path}, line {line}:\n{said}"),
            None => write!(text, "{gap}{path}:\n{said}"),
        };
    }
    if has_more || told.len() < comments.len() {
        text.push_str("\n\n(The review may have more comments; they are not shown.)");
    }
    (!text.is_empty()).then_some(text)
}

fn short(text: Option<&str>) -> String {
    shorten(text.unwrap_or_default().trim(), MAX_TEXT_BYTES / 4 * 3, MAX_TEXT_BYTES / 4)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(body: Value, comments: Value, has_more: bool) -> Option<String> {
        let review = serde_json::from_value(json!({"id": 1, "body": body})).unwrap();
        let comments: Vec<_> = serde_json::from_value(comments).unwrap();
        text(&review, &comments, has_more)
    }

    #[test]
    fn paths_and_lines_are_told() {
        let comments = json!([
            {"id": 2, "path": "a.py", "line": 3, "original_line": 2, "body": "Use `+`."},
            {"id": 3, "path": "b.py", "line": null, "original_line": 9, "body": "Why?"},
            {"id": 4, "path": "c.py", "line": null, "body": "Rename it."},
            {"id": 5, "path": "d.py", "line": 1, "body": null},
        ]);
        let expected =
            "Not yet.\n\na.py, line 3:\nUse `+`.\n\nb.py, line 9:\nWhy?\n\nc.py:\nRename it.";
        assert_eq!(told(json!("Not yet."), comments, false).unwrap(), expected);
        let one = json!([{"id": 2, "path": "a.py", "line": 3, "body": "x"}]);
        assert_eq!(told(Value::Null, one, false).unwrap(), "a.py, line 3:\nx");
        assert_eq!(told(Value::Null, json!([]), false), None);
    }

    #[test]
    fn a_review_is_bounded_and_says_so() {
        let comment = json!({"id": 2, "path": "a.py", "line": 3, "body": "x".repeat(65_000)});
        let comments: Vec<_> = (0..60).map(|_| comment.clone()).collect();
        let text = told(Value::Null, comments.into(), false).unwrap();
        assert_eq!(text.matches("a.py, line 3").count(), MAX_COMMENTS);
        assert!(text.len() < MAX_COMMENTS * (MAX_TEXT_BYTES + 100));
        assert!(text.ends_with("they are not shown.)"));
    }
}
