//! `booty budget`, as a process against a real broker.

use std::process::{Command, Stdio};

use booty_bus::{Bus, BusSettings, local::LocalServer};
use booty_events::{
    RepoName, Timestamp, bucket,
    v1::{Budget, BudgetLimits, BudgetSettings, Spent},
};

const DAY: &str = "2026-01-31";

struct World {
    server: LocalServer,
    bus: Bus,
}

impl World {
    async fn new() -> Self {
        let server = LocalServer::start_temporary().await.unwrap();
        let settings = BusSettings {
            max_bytes: Some(64 << 20),
            ..BusSettings::new(server.url(), "booty-budget-test")
        };
        let bus = Bus::connect(settings).await.unwrap();
        bus.ensure().await.unwrap();
        Self { server, bus }
    }

    /// Two runs of one issue, and what they add up to.
    async fn fill(&self) {
        let limits = |tokens, usd: u64, calls, wall_ms| BudgetLimits {
            tokens: Some(tokens),
            cost_nano_usd: Some(usd * 1_000_000_000),
            calls: Some(calls),
            wall_ms,
        };
        let settings = BudgetSettings {
            job: Some(limits(2_000_000, 10, 200, Some(7_200_000))),
            issue: Some(BudgetLimits { cost_nano_usd: None, ..limits(6_000_000, 30, 600, None) }),
            day: Some(limits(20_000_000, 100, 2_000, None)),
            updated: None,
        };
        self.put(bucket::BUDGET_LIMITS_KEY, &settings).await;
        let repository: RepoName = "octo/hello".parse().unwrap();
        let first = run("7-d", &spent(1_200_000, 30, 3_210_000_000, 0), 754_000);
        let second = run("7-d-a2", &spent(34_567, 2, 0, 2), 61_000);
        self.put(&bucket::budget_job_key("7-d"), &first).await;
        self.put(&bucket::budget_job_key("7-d-a2"), &second).await;
        let both = Budget {
            spent: Some(spent(1_234_567, 32, 3_210_000_000, 2)),
            models: [
                ("claude-x".to_owned(), spent(1_200_000, 30, 3_210_000_000, 0)),
                ("home-made".to_owned(), spent(34_567, 2, 0, 2)),
            ]
            .into(),
            counted: [("7-d".to_owned(), 60), ("7-d-a2".to_owned(), 4)].into(),
            ..first
        };
        self.put(&bucket::budget_issue_key(&repository, 7), &both).await;
        self.put(&bucket::budget_day_key(DAY), &both).await;
        // Of another day and another issue.
        let other = Budget { issue: 8, ..run("8-e", &spent(5, 1, 1, 0), 0) };
        self.put(&bucket::budget_job_key("8-e"), &other).await;
        self.put(&bucket::budget_issue_key(&repository, 8), &other).await;
    }

    async fn put(&self, key: &str, value: &impl booty_events::Message) {
        let budgets = self.bus.bucket(&bucket::BUDGETS);
        budgets.create(key, value.encode_to_vec().into()).await.unwrap();
    }

    async fn booty(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_booty"));
        command.arg("budget").args(args).stdin(Stdio::null()).env("NATS_URL", self.server.url());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
        };
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

fn spent(tokens: u64, calls: u64, cost_nano_usd: u64, unpriced_calls: u64) -> Spent {
    Spent { input_tokens: tokens, calls, cost_nano_usd, unpriced_calls, ..Spent::default() }
}

fn run(name: &str, spent: &Spent, worked_ms: u64) -> Budget {
    let model = if spent.unpriced_calls > 0 { "home-made" } else { "claude-x" };
    Budget {
        spent: Some(*spent),
        models: [(model.to_owned(), *spent)].into(),
        counted: [(name.to_owned(), 60)].into(),
        updated: Some(Timestamp { seconds: 1_769_860_800, nanos: 0 }),
        repository: "octo/hello".to_owned(),
        issue: 7,
        job: "7-d".to_owned(),
        worked_ms,
        limits: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_shown_with_its_limits_models_issues_and_jobs() {
    let world = World::new().await;
    world.fill().await;
    let (code, out, error) = world.booty(&["--day", DAY]).await;
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(!out.contains('\u{1b}'), "no colours in a pipe");
    insta::assert_snapshot!(out, @r#"
    2026-01-31 (UTC)

                  USED       LIMIT        LEFT
     tokens  1,234,567  20,000,000  18,765,433
     cost        $3.21     $100.00      $96.79
     calls          32       2,000       1,968

    The price of 2 of 32 calls is not known: their cost is in no sum of dollars, and no limit in dollars holds them.

    Limits of one job:  2,000,000 tokens, $10.00, 200 calls, 2h of work
    Limits of an issue: 6,000,000 tokens, no limit on dollars, 600 calls

     MODEL         TOKENS     COST  CALLS
     claude-x   1,200,000    $3.21     30
     home-made     34,567  unknown      2

     ISSUE            TOKENS     COST  CALLS  MODELS               UPDATED
     octo/hello#7  1,234,567  ≥ $3.21     32  claude-x, home-made  2026-01-31T12:00:00Z

     JOB        TOKENS     COST  CALLS  WORKED  ISSUE         MODELS     UPDATED
     7-d-a2     34,567  unknown      2  61 s    octo/hello#7  home-made  2026-01-31T12:00:00Z
     7-d     1,200,000    $3.21     30  754 s   octo/hello#7  claude-x   2026-01-31T12:00:00Z
    "#);
    let (code, out, _) = world.booty(&["--day", DAY, "--json"]).await;
    assert_eq!(code, 0);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["tokens"]["left"], 20_000_000 - 1_234_567);
    assert_eq!((&json["usd"]["used"], &json["unpriced_calls"]), (&3.21.into(), &2.into()));
    assert_eq!(json["jobs"].as_array().unwrap().len(), 2);
    assert_eq!(json["jobs"][1]["worked_seconds"], 754);
    assert_eq!(json["limits"]["job"]["wall_seconds"], 7_200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_is_shown_with_its_runs() {
    let world = World::new().await;
    world.fill().await;
    let (code, out, _) = world.booty(&["--issue", "Octo/hello#7"]).await;
    assert_eq!(code, 0);
    insta::assert_snapshot!(out, @r#"
    Octo/hello#7

                  USED      LIMIT       LEFT
     tokens  1,234,567  6,000,000  4,765,433
     cost        $3.21   no limit          –
     calls          32        600        568

    The price of 2 of 32 calls is not known: their cost is in no sum of dollars, and no limit in dollars holds them.

    Limits of one job:  2,000,000 tokens, $10.00, 200 calls, 2h of work
    Limits of an issue: 6,000,000 tokens, no limit on dollars, 600 calls

     MODEL         TOKENS     COST  CALLS
     claude-x   1,200,000    $3.21     30
     home-made     34,567  unknown      2

     JOB        TOKENS     COST  CALLS  WORKED  ISSUE         MODELS     UPDATED
     7-d-a2     34,567  unknown      2  61 s    octo/hello#7  home-made  2026-01-31T12:00:00Z
     7-d     1,200,000    $3.21     30  754 s   octo/hello#7  claude-x   2026-01-31T12:00:00Z
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_spent_is_no_failure_and_a_wrong_question_is_one() {
    let world = World::new().await;
    let (code, out, _) = world.booty(&[]).await;
    assert_eq!(code, 0);
    assert!(out.contains("No builder has noted its limits on this bus yet."), "{out}");
    world.fill().await;
    let (code, out, _) = world.booty(&[]).await;
    assert!(code == 0 && out.contains("20,000,000") && out.contains("octo/hello#8"), "{out}");
    for wrong in [
        &["--issue", "octo/hello"][..],
        &["--issue", "octo/hello#0"],
        &["--day", "yesterday"],
        &["--day", DAY, "--issue", "octo/hello#7"],
    ] {
        let (code, _, error) = world.booty(wrong).await;
        assert!(code == 64 && !error.is_empty(), "{wrong:?}: {code} {error}");
    }
    let (_, help, _) = world.booty(&["--help"]).await;
    assert!(help.contains("booty budget --issue octo/hello#7 --json"), "{help}");
}
