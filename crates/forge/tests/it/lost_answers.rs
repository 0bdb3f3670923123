//! Answers that get lost after the thing was done.

use std::collections::BTreeSet;

use booty_sim::{Rule, Trouble};

use crate::world::{REPO, World, ms};

/// Nothing is there twice, nothing is missing.
fn assert_whole(world: &World, issues: &[u64]) {
    let snapshot = world.snapshot();
    let repo = snapshot.repo(REPO).unwrap();
    assert_eq!(repo.pulls.len(), issues.len(), "pull requests");
    let heads: BTreeSet<_> = repo.pulls.iter().map(|pull| pull.head.clone()).collect();
    let wanted: BTreeSet<_> = issues.iter().map(|n| format!("agent/issue-{n}")).collect();
    assert_eq!(heads, wanted);
    for pull in &repo.pulls {
        assert!(pull.open, "{}", pull.number);
        assert_eq!(pull.labels, ["agent:pr"], "labels of {}", pull.number);
    }
    for number in issues {
        let issue = repo.issue(*number).unwrap();
        assert_eq!(issue.comments.len(), 1, "comments on {number}");
        assert_eq!(issue.labels, ["booty:opened"], "labels of {number}");
    }
}

#[tokio::test]
async fn fifty_pull_requests_survive_a_third_of_all_answers_lost() {
    let world = World::start().await;
    let issues: Vec<u64> = (0..50)
        .map(|n| world.sim.open_issue(REPO, "ann", &format!("Bug {n}"), "x").unwrap())
        .collect();
    let mut forge = world.forge().await;
    forge.writing().await;
    world.sim.add_fault(Rule::new(Trouble::DropAfterCommit).probability(0.3)).unwrap();
    let effects: Vec<_> =
        issues.iter().map(|n| world.open_pull_request(&format!("{n}-d"), *n)).collect();
    for effect in &effects {
        world.ask(effect).await;
    }
    for effect in &effects {
        world.applied(effect).await;
    }
    assert!(world.snapshot().faults_struck > 100);
    assert_whole(&world, &issues);
    assert_eq!(world.count_events("failed"), 0);
}

#[tokio::test]
async fn what_is_not_to_be_seen_at_once_is_not_made_twice() {
    let world = World::start().await;
    world.sim.delay_lists(250).unwrap();
    for path in ["*/pulls", "*/comments"] {
        let rule = Rule::new(Trouble::DropAfterCommit).method("POST").path(path).times(1);
        world.sim.add_fault(rule).unwrap();
    }
    let _forge = world.forge().await;
    let effect = world.open_pull_request("1-d", world.issue);
    world.ask(&effect).await;
    world.applied(&effect).await;
    assert_whole(&world, &[world.issue]);
}

#[tokio::test]
async fn a_second_one_that_shows_up_late_is_taken_away_and_reported() {
    let world = World::start().await;
    let mut settings = world.settings();
    // The first comment is seen only after it was sent again.
    settings.lookup_delays = vec![ms(100), ms(1500)];
    world.sim.delay_lists(2500).unwrap();
    let rule = Rule::new(Trouble::DropAfterCommit).method("POST").path("*/comments").times(1);
    world.sim.add_fault(rule).unwrap();
    let _forge = world.forge_with(settings).await;
    let effect = world.comment("1-d", "Hello");
    world.ask(&effect).await;
    world.applied(&effect).await;
    world.until(|s| s.repo(REPO).unwrap().issue(world.issue).unwrap().comments.len() == 2).await;
    let report = world.event("duplicate_removed", &effect).await;
    assert!(report.detail.contains("one too many"), "{}", report.detail);
    let snapshot = world.snapshot();
    let comments = &snapshot.repo(REPO).unwrap().issue(world.issue).unwrap().comments;
    assert_eq!(comments.len(), 1);
}

#[tokio::test]
async fn a_person_who_closes_it_before_forge_sees_it_is_no_trouble() {
    let world = World::start().await;
    world.sim.delay_lists(200).unwrap();
    let rule = Rule::new(Trouble::DropAfterCommit).method("POST").path("*/pulls").times(1);
    world.sim.add_fault(rule).unwrap();
    let _forge = world.forge().await;
    let effect = world.open_pull_request("1-d", world.issue);
    world.ask(&effect).await;
    world.until(|s| s.repo(REPO).unwrap().pulls.len() == 1).await;
    let number = world.snapshot().repo(REPO).unwrap().pulls[0].number;
    world.sim.close_pull(REPO, number, "ann").unwrap();
    let applied = world.applied(&effect).await;
    assert_eq!(applied.number, number);
    let snapshot = world.snapshot();
    let repo = snapshot.repo(REPO).unwrap();
    assert_eq!(repo.pulls.len(), 1);
    assert!(!repo.pulls[0].open);
    assert_eq!(repo.issue(world.issue).unwrap().comments.len(), 1);
}

#[tokio::test]
async fn a_marker_that_another_user_copied_is_not_ours() {
    let world = World::start().await;
    let effect = world.comment("1-d", "Hello");
    let forged = world.markers().mark(
        "Hello",
        booty_forge::marker::Kind::Comment,
        &REPO.parse().unwrap(),
        &effect.id.parse().unwrap(),
    );
    world.sim.comment(REPO, world.issue, "mallory", &forged).unwrap();
    // Not done, and forge can't know that: it has to look.
    let rule = Rule::new(Trouble::DropBeforeCommit).method("POST").path("*/comments").times(1);
    world.sim.add_fault(rule).unwrap();
    let _forge = world.forge().await;
    world.ask(&effect).await;
    world.applied(&effect).await;
    let snapshot = world.snapshot();
    let comments = &snapshot.repo(REPO).unwrap().issue(world.issue).unwrap().comments;
    let authors: Vec<_> = comments.iter().map(|c| c.author.as_str()).collect();
    assert_eq!(authors, ["mallory", crate::world::BOT]);
}
