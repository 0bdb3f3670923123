//! A job's journal, played again with no model, no GitHub and no sandbox.

use std::{path::Path, time::Duration};

use booty_builder::{
    Unfinished,
    replay::{Question, Replay, ReplayError, replay, repository_of},
};
use booty_events::JobId;
use booty_workspace::{WorkspaceSettings, Workspaces};
use tempfile::TempDir;

use crate::world::{DATA, WRONG_THEN_RIGHT, World};

/// A world whose job has come to its proposal, and in which nothing but the bus is left.
async fn a_proposed_job(script: &str) -> (World, JobId) {
    let world = World::new(script).await;
    let running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    running.stop().await;
    std::fs::remove_file(world.dir.path().join("script.yml")).unwrap();
    (world, job)
}

async fn play(
    world: &World,
    job: &JobId,
    change: impl FnOnce(&mut Question),
) -> Result<Replay, ReplayError> {
    let name = repository_of(&world.bus, job).await?;
    let root = world.dir.path().join(DATA).join("workspaces");
    let mirror = Workspaces::find_mirror(&root, &name.token()).unwrap().unwrap();
    let folder = TempDir::new().unwrap();
    let workspaces = workspaces(folder.path());
    let mut question = Question {
        job: job.clone(),
        attempt: None,
        repository: mirror,
        config: None,
        rounds: 3,
        unfinished: Unfinished::Draft,
    };
    change(&mut question);
    replay(&world.bus, &workspaces, question).await
}

fn workspaces(root: &Path) -> Workspaces {
    Workspaces::open(WorkspaceSettings {
        root: root.to_owned(),
        limits: booty_workspace::TreeLimits::default(),
        fetch_timeout: Duration::from_secs(60),
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_program_comes_to_the_same_without_asking_anybody() {
    let (world, job) = a_proposed_job(WRONG_THEN_RIGHT).await;
    let asked = world.asked().len();
    let effects = world.effects().await.len();
    let played = play(&world, &job, |_| {}).await.unwrap();
    assert!(played.is_same(), "{played:#?}");
    assert_eq!(played.now.outcome, "proposed");
    assert_eq!(played.now.changes[0].path, "calc.py");
    assert!(played.now.promote);
    // Three answers, three times results of tools, and what was run.
    assert!(played.steps >= 8, "{played:#?}");
    assert_eq!((world.asked().len(), world.effects().await.len()), (asked, effects));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_show_where_they_decide_otherwise() {
    let (world, job) = a_proposed_job(WRONG_THEN_RIGHT).await;
    // One round fewer than the job needed: the model is told so from the first question on.
    let played = play(&world, &job, |question| question.rounds = 1).await.unwrap();
    assert!(!played.is_same());
    assert!(played.differences[0].starts_with("step 1: the answer was given to request"));
    assert_eq!(played.then.as_ref().unwrap().outcome, "proposed");
    assert_eq!(played.now.outcome, "proposed_unfinished", "{played:#?}");
    let none = |question: &mut Question| {
        question.rounds = 1;
        question.unfinished = Unfinished::None;
    };
    let played = play(&world, &job, none).await.unwrap();
    assert_eq!((played.now.outcome.as_str(), played.now.reason.as_str()), ("gave_up", "not_green"));

    let protects = b"version: 1\ntest: python3 -B -m unittest\nprotect:\n  paths: [calc.py]\n";
    let played = play(&world, &job, |q| q.config = Some(protects.to_vec())).await.unwrap();
    assert_eq!(played.differences, Vec::<String>::new(), "the model is told nothing of it");
    assert_eq!(played.now.reason, "refused_change");

    let other = b"version: 1\ncheck: \"true\"\ntest: python3 -B -m unittest\n";
    let played = play(&world, &job, |q| q.config = Some(other.to_vec())).await.unwrap();
    // A run of a command that was never run can't be known.
    assert_eq!(played.now.outcome, "unknown", "{played:#?}");
    assert!(played.now.reason.contains("a run of check"), "{played:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_played_says_why() {
    let (world, job) = a_proposed_job(WRONG_THEN_RIGHT).await;
    let empty = TempDir::new().unwrap();
    let elsewhere = |q: &mut Question| q.repository = empty.path().to_owned();
    let error = play(&world, &job, elsewhere).await.unwrap_err();
    assert!(matches!(error, ReplayError::NoBase { .. }), "{error}");
    let error = play(&world, &job, |q| q.attempt = Some(7)).await.unwrap_err();
    assert!(matches!(error, ReplayError::NoJournal(_)), "{error}");
    let error = play(&world, &job, |q| q.config = Some(b"tests: x".to_vec())).await.unwrap_err();
    assert!(error.to_string().contains("can't be used"), "{error}");
    let unknown: JobId = "7-nobody".parse().unwrap();
    let error = repository_of(&world.bus, &unknown).await.unwrap_err();
    assert!(matches!(error, ReplayError::Unknown(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_model_failed_in_the_middle_is_played_to_the_same_end() {
    // The question after the edit has no answer, and what the model left passes.
    let (world, job) = a_proposed_job(
        "scenarios:\n  - turns:\n      - calls: [{ tool: edit, with: { path: calc.py, old: \"a - b\", new: \"a + b\" } }]\n",
    )
    .await;
    let played = play(&world, &job, |_| {}).await.unwrap();
    assert!(played.is_same(), "{played:#?}");
}
