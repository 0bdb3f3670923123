//! What makes no issue, and why; and what is no alert at all.

use booty_events::{
    stream,
    v1::{AlertPhase, JobState},
};
use serde_json::{Value, json};

use crate::world::{World, alert, alert_at, days_ago};

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body["data"]["event"][name] = value;
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn each_suppression_is_a_fact_and_a_jobs_end() {
    let world = World::new().await;
    let _running = world.start().await;
    let mut again = alert("4", 1);
    world.deliver(&again).await;
    world.facts("decided", 1).await;
    again["data"]["triggered_rule"] = json!("another rule");
    for (body, reason) in
        [(with(alert("1", 1), "level", json!("warning")), "severity"), (again, "same_event")]
    {
        let delivered = world.deliver(&body).await;
        let job = world.job(&delivered.job, |job| job.step == "suppressed").await;
        assert_eq!(job.reason, reason);
        assert_eq!(job.state(), JobState::Completed);
        let facts = world.facts("decided", 2).await;
        let said = facts.iter().find(|event| event.job_id == job.id).unwrap();
        assert_eq!(
            (said.reason.as_str(), said.delivery_id.as_str()),
            (reason, delivered.id.as_str())
        );
        assert_eq!(said.attributes["fingerprint"], delivered.fingerprint.as_str());
        let state = world.state(&delivered.fingerprint).await;
        assert_eq!(state.map_or(0, |state| state.count), u64::from(reason == "same_event"));
    }
    assert_eq!(world.effects().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_as_old_as_its_delivery_whatever_the_clock_said_where_it_failed() {
    let mut world = World::new().await;
    let waited = world.deliver(&alert("1", 1)).await;
    world.set("MAX_EVENT_AGE", "1ms");
    let running = world.start().await;
    let job = world.job(&waited.job, |job| job.step == "suppressed").await;
    assert_eq!(job.reason, "too_old");
    running.stop().await;

    world.set("MAX_EVENT_AGE", "3d");
    let _running = world.start().await;
    let wrong_clock = world.deliver(&alert_at("2", 1, days_ago(3000))).await;
    world.job(&wrong_clock.job, |job| job.step == "asked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_severities_is_sentrys() {
    let mut world = World::new().await;
    world.set("OBSV_MIN_SEVERITY", "warning");
    let _running = world.start().await;
    for (issue, level, step) in [
        ("1", "info", "suppressed"),
        ("2", "warning", "asked"),
        ("3", "fatal", "asked"),
        ("4", "debug", "suppressed"),
    ] {
        let delivered = world.deliver(&with(alert(issue, 1), "level", json!(level))).await;
        world.job(&delivered.job, |job| job.step == step).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_alert_is_spooled_byte_for_byte_and_its_job_says_so() {
    let world = World::new().await;
    let _running = world.start().await;
    let bytes = b"{\"data\": [not json".to_vec();
    let delivered = world.deliver_bytes(bytes.clone(), &json!({})).await;
    let job = world.job(&delivered.job, |job| job.state() == JobState::Failed).await;
    assert_eq!(job.step, "unreadable");
    assert_eq!(world.facts("spooled", 1).await[0].delivery_id, delivered.id.as_str());
    let filter = "booty.spool.observability.unreadable.*";
    let spooled = async {
        loop {
            let found = world.bus.last_message(stream::SPOOL.name, filter).await.unwrap();
            if let Some(found) = found {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    let spooled = tokio::time::timeout(crate::world::PATIENCE, spooled).await.unwrap();
    assert_eq!(spooled.payload, bytes);
    // The next one is not held up.
    let next = world.deliver(&alert("1", 1)).await;
    world.until(&next.fingerprint, |state| state.phase() == AlertPhase::Pending).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_with_next_to_nothing_in_them_make_issues() {
    let world = World::new().await;
    let (_forge, _running) = (world.forge().await, world.start().await);
    for event in [
        json!({}),
        json!({ "exception": null, "metadata": 7, "level": 3 }),
        json!({ "exception": { "values": [] }, "level": "fatal ", "culprit": ["x"] }),
        json!({ "title": "a\n`b` @org/team <!-- c -->", "fingerprint": ["{{ default }}", "\u{202e}"] }),
    ] {
        let body = json!({ "action": "triggered", "data": { "event": event } });
        world.deliver(&body).await;
    }
    let decided = world.facts("decided", 4).await;
    for event in &decided {
        let fingerprint = event.attributes["fingerprint"].parse().unwrap();
        world.until(&fingerprint, |state| state.phase() == AlertPhase::Open).await;
    }
    for issue in world.issues() {
        assert!(issue.title.starts_with('[') && !issue.title.contains('\n'), "{}", issue.title);
    }
}
