//! Budgets: each limit ends a job or puts it off, and no answer is lost or counted twice.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use booty_builder::{
    App, Settings,
    budget::{Ceiling, Ledger, Limits, Prices, tokens},
};
use booty_bus::{Bus, BusSettings};
use booty_events::{
    JobId, Message as _, bucket,
    v1::{
        BaseChosen, Budget, Job, JobState, JournalEntry, ModelAnswered, Spent, journal_entry::Step,
    },
};
use booty_service::admin::Admin;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures_util::StreamExt as _;
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::{
    crash,
    world::{
        CALC, LABEL, MAINTAINER, PATIENCE, REPO, TEST_CALC, TITLE, World, job_id, opens, payload,
        says,
    },
};

/// Tokens of each answer: 700 read, 200 of the cache, 60 written to it, 40 said.
const TOKENS: u64 = 1_000;
/// What an answer costs where the test knows a price: a thousandth of a dollar a token.
const ANSWER_NANO_USD: u64 = 1_000_000_000;

const READ: &str = "calls: [{ tool: read, with: { path: calc.py } }]";
const USAGE: &str = "usage: { input_tokens: 700, cache_read_tokens: 200, cache_write_tokens: 60, output_tokens: 40 }";

/// Reads until the end of days.
fn endless() -> String {
    // Each time something else, or it would be a circle.
    let look = |n| format!("calls: [{{ tool: search, with: {{ pattern: \"nothing {n}\" }} }}]");
    let turns: String = (0..30).map(|n| format!("      - {{ {}, {USAGE} }}\n", look(n))).collect();
    format!("asked_log: asked.log\nscenarios:\n  - turns:\n{turns}")
}

/// Two reads, and then the right patch.
fn three_answers() -> String {
    let read = format!("      - {{ {READ}, {USAGE} }}\n");
    format!(
        "asked_log: asked.log\nscenarios:\n  - turns:\n{read}{read}      - {USAGE}\n        calls:\n          - {{ tool: edit, with: {{ path: calc.py, old: \"return a - b\", new: \"return a + b\" }} }}\n          - {{ tool: finish, with: {{ summary: It adds. }} }}\n"
    )
}

fn unlimited() -> Limits {
    let none = Ceiling::default();
    Limits { job: none, issue: none, day: none, ..Limits::default() }
}

fn prices() -> Prices {
    Prices::new(|model, usage| {
        model.starts_with("script").then(|| usage.total() as f64 / TOKENS as f64)
    })
}

/// A clock of one test's own, at noon of this day and as many days later as the test says.
macro_rules! clock {
    () => {{
        static LATER: AtomicI64 = AtomicI64::new(0);
        fn now() -> DateTime<Utc> {
            noon() + TimeDelta::days(LATER.load(Ordering::SeqCst))
        }
        (now as fn() -> DateTime<Utc>, &LATER)
    }};
}

/// A day is over at midnight, whenever the test runs.
fn noon() -> DateTime<Utc> {
    let today = Utc::now().date_naive();
    today.and_hms_opt(12, 0, 0).unwrap().and_utc()
}

fn settings(world: &World, limits: Limits, clock: fn() -> DateTime<Utc>) -> Settings {
    Settings {
        budgets: limits,
        prices: prices(),
        budget_look: Duration::from_millis(100),
        clock,
        ..world.settings()
    }
}

fn ledger(world: &World) -> Ledger {
    Ledger::new(&world.bus)
}

fn spent(budget: Budget) -> Spent {
    budget.spent.unwrap_or_default()
}

/// As many answers of the scripts above.
fn answers(n: u64) -> Spent {
    Spent {
        input_tokens: 700 * n,
        output_tokens: 40 * n,
        cache_read_tokens: 200 * n,
        cache_write_tokens: 60 * n,
        calls: n,
        cost_nano_usd: ANSWER_NANO_USD * n,
        unpriced_calls: 0,
    }
}

fn unpriced(spent: Spent) -> Spent {
    Spent { cost_nano_usd: 0, unpriced_calls: spent.calls, ..spent }
}

async fn all_sums(world: &World, issue: u64, run: &str, day: NaiveDate) -> [Spent; 3] {
    let ledger = ledger(world);
    [
        spent(ledger.run(run).await.unwrap()),
        spent(ledger.issue(&REPO.parse().unwrap(), issue).await.unwrap()),
        spent(ledger.day(day).await.unwrap()),
    ]
}

async fn waits(world: &World, job: &JobId) -> Job {
    let waits =
        |job: &Job| job.state() == JobState::Queued && job.step.starts_with("waits for the budget");
    world.events.state(world, job, waits).await
}

#[rstest]
#[case::tokens_of_a_job("BUDGET_JOB_TOKENS", "2,000 of 1,500 tokens")]
#[case::calls_of_a_job("BUDGET_JOB_CALLS", "2 of 2 answers")]
#[case::money_of_a_job("BUDGET_JOB_USD", "$2.00 of $1.50")]
#[case::tokens_of_an_issue("BUDGET_ISSUE_TOKENS", "2,000 of 1,500 tokens")]
#[case::calls_of_an_issue("BUDGET_ISSUE_CALLS", "2 of 2 answers")]
#[case::money_of_an_issue("BUDGET_ISSUE_USD", "$2.00 of $1.50")]
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_ends_the_job_within_one_answer(#[case] setting: &str, #[case] numbers: &str) {
    let ceiling = match setting.rsplit('_').next().unwrap() {
        "TOKENS" => Ceiling { tokens: Some(1_500), ..Ceiling::default() },
        "CALLS" => Ceiling { calls: Some(2), ..Ceiling::default() },
        _ => Ceiling { cost_nano_usd: Some(1_500_000_000), ..Ceiling::default() },
    };
    let limits = if setting.contains("_JOB_") {
        Limits { job: ceiling, ..unlimited() }
    } else {
        Limits { issue: ceiling, ..unlimited() }
    };
    let (clock, _) = clock!();
    let world = World::new(&endless()).await;
    let _running = world.start_with(settings(&world, limits, clock)).await;
    let (issue, job) = world.labelled_issue("d-1").await;

    let event = world.events.outcome(&job).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_failed", "out_of_budget"));
    assert_eq!(world.asked().len(), 2, "the third question was not asked");
    let effects = world.effects().await;
    assert_eq!(effects.len(), 1);
    let (label, comment) = says(&effects[0]);
    assert_eq!(label, booty_events::label::GAVE_UP);
    for part in [
        setting,
        numbers,
        "2 answers of script, 1,920 tokens read (400 of them cached), 80 written, $2.00;",
    ] {
        assert!(comment.contains(part), "{part} in {comment}");
    }
    let sums = all_sums(&world, issue, job.as_str(), noon().date_naive()).await;
    assert_eq!(sums, [answers(2), answers(2), answers(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_s_own_budget_lowers_the_operator_s_and_names_its_file() {
    let config = "version: 1\ntest: 'true'\nbuilder: { budget: { tokens: 1500 } }\n";
    let files = [("calc.py", CALC, "100644"), (".booty.yml", config, "100644")];
    let world = World::with_files(&endless(), &files).await;
    let _running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.reason, "out_of_budget");
    assert_eq!(world.asked().len(), 2);
    let effects = world.effects().await;
    let comment = says(&effects[0]).1;
    assert!(comment.contains("`builder.budget.tokens` in `.booty.yml`"), "{comment}");
    assert!(comment.contains(", cost unknown;"), "{comment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_s_limit_in_dollars_without_a_price_is_refused_and_costs_nothing() {
    let config = "version: 1\ntest: 'true'\nbuilder: { budget: { cost_usd: 0.5 } }\n";
    let files = [("calc.py", CALC, "100644"), (".booty.yml", config, "100644")];
    let world = World::with_files(&endless(), &files).await;
    let _running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    let event = world.events.outcome(&job).await;
    assert_eq!(event.reason, "budget_unpriced");
    let effects = world.effects().await;
    let (label, comment) = says(&effects[0]);
    assert_eq!(label, booty_events::label::NEEDS_HUMAN);
    assert!(comment.contains("`builder.budget.tokens` in its place"), "{comment}");
    assert!(world.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_says_what_it_has_cost() {
    let (clock, _) = clock!();
    let world = World::new(&three_answers()).await;
    let _running = world.start_with(settings(&world, Limits::default(), clock)).await;
    let (issue, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let effects = world.effects().await;
    let body = &opens(&effects[0]).body;
    let line = "3 answers of script, 2,880 tokens read (600 of them cached), 120 written, $3.00; 1 of 3 rounds;";
    assert!(body.contains(line), "{body}");
    let run = ledger(&world).run(job.as_str()).await.unwrap();
    assert_eq!((run.repository.as_str(), run.issue, run.job.as_str()), (REPO, issue, job.as_str()));
    assert_eq!(run.limits.unwrap().tokens, Limits::default().job.tokens);
    assert_eq!(run.models.keys().collect::<Vec<_>>(), ["script"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_another_day_and_pays_for_nothing_twice() {
    let (clock, days) = clock!();
    let world = World::new(&three_answers()).await;
    let day = Ceiling { tokens: Some(1_500), ..Ceiling::default() };
    let limits = Limits { day, ..unlimited() };
    let running = world.start_with(settings(&world, limits, clock)).await;
    let (issue, job) = world.labelled_issue("d-1").await;
    waits(&world, &job).await;
    let event = world.events.wait("the wait", |event| event.name == "job_waits").await;
    assert_eq!(event.reason, "day_budget");
    assert!(event.detail.contains("`BUDGET_DAY_TOKENS`"), "{}", event.detail);
    assert_eq!(world.asked().len(), 2, "the third question was not asked");

    // A restart does not make the day new, and what is queued burns no start.
    running.stop().await;
    let running = world.start_with(settings(&world, limits, clock)).await;
    let (_, second) = world.labelled_issue("d-2").await;
    waits(&world, &second).await;
    assert_eq!(world.asked().len(), 2);
    let said = world.events.names(&second);
    assert!(!said.contains(&"workspace_created".to_owned()), "{said:?}");
    assert!(world.effects().await.is_empty(), "nobody was told that anything ended");
    running.stop().await;

    days.store(1, Ordering::SeqCst);
    // Enough for what is left of both, and not for what was used yesterday besides.
    let day = Ceiling { tokens: Some(4_500), ..Ceiling::default() };
    let limits = Limits { day, ..unlimited() };
    let _running = world.start_with(settings(&world, limits, clock)).await;
    for job in [&job, &second] {
        assert_eq!(world.events.outcome(job).await.name, "proposal_made");
    }
    assert_eq!(world.asked().len(), 6, "no question was asked twice");
    let today = noon().date_naive();
    let sums = all_sums(&world, issue, job.as_str(), today).await;
    assert_eq!(sums, [answers(3), answers(3), answers(2)]);
    let tomorrow = today.succ_opt().unwrap();
    assert_eq!(spent(ledger(&world).day(tomorrow).await.unwrap()), answers(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raised_limit_is_seen_before_midnight() {
    let (clock, _) = clock!();
    let world = World::new(&three_answers()).await;
    let day = Ceiling { calls: Some(1), ..Ceiling::default() };
    let limits = Limits { day, ..unlimited() };
    let running = world.start_with(settings(&world, limits, clock)).await;
    let (_, job) = world.labelled_issue("d-1").await;
    waits(&world, &job).await;
    running.stop().await;
    let _running = world.start_with(settings(&world, unlimited(), clock)).await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    assert_eq!(world.asked().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waited_for_three_days_is_told() {
    let (clock, days) = clock!();
    let world = World::new(&endless()).await;
    let day = Ceiling { calls: Some(0), ..Ceiling::default() };
    let limits = Limits { day, ..unlimited() };
    let running = world.start_with(settings(&world, limits, clock)).await;
    let (_, job) = world.labelled_issue("d-1").await;
    waits(&world, &job).await;
    running.stop().await;
    days.store(4, Ordering::SeqCst);
    let _running = world.start_with(settings(&world, limits, clock)).await;
    let event = world.events.outcome(&job).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_failed", "out_of_budget"));
    assert!(says(&world.effects().await[0]).1.contains("BUDGET_DAY_CALLS"));
    assert!(world.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_builders_pass_the_day_s_limit_by_one_answer_for_each_worker_at_most() {
    const LIMIT: u64 = 10;
    const WORKERS: u64 = 4;
    let (clock, _) = clock!();
    let world = World::new(&endless()).await;
    let day = Ceiling { calls: Some(LIMIT), ..Ceiling::default() };
    let limits = Limits { day, ..unlimited() };
    let mut running = Vec::new();
    for holder in ["builder-1", "builder-2"] {
        let bus = Bus::connect(BusSettings::new(world.server.url(), holder)).await.unwrap();
        let settings = Settings {
            holder: holder.to_owned(),
            data_dir: world.dir.path().join(holder),
            ..settings(&world, limits, clock)
        };
        let app = App::build(settings, bus).await.unwrap();
        let shutdown = CancellationToken::new();
        running.push((tokio::spawn(app.run(shutdown.clone())), shutdown));
    }
    let mut jobs = Vec::new();
    for n in 0..6 {
        jobs.push(world.labelled_issue(&format!("d-{n}")).await.1);
    }
    for job in &jobs {
        waits(&world, job).await;
    }
    for (task, shutdown) in running {
        shutdown.cancel();
        task.await.unwrap().unwrap();
    }
    let asked = u64::try_from(world.asked().len()).unwrap();
    let day = ledger(&world).day(noon().date_naive()).await.unwrap();
    assert_eq!(spent(day), answers(asked), "each answer is in the day's sum once");
    assert!((LIMIT..LIMIT + WORKERS).contains(&asked), "{asked}");
}

/// What workers before this one left of a job: a base, and answers that are in no sum.
async fn uncounted(world: &World, answered: &[DateTime<Utc>]) -> (u64, JobId) {
    let sha = world.sim.snapshot().unwrap().repo(REPO).unwrap().refs["refs/heads/main"].clone();
    let issue = world.open_issue();
    world.sim.add_label(REPO, issue, LABEL, MAINTAINER).unwrap();
    let job = job_id(issue, "d-1");
    let mut journal = world.bus.open_journal(&job).await.unwrap();
    let base = BaseChosen {
        branch: "main".into(),
        sha,
        title: TITLE.into(),
        salt: vec![7; 16].into(),
        ..BaseChosen::default()
    };
    let mut steps = vec![(noon(), Step::BaseChosen(base))];
    for (n, time) in answered.iter().enumerate() {
        let id = n.to_string();
        let answer = serde_json::json!({
            "parts": [{ "type": "tool_call", "id": id, "name": "read", "arguments": { "path": "calc.py" } }],
            "stop": "tool_use",
            "usage": { "input_tokens": 700, "output_tokens": 40, "cache_read_tokens": 200, "cache_write_tokens": 60 },
            "model": "script",
            "id": id,
        });
        let answer_json = serde_json::to_vec(&answer).unwrap().into();
        let request_hash = vec![0; 32].into();
        steps.push((*time, Step::ModelAnswered(ModelAnswered { request_hash, answer_json })));
    }
    for (index, (time, step)) in (0..).zip(steps) {
        let entry = JournalEntry { index, time: Some(time.into()), worked_ms: 1, step: Some(step) };
        journal.append(entry.encode_to_vec().into()).await.unwrap();
    }
    (issue, job)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_a_killed_builder_did_not_count_are_counted_by_the_next_one() {
    let (clock, _) = clock!();
    let world = World::new(&three_answers()).await;
    let yesterday = noon() - TimeDelta::days(1);
    let (issue, job) = uncounted(&world, &[yesterday, noon()]).await;
    let _running = world.start_with(settings(&world, Limits::default(), clock)).await;
    world.deliver("d-1", &payload(issue)).await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    assert_eq!(world.asked().len(), 1);
    let today = noon().date_naive();
    let sums = all_sums(&world, issue, job.as_str(), today).await;
    assert_eq!(sums, [answers(3), answers(3), answers(2)]);
    let before = spent(ledger(&world).day(yesterday.date_naive()).await.unwrap());
    assert_eq!(before, answers(1), "an answer belongs to the day on which it was given");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_counted_counts_before_the_first_question() {
    let (clock, _) = clock!();
    let world = World::new(&three_answers()).await;
    let (issue, job) = uncounted(&world, &[noon(), noon()]).await;
    let issue_budget = Ceiling { calls: Some(2), ..Ceiling::default() };
    let limits = Limits { issue: issue_budget, ..unlimited() };
    let _running = world.start_with(settings(&world, limits, clock)).await;
    world.deliver("d-1", &payload(issue)).await;
    assert_eq!(world.events.outcome(&job).await.reason, "out_of_budget");
    assert!(world.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sum_that_can_not_be_read_ends_the_job_and_not_the_limits() {
    let (clock, _) = clock!();
    let world = World::new(&three_answers()).await;
    let key = bucket::budget_day_key(&noon().date_naive().to_string());
    let budgets = world.bus.bucket(&bucket::BUDGETS);
    budgets.create(&key, b"\xff\xff".to_vec().into()).await.unwrap();
    let _running = world.start_with(settings(&world, Limits::default(), clock)).await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "job_failed");
    let effects = world.effects().await;
    let comment = says(&effects[0]).1;
    assert!(comment.contains(&key) && comment.contains("delete the key"), "{comment}");
    assert!(world.asked().is_empty());
}

/// Killed with SIGKILL as soon as a count is on the bus, and so before the next one is.
#[rstest]
#[case::before_any_count(&["journal."])]
#[case::between_the_day_and_the_issue(&["day."])]
#[case::between_the_issue_and_the_run(&["issue."])]
#[case::after_each_of_them(&["day.", "issue.", "job.", "journal."])]
#[tokio::test(flavor = "multi_thread")]
async fn a_builder_that_is_killed_between_two_counts_counts_each_answer_once(
    #[case] deaths: &[&str],
) {
    let mut world = World::new(&three_answers()).await;
    world.set("LEASE", "2s");
    let watcher = Bus::connect(BusSettings::new(world.server.url(), "watcher")).await.unwrap();
    let mut writes = watcher.client().subscribe(">").await.unwrap();
    watcher.client().flush().await.unwrap();
    let (issue, job) = world.labelled_issue("d-1").await;
    let mut builder = crash::start(&world);
    for death in deaths {
        let subject = match *death {
            "journal." => "booty.journal.".to_owned(),
            key => format!("$KV.booty_budgets.{key}"),
        };
        let written = async {
            loop {
                let write = writes.next().await.unwrap();
                let is_answer = |payload: &[u8]| {
                    JournalEntry::decode(payload)
                        .is_ok_and(|entry| matches!(entry.step, Some(Step::ModelAnswered(_))))
                };
                if write.subject.starts_with(subject.as_str())
                    && (*death != "journal." || is_answer(&write.payload))
                {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, written).await.expect("never written");
        builder.kill().await.unwrap();
        builder = crash::start(&world);
    }
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    builder.kill().await.unwrap();

    let three = unpriced(answers(3));
    let run = ledger(&world).run(job.as_str()).await.unwrap();
    assert_eq!(spent(run), three);
    let of_issue = ledger(&world).issue(&REPO.parse().unwrap(), issue).await.unwrap();
    assert_eq!(spent(of_issue), three);
    // Of two days, if it is midnight.
    let days = ledger(&world).all("day.>").await.unwrap();
    assert_eq!(days.into_iter().map(spent).map(|spent| tokens(&spent)).sum::<u64>(), 3 * TOKENS);
}

#[tokio::test(flavor = "multi_thread")]
async fn follow_ups_use_the_issue_s_budget() {
    let (clock, _) = clock!();
    let world = World::new(&three_answers()).await;
    let issue_budget = Ceiling { calls: Some(3), ..Ceiling::default() };
    let limits = Limits { issue: issue_budget, ..unlimited() };
    let _running = world.start_with(settings(&world, limits, clock)).await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let pull = world.forge_opens(&world.effects().await[0]).await;
    let completed = |job: &Job| job.state() == JobState::Completed;
    world.events.state(&world, &job, completed).await;
    world.judged(&pull, "v-1", "failure", "wrong").await;
    let event = world.events.wait("the end", |event| event.name == "job_failed").await;
    assert_eq!(event.reason, "out_of_budget");
    let effects = world.effects().await;
    let (label, comment) = says(effects.last().unwrap());
    assert_eq!(label, booty_events::label::NEEDS_HUMAN);
    assert!(comment.contains("BUDGET_ISSUE_CALLS"), "{comment}");
    assert_eq!(world.asked().len(), 3, "the follow-up asked nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_port_has_the_metrics() {
    let (clock, _) = clock!();
    let world = World::new(&three_answers()).await;
    let day = Ceiling { tokens: Some(6_000), ..Ceiling::default() };
    let limits = Limits { day, ..unlimited() };
    let app = App::build(settings(&world, limits, clock), world.bus.clone()).await.unwrap();
    let admin = Admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = admin.address().unwrap();
    let shutdown = CancellationToken::new();
    tokio::spawn(admin.serve(app.admin_router(), shutdown.clone()));
    let running = tokio::spawn(app.run(shutdown.clone()));
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");

    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.0 200"), "{text}");
    let series: BTreeSet<&str> = text.lines().collect();
    for wanted in [
        r#"booty_model_tokens_total{kind="input",model="script"} 2100"#,
        r#"booty_model_tokens_total{kind="output",model="script"} 120"#,
        r#"booty_model_tokens_total{kind="cache_read",model="script"} 600"#,
        r#"booty_model_tokens_total{kind="cache_write",model="script"} 180"#,
        r#"booty_model_cost_usd_total{model="script"} 3"#,
        r#"booty_model_calls_total{model="script",result="answered"} 3"#,
        r#"booty_budget_used_ratio{scope="day",what="tokens"} 0.5"#,
        r#"booty_jobs_total{outcome="proposed"} 1"#,
        "booty_job_duration_seconds_count 1",
    ] {
        assert!(series.contains(wanted), "{wanted} in {text}");
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_works_too_long_ends_with_what_it_has_cost() {
    let (clock, _) = clock!();
    let turns = format!("      - {{ {READ}, {USAGE} }}\n      - {{ {READ}, wait_ms: 600000 }}\n");
    let script = format!("asked_log: asked.log\nscenarios:\n  - turns:\n{turns}");
    let files = [("calc.py", CALC, "100644"), ("test_calc.py", TEST_CALC, "100644")];
    let world = World::with_files(&script, &files).await;
    let limits = Limits { wall: Duration::from_secs(3), ..unlimited() };
    let _running = world.start_with(settings(&world, limits, clock)).await;
    let (_, job) = world.labelled_issue("d-1").await;
    let event = world.events.outcome(&job).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_failed", "out_of_time"));
    let effects = world.effects().await;
    let comment = says(&effects[0]).1;
    for part in ["longer than 3 s. `BUDGET_JOB_WALL` of the builder", "1 answer of script", "$1.00"]
    {
        assert!(comment.contains(part), "{part} in {comment}");
    }
}
