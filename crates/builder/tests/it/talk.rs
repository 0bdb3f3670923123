//! What people say on issues and pull requests, and what comes of it.

use std::collections::BTreeSet;

use booty_events::{
    IssueNumber, JobId,
    v1::{Comment, Effect, Event, JobState, effect::Write},
};
use booty_service::JobStore;
use booty_sim::{Permission, ReviewState};
use serde_json::{Value, json};

use crate::{
    follow_up::{asked, opened, over},
    played::{Opened, updates},
    world::{CALC, LABEL, MAINTAINER, REPO, World, opens, says},
};

/// Plays a request only if its words, and nothing else that was said, are in the task.
const SCRIPT: &str = r#"
asked_log: asked.log
scenarios:
  - match: "SECRET WORDS OF OTHERS"
    turns: []
  - match: "request 1 of 5"
    turns:
      - calls: [{ tool: read, with: { path: calc.py } }]
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return a + b", new: "return b + a" } }
          - { tool: finish, with: { summary: "The other way round." } }
  - match: "request 2 of 5"
    turns:
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return b + a", new: "return sum((a, b))" } }
          - { tool: finish, with: { summary: "With sum." } }
  - turns:
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return a - b", new: "return a + b" } }
          - { tool: finish, with: { summary: "It adds." } }
"#;

#[derive(Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) number: u64,
    pub(crate) is_pull: bool,
    pub(crate) by: &'a str,
    pub(crate) body: &'a str,
}

impl World {
    /// Somebody comments; the delivery goes into the inbox. Gives the job id that ingress told.
    pub(crate) async fn says(&self, delivery: &str, said: Said<'_>) -> JobId {
        let id = self.sim.comment(REPO, said.number, said.by, said.body).unwrap();
        self.hears(delivery, &comment_payload(&said, id)).await;
        self.told_as(said.number, said.is_pull, delivery)
    }

    pub(crate) async fn hears(&self, delivery: &str, payload: &Value) {
        self.deliver_as("issue_comment", "created", delivery, payload).await;
    }

    pub(crate) fn told_as(&self, number: u64, is_pull: bool, delivery: &str) -> JobId {
        if is_pull {
            JobId::for_pull_request(number, &delivery.parse().unwrap())
        } else {
            JobId::for_issue(IssueNumber::new(number).unwrap(), &delivery.parse().unwrap())
        }
    }

    async fn reviews(&self, delivery: &str, pull: &Opened, by: &str, body: &str) -> (u64, JobId) {
        let comments = [("calc.py", 2, "Say `b` first.")];
        let state = ReviewState::ChangesRequested;
        let review = self.sim.review(REPO, pull.number, by, state, body, &comments).unwrap();
        let payload = review_payload(pull.number, review, by, "changes_requested");
        self.deliver_as("pull_request_review", "submitted", delivery, &payload).await;
        (review, self.told_as(pull.number, true, delivery))
    }

    /// The one comment that answers a delivery.
    pub(crate) async fn answer(&self, job: &JobId, slot: &str) -> Comment {
        let find = async || {
            let effects = self.effects().await;
            effects.into_iter().find(|e| e.cause == job.as_str() && e.slot == slot)
        };
        let look = async {
            loop {
                if let Some(Effect { write: Some(Write::Comment(comment)), .. }) = find().await {
                    return comment;
                }
                tokio::task::yield_now().await;
            }
        };
        let answered = tokio::time::timeout(crate::world::PATIENCE, look).await;
        answered.unwrap_or_else(|_| panic!("{job} was not answered"))
    }

    /// The effect that answers a delivery, by its id.
    pub(crate) async fn answer_effect(&self, job: &JobId) -> String {
        self.answer(job, "reply").await;
        booty_events::EffectId::new(job.as_str(), "reply").to_string()
    }

    /// The word for which nothing came of a delivery.
    async fn word(&self, job: &JobId) -> String {
        let what = format!("{job} ignored");
        let is_it = |event: &Event| event.job_id == job.as_str() && event.name == "words_ignored";
        let event = self.events.wait(&what, is_it).await;
        // Who was told the job's id may ask for it.
        let state = JobStore::new(&self.bus).find(job).await.unwrap().unwrap();
        assert_eq!((state.state(), &state.reason), (JobState::Completed, &event.reason));
        assert_eq!(state.step, "ignored");
        event.reason
    }
}

pub(crate) fn comment_payload(said: &Said<'_>, id: u64) -> Value {
    let mut body = json!({
        "action": "created",
        "issue": { "number": said.number, "state": "open", "updated_at": now() },
        "comment": {
            "id": id, "body": said.body, "created_at": now(), "updated_at": now(),
            "user": { "login": said.by, "type": "User" },
            "author_association": "OWNER",
        },
        "repository": { "id": 1, "full_name": REPO, "default_branch": "main" },
        "sender": { "login": said.by, "type": "User" },
    });
    if said.is_pull {
        body["issue"]["pull_request"] = json!({});
    }
    body
}

fn review_payload(pull: u64, review: u64, by: &str, state: &str) -> Value {
    json!({
        "action": "submitted",
        "pull_request": { "number": pull, "state": "open" },
        "review": {
            "id": review, "body": null, "state": state, "submitted_at": now(),
            "user": { "login": by, "type": "User" }, "author_association": "OWNER",
        },
        "repository": { "id": 1, "full_name": REPO, "default_branch": "main" },
        "sender": { "login": by, "type": "User" },
    })
}

pub(crate) fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn on_pull<'a>(pull: &Opened, by: &'a str, body: &'a str) -> Said<'a> {
    Said { number: pull.number, is_pull: true, by, body }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_requests_changes_becomes_one_more_commit() {
    // Only with path, line, text and the review's own words in the task is the request played.
    let script = SCRIPT.replacen(
        "match: \"request 1 of 5\"",
        "match: \"Not yet.\\n\\ncalc.py, line 2:\\nSay `b` first.\"",
        1,
    );
    let (world, _running, first, job) = opened(&script, &[]).await;
    let others = "SECRET WORDS OF OTHERS";
    world.sim.comment(REPO, first.number, "eve", others).unwrap();
    let commented = ReviewState::Commented;
    world.sim.review(REPO, first.number, "eve", commented, others, &[]).unwrap();

    let (_, told) = world.reviews("r-1", &first, MAINTAINER, "Not yet.").await;
    let effect = asked(&world, "update_pr#2").await;
    let update = updates(&effect);
    assert_eq!((update.pull_request, &update.head_sha), (first.number, &first.head));
    assert_eq!(update.changes[0].content.as_ref(), CALC.replace("a - b", "b + a").as_bytes());
    for part in ["Request 1 of 5: `ann` asked for changes", "The other way round"] {
        assert!(update.comment.contains(part), "{part}: {}", update.comment);
    }
    assert!(update.commit_message.contains(": request 1\n"), "{}", update.commit_message);
    let answer = world.answer(&told, "reply").await;
    assert_eq!(answer.issue, first.number);
    assert!(answer.body.starts_with(&format!("I go back to #{}", first.number)), "{answer:?}");
    let state = world.events.state(&world, &job, |job| job.step.ends_with(": proposed")).await;
    assert_eq!(state.step, "request 1 of 5: proposed");
    assert_eq!((state.attempt, state.requests, state.follow_ups), (2, 1, 0));
    assert_eq!(state.requested_by, MAINTAINER);
    let second = world.forge_updates(&effect).await;
    over(&world, &job, "updated").await;
    let started = world.events.wait("the request", |event| event.name == "request_started").await;
    assert_eq!((started.attributes["by"].as_str(), started.number), (MAINTAINER, first.number));

    // A verdict has its own budget, and a command goes on from there.
    world.says("c-2", on_pull(&second, MAINTAINER, "/booty fix use sum")).await;
    let effect = asked(&world, "update_pr#3").await;
    assert_eq!(updates(&effect).head_sha, second.head);
    let state = world.job(&job).await.unwrap();
    assert_eq!((state.attempt, state.requests, state.follow_ups), (3, 2, 0));
    assert_eq!(world.asked().len(), 1 + 2 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_words_of_who_may_push_count() {
    let (world, _running, pull, job) = opened(SCRIPT, &[]).await;
    world.sim.set_permission(REPO, "ann-2", Permission::Read).unwrap();
    // A read-only account, one that may only sort, and one that GitHub does not know; `author_association`
    // says OWNER of all of them.
    for (delivery, by) in [("c-1", "ann-2"), ("c-2", "bob")] {
        let told = world.says(delivery, on_pull(&pull, by, "/booty fix the sign")).await;
        assert_eq!(world.word(&told).await, "no_write_access");
    }
    let (_, told) = world.reviews("r-1", &pull, "eve", "No.").await;
    assert_eq!(world.word(&told).await, "no_write_access");
    for (delivery, user, word) in [
        ("c-3", Value::Null, "no_sender"),
        ("c-4", json!({ "login": "robot[bot]", "type": "Bot" }), "app"),
        ("c-5", json!({ "login": MAINTAINER, "type": "Bot" }), "app"),
    ] {
        let mut payload = comment_payload(&on_pull(&pull, MAINTAINER, "/booty fix it now"), 1);
        payload["comment"]["user"] = user;
        world.hears(delivery, &payload).await;
        assert_eq!(world.word(&world.told_as(pull.number, true, delivery)).await, word);
    }
    let state = world.job(&job).await.unwrap();
    assert_eq!((state.attempt, state.requests, state.step.as_str()), (1, 0, "opened"));
    assert_eq!(world.effects().await.len(), 1, "strangers are not even answered");
    assert_eq!(world.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_command_does_nothing() {
    let (world, _running, pull, _) = opened(SCRIPT, &[]).await;
    for (delivery, body, word) in [
        ("c-1", "> /booty fix the sign", "no_command"),
        ("c-2", "```\n/booty fix the sign\n```", "no_command"),
        ("c-3", "Nice.\n/booty fix the sign", "no_command"),
        ("c-4", "/booty fix the sign\n\n<!-- booty:v1 0 0 -->", "own"),
    ] {
        let told = world.says(delivery, on_pull(&pull, MAINTAINER, body)).await;
        assert_eq!(world.word(&told).await, word, "{body}");
    }
    let payload = review_payload(pull.number, 1, MAINTAINER, "approved");
    world.deliver_as("pull_request_review", "submitted", "r-1", &payload).await;
    assert_eq!(world.word(&world.told_as(pull.number, true, "r-1")).await, "review_state");
    assert_eq!(world.effects().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_before_it_was_begun_does_nothing() {
    let (world, _running, pull, job) = opened(SCRIPT, &[]).await;
    let said = on_pull(&pull, MAINTAINER, "/booty fix the sign");
    let id = world.sim.comment(REPO, pull.number, MAINTAINER, said.body).unwrap();
    world.sim.delete_comment(REPO, id, MAINTAINER).unwrap();
    world.hears("c-1", &comment_payload(&said, id)).await;
    assert_eq!(world.word(&world.told_as(pull.number, true, "c-1")).await, "withdrawn");
    let state = ReviewState::ChangesRequested;
    let review = world.sim.review(REPO, pull.number, MAINTAINER, state, "No.", &[]).unwrap();
    world.sim.dismiss_review(REPO, review, MAINTAINER).unwrap();
    let payload = review_payload(pull.number, review, MAINTAINER, "changes_requested");
    world.deliver_as("pull_request_review", "submitted", "r-1", &payload).await;
    assert_eq!(world.word(&world.told_as(pull.number, true, "r-1")).await, "withdrawn");
    assert_eq!(world.job(&job).await.unwrap().requests, 0);
    assert_eq!(world.effects().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_slips_are_answered_once() {
    let (world, _running, pull, job) = opened(SCRIPT, &[]).await;
    let issue = opens(&world.effects().await[0]).issue;
    let on_issue = |body| Said { number: issue, is_pull: false, by: MAINTAINER, body };
    let helped = world.says("c-1", on_issue("/booty help")).await;
    let answer = world.answer(&helped, "reply").await;
    assert_eq!(answer.issue, issue);
    for command in ["/booty fix", "/booty stop", "/booty retry", "/booty help"] {
        assert!(answer.body.contains(command), "{answer:?}");
    }
    assert!(!answer.body.lines().next().unwrap().starts_with("/booty"), "it answers itself");
    let slip = world.says("c-2", on_pull(&pull, MAINTAINER, "/booty stpo")).await;
    assert_eq!(world.word(&slip).await, "unknown_command");
    assert_eq!(world.answer(&slip, "reply").await.issue, pull.number);
    assert_eq!(world.job(&job).await.unwrap().attempt, 1);
    assert_eq!(world.effects().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_s_requests_have_a_budget_and_are_told_its_end() {
    let settings = [("BUILDER_REQUESTS", "1"), ("BUILDER_FOLLOW_UPS", "0")];
    let script = SCRIPT.replace("of 5", "of 1");
    let (world, _running, first, job) = opened(&script, &settings).await;
    let issue = opens(&world.effects().await[0]).issue;
    // Also from the issue of the pull request.
    let on_issue = |body| Said { number: issue, is_pull: false, by: MAINTAINER, body };
    world.says("c-1", on_issue("/booty say b first")).await;
    let second = world.forge_updates(&asked(&world, "update_pr#2").await).await;
    over(&world, &job, "updated").await;
    let told = world.says("c-2", on_pull(&second, MAINTAINER, "/booty fix use sum")).await;
    assert_eq!(world.word(&told).await, "requests_used");
    let answer = world.answer(&told, "reply").await;
    assert!(answer.body.contains(&format!("#{}", first.number)) && answer.body.contains("(1)"));
    let state = world.job(&job).await.unwrap();
    assert_eq!((state.attempt, state.requests, state.step.as_str()), (2, 1, "updated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_somebody_else_s_and_a_closed_pull_request_are_left_alone() {
    let (world, _running, pull, job) = opened(SCRIPT, &[]).await;
    let files = [("more.py", "x = 1\n", "100644")];
    world.sim.push_files(REPO, "ann", &pull.branch, "More", &files).unwrap();
    let told = world.says("c-1", on_pull(&pull, MAINTAINER, "/booty fix the sign")).await;
    assert_eq!(world.word(&told).await, "foreign_head");
    assert!(world.answer(&told, "reply").await.body.contains("not mine"));
    world.sim.close_pull(REPO, pull.number, MAINTAINER).unwrap();
    let told = world.says("c-2", on_pull(&pull, MAINTAINER, "/booty fix the sign")).await;
    assert_eq!(world.word(&told).await, "not_open");
    let issue = opens(&world.effects().await[0]).issue;
    let on_issue =
        Said { number: issue, is_pull: false, by: MAINTAINER, body: "/booty fix it all" };
    let told = world.says("c-3", on_issue).await;
    assert_eq!(world.word(&told).await, "no_pull_request");
    assert!(world.answer(&told, "reply").await.body.contains("/booty retry"));
    assert_eq!(world.job(&job).await.unwrap().attempt, 1);

    let branch = "someone/else";
    world.sim.push_files(REPO, "ann", branch, "More", &files).unwrap();
    let theirs = world.sim.open_pull(REPO, "ann", "Mine", "", branch, "main").unwrap();
    let theirs =
        Said { number: theirs, is_pull: true, by: MAINTAINER, body: "/booty fix the sign" };
    let told = world.says("c-4", theirs).await;
    assert_eq!(world.word(&told).await, "not_ours");
    for (delivery, body) in [("c-5", "/booty help"), ("c-6", "/booty stop"), ("c-7", "/booty hlp")]
    {
        let told = world.says(delivery, Said { body, ..theirs }).await;
        assert_eq!(world.word(&told).await, "not_ours", "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_begins_anew_where_there_is_no_pull_request() {
    let (world, _running, pull, job) = opened(SCRIPT, &[]).await;
    let issue = opens(&world.effects().await[0]).issue;
    let on_issue = |body| Said { number: issue, is_pull: false, by: MAINTAINER, body };
    let told = world.says("c-1", on_issue("/booty retry")).await;
    assert_eq!(world.events.outcome(&told).await.reason, "pull_request_open");
    assert!(world.answer(&told, "reply").await.body.contains("/booty fix"));
    let told = world.says("c-2", on_pull(&pull, MAINTAINER, "/booty retry")).await;
    assert_eq!(world.word(&told).await, "wrong_place");

    world.sim.close_pull(REPO, pull.number, MAINTAINER).unwrap();
    // The label is no part of it.
    world.sim.remove_label(REPO, issue, LABEL, MAINTAINER).unwrap();
    let told = world.says("c-3", on_issue("/booty retry")).await;
    let event = world.events.outcome(&told).await;
    assert_eq!((event.name.as_str(), event.job_id.as_str()), ("proposal_made", told.as_str()));
    assert_ne!(told, job);
    assert!(world.answer(&told, "reply").await.body.starts_with("I begin anew."));
    let told = world.says("c-4", on_issue("/booty retry")).await;
    assert_eq!(world.events.outcome(&told).await.reason, "job_active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_for_what_is_at_work_and_is_answered_at_once() {
    let (world, _running, first, job) = opened(SCRIPT, &[("BUILDER_FOLLOW_UPS", "2")]).await;
    world.says("c-1", on_pull(&first, MAINTAINER, "/booty fix the order")).await;
    let effect = asked(&world, "update_pr#2").await;
    // Forge has not reported: the job is at work.
    let told = world.says("c-2", on_pull(&first, MAINTAINER, "/booty fix use sum")).await;
    world.answer(&told, "reply").await;
    assert_eq!(world.job(&job).await.unwrap().attempt, 2);
    let second = world.forge_updates(&effect).await;
    let effect = asked(&world, "update_pr#3").await;
    assert_eq!(updates(&effect).head_sha, second.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_which_nothing_comes_needs_a_person() {
    let script = SCRIPT.replacen(
        "- calls: [{ tool: read, with: { path: calc.py } }]",
        "- calls: [{ tool: finish, with: { summary: \"That would be wrong.\" } }]",
        1,
    );
    let (world, _running, pull, job) = opened(&script, &[]).await;
    world.says("c-1", on_pull(&pull, MAINTAINER, "/booty fix the sign")).await;
    let outcome = asked(&world, "outcome#2").await;
    let (label, comment) = says(&outcome);
    assert_eq!(label, "booty:needs-human");
    for part in ["That would be wrong.", "request 1 of 5, which `ann` asked for", "stays as it is"]
    {
        assert!(comment.contains(part), "{part}: {comment}");
    }
    over(&world, &job, "needs_human").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_words_delivered_again_do_nothing_more() {
    let (world, _running, pull, job) = opened(SCRIPT, &[]).await;
    let said = on_pull(&pull, MAINTAINER, "/booty fix the sign");
    let id = world.sim.comment(REPO, pull.number, MAINTAINER, said.body).unwrap();
    let payload = comment_payload(&said, id);
    world.hears("c-1", &payload).await;
    let effect = asked(&world, "update_pr#2").await;
    // An operator replays it while it waits for forge, and once more when it is over.
    world.replay_as("issue_comment", "created", "c-1", &payload, 41).await;
    world.inbox_settled("builder").await;
    world.forge_updates(&effect).await;
    over(&world, &job, "updated").await;
    world.replay_as("issue_comment", "created", "c-1", &payload, 42).await;
    world.inbox_settled("builder").await;
    let state = world.job(&job).await.unwrap();
    assert_eq!((state.attempt, state.requests), (2, 1));
    // Asked for again under a later lease, an effect is the same one.
    let effects = world.effects().await;
    let ids: BTreeSet<_> = effects.iter().map(|effect| effect.id.as_str()).collect();
    assert_eq!(ids.len(), 3, "{effects:?}");
    let said = world.messages("BOOTY_EVENTS").await;
    let times = |what: &str| said.iter().filter(|(subject, _)| subject.contains(what)).count();
    assert_eq!(times(".request_started."), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_words_count_once_whatever_their_delivery_is_called() {
    let (world, _running, pull, job) = opened(SCRIPT, &[]).await;
    let said = on_pull(&pull, MAINTAINER, "/booty fix the sign");
    let id = world.sim.comment(REPO, pull.number, MAINTAINER, said.body).unwrap();
    let payload = comment_payload(&said, id);
    world.hears("c-1", &payload).await;
    let effect = asked(&world, "update_pr#2").await;
    world.forge_updates(&effect).await;
    over(&world, &job, "updated").await;
    // The delivery's id is not signed.
    world.hears("c-2", &payload).await;
    assert_eq!(world.word(&world.told_as(pull.number, true, "c-2")).await, "duplicate_body");
    let mut old = payload.clone();
    old["comment"]["created_at"] = json!("2024-01-01T00:00:00Z");
    world.hears("c-3", &old).await;
    assert_eq!(world.word(&world.told_as(pull.number, true, "c-3")).await, "too_old");
    let state = world.job(&job).await.unwrap();
    assert_eq!((state.attempt, state.requests), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_that_nobody_can_read_are_put_aside() {
    let world = World::new(SCRIPT).await;
    let _running = world.start().await;
    let issue = world.open_issue();
    let mut payload = comment_payload(
        &Said { number: issue, is_pull: false, by: MAINTAINER, body: "/booty help" },
        1,
    );
    payload["comment"] = Value::Null;
    world.hears("c-1", &payload).await;
    world.inbox_settled("builder-door").await;
    world.inbox_settled("builder-requests").await;
    let spooled = world.messages("BOOTY_SPOOL").await;
    assert!(spooled.iter().all(|(subject, _)| subject.contains(".unreadable.")), "{spooled:?}");
    assert!(!spooled.is_empty());
}
