//! Verdicts under a personal token: a status, and one comment on the pull request.

use booty_events::{
    Lane,
    v1::{CheckStatus, effect::Write},
};
use booty_sim::{CommentView, Rule, StatusView, Trouble};

use crate::world::{BOT, CHECK, REPO, World};

fn statuses(world: &World, head: &str) -> Vec<StatusView> {
    let snapshot = world.snapshot();
    let all = &snapshot.repo(REPO).unwrap().statuses;
    all.iter().filter(|status| status.sha == head).cloned().collect()
}

/// A pull request of forge's, and its head.
async fn pull(world: &World) -> (u64, String) {
    let effect = world.open_pull_request("1-d", world.issue);
    world.ask(&effect).await;
    let applied = world.applied(&effect).await;
    (applied.number, applied.attributes["commit"].clone())
}

fn comments(world: &World, pull: u64) -> Vec<CommentView> {
    let snapshot = world.snapshot();
    snapshot.repo(REPO).unwrap().pull(pull).unwrap().comments.clone()
}

#[tokio::test]
async fn a_verdict_is_a_status_and_a_comment_that_is_edited() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (pull, head) = pull(&world).await;
    let mut version = 0;
    for (conclusion, state, description) in [
        ("failure", "failure", "It is a failure"),
        ("neutral", "error", "neutral: It is a neutral"),
        ("success", "success", "It is a success"),
    ] {
        let mut queued = world.check(&head, version + 1, CheckStatus::Queued);
        queued.pull_request = pull;
        let queued = world.ask_check(queued).await;
        world.applied(&queued).await;
        let last = statuses(&world, &head).pop().unwrap();
        assert_eq!((last.state.as_str(), last.context.as_str()), ("pending", CHECK));

        let mut done = world.completed(&head, version + 2, conclusion);
        done.pull_request = pull;
        done.details_url = "https://booty.example/jobs/1".to_owned();
        let done = world.ask_check(done).await;
        world.applied(&done).await;
        let last = statuses(&world, &head).pop().unwrap();
        assert_eq!(
            (last.state.as_str(), last.description.as_deref(), last.creator.as_str()),
            (state, Some(description), BOT)
        );
        assert_eq!(last.target_url.as_deref(), Some("https://booty.example/jobs/1"));
        let [comment] = comments(&world, pull).try_into().unwrap();
        let short = &head[..10];
        let text = format!("**{CHECK}: {conclusion}** at {short}\n\nIt is a {conclusion}\n\n");
        assert!(comment.body.starts_with(&text), "{}", comment.body);
        assert!(comment.body.contains("All of it."));
        version += 2;
    }
    assert_eq!(statuses(&world, &head).len(), 6);
    assert_eq!(world.requests("POST", "/check-runs"), 0);
}

#[tokio::test]
async fn a_verdict_on_a_commit_that_is_not_the_head_leaves_the_comment() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (pull, head) = pull(&world).await;
    let ask = async |sha: &str, version, conclusion: &str| {
        let mut write = world.completed(sha, version, conclusion);
        write.pull_request = pull;
        let effect = world.ask_check(write).await;
        world.applied(&effect).await;
    };
    ask(&head, 1, "success").await;
    ask(&world.base_sha, 9, "failure").await;
    let [comment] = comments(&world, pull).try_into().unwrap();
    assert!(comment.body.contains("success"), "{}", comment.body);
    assert_eq!(statuses(&world, &world.base_sha)[0].state, "failure");

    let late = world.check(&head, 1, CheckStatus::Queued);
    let late = world.effect("late", "x", Write::CheckRun(late));
    world.ask_in(Lane::Check, &late, None).await;
    assert_eq!(world.event("skipped", &late).await.reason, "not_newer");
    assert_eq!(statuses(&world, &head).len(), 1);
}

#[tokio::test]
async fn long_verdicts_keep_their_head_and_their_tail() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (pull, head) = pull(&world).await;
    let mut write = world.completed(&head, 1, "failure");
    write.pull_request = pull;
    write.title = "t".repeat(300);
    write.summary = "s".repeat(70_000);
    write.text = format!("begins {} ends", "é".repeat(70_000));
    let effect = world.ask_check(write).await;
    world.applied(&effect).await;
    let [comment] = comments(&world, pull).try_into().unwrap();
    assert!(comment.body.chars().count() <= 65_536);
    assert!(comment.body.contains("begins é") && comment.body.contains("é ends"));
    let description = statuses(&world, &head)[0].description.clone().unwrap();
    assert_eq!(description.chars().count(), 140);
}

#[tokio::test]
async fn a_third_of_all_answers_lost_makes_nothing_twice() {
    let world = World::start().await;
    let mut forge = world.forge().await;
    forge.writing().await;
    let mut pulls = Vec::new();
    for n in 0..12 {
        let issue = world.sim.open_issue(REPO, "ann", &format!("Bug {n}"), "x").unwrap();
        let effect = world.open_pull_request(&format!("{issue}-d"), issue);
        world.ask(&effect).await;
        let applied = world.applied(&effect).await;
        pulls.push((applied.number, applied.attributes["commit"].clone()));
    }
    for trouble in [Trouble::DropAfterCommit, Trouble::DropBeforeCommit] {
        let part = if trouble == Trouble::DropAfterCommit { 0.25 } else { 0.07 };
        world.sim.add_fault(Rule::new(trouble).probability(part)).unwrap();
    }
    for (version, conclusion) in [(1, "failure"), (2, "success")] {
        let mut effects = Vec::new();
        for (pull, head) in &pulls {
            let mut write = world.completed(head, version, conclusion);
            write.pull_request = *pull;
            effects.push(world.ask_check(write).await);
        }
        for effect in &effects {
            world.applied(effect).await;
        }
    }
    assert!(world.snapshot().faults_struck > 20);
    for (pull, head) in &pulls {
        let said: Vec<_> = statuses(&world, head).into_iter().map(|status| status.state).collect();
        assert_eq!(said, ["failure", "success"], "at {head}");
        let [comment] = comments(&world, *pull).try_into().unwrap();
        assert!(comment.body.contains("It is a success"), "{}", comment.body);
    }
    assert_eq!(world.count_events("failed"), 0);
}

#[tokio::test]
async fn a_comment_that_somebody_deleted_is_made_again() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (pull, head) = pull(&world).await;
    for version in 1..=2 {
        let mut write = world.completed(&head, version, "failure");
        write.pull_request = pull;
        let effect = world.ask_check(write).await;
        world.applied(&effect).await;
        let [comment] = comments(&world, pull).try_into().unwrap();
        if version == 1 {
            let repo = REPO.parse().unwrap();
            let at = booty_github::Endpoint::repo(&repo).at("issues").at("comments").at(comment.id);
            world.github().delete(at).await.unwrap();
        }
    }
}

#[test]
fn it_is_said_why_there_are_no_checks() {
    let why = booty_forge::why_no_checks();
    assert!(why.contains("GITHUB_APP_ID") && why.contains("GITHUB_TOKEN"), "{why}");
}
