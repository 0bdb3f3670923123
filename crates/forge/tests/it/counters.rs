//! How often it came again: one comment for each issue and name, and the issue opened again.

use booty_events::{
    Lane,
    v1::{Effect, IssueCounter, effect::Write},
};
use booty_github::Endpoint;
use booty_sim::{CommentView, IssueView, Permission, Rule, Trouble};
use rstest::rstest;

use crate::world::{BOT, REPO, World, ms};

fn counter(world: &World, version: u64, reopen: bool) -> Effect {
    let write = IssueCounter {
        issue: world.issue,
        name: "f".repeat(32),
        body: format!("Seen {version} times."),
        version,
        reopen,
    };
    world.effect("alert-1", &format!("counter#{version}"), Write::IssueCounter(write))
}

async fn ask(world: &World, effect: &Effect) {
    world.ask_in(Lane::Issue, effect, None).await;
}

fn issue(world: &World) -> IssueView {
    world.snapshot().repo(REPO).unwrap().issue(world.issue).unwrap().clone()
}

fn says(comment: &CommentView, version: u64) -> bool {
    comment.body.starts_with(&format!("Seen {version} times."))
}

#[tokio::test]
async fn one_comment_is_edited_and_older_versions_are_skipped() {
    let world = World::start().await;
    let _forge = world.forge().await;
    for version in [1, 2, 4] {
        let effect = counter(&world, version, false);
        ask(&world, &effect).await;
        let applied = world.applied(&effect).await;
        assert_eq!(applied.issue, world.issue);
        assert!(applied.url.contains("#issuecomment-"), "{}", applied.url);
        assert!(!applied.attributes.contains_key("reopened"));
    }
    let late = counter(&world, 3, false);
    ask(&world, &late).await;
    assert_eq!(world.event("skipped", &late).await.reason, "not_newer");
    let issue = issue(&world);
    assert_eq!(issue.comments.len(), 1);
    assert!(says(&issue.comments[0], 4), "{}", issue.comments[0].body);
}

#[tokio::test]
async fn two_names_have_two_comments_and_a_lost_record_makes_no_third() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let mut other = counter(&world, 1, false);
    let Some(Write::IssueCounter(write)) = &mut other.write else { unreachable!() };
    write.name = "another".to_owned();
    (other.cause, other.id) =
        ("alert-2".to_owned(), booty_events::EffectId::new("alert-2", &other.slot).to_string());
    let first = counter(&world, 1, false);
    for effect in [&first, &other] {
        ask(&world, effect).await;
        world.applied(effect).await;
    }
    world.forget_records("counter.>").await;
    let second = counter(&world, 2, false);
    ask(&world, &second).await;
    world.applied(&second).await;
    let comments = issue(&world).comments;
    assert_eq!(comments.len(), 2);
    assert!(says(&comments[0], 2) && says(&comments[1], 1));
}

#[tokio::test]
async fn a_closed_issue_is_opened_again_and_an_open_one_is_left() {
    let world = World::start().await;
    world.sim.close_issue(REPO, world.issue, "ann").unwrap();
    let _forge = world.forge().await;
    let effect = counter(&world, 1, true);
    ask(&world, &effect).await;
    assert_eq!(world.applied(&effect).await.attributes["reopened"], "true");
    assert!(issue(&world).open);
    let again = counter(&world, 2, true);
    ask(&world, &again).await;
    let applied = world.applied(&again).await;
    assert!(!applied.attributes.contains_key("reopened"));
    let patches = world.requests("PATCH", &format!("/issues/{}", world.issue));
    assert_eq!(patches, 1, "nothing is said of an open one");
}

#[tokio::test]
async fn an_overtaken_version_says_nothing_and_opens_all_the_same() {
    let world = World::start().await;
    world.sim.close_issue(REPO, world.issue, "ann").unwrap();
    let _forge = world.forge().await;
    let newer = counter(&world, 6, false);
    ask(&world, &newer).await;
    world.applied(&newer).await;
    let older = counter(&world, 5, true);
    ask(&world, &older).await;
    assert_eq!(world.applied(&older).await.attributes["reopened"], "true");
    let issue = issue(&world);
    assert!(issue.open && issue.comments.len() == 1 && says(&issue.comments[0], 6));
}

/// The comment was said, and forge died before it opened the issue, or before it knew that it had.
#[rstest]
#[case::comment("POST", "*/comments", Trouble::DropAfterCommit)]
#[case::before_it_is_open("PATCH", "*/issues/*", Trouble::DropBeforeCommit)]
#[case::open("PATCH", "*/issues/*", Trouble::DropAfterCommit)]
#[tokio::test]
async fn killed_after_any_step_it_ends_open_with_one_comment(
    #[case] method: &str,
    #[case] path: &str,
    #[case] trouble: Trouble,
) {
    let world = World::start().await;
    world.sim.close_issue(REPO, world.issue, "ann").unwrap();
    world.sim.delay_lists(300).unwrap();
    world.sim.add_fault(Rule::new(trouble).method(method).path(path).times(1)).unwrap();
    let mut patient = world.settings();
    patient.resend_delays = vec![ms(60_000)];
    let forge = world.forge_with(patient).await;
    let effect = counter(&world, 1, true);
    ask(&world, &effect).await;
    world.struck().await;
    forge.kill();
    let _next = world.forge().await;
    world.applied(&effect).await;
    let issue = issue(&world);
    assert!(issue.open && issue.comments.len() == 1 && says(&issue.comments[0], 1));
}

#[tokio::test]
async fn what_a_person_deleted_is_not_said_again_before_the_next_version() {
    let world = World::start().await;
    world.sim.close_issue(REPO, world.issue, "ann").unwrap();
    // The comment is said; the opening fails for a while.
    let rule = Rule::new(Trouble::Fail { status: 500 }).method("PATCH").path("*/issues/*").times(1);
    world.sim.add_fault(rule).unwrap();
    let mut settings = world.settings();
    settings.retry_delays = vec![ms(1500)];
    let _forge = world.forge_with(settings).await;
    let effect = counter(&world, 1, true);
    ask(&world, &effect).await;
    world.struck().await;
    let delete = async || {
        let id = issue(&world).comments[0].id;
        let at = Endpoint::repo(&REPO.parse().unwrap()).at("issues").at("comments").at(id);
        world.github().delete(at).await.unwrap();
    };
    delete().await;
    world.applied(&effect).await;
    assert!(issue(&world).open && issue(&world).comments.is_empty(), "the same version");
    for version in [2, 3] {
        let next = counter(&world, version, false);
        ask(&world, &next).await;
        world.applied(&next).await;
        let comments = issue(&world).comments;
        assert!(comments.len() == 1 && says(&comments[0], version));
        delete().await;
    }
}

#[rstest]
#[case::deleted(|world: &World| world.sim.delete_issue(REPO, world.issue).unwrap(), "deleted")]
#[case::moved(|world: &World| {
    world.sim.create_repo("octo/other", &[("a", "b", "100644")], "main").unwrap();
    world.sim.set_permission("octo/other", BOT, Permission::Write).unwrap();
    // The same number there: only its address tells it apart.
    assert_eq!(world.sim.transfer_issue(REPO, world.issue, "octo/other").unwrap(), world.issue);
}, "octo/other/issues/1")]
#[case::hidden(|world: &World| world.sim.set_permission(REPO, BOT, Permission::None).unwrap(), "hidden")]
#[tokio::test]
async fn an_issue_that_is_gone_is_skipped(#[case] spoil: fn(&World), #[case] word: &str) {
    let world = World::start().await;
    let mut forge = world.forge().await;
    forge.writing().await;
    spoil(&world);
    let effect = counter(&world, 1, true);
    ask(&world, &effect).await;
    let skipped = world.event("skipped", &effect).await;
    assert_eq!(skipped.reason, "issue_gone");
    assert!(skipped.detail.contains(word), "{}", skipped.detail);
    assert!(world.snapshot().writes.is_empty());
}

#[tokio::test]
async fn a_pull_request_is_no_issue() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let pull = world.open_pull_request("1-d", world.issue);
    world.ask(&pull).await;
    let number = world.applied(&pull).await.number;
    let mut effect = counter(&world, 1, true);
    let Some(Write::IssueCounter(write)) = &mut effect.write else { unreachable!() };
    write.issue = number;
    ask(&world, &effect).await;
    let skipped = world.event("skipped", &effect).await;
    assert_eq!(skipped.reason, "issue_gone");
    assert!(skipped.detail.contains("pull request"));
}

#[tokio::test]
async fn a_locked_conversation_fails_clearly() {
    let world = World::with_app().await;
    world.sim.close_issue(REPO, world.issue, "ann").unwrap();
    world.sim.set_locked(REPO, world.issue, "ann", true).unwrap();
    let _forge = world.forge().await;
    let effect = counter(&world, 1, true);
    ask(&world, &effect).await;
    let failed = world.event("failed", &effect).await;
    assert_eq!(failed.reason, "locked");
    assert!(failed.detail.contains("unlock it"), "{}", failed.detail);
    assert!(!issue(&world).open, "nothing is half done");
    world.sim.set_locked(REPO, world.issue, "ann", false).unwrap();
    world.replay(&failed.attributes["spool_origin"]).await;
    world.applied(&effect).await;
    assert!(issue(&world).open && issue(&world).comments.len() == 1);
}
