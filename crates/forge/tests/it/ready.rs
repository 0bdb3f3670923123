//! The end of a draft.

use booty_events::v1::{Effect, MarkReady, effect::Write};
use booty_sim::{PullView, Rule, Trouble};
use rstest::rstest;

use crate::world::{BOT, REPO, World};

async fn opened(world: &World) -> (u64, String) {
    let effect = world.open_pull_request("1-d", world.issue);
    world.ask(&effect).await;
    let applied = world.applied(&effect).await;
    (applied.number, applied.attributes["commit"].clone())
}

async fn ask(world: &World, pull_request: u64, head_sha: &str) -> Effect {
    let write = MarkReady { pull_request, head_sha: head_sha.to_owned(), issue: world.issue };
    let effect = world.effect("1-d", "mark_ready", Write::MarkReady(write));
    world.ask(&effect).await;
    effect
}

fn pull(world: &World, number: u64) -> PullView {
    world.snapshot().repo(REPO).unwrap().pull(number).unwrap().clone()
}

#[rstest]
#[case::person(false)]
#[case::app(true)]
#[tokio::test]
async fn a_draft_ends(#[case] app: bool) {
    let world = if app { World::with_app().await } else { World::start().await };
    let _forge = world.forge().await;
    let (number, head) = opened(&world).await;
    assert!(pull(&world, number).draft);
    // Done, and nobody is told of it.
    let lost = Rule::new(Trouble::DropAfterCommit).method("POST").path("/graphql").times(1);
    world.sim.add_fault(lost).unwrap();
    let effect = ask(&world, number, &head).await;
    let applied = world.applied(&effect).await;
    assert_eq!((applied.number, applied.issue), (number, world.issue));
    assert!(!pull(&world, number).draft);
}

#[tokio::test]
async fn what_is_ready_already_stays_so() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (number, head) = opened(&world).await;
    world.sim.ready_pull(REPO, number, "ann").unwrap();
    let effect = ask(&world, number, &head).await;
    world.applied(&effect).await;
    assert_eq!(world.requests("POST", "/graphql"), 0);
}

#[tokio::test]
async fn where_there_are_no_drafts_title_and_label_go() {
    let world = World::start().await;
    world.sim.set_drafts(REPO, false).unwrap();
    let _forge = world.forge().await;
    let (number, head) = opened(&world).await;
    world.sim.add_label(REPO, number, "bug", "ann").unwrap();
    for _ in 0..2 {
        let trouble = Rule::new(Trouble::DropAfterCommit).writes().times(1);
        world.sim.add_fault(trouble).unwrap();
    }
    let effect = ask(&world, number, &head).await;
    world.applied(&effect).await;
    let pull = pull(&world, number);
    assert_eq!(pull.title, "Mend it");
    let mut labels = pull.labels;
    labels.sort();
    assert_eq!(labels, ["agent:pr", "bug"]);
}

#[tokio::test]
async fn a_head_that_moved_is_left_alone_and_told() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (number, _) = opened(&world).await;
    let effect = ask(&world, number, &world.base_sha).await;
    let skipped = world.event("skipped", &effect).await;
    assert_eq!((skipped.reason.as_str(), skipped.number), ("head_moved", number));
    assert!(pull(&world, number).draft);
    assert_eq!(world.count_events("failed"), 0);
}

#[tokio::test]
async fn what_is_closed_or_nobodys_is_left_alone() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (number, head) = opened(&world).await;
    world.sim.close_pull(REPO, number, "ann").unwrap();
    let closed = ask(&world, number, &head).await;
    assert_eq!(world.event("skipped", &closed).await.reason, "not_open");

    // Ours by its author alone, without a marker.
    let repo = REPO.parse().unwrap();
    let at = booty_github::Endpoint::repo(&repo).at("pulls");
    let body = serde_json::json!({
        "title": "By hand", "head": "agent/issue-1", "base": "main", "draft": true, "body": "x",
    });
    let made = world.github().post::<serde_json::Value>(at, &body).await.unwrap().body;
    let number = made["number"].as_u64().unwrap();
    assert_eq!(made["user"]["login"], BOT);
    let write = MarkReady { pull_request: number, head_sha: head, issue: 0 };
    let foreign = world.effect("2-d", "mark_ready", Write::MarkReady(write));
    world.ask(&foreign).await;
    assert_eq!(world.event("failed", &foreign).await.reason, "not_ours");
    assert!(pull(&world, number).draft);

    let write = MarkReady { pull_request: 999, head_sha: "x".to_owned(), issue: 0 };
    let gone = world.effect("3-d", "mark_ready", Write::MarkReady(write));
    world.ask(&gone).await;
    assert_eq!(world.event("failed", &gone).await.reason, "not_found");
}
