//! The refinement loop: what is kept, what is taken back, and when it ends.

use booty_events::v1::{Event, JobState};

use crate::{
    flow::{ending, script},
    world::{CALC, TEST_CALC, World, opens},
};

/// `check` reads the file before the tests run.
const CHECKED: &str =
    "version: 1\ncheck: python3 -m py_compile calc.py\ntest: python3 -B -m unittest\n";

async fn checked(turns: &str) -> World {
    let files = [
        ("calc.py", CALC, "100644"),
        ("test_calc.py", TEST_CALC, "100644"),
        (".booty.yml", CHECKED, "100644"),
    ];
    let script = format!("told_log: told.jsonl\n{}", script(turns));
    World::with_files(&script, &files).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_attempt_of_a_job_that_gives_up_is_a_draft_that_says_so() {
    let world = checked(
        r#"
      - calls: [{ tool: edit, with: { path: calc.py, old: "a - b", new: "a * b" } }, { tool: finish, with: { summary: "It multiplies." } }]
      - calls: [{ tool: edit, with: { path: calc.py, old: "a * b", new: "a * (b" } }, { tool: finish, with: { summary: "It does not compile." } }]
      - calls: [{ tool: edit, with: { path: calc.py, old: "a * b", new: "((a" } }, { tool: finish, with: { summary: "Nor does this." } }]
"#,
    )
    .await;
    let running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let effects = world.effects().await;
    assert_eq!(effects.len(), 1);
    let opened = opens(&effects[0]);
    // What does not compile is worse than what fails its tests, and was taken back.
    assert_eq!(opened.changes.len(), 1);
    assert_eq!(opened.changes[0].content.as_ref(), CALC.replace("a - b", "a * b").as_bytes());
    assert!(opened.draft && !opened.promote);
    assert!(opened.body.starts_with("For #"), "merging it closes nothing: {}", opened.body);
    assert!(!opened.commit_message.contains("Fixes"), "{}", opened.commit_message);
    for expected in [
        "**This does not pass.** I gave up after 3 of 3 rounds: `test` still fails (exit code 1)",
        "AssertionError",
        "of round 1",
        "It multiplies",
    ] {
        assert!(opened.body.contains(expected), "{expected}: {}", opened.body);
    }
    let outcome = opened.outcome.as_ref().unwrap();
    assert_eq!(outcome.label, "booty:needs-human");
    assert!(
        outcome.comment.contains("the draft #{number}. It does not pass"),
        "{}",
        outcome.comment
    );
    let told = std::fs::read_to_string(world.dir.path().join("told.jsonl")).unwrap();
    assert!(told.contains("worse than round 1, so the tree is back"), "{told}");

    let said = Event { number: 9, url: "http://pull/9".into(), ..Event::default() };
    world.forge_says("applied", &effects[0], said).await;
    let state = world.events.state(&world, &job, |job| job.state() == JobState::Failed).await;
    assert_eq!((state.reason.as_str(), state.pull_request), ("unfinished", 9));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_its_model_left_unfinished_is_judged() {
    // The script ends after the edit, so that the next question fails.
    let world = checked(
        r#"
      - calls: [{ tool: edit, with: { path: calc.py, old: "a - b", new: "a + b" } }]
"#,
    )
    .await;
    let running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let effects = world.effects().await;
    let opened = opens(&effects[0]);
    assert!(opened.promote, "it passes, and a test that failed shows it");
    assert!(opened.body.starts_with("Fixes #"), "{}", opened.body);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_goes_in_circles_is_told_and_then_stopped() {
    let look = "      - calls: [{ tool: read, with: { path: calc.py } }]\n";
    let world = checked(&look.repeat(20)).await;
    let (label, reason, comment) = ending(&world).await;
    assert_eq!((label.as_str(), reason.as_str()), ("booty:gave-up", "stuck"));
    assert!(comment.contains("the same call 5 times"), "{comment}");
    assert_eq!(world.asked().len(), 5);
    let told = std::fs::read_to_string(world.dir.path().join("told.jsonl")).unwrap();
    assert!(told.contains("You have made this call 3 times"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn running_the_same_tests_again_and_again_is_a_circle_too() {
    // Their output has a time in it, which is never the same.
    let run = "      - calls: [{ tool: run, with: { command: test } }]\n";
    let world = checked(&run.repeat(20)).await;
    let (_, reason, _) = ending(&world).await;
    assert_eq!(reason, "stuck");
    assert_eq!(world.asked().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_again_is_a_circle() {
    let there = "      - calls: [{ tool: edit, with: { path: calc.py, old: \"a - b\", new: \"a * b\" } }]\n";
    let back = "      - calls: [{ tool: edit, with: { path: calc.py, old: \"a * b\", new: \"a - b\" } }]\n";
    let mut world = checked(&format!("{there}{back}").repeat(10)).await;
    world.set("BUILDER_UNFINISHED", "none");
    let (_, reason, _) = ending(&world).await;
    assert_eq!(reason, "stuck");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_test_is_run_by_its_name() {
    let world = checked(
        r#"
      - calls: [{ tool: run, with: { command: test, only: "test_calc.AddTest.test_zero" } }]
      - calls: [{ tool: run, with: { command: test, only: "test_add" } }]
      - calls: [{ tool: run, with: { command: test, only: "$(touch x)" } }]
      - calls: [{ tool: finish, with: { summary: "I looked." } }]
"#,
    )
    .await;
    ending(&world).await;
    let ran: Vec<(String, String)> = world
        .events
        .all()
        .into_iter()
        .filter(|event| event.name == "command_ran")
        .map(|event| (event.attributes["ended"].clone(), event.attributes["output"].clone()))
        .collect();
    assert_eq!(ran.len(), 2, "{ran:?}");
    assert!(ran[0].0 == "exit code 0" && ran[0].1.contains("Ran 1 test"), "{ran:?}");
    assert!(ran[1].0 == "exit code 1" && ran[1].1.contains("Ran 1 test"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bends_the_tests_is_never_shown_whatever_else_is_wrong_with_it() {
    let config = "version: 1\ntest: python3 -B -m unittest\nformat: 'false'\n";
    let files = [
        ("calc.py", CALC, "100644"),
        ("test_calc.py", TEST_CALC, "100644"),
        (".booty.yml", config, "100644"),
    ];
    let turns = r#"
      - calls:
          - { tool: edit, with: { path: calc.py, old: "a - b", new: "a + b" } }
          - { tool: edit, with: { path: test_calc.py, old: "self.assertEqual(add(2, 3), 5)", new: "pass" } }
          - { tool: finish, with: { summary: "Less of a fuss." } }
      - text: That is all.
      - text: Really.
"#;
    let world = World::with_files(&script(turns), &files).await;
    let (_, reason, comment) = ending(&world).await;
    assert_eq!(reason, "stuck", "{comment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_takes_all_back_leaves_its_best_attempt() {
    let world = checked(
        r#"
      - calls: [{ tool: edit, with: { path: calc.py, old: "a - b", new: "a * b" } }, { tool: finish, with: { summary: "It multiplies." } }]
      - calls: [{ tool: edit, with: { path: calc.py, old: "a * b", new: "a - b" } }, { tool: finish, with: { summary: "I give up." } }]
"#,
    )
    .await;
    let running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let effects = world.effects().await;
    assert!(opens(&effects[0]).body.contains("It multiplies"), "{}", opens(&effects[0]).body);
    running.stop().await;
}
