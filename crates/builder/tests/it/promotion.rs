//! Verdicts that end a draft, and those that don't.

use booty_events::{
    Service,
    v1::{Effect, Event, JobState, MarkReady, effect::Write},
};
use rstest::rstest;

use crate::{
    played::Opened,
    world::{CALC, CONFIG, REPO, TEST_CALC, WRONG_THEN_RIGHT, World},
};

/// A world with one pull request of the builder's.
async fn opened(config: &str) -> (World, crate::world::Running, Opened, booty_events::JobId) {
    let files = [
        ("calc.py", CALC, "100644"),
        ("test_calc.py", TEST_CALC, "100644"),
        (".booty.yml", config, "100644"),
    ];
    let world = World::with_files(WRONG_THEN_RIGHT, &files).await;
    let running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let pull = world.forge_opens(&world.effects().await[0]).await;
    world.events.state(&world, &job, |job| job.state() == JobState::Completed).await;
    (world, running, pull, job)
}

fn marks(effects: &[Effect]) -> Vec<&MarkReady> {
    effects
        .iter()
        .filter_map(|effect| match &effect.write {
            Some(Write::MarkReady(write)) => Some(write),
            _ => None,
        })
        .collect()
}

async fn refused(world: &World) -> Event {
    world.events.wait("why it stays a draft", |event| event.name == "not_promoted").await
}

#[tokio::test(flavor = "multi_thread")]
async fn success_on_our_own_head_ends_the_draft_once() {
    let (world, _running, pull, job) = opened(CONFIG).await;
    world.judged(&pull, "v-1", "success", "").await;
    // The same head judged again, by hand.
    world.judged(&pull, "v-2", "success", "").await;
    world.settled("builder-verdicts").await;
    let effects = world.effects().await;
    let [mark] = marks(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((mark.pull_request, mark.head_sha.as_str()), (pull.number, pull.head.as_str()));
    let effect = effects.last().unwrap();
    assert_eq!((effect.cause.as_str(), effect.requested_by.as_str()), (job.as_str(), "builder"));
    assert_eq!(effect.slot, format!("ready#{}", &pull.head[..12]));
    assert!(world.messages("BOOTY_EFFECTS").await[1].0.starts_with("booty.effect.outcome.mark_"));

    world.forge_says("applied", effect, Event { number: pull.number, ..Event::default() }).await;
    let said = world.events.wait("the promotion", |event| event.name == "promoted").await;
    assert_eq!((said.number, said.job_id.as_str()), (pull.number, job.as_str()));
    let state = world.events.state(&world, &job, |job| job.step == "ready").await;
    assert_eq!((state.state(), state.pull_request), (JobState::Completed, pull.number));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_comes_before_forge_s_report_waits_for_it() {
    let world = World::new(WRONG_THEN_RIGHT).await;
    let _running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    world.events.outcome(&job).await;
    let effect = &world.effects().await[0];
    let pull = world.forge_opens_silently(effect).await;
    world.judged(&pull, "v-1", "success", "").await;
    world.forge_says_applied(effect, &pull).await;
    world.settled("builder-verdicts").await;
    assert_eq!(marks(&world.effects().await).len(), 1);
}

#[rstest]
#[case::neutral("neutral", "")]
#[case::without_a_judgement("neutral", "sandbox_unavailable")]
#[case::cancelled("cancelled", "superseded")]
#[case::no_judgement_of_the_change("failure", "hostile")]
#[tokio::test(flavor = "multi_thread")]
async fn without_success_the_draft_stays(#[case] conclusion: &str, #[case] reason: &str) {
    let (world, _running, pull, _) = opened(CONFIG).await;
    world.judged_because(&pull, "v-1", conclusion, reason, "").await;
    let said = refused(&world).await;
    assert_eq!((said.reason.as_str(), said.detail.as_str()), (conclusion, reason));
    world.settled("builder-verdicts").await;
    assert_eq!(world.effects().await.len(), 1, "only the pull request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_may_keep_its_drafts() {
    let config = format!("{CONFIG}builder: {{ promote: false }}\n");
    let (world, _running, pull, _) = opened(&config).await;
    world.judged(&pull, "v-1", "success", "").await;
    assert_eq!(refused(&world).await.reason, "promote_off");
    assert!(marks(&world.effects().await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_with_somebody_else_s_commit_stays_a_draft() {
    let (world, _running, pull, _) = opened(CONFIG).await;
    let files = [("more.py", "x = 1\n", "100644")];
    let head = world.sim.push_files(REPO, "ann", &pull.branch, "More", &files).unwrap();
    let pushed = Opened { head, ..pull };
    world.judged(&pushed, "v-1", "success", "").await;
    assert_eq!(refused(&world).await.reason, "foreign_head");
    assert!(marks(&world.effects().await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_s_pull_request_is_none_of_ours() {
    let (world, _running, _, _) = opened(CONFIG).await;
    let files = [("calc.py", "x = 1\n", "100644")];
    let head = world.sim.push_files(REPO, "ann", "by-hand", "Mine", &files).unwrap();
    let number = world.sim.open_pull(REPO, "ann", "Mine", "", "by-hand", "main").unwrap();
    let pull = Opened { number, branch: "by-hand".to_owned(), head };
    world.judged(&pull, "v-1", "success", "").await;
    world.judged(&pull, "v-2", "failure", "wrong").await;
    world.settled("builder-verdicts").await;
    assert_eq!(world.effects().await.len(), 1);
    assert!(world.events.all().iter().all(|event| event.name != "not_promoted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_forge_does_not_do_is_no_promotion() {
    let (world, _running, pull, job) = opened(CONFIG).await;
    world.judged(&pull, "v-1", "success", "").await;
    world.settled("builder-verdicts").await;
    let effects = world.effects().await;
    let said = Event { reason: "head_moved".into(), ..Event::default() };
    world.forge_says("skipped", effects.last().unwrap(), said).await;
    assert_eq!(refused(&world).await.reason, "head_moved");
    assert_eq!(world.job(&job).await.unwrap().step, "opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_verdict_goes_to_the_spool() {
    let world = World::new(WRONG_THEN_RIGHT).await;
    let _running = world.start().await;
    let outbox = booty_service::Outbox::new(world.bus.clone(), Service::Verifier);
    outbox.event("verdict", "pr1-x-verdict", Event::default()).await.unwrap();
    world.settled("builder-verdicts").await;
    assert_eq!(world.messages("BOOTY_SPOOL").await.len(), 1);
}
