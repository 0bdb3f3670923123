//! What becomes of a GitHub delivery, from its event, its body and the settings alone.
//!
//! [`WANTED`] is the one table of events that some service takes. Everything else that is well
//! formed is ignored, and the reason goes on record.

use booty_events::{DeliveryId, IssueNumber, JobId, RepoName, subject, v1::Event};
use booty_github::payload::{self, Envelope, Field};
use http::StatusCode;

use crate::{
    allow::AllowList,
    answer::Refusal,
    json,
    source::{Accepted, Decision, Ignored, word},
};

/// An event and action that some service takes.
struct Wanted {
    event: &'static str,
    action: Option<&'static str>,
    work: Work,
}

/// What a wanted delivery is about, and so what it needs and what its job is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// An issue that got the trigger label, or lost it: the builder's.
    LabelledIssue,
    /// An issue that was closed: the builder's, which may work on it.
    ClosedIssue,
    /// A comment on an issue or a pull request: the builder's, when it holds a command.
    Comment,
    /// A pull request that was reviewed or closed: the builder's, when it is one of its own.
    PullRequest,
    /// A pull request with a head to judge: a job of the verifier's.
    Head,
    /// Somebody asks for a judgement again.
    Again,
}

/// Everything that is wanted. A service that takes another event adds a line.
const WANTED: &[Wanted] = &[
    Wanted { event: "issues", action: Some("labeled"), work: Work::LabelledIssue },
    Wanted { event: "issues", action: Some("unlabeled"), work: Work::LabelledIssue },
    Wanted { event: "issues", action: Some("closed"), work: Work::ClosedIssue },
    Wanted { event: "issue_comment", action: Some("created"), work: Work::Comment },
    Wanted { event: "pull_request_review", action: Some("submitted"), work: Work::PullRequest },
    Wanted { event: "pull_request", action: Some("closed"), work: Work::PullRequest },
    Wanted { event: "pull_request", action: Some("opened"), work: Work::Head },
    Wanted { event: "pull_request", action: Some("synchronize"), work: Work::Head },
    Wanted { event: "pull_request", action: Some("reopened"), work: Work::Head },
    Wanted { event: "pull_request", action: Some("ready_for_review"), work: Work::Head },
    Wanted { event: "check_run", action: Some("rerequested"), work: Work::Again },
    Wanted { event: "check_suite", action: Some("rerequested"), work: Work::Again },
];

/// What the verifier calls its check run. Other people's checks are none of its business.
const CHECK_NAME: &str = "booty/verifier";

const CE_SOURCE: &str = "https://github.com/webhooks";

/// Why a delivery is ignored: the words that senders, events and metrics show.
mod reason {
    /// No service takes this event and action.
    pub(super) const EVENT: &str = "event";
    /// The label that was set is not the trigger.
    pub(super) const LABEL: &str = "label";
    /// The repository is not on the allow-list.
    pub(super) const REPOSITORY: &str = "repository";
    /// The installation is not on the allow-list.
    pub(super) const INSTALLATION: &str = "installation";
    /// `issue` is null.
    pub(super) const NO_ISSUE: &str = "no_issue";
    /// `label` is null: it was deleted in the meantime.
    pub(super) const NO_LABEL: &str = "no_label";
    /// The sender or the issue's author is null: the account was deleted.
    pub(super) const NO_USER: &str = "no_user";
    /// `comment` is null.
    pub(super) const NO_COMMENT: &str = "no_comment";
    /// `review` is null.
    pub(super) const NO_REVIEW: &str = "no_review";
    /// `pull_request` is null.
    pub(super) const NO_PULL_REQUEST: &str = "no_pull_request";
    /// The check run or suite is null, or names no commit.
    pub(super) const NO_HEAD: &str = "no_head";
    /// A check run of somebody else's.
    pub(super) const OTHER_CHECK: &str = "other_check";
}

/// What of the settings the decision depends on.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) allowed: AllowList,
    pub(crate) trigger_label: String,
}

/// Decides on a verified body that came as `event` under the name `delivery`.
pub(crate) fn decide(rules: &Rules, event: &str, delivery: &DeliveryId, body: &[u8]) -> Decision {
    let text = match json::check(body) {
        Ok(text) => text,
        Err(refusal) => return Decision::Refuse(refusal),
    };
    let is_known = event == "ping" || WANTED.iter().any(|wanted| wanted.event == event);
    let envelope = match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(envelope) => envelope,
        // An event that nobody reads may use our fields' names for anything.
        Err(_) if !is_known => {
            return ignore(reason::EVENT, event, delivery, &Envelope::default());
        }
        Err(error) => return Decision::Refuse(json::refusal(&error)),
    };
    if let Err(mismatch) = payload::check_shape(event, &envelope) {
        let message = if is_known {
            mismatch.to_string()
        } else {
            "the body is not of the event that its header names".to_owned()
        };
        return Decision::Refuse(Refusal::new(StatusCode::BAD_REQUEST, "shape", message));
    }
    if event == "ping" {
        return Decision::Pong;
    }
    let action = envelope.action.as_deref();
    let Some(wanted) = WANTED.iter().find(|w| w.event == event && w.action == action) else {
        return ignore(reason::EVENT, event, delivery, &envelope);
    };
    let about = match wanted.work {
        Work::LabelledIssue => {
            labelled_issue(rules, &envelope).map(|number| JobId::for_issue(number, delivery))
        }
        Work::ClosedIssue => {
            issue(rules, &envelope).map(|number| JobId::for_issue(number, delivery))
        }
        Work::Comment => comment(rules, &envelope, delivery),
        Work::PullRequest if envelope.review.is_named() && envelope.review.value().is_none() => {
            Err(Unwanted::Ignored(reason::NO_REVIEW))
        }
        Work::PullRequest => head(rules, &envelope).map(|n| JobId::for_pull_request(n, delivery)),
        Work::Head => head(rules, &envelope).map(|n| JobId::for_pull_request(n, delivery)),
        Work::Again => again(rules, &envelope).map(|n| JobId::for_pull_request(n, delivery)),
    };
    match about {
        Ok(job_id) => Decision::Accept(Accepted {
            job_id,
            delivery_id: delivery.to_string(),
            subject: subject::inbox_github(wanted.event, wanted.action, delivery),
            ce_type: match wanted.action {
                Some(action) => format!("com.github.{}.{action}", wanted.event),
                None => format!("com.github.{}", wanted.event),
            },
            ce_source: CE_SOURCE,
            headers: Vec::new(),
        }),
        Err(Unwanted::Ignored(reason)) => ignore(reason, event, delivery, &envelope),
        Err(Unwanted::Malformed(message)) => {
            Decision::Refuse(Refusal::new(StatusCode::BAD_REQUEST, "malformed", message))
        }
    }
}

enum Unwanted {
    Ignored(&'static str),
    Malformed(&'static str),
}

/// The label comes before the allow-lists: a repository's everyday labels are no news, a trigger
/// from a repository that is not served is.
fn labelled_issue(rules: &Rules, body: &Envelope<'_>) -> Result<IssueNumber, Unwanted> {
    use Unwanted::{Ignored, Malformed};
    let issue = body.issue.value().ok_or(Ignored(reason::NO_ISSUE))?;
    let number = IssueNumber::new(issue.number).ok_or(Malformed("the issue's number is 0"))?;
    let label = body.label.value().and_then(|label| label.name.as_deref());
    // GitHub's label names ignore case.
    if !label.ok_or(Ignored(reason::NO_LABEL))?.eq_ignore_ascii_case(&rules.trigger_label) {
        return Err(Ignored(reason::LABEL));
    }
    allowed(rules, body)?;
    if issue.user.is_none() || matches!(body.sender, Field::Null) {
        return Err(Ignored(reason::NO_USER));
    }
    Ok(number)
}

/// An issue, whoever did something to it.
fn issue(rules: &Rules, body: &Envelope<'_>) -> Result<IssueNumber, Unwanted> {
    let issue = body.issue.value().ok_or(Unwanted::Ignored(reason::NO_ISSUE))?;
    let number = IssueNumber::new(issue.number);
    let number = number.ok_or(Unwanted::Malformed("the issue's number is 0"))?;
    allowed(rules, body)?;
    Ok(number)
}

/// What is commented on; whether the comment says anything to us is the builder's to find out.
fn comment(rules: &Rules, body: &Envelope<'_>, delivery: &DeliveryId) -> Result<JobId, Unwanted> {
    let number = issue(rules, body)?;
    if body.comment.value().is_none() {
        return Err(Unwanted::Ignored(reason::NO_COMMENT));
    }
    Ok(match body.issue.value() {
        Some(issue) if issue.is_pull_request() => JobId::for_pull_request(number.get(), delivery),
        _ => JobId::for_issue(number, delivery),
    })
}

/// The pull request that it is about. Whoever opened it: the judgement is for those who merge.
fn head(rules: &Rules, body: &Envelope<'_>) -> Result<u64, Unwanted> {
    let pull = body.pull_request.value().ok_or(Unwanted::Ignored(reason::NO_PULL_REQUEST))?;
    if pull.number == 0 {
        return Err(Unwanted::Malformed("the pull request's number is 0"));
    }
    allowed(rules, body)?;
    Ok(pull.number)
}

/// The pull request of a check run that is asked for again: its number is in the id that we gave the
/// run. 0 when it is not, as of a suite: then it is found by its head.
fn again(rules: &Rules, body: &Envelope<'_>) -> Result<u64, Unwanted> {
    let run = body.check_run.value();
    let check = run.or(body.check_suite.value()).ok_or(Unwanted::Ignored(reason::NO_HEAD))?;
    if run.is_some_and(|run| run.name.as_deref() != Some(CHECK_NAME)) {
        return Err(Unwanted::Ignored(reason::OTHER_CHECK));
    }
    if check.head_sha.is_none() {
        return Err(Unwanted::Ignored(reason::NO_HEAD));
    }
    allowed(rules, body)?;
    let job = check.external_id.as_deref().and_then(|id| id.parse::<JobId>().ok());
    Ok(job.and_then(|job| job.pull_request()).unwrap_or(0))
}

fn allowed(rules: &Rules, body: &Envelope<'_>) -> Result<(), Unwanted> {
    let name = body.repository_name().and_then(|name| name.parse::<RepoName>().ok());
    if !name.is_some_and(|name| rules.allowed.repository(&name)) {
        return Err(Unwanted::Ignored(reason::REPOSITORY));
    }
    if !rules.allowed.installation(body.installation.value().map(|i| i.id)) {
        return Err(Unwanted::Ignored(reason::INSTALLATION));
    }
    Ok(())
}

fn ignore(
    reason: &'static str,
    event: &str,
    delivery: &DeliveryId,
    body: &Envelope<'_>,
) -> Decision {
    let repository = body.repository_name().and_then(|name| name.parse::<RepoName>().ok());
    let mut attributes = std::collections::BTreeMap::new();
    attributes.insert("event".to_owned(), word(event));
    if let Some(action) = body.action.as_deref() {
        attributes.insert("action".to_owned(), word(action));
    }
    Decision::Ignore(Ignored {
        reason,
        key: delivery.to_string(),
        event: Event {
            delivery_id: delivery.to_string(),
            repository: repository.map(|name| name.to_string()).unwrap_or_default(),
            issue: body.issue.value().map_or(0, |issue| issue.number),
            reason: reason.to_owned(),
            attributes,
            ..Event::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GOOD: &str = r#"{"action":"labeled","label":{"name":"agent:builder"},
        "issue":{"number":7,"user":{"login":"u"}},"sender":{"login":"u"},
        "repository":{"full_name":"Octo/Hello"},"installation":{"id":5}}"#;

    fn rules() -> Rules {
        Rules {
            allowed: AllowList::new(&["octo/*".to_owned()], Some([5].into())).unwrap(),
            trigger_label: "agent:builder".to_owned(),
        }
    }

    /// `accept <job>`, `ignore <reason>`, `refuse <reason>` or `pong`.
    fn outcome(event: &str, body: &str) -> String {
        match decide(&rules(), event, &"d-1".parse().unwrap(), body.as_bytes()) {
            Decision::Pong => "pong".to_owned(),
            Decision::Accept(accepted) => format!("accept {}", accepted.job_id),
            Decision::Ignore(ignored) => format!("ignore {}", ignored.reason),
            Decision::Refuse(refusal) => format!("refuse {}", refusal.reason),
        }
    }

    #[rstest]
    #[case::good(&[], "accept 7-d-1")]
    #[case::upper_case_twin(&[("Octo/Hello", "OCTO/HELLO")], "accept 7-d-1")]
    #[case::number_2_63(&[("\"number\":7", "\"number\":9223372036854775808")], "accept 9223372036854775808-d-1")]
    #[case::number_2_64(&[("\"number\":7", "\"number\":18446744073709551616")], "refuse not_json")]
    #[case::number_minus_zero(&[("\"number\":7", "\"number\":-0")], "refuse not_json")]
    #[case::number_zero(&[("\"number\":7", "\"number\":0")], "refuse malformed")]
    #[case::number_huge(&[("\"number\":7", "\"number\":1e400")], "refuse not_json")]
    #[case::label_taken_away(&[("labeled", "unlabeled")], "accept 7-d-1")]
    #[case::other_label_taken_away(&[("labeled", "unlabeled"), ("agent:builder", "bug")], "ignore label")]
    #[case::closed(&[("labeled", "closed"), ("agent:builder", "bug")], "accept 7-d-1")]
    #[case::closed_by_a_ghost(&[("labeled", "closed"), (r#""sender":{"login":"u"}"#, r#""sender":null"#)], "accept 7-d-1")]
    #[case::closed_elsewhere(&[("labeled", "closed"), ("Octo/", "evil/")], "ignore repository")]
    #[case::other_action(&[("labeled", "milestoned")], "ignore event")]
    #[case::unknown_action(&[("labeled", "beamed")], "ignore event")]
    #[case::action_twice(&[("\"action\":\"labeled\"", "\"action\":\"opened\",\"action\":\"labeled\"")], "refuse not_json")]
    #[case::label_in_other_case(&[("agent:builder", "Agent:Builder")], "accept 7-d-1")]
    #[case::other_label(&[("agent:builder", "bug")], "ignore label")]
    #[case::other_label_of_a_stranger(&[("agent:builder", "bug"), ("Octo/", "evil/")], "ignore label")]
    #[case::deleted_label(&[(r#"{"name":"agent:builder"}"#, "null")], "ignore no_label")]
    #[case::nameless_label(&[(r#"{"name":"agent:builder"}"#, "{}")], "ignore no_label")]
    #[case::null_issue(&[(r#"{"number":7,"user":{"login":"u"}}"#, "null")], "ignore no_issue")]
    #[case::ghost_author(&[(r#""user":{"login":"u"}"#, r#""user":null"#)], "ignore no_user")]
    #[case::ghost_sender(&[(r#""sender":{"login":"u"}"#, r#""sender":null"#)], "ignore no_user")]
    #[case::stranger(&[("Octo/", "evil/")], "ignore repository")]
    #[case::no_repository(&[(r#"{"full_name":"Octo/Hello"}"#, "null")], "ignore repository")]
    #[case::wildcard_name(&[("Octo/Hello", "octo/gh.>")], "ignore repository")]
    #[case::dots_and_length(&[("Octo/Hello", "octo/a.b.c-ddddddddddddddddddddddddddddddddddd")], "accept 7-d-1")]
    #[case::other_installation(&[("\"id\":5", "\"id\":6")], "ignore installation")]
    #[case::no_installation(&[(r#"{"id":5}"#, "null")], "ignore installation")]
    #[case::pull_request_body(&[("\"issue\"", "\"pull_request\"")], "refuse shape")]
    fn issues(#[case] changes: &[(&str, &str)], #[case] expected: &str) {
        assert_eq!(outcome("issues", &changed(GOOD, changes)), expected);
    }

    #[rstest]
    #[case::ping("ping", r#"{"zen":"z","hook_id":1,"hook":{}}"#, "pong")]
    #[case::ping_with_another_body("ping", GOOD, "refuse shape")]
    #[case::unwanted("push", r#"{"ref":"refs/heads/x","after":"0"}"#, "ignore event")]
    #[case::unheard_of("quantum_leap", "{}", "ignore event")]
    #[case::odd_types_nobody_reads("quantum_leap", r#"{"issue":"x","ref":{}}"#, "ignore event")]
    #[case::issue_body_as_another_event("pull_request", GOOD, "refuse shape")]
    #[case::empty_object("issues", "{}", "refuse shape")]
    #[case::null("issues", "null", "refuse not_an_object")]
    #[case::list("quantum_leap", "[]", "refuse not_an_object")]
    fn other_events(#[case] event: &str, #[case] body: &str, #[case] expected: &str) {
        assert_eq!(outcome(event, body), expected);
    }

    const SAID: &str = r#"{"action":"created","issue":{"number":7,"pull_request":{}},
        "comment":{"id":1,"body":"/booty stop","user":{"login":"u"}},"sender":{"login":"u"},
        "repository":{"full_name":"Octo/Hello"},"installation":{"id":5}}"#;
    const REVIEWED: &str = r#"{"action":"submitted","pull_request":{"number":7},
        "review":{"id":1,"state":"changes_requested","body":null,"user":{"login":"u"}},
        "repository":{"full_name":"Octo/Hello"},"installation":{"id":5}}"#;

    #[rstest]
    #[case::on_a_pull_request(&[], "accept pr7-d-1")]
    #[case::on_an_issue(&[(r#","pull_request":{}"#, "")], "accept 7-d-1")]
    #[case::on_an_issue_by_null(&[("{}", "null")], "accept 7-d-1")]
    #[case::by_a_ghost(&[(r#""user":{"login":"u"}"#, r#""user":null"#)], "accept pr7-d-1")]
    #[case::without_words(&[(r#""/booty stop""#, "null")], "accept pr7-d-1")]
    #[case::edited(&[("created", "edited")], "ignore event")]
    #[case::deleted(&[("created", "deleted")], "ignore event")]
    #[case::null_issue(&[(r#"{"number":7,"pull_request":{}}"#, "null")], "ignore no_issue")]
    #[case::number_zero(&[("\"number\":7", "\"number\":0")], "refuse malformed")]
    #[case::null_comment(&[(r#"{"id":1,"body":"/booty stop","user":{"login":"u"}}"#, "null")], "ignore no_comment")]
    #[case::elsewhere(&[("Octo/", "evil/")], "ignore repository")]
    fn comments(#[case] changes: &[(&str, &str)], #[case] expected: &str) {
        assert_eq!(outcome("issue_comment", &changed(SAID, changes)), expected);
        // The event's name is not signed.
        assert_eq!(outcome("issues", &changed(SAID, changes)), "refuse shape");
    }

    #[rstest]
    #[case::changes_requested(&[], "accept pr7-d-1")]
    #[case::by_a_ghost(&[(r#""user":{"login":"u"}"#, r#""user":null"#)], "accept pr7-d-1")]
    // What a review says is the builder's to judge.
    #[case::approved(&[("changes_requested", "approved")], "accept pr7-d-1")]
    #[case::edited(&[("submitted", "edited")], "ignore event")]
    #[case::dismissed(&[("submitted", "dismissed")], "ignore event")]
    #[case::null_review(&[(r#"{"id":1,"state":"changes_requested","body":null,"user":{"login":"u"}}"#, "null")], "ignore no_review")]
    #[case::null_pull_request(&[(r#"{"number":7}"#, "null")], "ignore no_pull_request")]
    #[case::elsewhere(&[("Octo/", "evil/")], "ignore repository")]
    fn reviews(#[case] changes: &[(&str, &str)], #[case] expected: &str) {
        assert_eq!(outcome("pull_request_review", &changed(REVIEWED, changes)), expected);
        assert_eq!(outcome("pull_request", &changed(REVIEWED, changes)), "refuse shape");
    }

    #[test]
    fn a_closed_pull_request_is_wanted() {
        let body = r#"{"action":"closed","pull_request":{"number":7,"user":null},
            "repository":{"full_name":"Octo/Hello"},"installation":{"id":5}}"#;
        assert_eq!(outcome("pull_request", body), "accept pr7-d-1");
        assert_eq!(outcome("pull_request", &body.replace("closed", "edited")), "ignore event");
    }

    fn changed(body: &str, changes: &[(&str, &str)]) -> String {
        changes.iter().fold(body.to_owned(), |body, (from, to)| {
            assert!(body.contains(from), "{from}");
            body.replacen(from, to, 1)
        })
    }

    #[test]
    fn what_goes_on_record_is_bounded() {
        let event = "e".repeat(5000);
        let body = format!(
            r#"{{"action":"<script>","repository":{{"full_name":"{}"}}}}"#,
            "r".repeat(9000)
        );
        let delivery = "d".parse().unwrap();
        let Decision::Ignore(ignored) = decide(&rules(), &event, &delivery, body.as_bytes()) else {
            panic!("an unknown event is ignored");
        };
        assert_eq!(ignored.event.attributes["event"], "other");
        assert_eq!(ignored.event.attributes["action"], "other");
        assert_eq!(ignored.event.repository, "");
    }
}
