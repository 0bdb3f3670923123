//! Whether a body is of the event that its (unsigned) event header claims.

use thiserror::Error;

use super::Envelope;

/// The event header and the body contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the body is not of event `{event}`: {why}")]
pub struct ShapeMismatch {
    event: String,
    why: &'static str,
}

/// What must be named in a body of the event, and what must not. The event header is not covered
/// by the signature, so a replayed body under another event's name has to be caught here. Events
/// that Booty reads nothing of pass: nothing is done for them.
pub fn check_shape(event: &str, body: &Envelope<'_>) -> Result<(), ShapeMismatch> {
    let has_action = body.action.is_some();
    let rules: &[(bool, &'static str)] = match event {
        "ping" => &[(body.zen.is_named() || body.hook_id.is_named(), "no `zen` or `hook_id`")],
        "issues" => &[
            (has_action, "no `action`"),
            (body.issue.is_named(), "no `issue`"),
            (!body.pull_request.is_named(), "there is a `pull_request`"),
            (!body.comment.is_named(), "there is a `comment`"),
        ],
        "issue_comment" => &[
            (has_action, "no `action`"),
            (body.issue.is_named(), "no `issue`"),
            (body.comment.is_named(), "no `comment`"),
            (!body.pull_request.is_named(), "there is a `pull_request`"),
        ],
        "pull_request" => &[
            (has_action, "no `action`"),
            (body.pull_request.is_named(), "no `pull_request`"),
            (!body.issue.is_named(), "there is an `issue`"),
            (!body.review.is_named(), "there is a `review`"),
            (!body.comment.is_named(), "there is a `comment`"),
        ],
        "pull_request_review" => &[
            (body.pull_request.is_named(), "no `pull_request`"),
            (body.review.is_named(), "no `review`"),
        ],
        "pull_request_review_comment" => &[
            (body.pull_request.is_named(), "no `pull_request`"),
            (body.comment.is_named(), "no `comment`"),
        ],
        "push" => &[
            (body.git_ref.is_named(), "no `ref`"),
            (body.after.is_named(), "no `after`"),
            (!has_action, "there is an `action`"),
        ],
        "create" | "delete" => {
            &[(body.git_ref.is_named(), "no `ref`"), (body.ref_type.is_named(), "no `ref_type`")]
        }
        "check_run" => &[
            (has_action, "no `action`"),
            (body.check_run.is_named(), "no `check_run`"),
            (!body.check_suite.is_named(), "there is a `check_suite`"),
        ],
        "check_suite" => &[
            (has_action, "no `action`"),
            (body.check_suite.is_named(), "no `check_suite`"),
            (!body.check_run.is_named(), "there is a `check_run`"),
        ],
        "label" => &[
            (has_action, "no `action`"),
            (body.label.is_named(), "no `label`"),
            (!body.issue.is_named(), "there is an `issue`"),
            (!body.pull_request.is_named(), "there is a `pull_request`"),
        ],
        "installation" | "installation_repositories" => &[
            (has_action, "no `action`"),
            (body.installation.is_named(), "no `installation`"),
            (!body.issue.is_named(), "there is an `issue`"),
            (!body.pull_request.is_named(), "there is a `pull_request`"),
        ],
        _ => &[],
    };
    match rules.iter().find(|(holds, _)| !holds) {
        Some((_, why)) => Err(ShapeMismatch { event: event.to_owned(), why }),
        None => Ok(()),
    }
}

/// [`check_shape`] for who needs no reason.
pub fn shape_matches(event: &str, body: &Envelope<'_>) -> bool {
    check_shape(event, body).is_ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ping", r#"{"zen":"z","hook_id":1}"#, true)]
    #[case("ping", r#"{"action":"labeled","issue":{"number":1}}"#, false)]
    #[case("issues", r#"{"action":"labeled","issue":{"number":1}}"#, true)]
    #[case("issues", r#"{"action":"labeled","issue":null,"label":null}"#, true)]
    #[case("issues", r#"{"action":"opened","pull_request":{"number":1}}"#, false)]
    #[case("issues", r#"{"action":"x","issue":{"number":1},"pull_request":{"number":1}}"#, false)]
    #[case("issues", r#"{"action":"created","issue":{"number":1},"comment":{"id":1}}"#, false)]
    #[case("issues", r#"{"issue":{"number":1}}"#, false)]
    #[case("issues", "{}", false)]
    #[case("issue_comment", r#"{"action":"created","issue":{"number":1},"comment":{}}"#, true)]
    #[case("issue_comment", r#"{"action":"created","issue":{"number":1}}"#, false)]
    #[case("pull_request", r#"{"action":"opened","pull_request":{"number":1}}"#, true)]
    #[case("pull_request", r#"{"action":"labeled","issue":{"number":1}}"#, false)]
    #[case("push", r#"{"ref":"refs/heads/main","after":"0"}"#, true)]
    #[case("push", r#"{"action":"x","ref":"refs/heads/main","after":"0"}"#, false)]
    #[case("create", r#"{"ref":"v1","ref_type":"tag"}"#, true)]
    #[case("check_run", r#"{"action":"created","check_run":{"id":1}}"#, true)]
    #[case("check_suite", r#"{"action":"created","check_run":{"id":1}}"#, false)]
    #[case("label", r#"{"action":"created","label":{"name":"a"}}"#, true)]
    #[case("label", r#"{"action":"labeled","label":{},"issue":{"number":1}}"#, false)]
    #[case("installation", r#"{"action":"created","installation":{"id":1}}"#, true)]
    #[case("never_heard_of", r#"{"a":1}"#, true)]
    fn the_header_must_fit(#[case] event: &str, #[case] body: &str, #[case] fits: bool) {
        let envelope = Envelope::parse(body.as_bytes()).unwrap();
        assert_eq!(check_shape(event, &envelope).is_ok(), fits);
    }
}
