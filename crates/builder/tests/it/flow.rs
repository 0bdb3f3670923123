//! What comes of a job.

use booty_events::{
    EffectId, Message as _,
    v1::{
        Effect, Ended, Event, FileMode, IssueOutcome, JobState, JournalEntry, effect::Write,
        journal_entry::Step,
    },
};

use booty_sim::{Rule, Trouble};

use crate::world::{CALC, REPO, TEST_CALC, WRONG_THEN_RIGHT, World, opens, says};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_patch_and_then_a_right_one_become_a_proposal() {
    let world = World::new(WRONG_THEN_RIGHT).await;
    let running = world.start().await;
    let (issue, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");

    let effects = world.effects().await;
    assert_eq!(effects.len(), 1);
    let effect = &effects[0];
    assert_eq!((effect.cause.as_str(), effect.slot.as_str()), (job.as_str(), "open_pr"));
    assert_eq!((effect.repository.as_str(), effect.requested_by.as_str()), (REPO, "builder"));
    let open = opens(effect);
    assert_eq!(open.branch, format!("agent/issue-{issue}"));
    assert_eq!((open.base_branch.as_str(), open.issue), ("main", issue));
    let main = world.sim.snapshot().unwrap().repo(REPO).unwrap().refs["refs/heads/main"].clone();
    assert_eq!(open.base_sha, main);
    assert!(open.draft);
    assert_eq!(open.title.replace('\u{200b}', ""), "`add()` subtracts @octo/team fixes #3");
    for dangerous in ["@octo", "#3"] {
        assert!(!open.title.contains(dangerous) && !open.commit_message.contains(dangerous));
    }
    let changes: Vec<_> = open
        .changes
        .iter()
        .map(|change| (change.path.as_ref(), change.mode(), change.content.as_ref()))
        .collect();
    let right = CALC.replace('-', "+");
    assert_eq!(changes, [(&b"calc.py"[..], FileMode::Regular, right.as_bytes())]);
    assert!(open.body.starts_with(&format!("Fixes #{issue}\n")), "{}", open.body);
    for part in [
        "| 1 | test | exit code 1 |",
        "| 2 | witness | exit code 1 |",
        "test_calc.AddTest.test_add",
        "| 2 | test | exit code 0 |",
        "python3 -B -m unittest",
        "3 answers",
        "2 of 3 rounds",
        job.as_str(),
        main.as_str(),
        "calc.py",
    ] {
        assert!(open.body.contains(part), "{part}: {}", open.body);
    }
    assert!(!open.body.contains("@octo/team"), "no mention: {}", open.body);
    let outcome = open.outcome.as_ref().unwrap();
    assert_eq!(outcome.label, "booty:opened");
    assert!(
        outcome.comment.starts_with("Opened #{number} as a draft. Passed: `test`. Round 2 of 3.")
    );

    assert_eq!(
        world.events.names(&job),
        [
            "job_enqueued",
            "workspace_created",
            "round_started",
            "model_answered",
            "model_answered",
            "command_ran",
            "round_started",
            "model_answered",
            "command_ran",
            "command_ran",
            "proposal_made",
        ]
    );
    let ran: Vec<_> =
        world.events.all().into_iter().filter(|event| event.name == "command_ran").collect();
    assert_eq!(ran[0].attributes["ended"], "exit code 1");
    assert!(ran[0].attributes["output"].contains("AssertionError"));
    assert_eq!(world.asked().len(), 3);

    // Forge reports, and only then is the job over.
    assert_eq!(world.job(&job).await.unwrap().state(), JobState::Running);
    let said = Event { number: 9, url: "http://pull/9".into(), ..Event::default() };
    world.forge_says("applied", effect, said).await;
    let state = world.events.state(&world, &job, |job| job.state() == JobState::Completed).await;
    assert_eq!((state.pull_request, state.url.as_str()), (9, "http://pull/9"));
    running.stop().await;
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
}

/// A script in which the model makes one edit and finishes, over and over.
pub(crate) fn script(turns: &str) -> String {
    format!("asked_log: asked.log\nscenarios:\n  - turns:\n{turns}")
}

/// Runs one job to its outcome that opens nothing; gives its label, reason and comment.
pub(crate) async fn ending(world: &World) -> (String, String, String) {
    let running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    let event = world.events.outcome(&job).await;
    assert_eq!(event.name, "job_failed", "{event:?}");
    let state = world.events.state(world, &job, |job| job.state() == JobState::Failed).await;
    assert_eq!(state.reason, event.reason);
    let effects = world.effects().await;
    assert_eq!(effects.len(), 1, "exactly one outcome");
    assert_eq!(effects[0].slot, "outcome");
    let (label, comment) = says(&effects[0]);
    assert!(comment.contains(job.as_str()) && comment.contains("Nothing was pushed"), "{comment}");
    running.stop().await;
    (label.to_owned(), event.reason, comment.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn always_wrong_ends_with_one_honest_outcome() {
    let mut world = World::new(&script(
        r#"
      - calls: [{ tool: edit, with: { path: calc.py, old: "a - b", new: "a * b" } }]
      - text: Done.
      - calls: [{ tool: edit, with: { path: calc.py, old: "a * b", new: "a // b" } }, { tool: finish, with: { summary: "Now." } }]
      - calls: [{ tool: finish, with: { summary: "Nothing more." } }]
"#,
    ))
    .await;
    world.set("BUILDER_UNFINISHED", "none");
    let (label, reason, comment) = ending(&world).await;
    assert_eq!((label.as_str(), reason.as_str()), ("booty:gave-up", "not_green"));
    assert!(comment.contains("after 3 of 3 rounds: `test` still fails (exit code 1)"), "{comment}");
    // Of the better of its two attempts.
    assert!(comment.contains("1 test failing") && comment.contains("6 != 5"), "{comment}");
    assert!(comment.contains("4 answers"), "{comment}");
    let runs = world.events.all().into_iter().filter(|event| event.name == "command_ran").count();
    assert_eq!(runs, 2, "the third round changed nothing, so nothing was run again");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_needs_a_person() {
    let world = World::new(&script(
        "      - calls: [{ tool: finish, with: { summary: \"Which sum is meant?\" } }]\n",
    ))
    .await;
    let (label, reason, comment) = ending(&world).await;
    assert_eq!((label.as_str(), reason.as_str()), ("booty:needs-human", "no_change"));
    assert!(comment.contains("Which sum is meant?"), "{comment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_path_is_refused_by_name() {
    let world = World::new(&script(
        r#"
      - calls:
          - { tool: edit, with: { path: calc.py, old: "a - b", new: "a + b" } }
          - { tool: write, with: { path: .github/workflows/x.yml, content: "on: push\n" } }
          - { tool: finish, with: { summary: "And a workflow." } }
"#,
    ))
    .await;
    let (label, reason, comment) = ending(&world).await;
    assert_eq!((label.as_str(), reason.as_str()), ("booty:needs-human", "refused_change"));
    assert!(comment.contains(".github/workflows/x.yml"), "{comment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_too_large_is_refused() {
    let lines = "x = 1\\n".repeat(2_000);
    let world = World::new(&script(&format!(
        r#"
      - calls:
          - {{ tool: edit, with: {{ path: calc.py, old: "a - b", new: "a + b" }} }}
          - {{ tool: write, with: {{ path: much.py, content: "{lines}" }} }}
          - {{ tool: finish, with: {{ summary: "Much." }} }}
"#
    )))
    .await;
    let (label, reason, comment) = ending(&world).await;
    assert_eq!((label.as_str(), reason.as_str()), ("booty:needs-human", "refused_change"));
    assert!(comment.contains("lines"), "{comment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_commands_leave_in_their_tree_is_no_part_of_the_proposal() {
    let config =
        "version: 1\ntest: python3 -m unittest && echo spoiled > calc.py && touch new.txt\n";
    let files = [
        ("calc.py", CALC, "100644"),
        ("test_calc.py", TEST_CALC, "100644"),
        (".booty.yml", config, "100644"),
    ];
    let world = World::with_files(WRONG_THEN_RIGHT, &files).await;
    let _running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let effects = world.effects().await;
    let paths: Vec<_> = opens(&effects[0]).changes.iter().map(|c| c.path.as_ref()).collect();
    assert_eq!(paths, [b"calc.py"]);
    assert_eq!(opens(&effects[0]).changes[0].content.as_ref(), CALC.replace('-', "+").as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printed_success_is_no_success() {
    let config = "version: 1\ntest: \"echo 'Ran 2 tests OK'; exit 3\"\n";
    let files = [("calc.py", CALC, "100644"), (".booty.yml", config, "100644")];
    let turn = "      - calls: [{ tool: edit, with: { path: calc.py, old: \"a - b\", new: \"a + b\" } }, { tool: finish, with: { summary: \"OK\" } }]\n      - text: It is fine.\n      - text: It is.\n";
    let mut world = World::with_files(&script(turn), &files).await;
    world.set("BUILDER_UNFINISHED", "none");
    let (_, reason, comment) = ending(&world).await;
    // Nothing new in two rounds: a third one would cost and not help.
    assert_eq!(reason, "stuck");
    assert!(comment.contains("2 rounds in a row brought nothing new"), "{comment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_a_configuration_is_looked_at() {
    let files = [("calc.py", CALC, "100644"), ("test_calc.py", TEST_CALC, "100644")];
    let world = World::with_files(WRONG_THEN_RIGHT, &files).await;
    let _running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let body = opens(&world.effects().await[0]).body.clone();
    assert!(body.contains("(detected)") && body.contains("unittest"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_needs_a_person_and_costs_nothing() {
    let files = [("calc.py", CALC, "100644"), (".booty.yml", "version: 1\ntests: x\n", "100644")];
    let world = World::with_files(WRONG_THEN_RIGHT, &files).await;
    let (label, reason, comment) = ending(&world).await;
    assert_eq!((label.as_str(), reason.as_str()), ("booty:needs-human", "bad_config"));
    assert!(comment.contains("tests"), "{comment}");
    assert!(world.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sandbox_nothing_runs() {
    let mut world = World::new(WRONG_THEN_RIGHT).await;
    world.set("BOOTY_SANDBOX", "/nowhere/bwrap");
    let (label, reason, comment) = ending(&world).await;
    assert_eq!((label.as_str(), reason.as_str()), ("booty:needs-human", "sandbox_unavailable"));
    assert!(comment.contains("sandbox unavailable"), "{comment}");
    assert!(world.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_can_not_be_opened_is_said_on_the_issue() {
    let mut world = World::new(WRONG_THEN_RIGHT).await;
    world.set("MODEL", "script:/nowhere/script.yml");
    let (label, reason, comment) = ending(&world).await;
    assert_eq!((label.as_str(), reason.as_str()), ("booty:gave-up", "model_failed"));
    assert!(comment.contains("/nowhere/script.yml"), "{comment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_can_not_be_opened_is_an_outcome_too() {
    let world = World::new(WRONG_THEN_RIGHT).await;
    let _running = world.start().await;
    let (issue, job) = world.labelled_issue("d-1").await;
    world.events.outcome(&job).await;
    let effects = world.effects().await;
    let said = Event { reason: "refused".into(), detail: "422 @octo".into(), ..Event::default() };
    world.forge_says("failed", &effects[0], said).await;
    let state = world.events.state(&world, &job, |job| job.state() == JobState::Failed).await;
    assert_eq!(state.step, "not_opened");
    let effects = world.effects().await;
    assert_eq!(effects.len(), 2);
    let (label, comment) = says(&effects[1]);
    assert_eq!((label, effects[1].slot.as_str()), ("booty:gave-up", "outcome"));
    assert!(comment.contains("422"), "{comment}");
    // A person took the label off and set it again.
    let again = world.label(issue, "d-2").await;
    assert_eq!(world.events.outcome(&again).await.name, "proposal_made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dying_agent_ends_in_the_spool_with_an_outcome() {
    broken_agent("echo dying >&2; exit 7", "dying").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_lies_ends_in_the_spool_with_an_outcome() {
    broken_agent("printf '\\377\\377\\377\\377xxxx'; exec sleep 60", "longer than").await;
}

async fn broken_agent(script: &str, said: &str) {
    let world = World::new(WRONG_THEN_RIGHT).await;
    let mut settings = world.settings();
    settings.agent.program = "/bin/sh".into();
    settings.agent.args = vec!["-c".into(), script.into()];
    let _running = world.start_with(settings).await;
    let (_, job) = world.labelled_issue("d-1").await;
    let event = world.events.outcome(&job).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_failed", "failed"));
    let effects = world.effects().await;
    assert_eq!(effects.len(), 1);
    let (label, comment) = says(&effects[0]);
    assert_eq!(label, "booty:gave-up");
    assert!(comment.contains(said), "{comment}");
    assert_eq!(world.messages("BOOTY_SPOOL").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_runs_a_failed_job_again_and_a_completed_one_never() {
    let world =
        World::new(&script("      - calls: [{ tool: finish, with: { summary: \"Which?\" } }]\n"))
            .await;
    let _running = world.start().await;
    let (issue, job) = world.labelled_issue("d-1").await;
    world.events.state(&world, &job, |job| job.state() == JobState::Failed).await;

    std::fs::write(world.dir.path().join("script.yml"), WRONG_THEN_RIGHT).unwrap();
    world.replay(issue, "d-1", 5).await;
    world.events.wait("the second run", |event| event.name == "proposal_made").await;
    let effects = world.effects().await;
    let slots: Vec<_> = effects.iter().map(|effect| effect.slot.as_str()).collect();
    assert_eq!(slots, ["outcome", "open_pr#2"]);
    assert_eq!(world.job(&job).await.unwrap().attempt, 2);
    let said = Event { number: 9, ..Event::default() };
    world.forge_says("applied", &effects[1], said).await;
    world.events.state(&world, &job, |job| job.state() == JobState::Completed).await;

    let asked = world.asked().len();
    world.replay(issue, "d-1", 6).await;
    // The replay was handled once the next delivery behind it is.
    let second = world.open_issue();
    let other = world.label(second, "d-2").await;
    world.events.outcome(&other).await;
    assert_eq!(world.job(&job).await.unwrap().state(), JobState::Completed);
    assert_eq!(world.asked().len(), asked + 3, "only the other job asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_overtaken_says_nothing_more() {
    let slow =
        WRONG_THEN_RIGHT.replacen("- text: I look.", "- text: I look.\n        wait_ms: 1000", 1);
    let mut world = World::new(&slow).await;
    world.set("LEASE", "1s");
    let _running = world.start().await;
    let (issue, job) = world.labelled_issue("d-1").await;
    world.events.wait("the first round", |event| event.name == "round_started").await;

    // Another worker has the job, and ends it while this one waits for its model.
    let outcome = IssueOutcome {
        issue,
        label: "booty:gave-up".into(),
        comment: "other".into(),
        ..IssueOutcome::default()
    };
    let effect = Effect {
        id: EffectId::new(job.as_str(), "outcome").to_string(),
        cause: job.to_string(),
        slot: "outcome".into(),
        repository: REPO.into(),
        requested_by: "builder".into(),
        write: Some(Write::IssueOutcome(outcome)),
        ..Effect::default()
    };
    let ended = Ended {
        outcome: "gave_up".into(),
        reason: "other".into(),
        effect: effect.encode_to_vec().into(),
        lane: "outcome".into(),
    };
    let entry = JournalEntry { index: 1, step: Some(Step::Ended(ended)), ..Default::default() };
    let mut journal = world.bus.open_journal(&job).await.unwrap();
    journal.append(entry.encode_to_vec().into()).await.unwrap();

    let event = world.events.outcome(&job).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_failed", "other"));
    assert!(!world.events.names(&job).contains(&"model_answered".to_owned()));
    assert_eq!(world.effects().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_hands_back_and_the_next_one_goes_on() {
    let slow =
        WRONG_THEN_RIGHT.replacen("- text: I look.", "- text: I look.\n        wait_ms: 60000", 1);
    let world = World::new(&slow).await;
    let mut settings = world.settings();
    settings.shutdown_grace = std::time::Duration::ZERO;
    let running = world.start_with(settings).await;
    let (_, job) = world.labelled_issue("d-1").await;
    world.events.wait("the first round", |event| event.name == "round_started").await;
    running.stop().await;
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());

    std::fs::write(world.dir.path().join("script.yml"), WRONG_THEN_RIGHT).unwrap();
    let _running = world.start().await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_else_changes_the_same_files_is_told() {
    let world = World::new(WRONG_THEN_RIGHT).await;
    let sim = &world.sim;
    let calc = ("calc.py", "def add(a, b):\n    return sum((a, b))\n", "100644");
    let other = ("other.py", "x = 1\n", "100644");
    sim.push_files(REPO, "ann", "sum", "Sum", &[calc, other]).unwrap();
    let same = sim.open_pull(REPO, "ann", "Sum", "", "sum", "main").unwrap();
    sim.push_files(REPO, "ann", "other", "Other", &[other]).unwrap();
    let unlike = sim.open_pull(REPO, "ann", "Other", "", "other", "main").unwrap();
    sim.push_files(REPO, "ann", "old", "Old", &[calc]).unwrap();
    let closed = sim.open_pull(REPO, "ann", "Old", "", "old", "main").unwrap();
    sim.close_pull(REPO, closed, "ann").unwrap();
    let _running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let effects = world.effects().await;
    let body = &opens(&effects[0]).body;
    assert!(body.contains(&format!("- also changes `calc.py`: #{same}\n")), "{body}");
    assert!(
        !body.contains(&format!("#{unlike}")) && !body.contains(&format!("#{closed}")),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_is_made_though_nobody_can_say_who_else_changes_its_files() {
    let world = World::new(WRONG_THEN_RIGHT).await;
    let calc = ("calc.py", "def add(a, b):\n    return sum((a, b))\n", "100644");
    world.sim.push_files(REPO, "ann", "sum", "Sum", &[calc]).unwrap();
    let same = world.sim.open_pull(REPO, "ann", "Sum", "", "sum", "main").unwrap();
    let path = format!("/repos/{REPO}/pulls/{same}/files");
    let trouble = Rule::new(Trouble::Fail { status: 403 }).method("GET").path(&path);
    world.sim.add_fault(trouble).unwrap();
    let _running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let effects = world.effects().await;
    assert!(opens(&effects[0]).body.contains("could not be looked up"));
}
