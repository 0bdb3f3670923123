//! Whether a job starts.

use booty_events::v1::JobState;
use booty_sim::Permission;
use serde_json::{Value, json};

use crate::world::{LABEL, MAINTAINER, REPO, WRONG_THEN_RIGHT, World, job_id, payload};

/// Changes GitHub or the payload before delivery.
type Change = fn(&World, u64, &mut Value);

#[tokio::test(flavor = "multi_thread")]
async fn what_starts_nothing_says_why() {
    // All in one world, at once: each has an issue of its own.
    let table: Vec<(&str, Change)> = vec![
        ("label", |_, _, body| body["label"]["name"] = json!("bug")),
        ("label", |_, _, body| body["label"] = Value::Null),
        ("repository", |_, _, body| body["repository"]["full_name"] = json!("evil/calc")),
        ("pull_request", |_, _, body| body["issue"]["pull_request"] = json!({})),
        ("too_old", |_, _, body| body["issue"]["updated_at"] = json!("2024-01-01T00:00:00Z")),
        ("too_old", |_, _, body| body["issue"]["updated_at"] = Value::Null),
        ("repository_gone", |_, _, body| body["repository"]["full_name"] = json!("octo/gone")),
        ("issue_gone", |_, _, body| body["issue"]["number"] = json!(999)),
        ("issue_closed", |world, issue, _| {
            world.sim.close_issue(REPO, issue, "eve").unwrap();
        }),
        ("label_removed", |world, issue, _| {
            world.sim.remove_label(REPO, issue, LABEL, MAINTAINER).unwrap();
        }),
        ("no_sender", |_, _, body| body["sender"] = Value::Null),
        ("no_write_access", |_, _, body| body["sender"]["login"] = json!("bob")),
        ("no_write_access", |_, _, body| body["sender"]["login"] = json!("mallory")),
        ("no_write_access", |_, _, body| body["sender"]["login"] = json!("../../admin")),
        ("no_write_access", |world, _, body| {
            world.sim.set_permission(REPO, "carl", Permission::Write).unwrap();
            world.sim.set_permission(REPO, "carl", Permission::Read).unwrap();
            body["sender"]["login"] = json!("carl");
        }),
        ("pull_request_open", |world, issue, _| open_pull(world, &format!("agent/issue-{issue}"))),
        ("pull_request_open", |world, issue, _| {
            open_pull(world, &format!("agent/issue-{issue}-2"))
        }),
    ];
    let world = World::new(WRONG_THEN_RIGHT).await;
    let mut jobs = Vec::new();
    for (n, (reason, change)) in table.into_iter().enumerate() {
        let issue = world.open_issue();
        world.sim.add_label(REPO, issue, LABEL, MAINTAINER).unwrap();
        let mut body = payload(issue);
        change(&world, issue, &mut body);
        let delivery = format!("d-{n}");
        world.deliver(&delivery, &body).await;
        jobs.push((reason, job_id(body["issue"]["number"].as_u64().unwrap(), &delivery)));
    }
    let _running = world.start().await;
    for (reason, job) in jobs {
        let event = world.events.outcome(&job).await;
        assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_ignored", reason), "{job}");
        // The sender was told of a job; who asks for it learns how it ended.
        let state =
            world.events.state(&world, &job, |job| job.state() == JobState::Completed).await;
        assert_eq!((state.step.as_str(), state.reason.as_str()), ("ignored", reason), "{job}");
    }
    assert!(world.effects().await.is_empty());
    assert!(world.asked().is_empty());
}

fn open_pull(world: &World, branch: &str) {
    let files = [("calc.py", "def add(a, b):\n    return a + b\n", "100644")];
    world.sim.push_files(REPO, MAINTAINER, branch, "change", &files).unwrap();
    world.sim.open_pull(REPO, MAINTAINER, "change", "", branch, "main").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_delivery_goes_to_the_spool_and_the_next_one_is_handled() {
    let world = World::new(WRONG_THEN_RIGHT).await;
    let _running = world.start().await;
    for (delivery, body) in [
        ("b-1", &b"not json"[..]),
        ("b-2", b"null"),
        ("b-3", br#"{"issue": {"number": 0}, "repository": {"full_name": "octo/calc"}}"#),
        ("b-4", b"\xff\xfe"),
    ] {
        assert!(world.deliver_bytes(delivery, body.to_vec()).await);
    }
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let spooled = world.messages("BOOTY_SPOOL").await;
    assert_eq!(spooled.len(), 4);
    assert!(
        spooled.iter().all(|(subject, _)| subject.starts_with("booty.spool.builder.unreadable."))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_labels_at_once_are_one_job() {
    let mut world = World::new(WRONG_THEN_RIGHT).await;
    world.set("WORKER_COUNT", "16");
    let issue = world.open_issue();
    world.sim.add_label(REPO, issue, LABEL, MAINTAINER).unwrap();
    for n in 0..64 {
        let mut body = payload(issue);
        body["n"] = json!(n);
        world.deliver(&format!("d-{n}"), &body).await;
    }
    let _running = world.start().await;
    let mut reasons = Vec::new();
    for n in 0..64 {
        let event = world.events.outcome(&job_id(issue, &format!("d-{n}"))).await;
        reasons.push(if event.reason.is_empty() { event.name } else { event.reason });
    }
    reasons.sort_unstable();
    assert_eq!(
        reasons.iter().filter(|reason| *reason == "proposal_made").count(),
        1,
        "{reasons:?}"
    );
    assert_eq!(reasons.iter().filter(|reason| *reason == "job_active").count(), 63, "{reasons:?}");
    assert_eq!(world.effects().await.len(), 1);
    assert_eq!(world.asked().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_body_under_many_ids_is_one_job() {
    let mut world = World::new(WRONG_THEN_RIGHT).await;
    world.set("WORKER_COUNT", "16");
    let issue = world.open_issue();
    world.sim.add_label(REPO, issue, LABEL, MAINTAINER).unwrap();
    let body = payload(issue);
    for n in 0..32 {
        world.deliver(&format!("d-{n}"), &body).await;
    }
    let _running = world.start().await;
    let mut reasons = Vec::new();
    for n in 0..32 {
        reasons.push(world.events.outcome(&job_id(issue, &format!("d-{n}"))).await.reason);
    }
    assert_eq!(
        reasons.iter().filter(|reason| *reason == "duplicate_body").count(),
        31,
        "{reasons:?}"
    );
    assert_eq!(world.effects().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_during_a_job_starts_nothing_and_after_it_a_new_one() {
    let slow =
        WRONG_THEN_RIGHT.replacen("- text: I look.", "- text: I look.\n        wait_ms: 300", 1);
    let world = World::new(&slow).await;
    let _running = world.start().await;
    let (issue, first) = world.labelled_issue("d-1").await;
    world.events.wait("the first round", |event| event.name == "round_started").await;
    let second = world.label(issue, "d-2").await;
    let event = world.events.outcome(&second).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_ignored", "job_active"));

    assert_eq!(world.events.outcome(&first).await.name, "proposal_made");
    // Proposed is not over: forge has not opened it yet.
    let third = world.label(issue, "d-3").await;
    assert_eq!(world.events.outcome(&third).await.reason, "job_active");

    let effects = world.effects().await;
    world
        .forge_says(
            "failed",
            &effects[0],
            booty_events::v1::Event { reason: "refused".into(), ..Default::default() },
        )
        .await;
    world.events.state(&world, &first, |job| job.state() == JobState::Failed).await;
    let fourth = world.label(issue, "d-4").await;
    assert_eq!(world.events.outcome(&fourth).await.name, "proposal_made");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_replay_of_an_old_delivery_is_a_job() {
    let world = World::new(WRONG_THEN_RIGHT).await;
    let issue = world.open_issue();
    world.sim.add_label(REPO, issue, LABEL, MAINTAINER).unwrap();
    world.replay(issue, "d-1", 17).await;
    let _running = world.start().await;
    let event = world.events.outcome(&job_id(issue, "d-1")).await;
    assert_eq!(event.name, "proposal_made");
}
