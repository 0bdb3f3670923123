//! The whole line in one test: ingress, builder and forge between a real broker and a simulated
//! GitHub, the builder's agents as processes of the real program.

use std::{path::PathBuf, time::Duration};

use booty_bus::{Bus, BusSettings, local::LocalServer};
use booty_ingress::{AllowList, settings::SpoolSettings};
use booty_service::Env;
use booty_sim::{Paces, Permission, Rule, Scope, Sim, SimSettings, Trouble};
use futures_util::StreamExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const REPO: &str = "octo/greeter";
const PERSON: &str = "mona";
const BOT: &str = "booty-bot";
const SECRET: &str = "It's a Secret to Everybody";
/// Only a broken line takes this long.
const PATIENCE: Duration = Duration::from_secs(240);

const SCRIPT: &str = r#"
scenarios:
  - turns:
      - text: The greeting is spelled wrong.
        calls:
          - { tool: edit, with: { path: greet.sh, old: "helo", new: "hello" } }
          - { tool: finish, with: { summary: "Spell the greeting right." } }
"#;

const BOOTY_YML: &str = "version: 1\ntest: grep -q hello greet.sh\n";

/// Times of the shipped settings divided by about a hundred; the simulated GitHub has no limits.
fn forge(url: String, token: String) -> booty_forge::Settings {
    let millis = |all: &[u64]| all.iter().copied().map(Duration::from_millis).collect();
    let credentials = booty_forge::Credentials::Token(token.into());
    let mut settings = booty_forge::Settings::new(url, credentials, "a key".into());
    settings.pace = settings.pace.scaled(1000);
    settings.lookup_delays = millis(&[50, 150, 450]);
    settings.retry_delays = millis(&[20, 80, 300]);
    settings
}

struct Line {
    sim: Sim,
    bus: Bus,
    shutdown: CancellationToken,
    services: JoinSet<()>,
    _server: LocalServer,
    _folder: tempfile::TempDir,
}

impl Line {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = LocalServer::start_temporary().await.unwrap();
        let bus = Bus::connect(BusSettings {
            max_bytes: Some(64 << 20),
            ..BusSettings::new(server.url(), "booty-line-test")
        })
        .await
        .unwrap();
        bus.ensure().await.unwrap();

        let mut settings = SimSettings::new(folder.path().join("github"));
        settings.paces = Paces::unlimited();
        let sim = Sim::start(settings).await.unwrap();
        let write_token = sim.create_token(BOT, Scope::Write).unwrap();
        let read_token = sim.create_token(BOT, Scope::Read).unwrap();
        let files = [("greet.sh", "echo helo\n", "100755"), (".booty.yml", BOOTY_YML, "100644")];
        sim.create_repo(REPO, &files, "main").unwrap();
        sim.set_permission(REPO, PERSON, Permission::Write).unwrap();
        sim.set_permission(REPO, BOT, Permission::Write).unwrap();

        let shutdown = CancellationToken::new();
        let mut services = JoinSet::new();

        let allowed = AllowList::new(&[REPO.to_owned()], None).unwrap();
        let mut settings = booty_ingress::Settings::new(
            "127.0.0.1:0".parse().unwrap(),
            SpoolSettings::in_dir(folder.path().join("spool")),
            allowed,
        );
        settings.github_secrets = vec![SECRET.into()];
        let ingress = booty_ingress::App::build(settings, bus.clone()).unwrap();
        sim.set_webhook(&format!("http://{}/webhooks/github", ingress.address()), SECRET).unwrap();
        let token = shutdown.clone();
        services.spawn(async move { ingress.run(token).await.unwrap() });

        let script = folder.path().join("script.yaml");
        std::fs::write(&script, SCRIPT).unwrap();
        let mut env = Env::from_map([
            ("BOOTY_DATA_DIR", folder.path().join("builder").display().to_string()),
            ("ALLOWED_REPOS", REPO.to_owned()),
            ("GITHUB_API_URL", sim.api_url()),
            ("GITHUB_GIT_URL", sim.api_url()),
            ("GITHUB_READ_TOKEN", read_token),
            ("MODEL", format!("script:{}", script.display())),
            ("WORKER_COUNT", "4".to_owned()),
        ]);
        let mut settings = booty_builder::Settings::from_env(&mut env);
        env.finish().unwrap();
        settings.holder = "builder".to_owned();
        settings.agent.program = PathBuf::from(env!("CARGO_BIN_EXE_booty"));
        settings.agent.args = vec!["agent".to_owned()];
        let builder = booty_builder::App::build(settings, bus.clone()).await.unwrap();
        let token = shutdown.clone();
        services.spawn(async move { builder.run(token).await.unwrap() });

        let forge = forge(sim.api_url(), write_token);
        let forge = booty_forge::App::build(forge, bus.clone()).await.unwrap();
        let token = shutdown.clone();
        services.spawn(async move { forge.run(token).await.unwrap() });

        Self { sim, bus, shutdown, services, _server: server, _folder: folder }
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.services.join_next().await {
            ended.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_labelled_issues_make_fifty_pull_requests_though_github_drops_answers() {
    const ISSUES: usize = 50;
    let line = Line::start().await;
    let sim = &line.sim;
    sim.add_fault(Rule::new(Trouble::DropAfterCommit).writes().probability(0.3)).unwrap();
    let mut said = line.bus.client().subscribe("booty.event.builder.>").await.unwrap();
    for n in 1..=ISSUES {
        let number =
            sim.open_issue(REPO, PERSON, &format!("Greeting {n} is misspelled"), "helo").unwrap();
        sim.add_label(REPO, number, "agent:builder", PERSON).unwrap();
    }

    let done = async {
        let mut completed = 0;
        while completed < ISSUES {
            let said = said.next().await.expect("the broker stays");
            match said.subject.split('.').nth(3) {
                Some("job_completed") => completed += 1,
                Some("job_failed" | "job_ignored") => panic!("{}", said.subject),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, done).await.expect("fifty completed jobs");

    let github = sim.snapshot().unwrap();
    assert!(github.faults_struck > 50, "only {} answers were dropped", github.faults_struck);
    let repo = github.repo(REPO).unwrap();
    assert_eq!(repo.issues.len(), ISSUES);
    assert_eq!(repo.pulls.len(), ISSUES);
    for issue in &repo.issues {
        let head = format!("agent/issue-{}", issue.number);
        let pulls: Vec<_> = repo.pulls.iter().filter(|pull| pull.head == head).collect();
        assert_eq!(pulls.len(), 1, "pull requests of issue #{}", issue.number);
        assert!(pulls[0].draft && pulls[0].open);
        assert_eq!(issue.comments.len(), 1, "comments of issue #{}", issue.number);
        assert!(issue.comments[0].body.contains(&format!("#{}", pulls[0].number)));
        let labels: Vec<_> = issue.labels.iter().filter(|l| l.starts_with("booty:")).collect();
        assert_eq!(labels, ["booty:opened"], "outcome labels of issue #{}", issue.number);
    }
    line.stop().await;
}
