//! What is judged, and what is not.

use booty_events::v1::JobState;
use serde_json::json;

use crate::world::{FIXED, REPO, World, again_payload, pull_payload};

#[tokio::test]
async fn what_is_not_judged_says_why() {
    let world = World::new().await;
    let running = world.start().await;
    let (pull, head) = world.open_pull("fix", &[("calc.py", FIXED, "100644")]);

    let mut stranger = pull_payload("opened", pull, &head);
    stranger["repository"]["full_name"] = json!("evil/calc");
    let job = world.deliver_body("d-1", "pull_request", "opened", &stranger, pull).await;
    assert_eq!(world.events.ignored(&job).await, "repository");

    let mut old = pull_payload("opened", pull, &head);
    old["pull_request"]["updated_at"] = json!("2024-01-01T00:00:00Z");
    let job = world.deliver_body("d-2", "pull_request", "opened", &old, pull).await;
    assert_eq!(world.events.ignored(&job).await, "too_old");

    let job = world.deliver("d-3", "opened", 99, &head).await;
    assert_eq!(world.events.ignored(&job).await, "gone");
    let job = world.state(&job, |job| job.state() == JobState::Completed).await;
    assert_eq!((job.step.as_str(), job.reason.as_str()), ("ignored", "gone"));

    world.sim.close_pull(REPO, pull, "ann").unwrap();
    let job = world.deliver("d-4", "reopened", pull, &head).await;
    assert_eq!(world.events.ignored(&job).await, "closed");
    assert!(world.checks().await.is_empty(), "nobody hears of it");
    running.stop().await;
}

#[tokio::test]
async fn a_head_is_judged_once_until_somebody_asks_again() {
    let world = World::new().await;
    let running = world.start().await;
    let (pull, head) = world.open_pull("fix", &[("calc.py", FIXED, "100644")]);
    let opened = world.deliver("d-1", "opened", pull, &head).await;
    let (_, first) = world.verdict(&opened, &head).await;

    let body = pull_payload("ready_for_review", pull, &head);
    let ready = world.deliver_body("d-2", "pull_request", "ready_for_review", &body, pull).await;
    assert_eq!(world.events.ignored(&ready).await, "same_head");
    let copy = world.deliver_body("d-3", "pull_request", "ready_for_review", &body, pull).await;
    assert_eq!(world.events.ignored(&copy).await, "duplicate_body");

    // A fork's pull request is named by the id alone: the payload lists none.
    let again = again_payload(&head, &first.external_id);
    let again = world.deliver_body("d-4", "check_run", "rerequested", &again, pull).await;
    let (verdict, second) = world.verdict(&again, &head).await;
    assert_eq!(verdict.detail, "success");
    assert!(second.version > first.version, "the same check run, brought up to date");

    // Of a suite not even that is known.
    let suite = json!({
        "action": "rerequested",
        "check_suite": { "id": 1, "head_sha": head },
        "repository": { "id": 1, "full_name": REPO },
    });
    let suite = world.deliver_body("d-5", "check_suite", "rerequested", &suite, 0).await;
    let (verdict, third) = world.verdict(&suite, &head).await;
    assert_eq!((verdict.detail.as_str(), verdict.number), ("success", pull));
    assert!(third.version > second.version);
    running.stop().await;
}

#[tokio::test]
async fn a_base_that_moved_is_reason_to_judge_again() {
    let world = World::new().await;
    let running = world.start().await;
    let (pull, head) = world.open_pull("fix", &[("calc.py", FIXED, "100644")]);
    let opened = world.deliver("d-1", "opened", pull, &head).await;
    world.verdict(&opened, &head).await;
    world.sim.push_files(REPO, "ann", "main", "news", &[("NEWS", "none\n", "100644")]).unwrap();
    let ready = world.deliver("d-2", "ready_for_review", pull, &head).await;
    let (verdict, _) = world.verdict(&ready, &head).await;
    assert_eq!(verdict.detail, "success");
    running.stop().await;
}
