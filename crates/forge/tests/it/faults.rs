//! What GitHub refuses, and what it can't do at the moment.

use booty_events::v1::{FileMode, effect::Write};
use booty_forge::{Credentials, Error};
use booty_sim::{Permission, Rule, Scope, Trouble};
use rstest::rstest;

use crate::world::{REPO, World, change, ms};

fn posts(world: &World, end: &str) -> usize {
    let requests = world.snapshot().requests;
    requests.iter().filter(|r| r.method == "POST" && r.path.ends_with(end)).count()
}

#[rstest]
#[case::not_done(Trouble::Fail { status: 500 })]
#[case::done(Trouble::FailAfterCommit { status: 503 })]
#[case::gateway(Trouble::FailAfterCommit { status: 502 })]
#[tokio::test]
async fn a_server_error_is_tried_again_and_makes_one(#[case] trouble: Trouble) {
    let world = World::start().await;
    for path in ["*/git/trees", "*/git/commits", "*/git/refs", "*/pulls", "*/labels", "*/comments"]
    {
        world.sim.add_fault(Rule::new(trouble.clone()).writes().path(path).times(1)).unwrap();
    }
    let _forge = world.forge().await;
    let effect = world.open_pull_request("1-d", world.issue);
    world.ask(&effect).await;
    world.applied(&effect).await;
    let snapshot = world.snapshot();
    let repo = snapshot.repo(REPO).unwrap();
    assert_eq!((repo.pulls.len(), repo.issue(world.issue).unwrap().comments.len()), (1, 1));
    assert_eq!(repo.pulls[0].head, "agent/issue-1");
}

#[tokio::test]
async fn a_server_that_never_recovers_ends_in_the_spool_and_holds_nobody_up() {
    let world = World::start().await;
    let rule = Rule::new(Trouble::Fail { status: 500 }).method("POST").path("*/comments");
    world.sim.add_fault(rule).unwrap();
    let _forge = world.forge().await;
    let stuck = world.comment("1-d", "never");
    world.ask(&stuck).await;
    let issue = Write::CreateIssue(booty_events::v1::CreateIssue {
        title: "x".to_owned(),
        ..Default::default()
    });
    let other = world.effect("2-d", "issue", issue);
    world.ask(&other).await;
    world.applied(&other).await;
    let failed = world.event("failed", &stuck).await;
    assert_eq!(failed.reason, "server_error");
    assert_eq!(posts(&world, "/comments"), 4, "once, and after each of three pauses");
    assert!(world.spooled("server_error").await);
}

#[tokio::test]
async fn a_replay_is_a_new_try() {
    let world = World::start().await;
    let rule = Rule::new(Trouble::Fail { status: 422 }).method("POST").path("*/comments").times(1);
    world.sim.add_fault(rule).unwrap();
    let _forge = world.forge().await;
    let effect = world.comment("1-d", "in the end");
    world.ask(&effect).await;
    world.event("failed", &effect).await;
    assert!(world.spooled("refused").await);
    let entry =
        world.bus.last_message("BOOTY_SPOOL", "booty.spool.forge.>").await.unwrap().unwrap();
    let subject = entry.headers.get(booty_events::header::SPOOL_REPLAY_SUBJECT).unwrap().to_owned();
    let subject = subject.replace("<seq>", &entry.sequence.to_string());
    let replay = booty_bus::Outgoing {
        subject: booty_events::subject::replay(
            booty_events::Service::Forge,
            subject.split('.').nth(3).unwrap(),
            entry.sequence,
        ),
        headers: entry.headers.without_broker_headers(),
        payload: entry.payload,
    };
    world.bus.publish(replay).await.unwrap();
    world.applied(&effect).await;
}

#[tokio::test]
async fn what_github_refuses_is_not_asked_twice() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let mut gone = world.comment("1-d", "nowhere");
    gone.write =
        Some(Write::Comment(booty_events::v1::Comment { issue: 999, body: "x".to_owned() }));
    let mut hidden = world.comment("2-d", "nowhere");
    hidden.repository = "octo/no-such".to_owned();
    let mut empty = world.comment("3-d", "x");
    empty.write = None;
    for (effect, reason) in [(&gone, "not_found"), (&hidden, "not_found"), (&empty, "invalid")] {
        world
            .bus
            .publish(booty_bus::Outgoing {
                subject: format!("booty.effect.outcome.comment.{}", effect.id),
                headers: booty_bus::Headers::new(),
                payload: booty_events::Message::encode_to_vec(effect).into(),
            })
            .await
            .unwrap();
        assert_eq!(world.event("failed", effect).await.reason, reason);
        assert!(world.spooled(reason).await);
    }
    assert_eq!(posts(&world, "/comments"), 2);
}

#[rstest]
#[case::branch(|w: &mut booty_events::v1::OpenPullRequest| w.branch = "main".to_owned(), "invalid")]
#[case::base(|w: &mut booty_events::v1::OpenPullRequest| w.base_sha = "0".repeat(40), "base_gone")]
#[case::nothing(|w: &mut booty_events::v1::OpenPullRequest| w.changes = vec![change("README.md", FileMode::Regular, b"# hello\n")], "no_change")]
#[case::path(|w: &mut booty_events::v1::OpenPullRequest| w.changes = vec![change("../x", FileMode::Regular, b"")], "refused")]
#[case::git(|w: &mut booty_events::v1::OpenPullRequest| w.changes = vec![change(".git/config", FileMode::Regular, b"")], "refused")]
#[case::missing(|w: &mut booty_events::v1::OpenPullRequest| w.changes = vec![change("nope", FileMode::Deleted, b"")], "refused")]
#[tokio::test]
async fn a_proposal_that_can_not_be_ends_with_its_reason(
    #[case] spoil: fn(&mut booty_events::v1::OpenPullRequest),
    #[case] reason: &str,
) {
    let world = World::start().await;
    let mut effect = world.open_pull_request("1-d", world.issue);
    let Some(Write::OpenPullRequest(write)) = &mut effect.write else { unreachable!() };
    spoil(write);
    let _forge = world.forge().await;
    world.ask(&effect).await;
    assert_eq!(world.event("failed", &effect).await.reason, reason);
    let snapshot = world.snapshot();
    assert!(snapshot.repo(REPO).unwrap().pulls.is_empty());
}

#[tokio::test]
async fn a_wrong_token_ends_forge_with_what_to_do() {
    let world = World::start().await;
    let mut settings = world.settings();
    settings.credentials = Credentials::Token("ghp_wrong".into());
    let mut forge = world.forge_with(settings).await;
    let error = forge.ended().await.unwrap_err();
    assert!(matches!(error, Error::Token(_)), "{error:?}");
    assert!(error.to_string().contains("GITHUB_TOKEN"));
    assert!(!format!("{error:?}").contains("ghp_wrong"));
}

#[tokio::test]
async fn a_token_that_may_only_read_writes_nothing() {
    let world = World::start().await;
    let mut settings = world.settings();
    let reader = world.sim.create_token("reader", Scope::Read).unwrap();
    settings.credentials = Credentials::Token(reader.into());
    world.sim.set_permission(REPO, "reader", Permission::Read).unwrap();
    let _forge = world.forge_with(settings).await;
    let effect = world.open_pull_request("1-d", world.issue);
    world.ask(&effect).await;
    assert_eq!(world.event("failed", &effect).await.reason, "forbidden");
    assert!(world.snapshot().writes.is_empty());
}

#[tokio::test]
async fn github_may_be_down_at_the_start() {
    let world = World::start().await;
    world.sim.set_down(true).unwrap();
    let mut settings = world.settings();
    settings.lease = ms(300);
    settings.http_timeout = ms(90);
    let mut forge = world.forge_with(settings).await;
    world.sim.set_down(false).unwrap();
    forge.writing().await;
}
