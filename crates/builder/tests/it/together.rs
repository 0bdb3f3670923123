//! The builder and forge: from a label to a pull request that is ready, by way of a red verdict.

use std::time::Duration;

use booty_bus::{Bus, BusSettings};
use booty_events::v1::{Event, JobState};
use booty_forge::{App, Credentials, Settings};
use booty_github::pace::PaceSettings;
use booty_sim::{PullView, Scope};
use tokio_util::sync::CancellationToken;

use crate::{
    played::Opened,
    talk::Said,
    world::{CALC, MAINTAINER, REPO, World},
};

const SCRIPT: &str = r#"
asked_log: asked.log
scenarios:
  - match: "follow-up 1 of 2"
    turns:
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return a + b", new: "return b + a" } }
          - { tool: finish, with: { summary: "The other way round." } }
  - turns:
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return a - b", new: "return a + b" } }
          - { tool: finish, with: { summary: "It adds." } }
"#;

pub(crate) async fn start_forge(world: &World) -> CancellationToken {
    let token = world.sim.create_token("booty", Scope::Write).unwrap();
    let credentials = Credentials::Token(token.as_str().into());
    let settings = Settings {
        pace: PaceSettings { spacing: Duration::ZERO, burst: 0, content: Vec::new() },
        holder: "forge-1".to_owned(),
        ..Settings::new(world.sim.api_url(), credentials, "marker key of the tests".into())
    };
    let bus = Bus::connect(BusSettings::new(world.server.url(), "forge")).await.unwrap();
    let shutdown = CancellationToken::new();
    let app = App::build(settings, bus).await.unwrap();
    tokio::spawn(app.run(shutdown.clone()));
    shutdown
}

fn pull(world: &World, number: u64) -> PullView {
    world.sim.snapshot().unwrap().repo(REPO).unwrap().pull(number).unwrap().clone()
}

async fn completed(world: &World, what: &str, detail: &str) -> Event {
    let fits = |event: &Event| event.name == "job_completed" && event.detail.starts_with(detail);
    world.events.wait(what, fits).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_red_verdict_becomes_a_second_commit_and_a_green_one_ends_the_draft() {
    let world = World::new(SCRIPT).await;
    let stop_forge = start_forge(&world).await;
    let _running = world.start().await;
    let (issue, job) = world.labelled_issue("d-1").await;
    let number = completed(&world, "the pull request", "opened").await.number;
    let first = pull(&world, number);
    assert!(first.draft);
    let opened = Opened { number, branch: first.head.clone(), head: first.head_sha.clone() };

    // Judged at once, before forge may have noted whose it is.
    world.judged(&opened, "v-1", "failure", "the order is wrong").await;
    completed(&world, "the second commit", "put a commit").await;
    let second = pull(&world, number);
    assert_eq!(second.head, first.head, "the same branch");
    let at = second.head_sha.as_str();
    let content = world.sim.read_file(REPO, at, "calc.py").unwrap().unwrap();
    assert_eq!(content, CALC.replace("a - b", "b + a"));
    assert!(second.draft && second.comments.len() == 1);
    assert!(second.comments[0].body.starts_with("Follow-up 1 of 2"));

    let updated = Opened { head: second.head_sha.clone(), ..opened };
    world.judged(&updated, "v-2", "success", "").await;
    world.events.wait("the promotion", |event| event.name == "promoted").await;
    assert!(!pull(&world, number).draft);
    let state = world.events.state(&world, &job, |job| job.step == "ready").await;
    assert_eq!((state.state(), state.attempt), (JobState::Completed, 2));
    let snapshot = world.sim.snapshot().unwrap();
    let issue = snapshot.repo(REPO).unwrap().issue(issue).unwrap().clone();
    let ours: Vec<_> =
        issue.labels.into_iter().filter(|label| label.starts_with("booty:")).collect();
    assert_eq!((ours, issue.comments.len()), (vec!["booty:opened".to_owned()], 1));
    stop_forge.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_asks_for_is_answered_and_becomes_a_second_commit() {
    let world = World::new(&SCRIPT.replace("follow-up 1 of 2", "request 1 of 5")).await;
    let stop_forge = start_forge(&world).await;
    let _running = world.start().await;
    let (issue, _) = world.labelled_issue("d-1").await;
    let number = completed(&world, "the pull request", "opened").await.number;

    // Forge's own account commands nothing, whatever it may do.
    let on_pull = |by, body| Said { number, is_pull: true, by, body };
    let own = world.says("c-1", on_pull("booty", "/booty fix the order")).await;
    let event = world.events.outcome(&own).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("words_ignored", "own"));

    world.says("c-2", on_pull(MAINTAINER, "/booty fix the order")).await;
    completed(&world, "the second commit", "put a commit").await;
    let second = pull(&world, number);
    let content = world.sim.read_file(REPO, &second.head_sha, "calc.py").unwrap().unwrap();
    assert_eq!(content, CALC.replace("a - b", "b + a"));
    let texts: Vec<_> = second.comments.iter().map(|comment| comment.body.as_str()).collect();
    assert_eq!(texts.len(), 2 + 2, "two commands, one answer, one report: {texts:?}");
    assert!(texts[2].starts_with(&format!("I go back to #{number}")), "{texts:?}");
    assert!(texts[3].starts_with("Request 1 of 5: `ann` asked for changes"), "{texts:?}");

    // On the issue, with nothing at work, a stop is answered once and changes no label.
    let on_issue = Said { number: issue, is_pull: false, by: MAINTAINER, body: "/booty stop" };
    let told = world.says("c-3", on_issue).await;
    let answered = world.answer_effect(&told).await;
    let is_said = |event: &Event| event.name == "applied" && event.effect_id == answered;
    world.events.wait("the answer", is_said).await;
    let snapshot = world.sim.snapshot().unwrap();
    let seen = snapshot.repo(REPO).unwrap().issue(issue).unwrap().clone();
    let ours: Vec<_> =
        seen.labels.into_iter().filter(|label| label.starts_with("booty:")).collect();
    assert_eq!(ours, ["booty:opened"]);
    let last = &seen.comments.last().unwrap().body;
    assert!(last.starts_with(&format!("Nothing is at work for #{issue}.")), "{last}");
    stop_forge.cancel();
}
