//! A branch with the wanted name is there already.

use booty_sim::Permission;

use crate::world::{REPO, World};

async fn open(world: &World, cause: &str) -> (u64, String) {
    let effect = world.open_pull_request(cause, world.issue);
    world.ask(&effect).await;
    let applied = world.applied(&effect).await;
    let snapshot = world.snapshot();
    let pull = snapshot.repo(REPO).unwrap().pull(applied.number).unwrap();
    assert_eq!(applied.attributes["branch"], pull.head);
    (pull.number, pull.head.clone())
}

#[tokio::test]
async fn a_persons_branch_is_left_alone() {
    let world = World::start().await;
    let theirs = world
        .sim
        .push_files(REPO, "octo", "agent/issue-1", "mine", &[("a", "b", "100644")])
        .unwrap();
    let _forge = world.forge().await;
    assert_eq!(open(&world, "1-d").await.1, "agent/issue-1-2");
    assert_eq!(world.snapshot().repo(REPO).unwrap().refs["refs/heads/agent/issue-1"], theirs);
}

#[tokio::test]
async fn our_own_leftover_is_taken_over_but_not_under_an_open_pull_request() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (first, branch) = open(&world, "1-a").await;
    assert_eq!(branch, "agent/issue-1");
    assert_eq!(open(&world, "1-b").await.1, "agent/issue-1-2", "the first is still open");
    world.sim.close_pull(REPO, first, "ann").unwrap();
    let (third, branch) = open(&world, "1-c").await;
    assert_eq!(branch, "agent/issue-1");
    assert_ne!(third, first);
}

#[tokio::test]
async fn a_leftover_with_a_persons_commit_on_top_is_left_alone() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let (first, _) = open(&world, "1-a").await;
    world.sim.close_pull(REPO, first, "ann").unwrap();
    world.sim.set_permission(REPO, "ann", Permission::Write).unwrap();
    let theirs = world
        .sim
        .push_files(REPO, "ann", "agent/issue-1", "better", &[("a", "b", "100644")])
        .unwrap();
    assert_eq!(open(&world, "1-b").await.1, "agent/issue-1-2");
    assert_eq!(world.snapshot().repo(REPO).unwrap().refs["refs/heads/agent/issue-1"], theirs);
}

#[tokio::test]
async fn a_trailer_that_another_user_copied_is_not_ours() {
    let world = World::start().await;
    let repo = REPO.parse().unwrap();
    let effect = world.open_pull_request("0-d", world.issue);
    let message = world.markers().sign_off("forged", &repo, &effect.id.parse().unwrap());
    world.sim.push_files(REPO, "octo", "agent/issue-1", &message, &[("a", "b", "100644")]).unwrap();
    let _forge = world.forge().await;
    assert_eq!(open(&world, "1-d").await.1, "agent/issue-1-2");
}
