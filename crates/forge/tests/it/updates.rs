//! One more commit on a pull request of ours.

use booty_events::{
    Message as _, bucket,
    v1::{Effect, EffectRecord, EffectStatus, FileMode, UpdatePullRequest, effect::Write},
};
use booty_sim::{PullView, Rule, Trouble};

use crate::world::{REPO, World, change, ms};

/// A pull request of forge's: its number and head.
async fn opened(world: &World, cause: &str, issue: u64) -> (u64, String) {
    let effect = world.open_pull_request(cause, issue);
    world.ask(&effect).await;
    let applied = world.applied(&effect).await;
    (applied.number, applied.attributes["commit"].clone())
}

fn update(world: &World, cause: &str, issue: u64, number: u64, head: &str) -> Effect {
    let write = UpdatePullRequest {
        pull_request: number,
        issue,
        branch: format!("agent/issue-{issue}"),
        head_sha: head.to_owned(),
        commit_message: format!("Mend it: follow-up 1\n\nFor #{issue}"),
        changes: vec![
            change("src/new.py", FileMode::Regular, b"print('newer')\n"),
            change("src/old.py", FileMode::Deleted, b""),
        ],
        comment: "Follow-up 1 of 2.".to_owned(),
    };
    world.effect(cause, "update_pr#2", Write::UpdatePullRequest(write))
}

fn pull(world: &World, number: u64) -> PullView {
    world.snapshot().repo(REPO).unwrap().pull(number).unwrap().clone()
}

/// The head is one commit above `parent`, with the change, and is told once.
async fn assert_updated(world: &World, number: u64, parent: &str) {
    let pull = pull(world, number);
    let repo = REPO.parse().unwrap();
    let head = world.github().get_commit(&repo, &pull.head_sha).await.unwrap().unwrap();
    let parents: Vec<_> = head.parents.iter().map(|parent| parent.sha.as_str()).collect();
    assert_eq!(parents, [parent], "head of {number}");
    assert!(head.commit.message.starts_with("Mend it: follow-up 1\n"), "{}", head.commit.message);
    let tree = world.tree(&pull.head_sha).await;
    assert_eq!(tree["src/new.py"].1, b"print('newer')\n");
    assert!(!tree.contains_key("src/old.py") && tree.contains_key("README.md"));
    assert_eq!(pull.comments.len(), 1, "comments on {number}");
    assert!(pull.comments[0].body.starts_with("Follow-up 1 of 2."));
    assert!(pull.draft && pull.open);
}

#[tokio::test]
async fn a_second_commit_comes_on_top_of_the_first() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (number, head) = opened(&world, "1-d", world.issue).await;
    let effect = update(&world, "1-d", world.issue, number, &head);
    world.ask(&effect).await;
    let applied = world.applied(&effect).await;
    assert_eq!((applied.number, applied.issue), (number, world.issue));
    assert_eq!(applied.attributes["branch"], format!("agent/issue-{}", world.issue));
    assert_eq!(applied.attributes["commit"], pull(&world, number).head_sha);
    assert_updated(&world, number, &head).await;
    // The issue is as it was.
    let snapshot = world.snapshot();
    let issue = snapshot.repo(REPO).unwrap().issue(world.issue).unwrap();
    assert_eq!((issue.labels.clone(), issue.comments.len()), (vec!["booty:opened".to_owned()], 1));
}

#[tokio::test]
async fn twenty_updates_survive_a_third_of_all_answers_lost() {
    let world = World::start().await;
    let mut forge = world.forge().await;
    forge.writing().await;
    let mut asked = Vec::new();
    for n in 0..20 {
        let issue = world.sim.open_issue(REPO, "ann", &format!("Bug {n}"), "x").unwrap();
        let cause = format!("{issue}-d");
        let (number, head) = opened(&world, &cause, issue).await;
        asked.push((update(&world, &cause, issue, number, &head), number, head));
    }
    world.sim.add_fault(Rule::new(Trouble::DropAfterCommit).probability(0.3)).unwrap();
    for (effect, ..) in &asked {
        world.ask(effect).await;
    }
    for (effect, ..) in &asked {
        world.applied(effect).await;
    }
    assert!(world.snapshot().faults_struck > 40);
    world.sim.clear_faults().unwrap();
    for (_, number, head) in &asked {
        assert_updated(&world, *number, head).await;
    }
    assert_eq!(world.count_events("failed"), 0);
}

#[tokio::test]
async fn an_update_that_only_forge_missed_is_seen_on_the_branch() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (number, head) = opened(&world, "1-d", world.issue).await;
    // As often as it is sent at once: the next look finds it done.
    let lost = Rule::new(Trouble::DropAfterCommit).method("PATCH").path("*/git/refs/heads/*");
    world.sim.add_fault(lost.times(4)).unwrap();
    let effect = update(&world, "1-d", world.issue, number, &head);
    world.ask(&effect).await;
    world.applied(&effect).await;
    assert_updated(&world, number, &head).await;
}

#[tokio::test]
async fn what_a_person_pushed_on_top_of_a_lost_answer_stays() {
    let world = World::start().await;
    let mut settings = world.settings();
    settings.retry_delays = vec![ms(1500); 3];
    let _forge = world.forge_with(settings).await;
    let (number, head) = opened(&world, "1-d", world.issue).await;
    let lost = Rule::new(Trouble::DropAfterCommit).method("PATCH").path("*/git/refs/heads/*");
    world.sim.add_fault(lost.times(4)).unwrap();
    let effect = update(&world, "1-d", world.issue, number, &head);
    world.ask(&effect).await;
    world.until(|s| s.repo(REPO).unwrap().pull(number).unwrap().head_sha != head).await;
    let branch = format!("agent/issue-{}", world.issue);
    let files = [("more.py", "x = 1\n", "100644")];
    let pushed = world.sim.push_files(REPO, "ann", &branch, "More", &files).unwrap();
    world.applied(&effect).await;
    let pull = pull(&world, number);
    assert_eq!((pull.head_sha, pull.comments.len()), (pushed, 1));
}

#[tokio::test]
async fn a_commit_of_a_lost_record_is_known_by_its_marker() {
    let world = World::start().await;
    let forge = world.forge().await;
    let (number, head) = opened(&world, "1-d", world.issue).await;
    let effect = update(&world, "1-d", world.issue, number, &head);
    world.ask(&effect).await;
    world.applied(&effect).await;
    forge.stop().await;
    world.forget_records(&effect.id).await;
    let _forge = world.forge().await;
    world.ask_in(booty_events::Lane::Issue, &effect, None).await;
    world.settled("BOOTY_EFFECTS", "forge-issue").await;
    let record = world.bus.bucket(&bucket::EFFECTS).get(&effect.id).await.unwrap().unwrap();
    let record = EffectRecord::decode(record.value).unwrap();
    assert_eq!(record.status(), EffectStatus::Applied, "{record:?}");
    let commit = pull(&world, number).head_sha;
    let repo = REPO.parse().unwrap();
    let found = world.github().get_commit(&repo, &commit).await.unwrap().unwrap();
    assert_eq!(found.parents[0].sha, head, "no second commit");
}

#[tokio::test]
async fn a_branch_that_moved_is_left_alone_and_told() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (number, head) = opened(&world, "1-d", world.issue).await;
    let branch = format!("agent/issue-{}", world.issue);
    let files = [("more.py", "x = 1\n", "100644")];
    let pushed = world.sim.push_files(REPO, "ann", &branch, "More", &files).unwrap();
    let effect = update(&world, "1-d", world.issue, number, &head);
    world.ask(&effect).await;
    let skipped = world.event("skipped", &effect).await;
    assert_eq!((skipped.reason.as_str(), skipped.number), ("head_moved", number));
    let pull = pull(&world, number);
    assert_eq!((pull.head_sha, pull.comments.len()), (pushed, 0));
    assert_eq!(world.requests("PATCH", &branch), 0, "nothing was sent");
    assert_eq!(world.count_events("failed"), 0);
}

#[tokio::test]
async fn a_push_between_the_look_and_the_request_is_not_overwritten() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (number, head) = opened(&world, "1-d", world.issue).await;
    // The first request for the branch never arrives, and the second one is too late.
    let lost = Rule::new(Trouble::DropBeforeCommit).method("PATCH").path("*/git/refs/heads/*");
    world.sim.add_fault(lost.times(4)).unwrap();
    let effect = update(&world, "1-d", world.issue, number, &head);
    world.ask(&effect).await;
    world.struck().await;
    let branch = format!("agent/issue-{}", world.issue);
    let files = [("more.py", "x = 1\n", "100644")];
    let pushed = world.sim.push_files(REPO, "ann", &branch, "More", &files).unwrap();
    let skipped = world.event("skipped", &effect).await;
    assert_eq!(skipped.reason, "head_moved");
    assert_eq!(pull(&world, number).head_sha, pushed);
}

#[tokio::test]
async fn what_is_closed_or_nobodys_gets_no_commit() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (number, head) = opened(&world, "1-d", world.issue).await;

    let other = world.sim.push_files(REPO, "ann", "agent/issue-99", "x", &[("a", "b", "100644")]);
    let foreign = world.sim.open_pull(REPO, "ann", "Mine", "", "agent/issue-99", "main").unwrap();
    let effect = update(&world, "99-d", 99, foreign, &other.unwrap());
    world.ask(&effect).await;
    assert_eq!(world.event("failed", &effect).await.reason, "not_ours");

    // Ours, but another branch than its own.
    let effect = update(&world, "98-d", 99, number, &head);
    world.ask(&effect).await;
    assert_eq!(world.event("failed", &effect).await.reason, "invalid");

    world.sim.close_pull(REPO, number, "ann").unwrap();
    let effect = update(&world, "1-d", world.issue, number, &head);
    world.ask(&effect).await;
    assert_eq!(world.event("skipped", &effect).await.reason, "not_open");
    assert_eq!(pull(&world, number).head_sha, head);
}
