//! Ends that come twice, late, or not as planned.

use booty_events::{
    EffectId, Message as _,
    v1::{BaseChosen, Effect, Event, JobState, JournalEntry, Proposed, journal_entry::Step},
};
use serde_json::json;

use crate::world::{
    LABEL, MAINTAINER, PATIENCE, REPO, TITLE, WRONG_THEN_RIGHT, World, job_id, payload, says,
};

const ASKS_BACK: &str = r#"
asked_log: asked.log
scenarios:
  - turns:
      - calls: [{ tool: finish, with: { summary: "Which?" } }]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_delivered_again_says_the_end_again_and_is_no_further_attempt() {
    let world = World::new(ASKS_BACK).await;
    let _running = world.start().await;
    let (issue, job) = world.labelled_issue("d-1").await;
    world.events.state(&world, &job, |job| job.state() == JobState::Failed).await;
    world.replay(issue, "d-1", 5).await;
    let second = |job: &booty_events::v1::Job| job.attempt == 2 && job.state() == JobState::Failed;
    world.events.state(&world, &job, second).await;
    let asked = world.asked().len();

    // As after a kill between the job's last state and the acknowledgement: a newer lease.
    world.replay_from("BOOTY_INBOX-2", issue, "d-1", 5).await;
    let said_again = async {
        loop {
            let effects = world.messages("BOOTY_EFFECTS").await;
            let again = effects.iter().filter(|(subject, _)| subject.contains(".l")).count();
            if again > 0 {
                return effects.len();
            }
            tokio::task::yield_now().await;
        }
    };
    let effects = tokio::time::timeout(PATIENCE, said_again).await.expect("never said again");
    assert_eq!(effects, 3, "one for each attempt, and the second one's again");
    assert!(second(&world.job(&job).await.unwrap()));
    assert_eq!(world.asked().len(), asked, "nothing was worked on again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_that_was_opened_before_it_was_said_to_be_made_is_said() {
    let world = World::new(WRONG_THEN_RIGHT).await;
    let issue = world.open_issue();
    let job = job_id(issue, "d-1");
    // As after a kill between the effect and its event: forge was quicker than the next worker.
    let effect = Effect {
        id: EffectId::new(job.as_str(), "open_pr").to_string(),
        cause: job.to_string(),
        slot: "open_pr".to_owned(),
        ..Effect::default()
    };
    let steps = [
        Step::BaseChosen(BaseChosen::default()),
        Step::Proposed(Proposed { effect: effect.encode_to_vec().into(), lane: "outcome".into() }),
    ];
    let mut journal = world.bus.open_journal(&job).await.unwrap();
    for (index, step) in (0..).zip(steps) {
        let entry = JournalEntry { index, step: Some(step), ..JournalEntry::default() };
        journal.append(entry.encode_to_vec().into()).await.unwrap();
    }
    let completed = |job: &mut booty_events::v1::Job| {
        job.attempt = 1;
        job.state = JobState::Completed.into();
    };
    booty_service::JobStore::new(&world.bus).update(&job, completed).await.unwrap();
    let _running = world.start().await;
    world.label(issue, "d-1").await;

    let event = world.events.outcome(&job).await;
    assert_eq!((event.name.as_str(), event.effect_id), ("proposal_made", effect.id));
    assert_eq!(world.effects().await, [], "it is not asked for again");
    assert_eq!(world.asked(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_ends_the_job_and_gives_the_issue_back() {
    let world = World::new(WRONG_THEN_RIGHT).await;
    let _running = world.start().await;
    let (issue, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let effects = world.effects().await;
    world.forge_says("dry_run", &effects[0], Event::default()).await;
    let over = |job: &booty_events::v1::Job| job.state() == JobState::Completed;
    let state = world.events.state(&world, &job, over).await;
    assert_eq!((state.step.as_str(), state.pull_request), ("dry_run", 0));

    // The claim goes right after the state; GitHub ignores the case of a label's name.
    let mut n = 2;
    loop {
        let mut body = payload(issue);
        body["label"]["name"] = json!(LABEL.to_uppercase());
        let delivery = format!("d-{n}");
        world.deliver(&delivery, &body).await;
        let event = world.events.outcome(&job_id(issue, &delivery)).await;
        if event.name == "proposal_made" {
            break;
        }
        assert_eq!(event.reason, "job_active");
        n += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_can_not_be_read_ends_in_an_outcome_and_gives_the_issue_back() {
    let world = World::new(WRONG_THEN_RIGHT).await;
    let issue = world.open_issue();
    let job = job_id(issue, "d-1");
    let mut journal = world.bus.open_journal(&job).await.unwrap();
    journal.append(b"\xff\xff".to_vec().into()).await.unwrap();
    let _running = world.start().await;
    world.label(issue, "d-1").await;

    let event = world.events.outcome(&job).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_failed", "broken"));
    let state = world.events.state(&world, &job, |job| job.state() == JobState::Failed).await;
    assert_eq!((state.step.as_str(), state.reason.as_str()), ("gave_up", "broken"));
    let effects = world.effects().await;
    assert_eq!(effects.len(), 1);
    let (label, comment) = says(&effects[0]);
    assert_eq!(label, booty_events::label::GAVE_UP);
    assert!(comment.contains("journal"), "{comment}");
    let again = world.label(issue, "d-2").await;
    assert_eq!(world.events.outcome(&again).await.name, "proposal_made");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_time_that_workers_spent_is_the_job_s() {
    const HOUR_MS: u64 = 60 * 60 * 1000;
    let world = World::new(WRONG_THEN_RIGHT).await;
    let sha = world.sim.snapshot().unwrap().repo(REPO).unwrap().refs["refs/heads/main"].clone();
    let mut jobs = Vec::new();
    for (delivery, worked_ms) in [("d-1", 1), ("d-2", 3 * HOUR_MS)] {
        let issue = world.open_issue();
        world.sim.add_label(REPO, issue, LABEL, MAINTAINER).unwrap();
        let job = job_id(issue, delivery);
        let base = BaseChosen {
            branch: "main".into(),
            sha: sha.clone(),
            title: TITLE.into(),
            salt: vec![7; 16].into(),
            ..BaseChosen::default()
        };
        let chosen = chrono::Utc::now() - chrono::TimeDelta::hours(30);
        let entry = JournalEntry {
            index: 0,
            time: Some(chosen.into()),
            worked_ms,
            step: Some(Step::BaseChosen(base)),
        };
        let mut journal = world.bus.open_journal(&job).await.unwrap();
        journal.append(entry.encode_to_vec().into()).await.unwrap();
        world.deliver(delivery, &payload(issue)).await;
        jobs.push(job);
    }
    let _running = world.start().await;
    let event = world.events.outcome(&jobs[0]).await;
    assert_eq!(event.name, "proposal_made", "nobody worked on it for 30 hours: {event:?}");
    let event = world.events.outcome(&jobs[1]).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_failed", "out_of_time"));
    let effects = world.effects().await;
    let late = effects.iter().find(|effect| effect.cause == jobs[1].as_str()).unwrap();
    assert!(says(late).1.contains("longer than 7200 s"), "{}", says(late).1);
}
