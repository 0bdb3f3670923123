//! The waiver label.

use crate::world::{FIXED, MAINTAINER, REPO, TRIAGER, World, again_payload};

const LABEL: &str = "booty:waiver";

/// A change that is green but for a protected path.
const TOUCHES: [(&str, &str, &str); 2] =
    [("calc.py", FIXED, "100644"), (".github/workflows/x.yml", "on: push\n", "100644")];

#[tokio::test]
async fn a_waiver_counts_from_those_who_can_write_and_for_the_head_they_saw() {
    let world = World::new().await;
    let running = world.start().await;
    let (pull, head) = world.open_pull("fix", &TOUCHES);
    // Given before the head was there, as far as anybody knows.
    world.sim.add_label(REPO, pull, LABEL, MAINTAINER).unwrap();
    let job = world.deliver("d-1", "opened", pull, &head).await;
    let (verdict, check) = world.verdict(&job, &head).await;
    assert_eq!(verdict.detail, "failure", "older than the head: {}", check.text);

    world.later();
    world.sim.remove_label(REPO, pull, LABEL, MAINTAINER).unwrap();
    world.sim.add_label(REPO, pull, LABEL, TRIAGER).unwrap();
    let again = again_payload(&head, &check.external_id);
    let job = world.deliver_body("d-2", "check_run", "rerequested", &again, pull).await;
    let (verdict, _) = world.verdict(&job, &head).await;
    assert_eq!(verdict.detail, "failure", "given by someone who can't write");

    world.sim.remove_label(REPO, pull, LABEL, MAINTAINER).unwrap();
    world.sim.add_label(REPO, pull, LABEL, MAINTAINER).unwrap();
    let mut again = again_payload(&head, &check.external_id);
    again["check_run"]["id"] = serde_json::json!(2);
    let job = world.deliver_body("d-3", "check_run", "rerequested", &again, pull).await;
    let (verdict, check) = world.verdict(&job, &head).await;
    assert_eq!(verdict.detail, "success", "{}", check.text);
    assert!(check.text.contains(MAINTAINER), "who waived it is said: {}", check.text);
    running.stop().await;
}
