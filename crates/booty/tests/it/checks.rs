//! Check runs through the whole line: a pull request's webhook, ingress, the verifier as a process of its
//! own, forge as a GitHub App, and the check run on a simulated GitHub.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use booty_bus::{Bus, BusSettings, local::LocalServer};
use booty_forge::Credentials;
use booty_github::app::AppKey;
use booty_ingress::{AllowList, settings::SpoolSettings};
use booty_sim::{CheckRunView, File, Paces, Permission, Rule, Sim, SimSettings, Trouble};
use rstest::rstest;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const REPO: &str = "octo/calc";
const PERSON: &str = "mona";
const NAME: &str = "booty/verifier";
const SECRET: &str = "It's a Secret to Everybody";
/// Only a broken line takes this long.
const PATIENCE: Duration = Duration::from_secs(120);

const BUGGY: &str = "def add(a, b):\n    return a - b\n";
const FIXED: &str = "def add(a, b):\n    return a + b\n";
const TESTS: &str = "import unittest\n\nfrom calc import add\n\n\nclass AddTest(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n";
const CONFIG: &str = "version: 1\nsetup: 'true'\ntest: python3 -B -m unittest -v\n";

struct Line {
    sim: Sim,
    shutdown: CancellationToken,
    services: JoinSet<()>,
    env: Vec<(&'static str, String)>,
    _server: LocalServer,
    _folder: tempfile::TempDir,
}

impl Line {
    /// Everything but the verifier.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = LocalServer::start_temporary().await.unwrap();
        let max_bytes = 64 << 20;
        let bus = Bus::connect(BusSettings {
            max_bytes: Some(max_bytes),
            ..BusSettings::new(server.url(), "booty-checks-test")
        })
        .await
        .unwrap();
        bus.ensure().await.unwrap();

        let mut settings = SimSettings::new(folder.path().join("github"));
        settings.paces = Paces::unlimited();
        let sim = Sim::start(settings).await.unwrap();
        let files = [
            ("calc.py", BUGGY, "100644"),
            ("test_calc.py", TESTS, "100644"),
            (".booty.yml", CONFIG, "100644"),
        ];
        sim.create_repo(REPO, &files, "main").unwrap();
        sim.set_permission(REPO, PERSON, Permission::Write).unwrap();
        let write = ["checks", "contents", "issues", "pull_requests", "statuses"];
        let permissions: Vec<_> = write.iter().map(|name| (*name, "write")).collect();
        let app = sim.create_app("booty", &permissions).unwrap();
        sim.install_app(app.id, "octo", &[]).unwrap();

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

        let key = AppKey::new(&app.id.to_string(), &app.private_key.clone().into()).unwrap();
        let mut settings =
            booty_forge::Settings::new(sim.api_url(), Credentials::App(key), "a key".into());
        settings.pace = settings.pace.scaled(1000);
        let millis = |all: &[u64]| all.iter().copied().map(Duration::from_millis).collect();
        settings.lookup_delays = millis(&[50, 150, 450]);
        settings.retry_delays = millis(&[20, 80, 300]);
        let forge = booty_forge::App::build(settings, bus.clone()).await.unwrap();
        let token = shutdown.clone();
        services.spawn(async move { forge.run(token).await.unwrap() });

        let env = vec![
            ("NATS_URL", server.url()),
            ("BOOTY_STREAM_MAX_BYTES", max_bytes.to_string()),
            ("BOOTY_DATA_DIR", folder.path().join("data").display().to_string()),
            ("BOOTY_INSTANCE", "verifier".to_owned()),
            ("ADMIN_ADDR", "127.0.0.1:0".to_owned()),
            ("ALLOWED_REPOS", REPO.to_owned()),
            ("GITHUB_API_URL", sim.api_url()),
            ("GITHUB_GIT_URL", sim.api_url()),
            ("LEASE", "2s".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
        ];
        Self { sim, shutdown, services, env, _server: server, _folder: folder }
    }

    fn verifier(&self) -> Verifier {
        let mut command = Command::new(env!("CARGO_BIN_EXE_booty"));
        command.arg("verifier").env_clear().stdout(Stdio::piped()).stderr(Stdio::inherit());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.env.iter().map(|(name, value)| (*name, value)));
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Verifier { child, lines }
    }

    /// Opens a pull request of a branch with these files; gives its head.
    fn open(&self, branch: &str, files: &[File<'_>]) -> (u64, String) {
        let head = self.sim.push_files(REPO, PERSON, branch, "change", files).unwrap();
        let pull = self.sim.open_pull(REPO, PERSON, "A change", "Mine.", branch, "main").unwrap();
        (pull, head)
    }

    /// The one check run of a head, once it is completed.
    async fn completed(&self, head: &str) -> CheckRunView {
        let found = self.sim.wait_for(PATIENCE, |seen| {
            let run = seen.repo(REPO)?.checks.iter().find(|run| run.head_sha == head)?;
            (run.status == "completed").then(|| run.clone())
        });
        let run = found.await.unwrap();
        let run = run.unwrap_or_else(|| {
            panic!(
                "never completed: {:#?}",
                self.sim.snapshot().unwrap().repo(REPO).unwrap().checks
            )
        });
        assert_eq!((run.name.as_str(), run.app.as_str(), run.created), (NAME, "booty", 1));
        run
    }

    fn runs(&self, head: &str) -> usize {
        let seen = self.sim.snapshot().unwrap();
        let checks = &seen.repo(REPO).unwrap().checks;
        checks.iter().filter(|run| run.head_sha == head && run.name == NAME).count()
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.services.join_next().await {
            ended.unwrap();
        }
    }
}

/// The verifier as a process.
struct Verifier {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Verifier {
    /// Waits until its log has a line with all of these.
    fn until(&self, what: &[&str]) {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if what.iter().all(|part| line.contains(part)) => return,
                Ok(line) => seen.push(line),
                Err(error) => panic!("{error}: never said {what:?}; said:\n{}", seen.join("\n")),
            }
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_gets_its_check_run_and_a_fork_s_can_be_asked_for_again() {
    let line = Line::start().await;
    let _verifier = line.verifier();
    let (_, good) = line.open("fix", &[("calc.py", FIXED, "100644")]);
    let run = line.completed(&good).await;
    let text = run.text.clone().unwrap_or_default();
    assert_eq!(run.conclusion.as_deref(), Some("success"), "{text}");

    let fork = line.sim.create_fork(REPO, "eve").unwrap();
    let broken = format!("import fastadderx\n\n\n{FIXED}");
    let head = line.sim.push_files(&fork, "eve", "idea", "x", &[("calc.py", &broken, "100644")]);
    let head = head.unwrap();
    line.sim.open_pull(REPO, "eve", "Idea", "", "eve:idea", "main").unwrap();
    let run = line.completed(&head).await;
    assert_eq!(run.conclusion.as_deref(), Some("failure"), "{:?}", run.text);
    let updates = run.updates;
    let named = run.annotations.iter().find(|a| (a.path.as_str(), a.start_line) == ("calc.py", 1));
    assert!(named.is_some_and(|a| a.message.contains("fastadderx")), "{:?}", run.annotations);

    line.sim.rerequest_check_run(REPO, run.id, PERSON).unwrap();
    let again = line.sim.wait_for(PATIENCE, |seen| {
        let run = seen.repo(REPO)?.checks.iter().find(|run| run.head_sha == head)?;
        (run.status == "completed" && run.updates > updates + 1).then(|| run.clone())
    });
    let again = again.await.unwrap().expect("judged again");
    assert_eq!((again.id, again.conclusion.as_deref()), (run.id, Some("failure")));
    assert_eq!(line.runs(&head), 1);
    line.stop().await;
}

#[rstest]
#[case::queued(&["job_enqueued"])]
#[case::policy(&["stage_started", "\"policy\""])]
#[case::setup(&["stage_started", "\"setup\""])]
#[case::imports(&["stage_started", "\"imports\""])]
#[case::tests(&["stage_started", "\"tests\""])]
#[case::evidence(&["stage_started", "\"evidence\""])]
#[case::concluded(&["\"verdict\""])]
#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_that_is_killed_says_one_thing_all_the_same(
    #[case] at: &'static [&'static str],
) {
    let line = Line::start().await;
    let verifier = line.verifier();
    let (_, head) = line.open("fix", &[("calc.py", FIXED, "100644")]);
    tokio::task::spawn_blocking(move || {
        verifier.until(at);
        verifier.kill();
    })
    .await
    .unwrap();
    let _second = line.verifier();
    let run = line.completed(&head).await;
    assert_eq!(run.conclusion.as_deref(), Some("success"), "{:?}", run.text);
    assert_eq!(line.runs(&head), 1);
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_pull_requests_have_one_check_run_each_though_github_drops_answers() {
    const PULLS: usize = 30;
    let line = Line::start().await;
    line.sim.add_fault(Rule::new(Trouble::DropAfterCommit).writes().probability(0.3)).unwrap();
    let _verifier = line.verifier();
    let mut heads = Vec::new();
    for n in 0..PULLS {
        let (content, expected) = match n % 2 {
            0 => (FIXED.to_owned(), "success"),
            _ => (format!("{BUGGY}\n\ndef other():\n    return {n}\n"), "neutral"),
        };
        let (_, head) = line.open(&format!("b{n}"), &[("calc.py", &content, "100644")]);
        heads.push((head, expected));
    }
    for (head, expected) in &heads {
        let run = line.completed(head).await;
        assert_eq!(run.conclusion.as_deref(), Some(*expected), "{:?}", run.text);
        assert_eq!(line.runs(head), 1);
        let mut seen = run.annotations.clone();
        seen.dedup();
        assert_eq!(seen.len(), run.annotations.len(), "an annotation was sent twice");
    }
    line.stop().await;
}
