//! Forge dies, and another one goes on.

use booty_sim::{Rule, Trouble};
use rstest::rstest;

use crate::world::{REPO, World, ms};

/// Dies right after GitHub has done each of the steps, before it could write down that it was done.
#[rstest]
#[case::blob("POST", "*/git/blobs")]
#[case::tree("POST", "*/git/trees")]
#[case::commit("POST", "*/git/commits")]
#[case::branch("POST", "*/git/refs")]
#[case::pull("POST", "*/pulls")]
#[case::label("POST", "*/labels")]
#[case::state("PUT", "*/labels")]
#[case::comment("POST", "*/comments")]
#[tokio::test]
async fn killed_after_any_step_it_ends_with_one_of_everything(
    #[case] method: &str,
    #[case] path: &str,
) {
    let world = World::start().await;
    let mut effect = world.open_pull_request("1-d", world.issue);
    let Some(booty_events::v1::effect::Write::OpenPullRequest(write)) = &mut effect.write else {
        unreachable!()
    };
    write.changes.push(crate::world::change(
        "logo.png",
        booty_events::v1::FileMode::Regular,
        b"\xff\xfe",
    ));
    // The answer never comes, and what was made is not to be seen yet: forge is about to send again
    // or to look again when it dies.
    world.sim.delay_lists(300).unwrap();
    let rule = Rule::new(Trouble::DropAfterCommit).method(method).path(path).times(1);
    world.sim.add_fault(rule).unwrap();
    let mut patient = world.settings();
    patient.resend_delays = vec![ms(60_000)];
    let forge = world.forge_with(patient).await;
    world.ask(&effect).await;
    world.struck().await;
    forge.kill();
    let _next = world.forge().await;
    world.applied(&effect).await;

    let snapshot = world.snapshot();
    let repo = snapshot.repo(REPO).unwrap();
    let [pull] = repo.pulls.as_slice() else { panic!("{:#?}", repo.pulls) };
    assert_eq!((pull.head.as_str(), pull.open), ("agent/issue-1", true));
    assert_eq!(pull.labels, ["agent:pr"]);
    let issue = repo.issue(world.issue).unwrap();
    assert_eq!(
        (issue.comments.len(), issue.labels.as_slice()),
        (1, ["booty:opened".to_owned()].as_slice())
    );
    let branches = repo.refs.keys().filter(|name| name.starts_with("refs/heads/")).count();
    assert_eq!(branches, 2, "{:?}", repo.refs);
}

#[tokio::test]
async fn a_second_forge_stands_by_and_takes_over() {
    let world = World::start().await;
    let mut settings = world.settings();
    settings.lease = ms(900);
    settings.http_timeout = ms(250);
    let mut first = world.forge_with(settings.clone()).await;
    first.writing().await;
    settings.holder = "forge-2".to_owned();
    let mut second = world.forge_with(settings).await;

    let one = world.comment("1-d", "one");
    world.ask(&one).await;
    world.applied(&one).await;
    assert_ne!(*second.status.borrow(), booty_forge::Status::Writing);
    first.kill();
    second.writing().await;
    let two = world.comment("2-d", "two");
    world.ask(&two).await;
    world.applied(&two).await;
    let snapshot = world.snapshot();
    assert_eq!(snapshot.repo(REPO).unwrap().issue(world.issue).unwrap().comments.len(), 2);
}

#[tokio::test]
async fn a_stop_in_order_frees_the_role_at_once() {
    let world = World::start().await;
    let mut settings = world.settings();
    settings.lease = ms(30_000);
    let mut first = world.forge_with(settings.clone()).await;
    first.writing().await;
    first.stop().await;
    settings.holder = "forge-2".to_owned();
    let mut second = world.forge_with(settings).await;
    second.writing().await;
}

#[tokio::test]
async fn the_broker_may_restart_under_way() {
    let mut world = World::start().await;
    let mut forge = world.forge().await;
    forge.writing().await;
    let one = world.comment("1-d", "one");
    world.ask(&one).await;
    world.applied(&one).await;
    world.server.kill9().await.unwrap();
    world.server.restart().await.unwrap();
    let two = world.open_pull_request("2-d", world.issue);
    loop {
        if world.outbox.effect(booty_events::Lane::Outcome, &two, None).await.is_ok() {
            break;
        }
    }
    world.until(|s| s.repo(REPO).unwrap().issue(world.issue).unwrap().comments.len() == 2).await;
    assert_eq!(world.snapshot().repo(REPO).unwrap().pulls.len(), 1);
}
