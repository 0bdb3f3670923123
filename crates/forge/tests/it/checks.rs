//! Check runs: one for each commit and name, whatever happens on the way.

use booty_events::{
    Lane,
    v1::{Annotation, CheckRun, CheckStatus, effect::Write},
};
use booty_github::Endpoint;
use booty_sim::{Rule, Trouble};
use rstest::rstest;

use crate::world::{CHECK, REPO, World, ms};

/// So many, each another.
fn annotations(what: &str, count: u32) -> Vec<Annotation> {
    (1..=count)
        .map(|line| Annotation {
            path: "src/old.py".to_owned(),
            start_line: line,
            end_line: line,
            level: "failure".to_owned(),
            title: what.to_owned(),
            message: format!("{what} {line}"),
            ..Annotation::default()
        })
        .collect()
}

fn messages(run: &booty_sim::CheckRunView) -> Vec<String> {
    run.annotations.iter().map(|annotation| annotation.message.clone()).collect()
}

/// A commit of its own for each.
async fn heads(world: &World, count: usize) -> Vec<String> {
    let mut heads = Vec::new();
    for n in 0..count {
        heads.push(world.commit(&format!("head {n}")).await);
    }
    heads
}

#[tokio::test]
async fn a_run_is_one_from_queued_to_completed() {
    let world = World::with_app().await;
    let _forge = world.forge().await;
    let head = world.base_sha.clone();
    let queued = world.ask_check(world.check(&head, 1, CheckStatus::Queued)).await;
    let applied = world.applied(&queued).await;
    let [run] = world.runs(&head).try_into().unwrap();
    assert_eq!(applied.attributes["check_run"], run.id.to_string());
    assert!(applied.url.contains("/runs/") || applied.url.contains(&run.id.to_string()));
    assert_eq!((run.app.as_str(), run.status.as_str()), (crate::world::APP, "queued"));
    assert_eq!((run.external_id, run.updates), (format!("job-{head}"), 0), "one request");

    let started = world.ask_check(world.check(&head, 2, CheckStatus::InProgress)).await;
    world.applied(&started).await;
    let [run] = world.runs(&head).try_into().unwrap();
    assert_eq!((run.status.as_str(), run.summary.as_deref()), ("in_progress", Some("State 2.")));

    let mut done = world.completed(&head, 3, "failure");
    done.annotations = annotations("wrong", 130);
    let done = world.ask_check(done).await;
    world.applied(&done).await;
    let [run] = world.runs(&head).try_into().unwrap();
    assert_eq!((run.status.as_str(), run.conclusion.as_deref()), ("completed", Some("failure")));
    assert_eq!(
        (run.title.as_deref(), run.text.as_deref()),
        (Some("It is a failure"), Some("All of it."))
    );
    let expected: Vec<_> = annotations("wrong", 130).into_iter().map(|a| a.message).collect();
    let mut found = messages(&run);
    found.sort_by_key(|message| message[6..].parse::<u32>().unwrap());
    assert_eq!(found, expected);
    assert_eq!(run.updates, 1 + 3 + 1, "started, three times 50 annotations, concluded");
}

#[tokio::test]
async fn a_state_that_is_not_newer_is_skipped() {
    let world = World::with_app().await;
    let _forge = world.forge().await;
    let head = world.base_sha.clone();
    let done = world.ask_check(world.completed(&head, 5, "success")).await;
    world.applied(&done).await;
    for version in [5, 4] {
        let mut late = world.check(&head, version, CheckStatus::Queued);
        late.summary = "late".to_owned();
        let effect = world.effect("other", &version.to_string(), Write::CheckRun(late));
        world.ask_in(Lane::Check, &effect, None).await;
        assert_eq!(world.event("skipped", &effect).await.reason, "not_newer");
    }
    let [run] = world.runs(&head).try_into().unwrap();
    assert_eq!(
        (run.conclusion.as_deref(), run.summary.as_deref()),
        (Some("success"), Some("State 5."))
    );
}

#[tokio::test]
async fn a_rerun_opens_the_same_run_again_and_repeats_no_annotation() {
    let world = World::with_app().await;
    let _forge = world.forge().await;
    let head = world.base_sha.clone();
    let mut red = world.completed(&head, 1, "failure");
    red.annotations = annotations("wrong", 3);
    let red = world.ask_check(red).await;
    world.applied(&red).await;
    let [first] = world.runs(&head).try_into().unwrap();

    let mut again = world.check(&head, 2, CheckStatus::Queued);
    again.external_id = "rerun".to_owned();
    let again = world.ask_check(again).await;
    world.applied(&again).await;
    let [run] = world.runs(&head).try_into().unwrap();
    assert_eq!(
        (run.id, run.status.as_str(), run.conclusion.as_deref()),
        (first.id, "queued", None)
    );
    assert_eq!((run.external_id.as_str(), run.text.as_deref()), ("rerun", Some("")), "as a whole");

    let mut done = world.completed(&head, 3, "failure");
    done.annotations = annotations("wrong", 5);
    let done = world.ask_check(done).await;
    world.applied(&done).await;
    let [run] = world.runs(&head).try_into().unwrap();
    assert_eq!(messages(&run), ["wrong 1", "wrong 2", "wrong 3", "wrong 4", "wrong 5"]);
    assert_eq!(run.conclusion.as_deref(), Some("failure"));
}

#[tokio::test]
async fn long_texts_keep_their_head_and_their_tail() {
    let world = World::with_app().await;
    let _forge = world.forge().await;
    let head = world.base_sha.clone();
    let long = |what: &str| format!("{what} begins {} {what} ends", "é".repeat(70_000));
    let mut done = world.completed(&head, 1, "failure");
    (done.summary, done.text) = (long("summary"), long("text"));
    done.title = "t".repeat(400);
    done.annotations = annotations("wrong", 1);
    done.annotations[0].message = long("message");
    done.annotations[0].raw_details = long("details");
    let done = world.ask_check(done).await;
    world.applied(&done).await;
    let [run] = world.runs(&head).try_into().unwrap();
    for (what, text) in [("summary", run.summary.unwrap()), ("text", run.text.unwrap())] {
        assert!((65_000..=65_535).contains(&text.len()), "{what}: {}", text.len());
        assert!(text.starts_with(&format!("{what} begins")), "{what}");
        assert!(text.ends_with(&format!("{what} ends")), "{what}");
        assert!(text.contains("cut"), "{what}");
    }
    let annotation = &run.annotations[0];
    assert!(annotation.message.len() <= 64 * 1024 && annotation.message.ends_with("message ends"));
    assert!(annotation.raw_details.as_ref().unwrap().len() <= 64 * 1024);
}

#[rstest]
#[case::head(|w: &mut CheckRun| w.head_sha = "HEAD".to_owned())]
#[case::name(|w: &mut CheckRun| w.name = " ".to_owned())]
#[case::status(|w: &mut CheckRun| w.status = 0)]
#[case::conclusion(|w: &mut CheckRun| w.conclusion = "fine".to_owned())]
#[tokio::test]
async fn what_is_no_state_fails(#[case] spoil: fn(&mut CheckRun)) {
    let world = World::with_app().await;
    let mut forge = world.forge().await;
    forge.writing().await;
    let mut write = world.completed(&world.base_sha, 1, "success");
    spoil(&mut write);
    let effect = world.ask_check(write).await;
    assert_eq!(world.event("failed", &effect).await.reason, "invalid");
    assert_eq!(world.requests("POST", "/check-runs"), 0);
}

#[tokio::test]
async fn fifty_runs_survive_a_third_of_all_answers_lost() {
    let world = World::with_app().await;
    let heads = heads(&world, 50).await;
    let mut forge = world.forge().await;
    forge.writing().await;
    for trouble in [Trouble::DropAfterCommit, Trouble::DropBeforeCommit] {
        let part = if trouble == Trouble::DropAfterCommit { 0.25 } else { 0.07 };
        world.sim.add_fault(Rule::new(trouble).probability(part)).unwrap();
    }
    let mut last = Vec::new();
    for head in &heads {
        world.ask_check(world.check(head, 1, CheckStatus::Queued)).await;
    }
    for head in &heads {
        world.ask_check(world.check(head, 2, CheckStatus::InProgress)).await;
    }
    for (n, head) in heads.iter().enumerate() {
        let mut done = world.completed(head, 3, "failure");
        done.annotations = annotations("wrong", if n % 5 == 0 { 130 } else { 7 });
        last.push(world.ask_check(done).await);
    }
    for effect in &last {
        world.applied(effect).await;
    }
    assert!(world.snapshot().faults_struck > 100);
    assert_eq!(world.count_events("failed"), 0);
    for (n, head) in heads.iter().enumerate() {
        let [run] = world.runs(head).try_into().unwrap();
        assert_eq!(run.created, 1, "of {head}");
        assert_eq!(
            (run.status.as_str(), run.conclusion.as_deref()),
            ("completed", Some("failure"))
        );
        let mut found = messages(&run);
        found.sort();
        let mut expected: Vec<_> = annotations("wrong", if n % 5 == 0 { 130 } else { 7 })
            .into_iter()
            .map(|annotation| annotation.message)
            .collect();
        expected.sort();
        assert_eq!(found, expected, "each once at {head}");
    }
}

#[tokio::test]
async fn the_next_state_finishes_what_the_one_before_left_open() {
    let world = World::with_app().await;
    let mut settings = world.settings();
    // The first state waits for its next look while the others are there already.
    settings.lookup_delays = vec![ms(2000), ms(2000)];
    let rule = Rule::new(Trouble::DropBeforeCommit).method("POST").path("*/check-runs").times(1);
    world.sim.add_fault(rule).unwrap();
    let _forge = world.forge_with(settings).await;
    let head = world.base_sha.clone();
    let queued = world.ask_check(world.check(&head, 1, CheckStatus::Queued)).await;
    world.struck().await;
    let mut done = world.completed(&head, 3, "success");
    done.annotations = annotations("note", 60);
    let done = world.ask_check(done).await;
    world.applied(&done).await;
    assert_eq!(world.event("skipped", &queued).await.reason, "not_newer");
    let [run] = world.runs(&head).try_into().unwrap();
    assert_eq!((run.conclusion.as_deref(), run.annotations.len()), (Some("success"), 60));
}

#[tokio::test]
async fn a_forge_that_dies_in_the_middle_is_followed_by_one_that_goes_on() {
    let world = World::with_app().await;
    let head = world.base_sha.clone();
    let mut done = world.completed(&head, 1, "failure");
    done.annotations = annotations("wrong", 130);
    // Killed while its second batch is under way, which is done all the same.
    let slow = Rule::new(Trouble::Slow { millis: 600 }).method("PATCH").path("*/check-runs/*");
    world.sim.add_fault(slow).unwrap();
    let forge = world.forge().await;
    let effect = world.ask_check(done).await;
    world.until(|s| s.repo(REPO).unwrap().checks.iter().any(|c| c.annotations.len() == 50)).await;
    forge.kill();
    world.sim.clear_faults().unwrap();
    let mut settings = world.settings();
    settings.holder = "forge-2".to_owned();
    let _forge = world.forge_with(settings).await;
    world.applied(&effect).await;
    let [run] = world.runs(&head).try_into().unwrap();
    let mut found = messages(&run);
    found.sort();
    found.dedup();
    assert_eq!((run.annotations.len(), found.len()), (130, 130));
    assert_eq!(run.conclusion.as_deref(), Some("failure"));
}

#[tokio::test]
async fn a_run_that_nothing_is_known_of_is_found() {
    let world = World::with_app().await;
    let head = world.base_sha.clone();
    let forge = world.forge().await;
    let mut started = world.check(&head, 1, CheckStatus::InProgress);
    started.annotations = annotations("note", 2);
    let started = world.ask_check(started).await;
    world.applied(&started).await;
    forge.stop().await;
    // As after the 30 days that a record is kept.
    world.forget_records("check.>").await;
    let _forge = world.forge().await;
    let done = world.ask_check(world.completed(&head, 2, "success")).await;
    world.applied(&done).await;
    let [run] = world.runs(&head).try_into().unwrap();
    assert_eq!((run.conclusion.as_deref(), run.created), (Some("success"), 1));
}

#[tokio::test]
async fn a_second_run_that_shows_up_late_gets_another_name() {
    let world = World::with_app().await;
    let mut settings = world.settings();
    settings.lookup_delays = vec![ms(100), ms(1500)];
    let rule = Rule::new(Trouble::DropBeforeCommit).method("POST").path("*/check-runs").times(1);
    world.sim.add_fault(rule).unwrap();
    let _forge = world.forge_with(settings).await;
    let head = world.base_sha.clone();
    let done = world.ask_check(world.completed(&head, 1, "failure")).await;
    world.applied(&done).await;
    // What was on its way all the time arrives.
    let body = serde_json::json!({ "name": CHECK, "head_sha": head });
    let at = Endpoint::repo(&REPO.parse().unwrap()).at("check-runs");
    world.as_app().post::<serde_json::Value>(at, &body).await.unwrap();
    assert_eq!(world.runs(&head).len(), 2);
    let report = world.event("duplicate_removed", &done).await;
    assert!(report.detail.contains("one too many"), "{}", report.detail);
    let [run] = world.runs(&head).try_into().unwrap();
    assert_eq!(run.conclusion.as_deref(), Some("failure"));
}
