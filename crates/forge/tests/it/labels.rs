//! Labels of others stay, whatever the timing.

use booty_events::v1::{IssueOutcome, effect::Write};
use booty_sim::{Rule, Trouble};

use crate::world::{REPO, World};

#[tokio::test]
async fn a_label_that_a_person_sets_at_the_wrong_moment_is_put_back() {
    let world = World::start().await;
    world.sim.add_label(REPO, world.issue, "bug", "ann").unwrap();
    let slow = Rule::new(Trouble::Slow { millis: 500 }).method("PUT").path("*/labels").times(1);
    world.sim.add_fault(slow).unwrap();
    let _forge = world.forge().await;
    let outcome = world.outcome(world.issue, "booty:gave-up", "because");
    let effect = world.effect("1-d", "outcome", Write::IssueOutcome(outcome));
    world.ask(&effect).await;
    // Forge has read the labels, and its call with the full set is on its way.
    world.struck().await;
    world.sim.add_label(REPO, world.issue, "urgent", "ann").unwrap();
    world.applied(&effect).await;
    let mut labels =
        world.snapshot().repo(REPO).unwrap().issue(world.issue).unwrap().labels.clone();
    labels.sort();
    assert_eq!(labels, ["booty:gave-up", "bug", "urgent"]);
    let puts = world.snapshot().requests.iter().filter(|r| r.method == "PUT").count();
    assert_eq!(puts, 1);
}

#[tokio::test]
async fn only_outcome_labels_are_outcomes() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let outcome = world.outcome(world.issue, "bug", "because");
    let effect = world.effect("1-d", "outcome", Write::IssueOutcome(outcome));
    world.ask(&effect).await;
    assert_eq!(world.event("failed", &effect).await.reason, "invalid");
    assert!(world.snapshot().writes.is_empty());
}

#[tokio::test]
async fn an_outcome_brings_other_labels_but_none_of_booty_s_own() {
    let world = World::start().await;
    world.sim.add_label(REPO, world.issue, "bug", "ann").unwrap();
    let _forge = world.forge().await;
    let outcome = |more: &str| IssueOutcome {
        more_labels: vec![more.to_owned()],
        ..world.outcome(world.issue, "booty:needs-human", "because")
    };
    let write = Write::IssueOutcome(outcome("booty:opened"));
    let refused = world.effect("1-d", "outcome", write);
    world.ask(&refused).await;
    assert_eq!(world.event("failed", &refused).await.reason, "invalid");
    let effect = world.effect("1-e", "outcome", Write::IssueOutcome(outcome("triage")));
    world.ask(&effect).await;
    world.applied(&effect).await;
    let mut labels =
        world.snapshot().repo(REPO).unwrap().issue(world.issue).unwrap().labels.clone();
    labels.sort();
    assert_eq!(labels, ["booty:needs-human", "bug", "triage"]);
}
