//! Stops: what is at work, or waits, ends at once, wherever it runs, and nothing later does.

use std::time::Duration;

use booty_events::{
    JobId, Message as _, RepoName, bucket,
    v1::{Event, JobState, JournalEntry, effect::Write, journal_entry::Step},
};
use booty_sim::Permission;
use serde_json::{Value, json};

use crate::{
    crash::start,
    follow_up::{asked, over},
    talk::{Said, now},
    world::{LABEL, MAINTAINER, PATIENCE, REPO, TEST_CALC, World, payload, says},
};

const FIRST: &str = r#"
  - turns:
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return a - b", new: "return a + b" } }
          - { tool: finish, with: { summary: "It adds." } }
"#;

/// A repository whose test runs for far longer than any test waits. `seconds` tells it from others.
async fn slow_world(seconds: u32) -> World {
    let config = format!("version: 1\ntest:\n  command: sleep {seconds}\n  timeout: 30m\n");
    let files = [
        ("calc.py", crate::world::CALC, "100644"),
        ("test_calc.py", TEST_CALC, "100644"),
        (".booty.yml", config.as_str(), "100644"),
    ];
    World::with_files(&format!("asked_log: asked.log\nscenarios:{FIRST}"), &files).await
}

/// How many processes of this machine run `sleep <seconds>`.
fn sleepers(seconds: u32) -> usize {
    let wanted = format!("sleep\0{seconds}\0");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let command = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).ok();
    processes.filter_map(command).filter(|line| line == wanted.as_bytes()).count()
}

async fn sleeping(seconds: u32, is: bool) {
    let look = async {
        while (sleepers(seconds) > 0) != is {
            tokio::task::yield_now().await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, look).await;
    seen.unwrap_or_else(|_| panic!("sleep {seconds}: wanted {is}"));
}

/// GitHub's `issues.<action>`.
fn of_issue(issue: u64, action: &str, label: Option<&str>, by: Value) -> Value {
    let mut body = payload(issue);
    body["action"] = action.into();
    body["issue"]["updated_at"] = now().into();
    body["sender"] = by;
    match label {
        Some(label) => body["label"] = json!({ "name": label }),
        None => drop(body.as_object_mut().unwrap().remove("label")),
    }
    body
}

fn person(login: &str) -> Value {
    json!({ "login": login, "type": "User" })
}

fn stop(issue: u64) -> Said<'static> {
    Said { number: issue, is_pull: false, by: MAINTAINER, body: "/booty stop" }
}

/// The job has ended as it must when somebody stopped it.
async fn is_stopped(world: &World, job: &JobId, reason: &str, sentence: &str) {
    let event = world.events.outcome(job).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_failed", reason));
    let state = over(world, job, "stopped").await;
    assert_eq!((state.state(), state.reason.as_str()), (JobState::Failed, reason));
    let effects = world.effects().await;
    let mine: Vec<_> = effects.iter().filter(|effect| effect.cause == job.as_str()).collect();
    assert_eq!(mine.len(), 1, "one outcome, and no proposal: {mine:?}");
    let (label, comment) = says(mine[0]);
    assert_eq!(label, "booty:gave-up");
    assert!(comment.starts_with(sentence), "{comment}");
    assert!(comment.contains("Nothing was pushed."), "{comment}");
    let journal = world.messages("BOOTY_JOURNAL").await;
    let mine = journal.iter().rev().find(|(subject, _)| subject.ends_with(job.as_str()));
    let entry = JournalEntry::decode(mine.unwrap().1.as_slice()).unwrap();
    let Some(Step::Ended(ended)) = entry.step else { panic!("{entry:?}") };
    assert_eq!((ended.outcome.as_str(), ended.reason.as_str()), ("stopped", reason));
}

async fn is_unclaimed(world: &World, issue: u64) {
    let repo: RepoName = REPO.parse().unwrap();
    let key = bucket::issue_claim_key(&repo, number(issue));
    let claims = world.bus.bucket(&bucket::LEASES);
    let look = async {
        while claims.get(&key).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("the issue is still claimed");
}

fn number(issue: u64) -> booty_events::IssueNumber {
    booty_events::IssueNumber::new(issue).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_test_run_ends_at_once() {
    let world = slow_world(61_741).await;
    let _running = world.start().await;
    let (issue, job) = world.labelled_issue("d-1").await;
    sleeping(61_741, true).await;
    let told = world.says("c-1", stop(issue)).await;
    is_stopped(&world, &job, "stop_command", "Stopped: `ann` wrote `/booty stop`.").await;
    sleeping(61_741, false).await;
    is_unclaimed(&world, issue).await;
    let said = world.events.state(&world, &told, |told| told.step == "stopped").await;
    assert_eq!(said.state(), JobState::Completed);
    world.inbox_settled("builder-door").await;
    assert_eq!(world.effects().await.len(), 1, "the outcome is the answer");
    let gone = async {
        while !world.leftovers().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("checkouts are left");

    // Said before it, the stop does not end what is asked for later.
    let again = Said { body: "/booty retry", ..stop(issue) };
    let again = world.says("c-2", again).await;
    sleeping(61_741, true).await;
    let state = world.job(&again).await.unwrap();
    assert_eq!(state.state(), JobState::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_place_ends_at_once() {
    let mut world = slow_world(61_742).await;
    world.set("WORKER_COUNT", "1");
    let _running = world.start().await;
    let (_, busy) = world.labelled_issue("d-1").await;
    sleeping(61_742, true).await;
    let (issue, job) = world.labelled_issue("d-2").await;
    let waiting = world.events.state(&world, &job, |job| job.step == "queued").await;
    assert_eq!(waiting.state(), JobState::Queued);
    world.says("c-1", stop(issue)).await;
    is_stopped(&world, &job, "stop_command", "Stopped: `ann`").await;
    is_unclaimed(&world, issue).await;
    assert_eq!(world.job(&busy).await.unwrap().state(), JobState::Running);
    assert_eq!(sleepers(61_742), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_another_process_wrote_down_is_seen() {
    let world = slow_world(61_743).await;
    let _running = world.start().await;
    let (issue, job) = world.labelled_issue("d-1").await;
    sleeping(61_743, true).await;
    let repo: RepoName = REPO.parse().unwrap();
    let stops = world.bus.bucket(&bucket::LEASES);
    let at = chrono::Utc::now() + Duration::from_secs(2);
    let stop = |at: chrono::DateTime<chrono::Utc>| {
        let asked = json!({ "at": at, "sequence": 9 });
        let stop = json!({ "how": "command", "by": "ann", "asked": asked });
        serde_json::to_vec(&stop).unwrap()
    };
    // Of another pull request's work, and of long ago: neither is about this job.
    let other = bucket::stop_key(&repo, number(issue), Some(999));
    stops.create(&other, stop(at).into()).await.unwrap();
    let key = bucket::stop_key(&repo, number(issue), None);
    let old = stops.create(&key, stop(at - Duration::from_secs(3600)).into()).await.unwrap();
    stops.update(&key, stop(at).into(), old).await.unwrap();
    is_stopped(&world, &job, "stop_command", "Stopped: `ann`").await;
    sleeping(61_743, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_outlives_the_process_that_was_to_obey_it() {
    let mut world = slow_world(61_744).await;
    world.set("LEASE", "2s");
    let mut builder = start(&world);
    let (issue, job) = world.labelled_issue("d-1").await;
    sleeping(61_744, true).await;
    builder.kill().await.unwrap();
    world.says("c-1", stop(issue)).await;
    let mut builder = start(&world);
    is_stopped(&world, &job, "stop_command", "Stopped: `ann`").await;
    sleeping(61_744, false).await;
    builder.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_the_label_away_ends_the_job() {
    let world = slow_world(61_745).await;
    // Forge has written under this account.
    let leases = world.bus.bucket(&bucket::LEASES);
    leases.create("writer.booty", "{}".into()).await.unwrap();
    let _running = world.start().await;
    let (issue, job) = world.labelled_issue("d-1").await;
    sleeping(61_745, true).await;
    world.sim.set_permission(REPO, "rea", Permission::Read).unwrap();
    let bot = json!({ "login": "sorter[bot]", "type": "Bot" });
    for (delivery, label, by, word) in [
        ("u-1", "bug", person(MAINTAINER), "label"),
        ("u-2", LABEL, person("rea"), "no_triage_access"),
        ("u-3", LABEL, person("booty"), "own"),
        ("u-4", LABEL, bot, "app"),
        ("u-5", LABEL, Value::Null, "no_sender"),
    ] {
        let body = of_issue(issue, "unlabeled", Some(label), by);
        world.deliver_as("issues", "unlabeled", delivery, &body).await;
        let told = world.told_as(issue, false, delivery);
        let event = world.events.outcome(&told).await;
        assert_eq!((event.name.as_str(), event.reason.as_str()), ("words_ignored", word));
    }
    assert_eq!(sleepers(61_745), 1);
    // Who may set labels may take them away, though not start a job.
    world.sim.remove_label(REPO, issue, LABEL, "bob").unwrap();
    let body = of_issue(issue, "unlabeled", Some(LABEL), person("bob"));
    world.deliver_as("issues", "unlabeled", "u-6", &body).await;
    // Set again at once, the label waits for the end and starts a job of its own.
    let obeyed = |event: &Event| event.name == "stop_asked";
    world.events.wait("the stop", obeyed).await;
    let later = world.label_later(issue, "d-2").await;
    is_stopped(&world, &job, "label_removed", "Stopped: `bob` took the trigger label away.").await;
    world.events.state(&world, &later, |later| later.state() == JobState::Running).await;
    sleeping(61_745, true).await;
    assert_eq!(sleepers(61_745), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_issue_is_not_worked_on() {
    let world = slow_world(61_746).await;
    let _running = world.start().await;
    let (issue, job) = world.labelled_issue("d-1").await;
    sleeping(61_746, true).await;
    // Closed, says the payload; GitHub says that it is open again.
    let body = of_issue(issue, "closed", None, person("eve"));
    world.deliver_as("issues", "closed", "x-1", &body).await;
    let event = world.events.outcome(&world.told_as(issue, false, "x-1")).await;
    assert_eq!(event.reason, "reopened");
    // Its author may close it, who may nothing else.
    world.sim.close_issue(REPO, issue, "eve").unwrap();
    world.deliver_as("issues", "closed", "x-2", &body).await;
    is_stopped(&world, &job, "issue_closed", "Stopped: `eve` closed this issue.").await;
    sleeping(61_746, false).await;

    // One that nobody works on leaves nothing behind.
    let other = world.open_issue();
    world.sim.close_issue(REPO, other, "eve").unwrap();
    let mut body = of_issue(other, "closed", None, person("eve"));
    body["issue"]["labels"] = json!([]);
    world.deliver_as("issues", "closed", "x-3", &body).await;
    let event = world.events.outcome(&world.told_as(other, false, "x-3")).await;
    assert_eq!(event.reason, "no_job");
    let repo: RepoName = REPO.parse().unwrap();
    let stops = world.bus.bucket(&bucket::LEASES);
    assert!(stops.get(&bucket::stop_key(&repo, number(other), None)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_in_the_wrong_order_start_nothing() {
    let world = slow_world(61_747).await;
    let _running = world.start().await;
    let issue = world.open_issue();
    world.sim.add_label(REPO, issue, LABEL, MAINTAINER).unwrap();
    world.sim.remove_label(REPO, issue, LABEL, MAINTAINER).unwrap();
    let labelled = payload(issue);
    let unlabelled = of_issue(issue, "unlabeled", Some(LABEL), person(MAINTAINER));
    world.deliver_as("issues", "unlabeled", "u-1", &unlabelled).await;
    let said = world.events.wait("the stop", |event| event.name == "stop_asked").await;
    assert_eq!((said.reason.as_str(), said.detail.as_str()), ("no_job", "label_removed"));
    world.deliver("d-1", &labelled).await;
    let event = world.events.outcome(&world.told_as(issue, false, "d-1")).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_ignored", "label_removed"));

    // The label is there again; an older delivery is still an older one.
    world.sim.add_label(REPO, issue, LABEL, MAINTAINER).unwrap();
    let mut older = payload(issue);
    older["issue"]["updated_at"] =
        (chrono::Utc::now() - Duration::from_secs(60)).to_rfc3339().into();
    world.deliver("d-2", &older).await;
    let event = world.events.outcome(&world.told_as(issue, false, "d-2")).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_ignored", "stopped"));
    assert_eq!(world.effects().await.len(), 0);
    assert_eq!(sleepers(61_747), 0);
}

/// Follow-ups run for long; the first run does not.
const SLOW_AGAIN: &str = r#"
asked_log: asked.log
scenarios:
  - match: "follow-up 1 of 2"
    turns:
      - calls:
          - { tool: write, with: { path: slow, content: "x" } }
          - { tool: finish, with: { summary: "Slowly." } }
  - turns:
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return a - b", new: "return a + b" } }
          - { tool: finish, with: { summary: "It adds." } }
"#;

async fn slow_follow_up(
    seconds: u32,
) -> (World, crate::world::Running, crate::played::Opened, JobId) {
    let config = format!("version: 1\ntest:\n  command: test ! -e slow || exec sleep {seconds}\n");
    let files =
        [("calc.py", crate::world::CALC, "100644"), (".booty.yml", config.as_str(), "100644")];
    let world = World::with_files(SLOW_AGAIN, &files).await;
    let running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let pull = world.forge_opens(&world.effects().await[0]).await;
    over(&world, &job, "opened").await;
    world.judged(&pull, "v-1", "failure", "wrong").await;
    sleeping(seconds, true).await;
    (world, running, pull, job)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pull_request_ends_its_follow_up() {
    let (world, _running, pull, job) = slow_follow_up(61_748).await;
    world.sim.close_pull(REPO, pull.number, "bob").unwrap();
    let body = json!({
        "action": "closed",
        "pull_request": { "number": pull.number, "state": "closed", "updated_at": now() },
        "repository": { "full_name": REPO }, "sender": person("bob"),
    });
    world.deliver_as("pull_request", "closed", "x-1", &body).await;
    let effect = asked(&world, "outcome#2").await;
    let (label, comment) = says(&effect);
    assert_eq!(label, "booty:needs-human");
    assert!(comment.starts_with("Stopped: `bob` closed the pull request."), "{comment}");
    assert_eq!(over(&world, &job, "stopped").await.reason, "pull_request_closed");
    sleeping(61_748, false).await;
    // Open again, it is not gone back to for a verdict alone.
    world.sim.reopen(REPO, pull.number, "bob").unwrap();
    world.judged(&pull, "v-2", "failure", "wrong").await;
    world.settled("builder-follow-ups").await;
    let slots: Vec<_> = world.effects().await.into_iter().map(|effect| effect.slot).collect();
    assert_eq!(slots, ["open_pr", "outcome#2"]);
    assert_eq!(world.job(&job).await.unwrap().attempt, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_on_the_pull_request_holds_until_a_person_asks_again() {
    let (world, _running, pull, job) = slow_follow_up(61_749).await;
    let on_pull = |body| Said { number: pull.number, is_pull: true, by: MAINTAINER, body };
    let told = world.says("c-1", on_pull("/booty stop")).await;
    let effect = asked(&world, "outcome#2").await;
    assert!(says(&effect).1.starts_with("Stopped: `ann` wrote"), "{effect:?}");
    assert!(world.answer(&told, "reply").await.body.starts_with("I stop."));
    over(&world, &job, "stopped").await;
    sleeping(61_749, false).await;
    // The verifier is no person.
    world.judged(&pull, "v-2", "failure", "wrong").await;
    world.settled("builder-follow-ups").await;
    assert_eq!(world.job(&job).await.unwrap().attempt, 2);
    assert_eq!(sleepers(61_749), 0);
    let told = world.says("c-2", on_pull("/booty stop")).await;
    assert!(world.answer(&told, "reply").await.body.starts_with("Nothing is at work"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_on_its_way_can_not_be_stopped() {
    let script = format!("asked_log: asked.log\nscenarios:{FIRST}");
    let world = World::new(&script).await;
    let _running = world.start().await;
    let (issue, job) = world.labelled_issue("d-1").await;
    world.events.outcome(&job).await;
    world.events.state(&world, &job, |job| job.step == "proposed").await;
    let told = world.says("c-1", stop(issue)).await;
    let answer = world.answer(&told, "reply").await;
    assert!(answer.body.starts_with("Too late"), "{answer:?}");
    let effects = world.effects().await;
    assert!(matches!(effects[0].write, Some(Write::OpenPullRequest(_))));
    assert_eq!(effects.len(), 2);
}
