//! Each kind of effect, when nothing goes wrong.

use booty_events::{
    Lane,
    v1::{CreateIssue, FileMode, LabelState, effect::Write},
};

use crate::world::{BOT, REPO, World, change};

#[tokio::test]
async fn a_pull_request_is_opened_with_all_that_belongs_to_it() {
    let world = World::start().await;
    let mut effect = world.open_pull_request("1-d", world.issue);
    let binary: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let Some(Write::OpenPullRequest(write)) = &mut effect.write else { unreachable!() };
    write.changes = vec![
        change("src/old.py", FileMode::Deleted, b""),
        change("src/new.py", FileMode::Regular, "print('né')\r\n\t".as_bytes()),
        change("bin/tool", FileMode::Executable, b"#!/bin/sh\nexit 0\n"),
        change("link", FileMode::Symlink, b"src/new.py"),
        change("logo.png", FileMode::Regular, &binary),
        change("nul.txt", FileMode::Regular, b"a\0b"),
        change("empty", FileMode::Regular, b""),
    ];
    let _forge = world.forge().await;
    world.ask(&effect).await;
    let applied = world.applied(&effect).await;

    let snapshot = world.snapshot();
    let repo = snapshot.repo(REPO).unwrap();
    let [pull] = repo.pulls.as_slice() else { panic!("{:#?}", repo.pulls) };
    assert_eq!((applied.number, applied.job_id.as_str()), (pull.number, "1-d"));
    assert!(applied.url.ends_with(&format!("/pull/{}", pull.number)), "{}", applied.url);
    assert_eq!((pull.title.as_str(), pull.draft, pull.open), ("Mend it", true, true));
    assert_eq!((pull.head.as_str(), pull.base.as_str()), ("agent/issue-1", "main"));
    assert_eq!(
        (pull.author.as_str(), pull.labels.as_slice()),
        (BOT, ["agent:pr".to_owned()].as_slice())
    );
    assert!(pull.body.starts_with("Closes #1.\n\n<!-- booty:v1 "), "{}", pull.body);
    let issue = repo.issue(world.issue).unwrap();
    assert_eq!(issue.labels, ["booty:opened"]);
    let [comment] = issue.comments.as_slice() else { panic!("{:#?}", issue.comments) };
    let said = format!("Opened #{}: {}\n", pull.number, applied.url);
    assert!(comment.body.starts_with(&said), "{}", comment.body);

    let files = world.tree(&pull.head_sha).await;
    let file = |mode: &str, content: &[u8]| (mode.to_owned(), content.to_vec());
    assert_eq!(files["src/new.py"], file("100644", "print('né')\r\n\t".as_bytes()));
    assert_eq!(files["bin/tool"], file("100755", b"#!/bin/sh\nexit 0\n"));
    assert_eq!(files["link"], file("120000", b"src/new.py"));
    assert_eq!(files["logo.png"], file("100644", &binary));
    assert_eq!(files["nul.txt"], file("100644", b"a\0b"));
    assert_eq!(files["empty"], file("100644", b""));
    assert_eq!(files["run.sh"], file("100755", b"#!/bin/sh\n"), "untouched");
    assert!(!files.contains_key("src/old.py"));

    let repo_name = REPO.parse().unwrap();
    let commit = world.github().get_commit(&repo_name, &pull.head_sha).await.unwrap().unwrap();
    assert_eq!(commit.author.unwrap().login, BOT);
    assert_eq!(commit.parents[0].sha, world.base_sha);
    let signed = world.markers().of_commit(&commit.commit.message, &repo_name).unwrap();
    assert_eq!(signed.as_str(), effect.id);
}

#[tokio::test]
async fn asking_again_changes_nothing() {
    let world = World::start().await;
    let forge = world.forge().await;
    let effect = world.open_pull_request("1-d", world.issue);
    world.ask(&effect).await;
    world.applied(&effect).await;
    forge.stop().await;
    let before = world.snapshot().writes;
    // A later holder of the same job, and a forge that remembers nothing but the bus.
    world.ask_in(Lane::Outcome, &effect, Some(("job.x", 9))).await;
    let _forge = world.forge().await;
    let marker = world.comment("2-d", "last");
    world.ask(&marker).await;
    world.applied(&marker).await;
    let mut after = world.snapshot().writes;
    let comments = after.iter_mut().find(|(route, _)| route.contains("comments")).unwrap();
    *comments.1 -= 1;
    assert_eq!(before, after);
}

#[tokio::test]
async fn an_outcome_replaces_only_another_outcome() {
    let world = World::start().await;
    for label in ["bug", "agent:builder", "booty:in-progress"] {
        world.sim.add_label(REPO, world.issue, label, "ann").unwrap();
    }
    let _forge = world.forge().await;
    for (cause, label) in [("1-a", "booty:gave-up"), ("1-b", "booty:needs-human")] {
        let write = Write::IssueOutcome(world.outcome(world.issue, label, "because"));
        let effect = world.effect(cause, "outcome", write);
        world.ask(&effect).await;
        world.applied(&effect).await;
    }
    let snapshot = world.snapshot();
    let issue = snapshot.repo(REPO).unwrap().issue(world.issue).unwrap();
    let mut labels = issue.labels.clone();
    labels.sort();
    assert_eq!(labels, ["agent:builder", "booty:in-progress", "booty:needs-human", "bug"]);
    assert_eq!(issue.comments.len(), 2);
}

#[tokio::test]
async fn only_a_pull_requests_outcome_has_placeholders() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let quote = "They wrote: see {number} at {url}";
    let write = Write::IssueOutcome(world.outcome(world.issue, "booty:gave-up", quote));
    let effect = world.effect("1-d", "outcome", write);
    world.ask(&effect).await;
    world.applied(&effect).await;
    let snapshot = world.snapshot();
    let [comment] = snapshot.repo(REPO).unwrap().issue(world.issue).unwrap().comments.as_slice()
    else {
        panic!()
    };
    assert!(comment.body.starts_with(quote), "{}", comment.body);
}

#[tokio::test]
async fn an_issue_is_created_with_labels_that_are_made() {
    let world = World::start().await;
    let write = CreateIssue {
        title: "[error] ValueError".to_owned(),
        body: "It broke.".to_owned(),
        labels: vec!["agent:builder".to_owned()],
        ..CreateIssue::default()
    };
    let effect = world.effect("alert-1", "issue", Write::CreateIssue(write));
    let _forge = world.forge().await;
    world.ask_in(Lane::Issue, &effect, None).await;
    let applied = world.applied(&effect).await;
    let snapshot = world.snapshot();
    let issue = snapshot.repo(REPO).unwrap().issue(applied.number).unwrap();
    assert_eq!(
        (issue.title.as_str(), issue.labels.as_slice()),
        ("[error] ValueError", ["agent:builder".to_owned()].as_slice())
    );
    let label = world.github().get_label(&REPO.parse().unwrap(), "agent:builder").await.unwrap();
    assert_eq!(label.unwrap().color, "0366d6");
}

#[tokio::test]
async fn an_older_label_state_is_skipped() {
    let world = World::start().await;
    world.sim.add_label(REPO, world.issue, "bug", "ann").unwrap();
    let state = |cause: &str, label: &str, version| {
        let labels = vec![label.to_owned()];
        let write = LabelState { issue: world.issue, labels, version };
        world.effect(cause, "state", Write::LabelState(write))
    };
    let _forge = world.forge().await;
    let newer = state("p-2", "booty:completed", 2);
    world.ask(&newer).await;
    world.applied(&newer).await;
    let older = state("p-1", "booty:in-progress", 1);
    world.ask(&older).await;
    world.event("skipped", &older).await;
    let foreign = state("p-3", "bug", 3);
    world.ask(&foreign).await;
    assert_eq!(world.event("failed", &foreign).await.reason, "invalid");
    let mut labels =
        world.snapshot().repo(REPO).unwrap().issue(world.issue).unwrap().labels.clone();
    labels.sort();
    assert_eq!(labels, ["booty:completed", "bug"]);
}

#[tokio::test]
async fn where_there_are_no_drafts_the_title_and_a_label_say_so() {
    let world = World::start().await;
    world.sim.set_drafts(REPO, false).unwrap();
    let _forge = world.forge().await;
    let effect = world.open_pull_request("1-d", world.issue);
    world.ask(&effect).await;
    world.applied(&effect).await;
    let snapshot = world.snapshot();
    let [pull] = snapshot.repo(REPO).unwrap().pulls.as_slice() else { panic!() };
    assert_eq!((pull.title.as_str(), pull.draft), ("WIP: Mend it", false));
    let mut labels = pull.labels.clone();
    labels.sort();
    assert_eq!(labels, ["agent:pr", "booty:draft"]);
}

#[tokio::test]
async fn a_dry_run_says_everything_and_writes_nothing() {
    let world = World::start().await;
    let mut settings = world.settings();
    settings.dry_run = true;
    let forge = world.forge_with(settings).await;
    let all = world.open_pull_request("1-d", world.issue);
    world.ask(&all).await;
    let said = world.event("dry_run", &all).await;
    forge.stop().await;

    let _forge = world.forge().await;
    let mut one = world.comment("2-d", "Hello");
    one.dry_run = true;
    world.ask(&one).await;
    assert_eq!(world.event("dry_run", &one).await.attributes["comment"], "Hello");

    assert!(world.snapshot().writes.is_empty(), "{:?}", world.snapshot().writes);
    for (name, value) in [
        ("branch", "agent/issue-1"),
        ("title", "Mend it"),
        ("changes", "write \"src/new.py\" (100644, 13 bytes)"),
        ("draft", "true"),
        ("labels", "agent:pr"),
        ("outcome_label", "booty:opened"),
        ("outcome_comment", "Opened #{number}: {url}"),
    ] {
        assert_eq!(said.attributes[name], value, "{name}");
    }
}

#[tokio::test]
async fn a_dry_run_of_the_largest_effect_can_still_be_told() {
    let world = World::start().await;
    let mut effect = world.open_pull_request("1-d", world.issue);
    effect.dry_run = true;
    let Some(Write::OpenPullRequest(write)) = &mut effect.write else { unreachable!() };
    // It is in the event twice.
    write.title = "é".repeat(9 << 20);
    write.body = "x".repeat(1 << 20);
    let _forge = world.forge().await;
    world.ask(&effect).await;
    let said = world.event("dry_run", &effect).await;
    for name in ["title", "body"] {
        let text = &said.attributes[name];
        assert!(text.len() < 70_000 && text.ends_with("bytes)"), "{name}: {}", text.len());
    }
    assert_eq!(said.attributes["changes"], "write \"src/new.py\" (100644, 13 bytes)");
}
