//! Alerts through the whole house: `booty up` as a process with all its services, a real broker and a
//! simulated GitHub, and everything that can be away or be killed on the way.

use std::{
    collections::BTreeSet,
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use booty_bus::local::LocalServer;
use booty_sim::{
    Paces, Rule, Sim, SimSettings, Trouble,
    sentry::{Answer, Event, Sender},
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

const REPO: &str = "octo/shop";
const SECRET: &str = "a client secret";
/// Only a broken house takes this long.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often a state that has no notification is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Alerts that are on their way at one time.
const AT_ONCE: usize = 8;

struct House {
    sim: Sim,
    server: LocalServer,
    up: Child,
    sender: Sender,
    env: Vec<(&'static str, String)>,
    folder: tempfile::TempDir,
}

impl House {
    async fn start(paces: Paces) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = LocalServer::start_temporary().await.unwrap();
        let mut settings = SimSettings::new(folder.path().join("github"));
        settings.paces = paces;
        let sim = Sim::start(settings).await.unwrap();
        sim.create_repo(REPO, &[("README.md", "A shop.\n", "100644")], "main").unwrap();
        let write = [("contents", "write"), ("issues", "write"), ("pull_requests", "write")];
        let app = sim.create_app("booty", &write).unwrap();
        sim.install_app(app.id, "octo", &[]).unwrap();
        let script = folder.path().join("script.yaml");
        std::fs::write(&script, "scenarios: []\n").unwrap();

        let listen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let data = folder.path().join("data");
        let env = vec![
            ("NATS_URL", server.url()),
            ("NATS_MONITOR_URL", server.monitor_url()),
            ("BOOTY_STREAM_MAX_BYTES", (256 << 20).to_string()),
            ("BOOTY_DATA_DIR", data.display().to_string()),
            ("LISTEN_ADDR", listen.to_string()),
            ("ADMIN_ADDR", "127.0.0.1:0".to_owned()),
            ("SENTRY_WEBHOOK_SECRET", SECRET.to_owned()),
            ("TARGET_REPO_URL", format!("https://github.com/{REPO}")),
            ("GITHUB_API_URL", sim.api_url()),
            ("GITHUB_GIT_URL", sim.api_url()),
            ("GITHUB_APP_ID", app.id.to_string()),
            ("GITHUB_APP_PRIVATE_KEY", app.private_key.clone()),
            ("OBSV_AUTO_BUILD", "off".to_owned()),
            ("MODEL", format!("script:{}", script.display())),
            ("LEASE", "2s".to_owned()),
            ("FORGE_HTTP_TIMEOUT", "500ms".to_owned()),
            ("FORGE_LOOKUP_DELAYS", "50ms,150ms,450ms".to_owned()),
            ("FORGE_RETRY_DELAYS", "100ms,300ms,900ms".to_owned()),
            ("FORGE_WRITE_SPACING", "1ms".to_owned()),
            ("FORGE_POINTS_PER_MINUTE", "1000000".to_owned()),
            ("FORGE_CONTENT_PER_MINUTE", "100000".to_owned()),
            ("FORGE_CONTENT_PER_HOUR", "1000000".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
        ];
        let up = up(&env, &folder);
        let url = format!("http://{listen}/webhooks/sentry");
        let sender = Sender::new(&url, SECRET);
        let house = Self { sim, server, up, sender, env, folder };
        house.listening(listen).await;
        house
    }

    fn address(&self) -> SocketAddr {
        let listen = self.env.iter().find(|(name, _)| *name == "LISTEN_ADDR");
        listen.unwrap().1.parse().unwrap()
    }

    async fn listening(&self, address: SocketAddr) {
        let answers = async {
            let url = format!("http://{address}/health");
            while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, answers).await.unwrap_or_else(|_| panic!("not up:\n{}", self.log()));
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("up.log")).unwrap_or_default()
    }

    /// kill -9 for every process of ours, and for the broker; then all of it again.
    async fn kill_everything(&mut self) {
        let up = self.up.id();
        let children = std::fs::read_to_string(format!("/proc/{up}/task/{up}/children")).unwrap();
        // The supervisor first: it would bring the others back.
        for pid in [up.to_string()].iter().map(String::as_str).chain(children.split_whitespace()) {
            let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
            let _ = kill_process(pid, Signal::KILL);
        }
        self.up.wait().unwrap();
        self.server.kill9().await.unwrap();
        self.server.restart().await.unwrap();
        self.up = up_again(&self.env, &self.folder);
    }

    fn booty(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_booty"));
        command.args(arguments).env_clear().envs(self.env.iter().cloned());
        command.output().unwrap()
    }

    /// The issues, once there are so many and the audit adds up with nothing left to do.
    async fn issues(&self, count: usize) -> Vec<String> {
        let made = self.sim.wait_for(PATIENCE, |seen| {
            let repo = seen.repo(REPO)?;
            (repo.issues.len() >= count).then_some(())
        });
        if made.await.unwrap().is_none() {
            let seen = self.sim.snapshot().unwrap().repo(REPO).unwrap().issues.len();
            panic!("{seen} issues instead of {count}\n{}", self.log());
        }
        self.settled().await;
        let seen = self.sim.snapshot().unwrap();
        seen.repo(REPO).unwrap().issues.iter().map(|issue| issue.title.clone()).collect()
    }

    /// Waits until the audit finds nothing in flight; that it adds up must always be true.
    async fn settled(&self) -> serde_json::Value {
        let since = Instant::now();
        loop {
            let audit = self.booty(&["audit", "--json"]);
            let text = String::from_utf8_lossy(&audit.stdout).into_owned();
            assert!(audit.status.success(), "{text}\n{}", String::from_utf8_lossy(&audit.stderr));
            let audit: serde_json::Value = serde_json::from_str(&text).unwrap();
            let rows = audit["rows"].as_array().unwrap().iter();
            let in_flight: u64 = rows
                .chain(audit["replays"].as_array().unwrap())
                .map(|row| row["in_flight"].as_u64().unwrap())
                .sum();
            if in_flight == 0 {
                return audit;
            }
            assert!(since.elapsed() < PATIENCE, "still in flight: {text}\n{}", self.log());
            sleep(LOOK).await;
        }
    }

    async fn stop(mut self) {
        kill_process(Pid::from_child(&self.up), Signal::TERM).unwrap();
        let ended = tokio::task::spawn_blocking(move || self.up.wait().unwrap()).await.unwrap();
        assert!(ended.success(), "{ended}");
    }
}

fn up(env: &[(&'static str, String)], folder: &tempfile::TempDir) -> Child {
    File::create(folder.path().join("up.log")).unwrap();
    up_again(env, folder)
}

fn up_again(env: &[(&'static str, String)], folder: &tempfile::TempDir) -> Child {
    let log = File::options().append(true).open(folder.path().join("up.log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_booty"));
    command.arg("up").env_clear().envs(env.iter().cloned());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap()
}

/// The nth problem's event; `copy` tells its events apart.
fn event(problem: usize, copy: usize) -> Event {
    Event {
        issue_id: (1_000_000 + problem).to_string(),
        exception_type: format!("Problem{problem}Error"),
        message: format!("order {copy} fixes #1 for @octo/everybody"),
        ..Event::default()
    }
}

/// Sends them all, some at a time; gives those that were accepted. Sentry sends nothing twice.
async fn send(sender: &Sender, events: Vec<Event>) -> BTreeSet<String> {
    let mut waiting = events.into_iter();
    let mut under_way = JoinSet::new();
    let mut accepted = BTreeSet::new();
    loop {
        while under_way.len() < AT_ONCE
            && let Some(event) = waiting.next()
        {
            let sender = sender.clone();
            under_way.spawn(async move { (event.issue_id.clone(), sender.send(&event).await) });
        }
        let Some(sent) = under_way.join_next().await else { return accepted };
        let (problem, answer) = sent.unwrap();
        if answer.is_ok_and(|Answer { status, .. }| status == 202) {
            accepted.insert(problem);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_problem_is_one_issue_however_often_it_comes() {
    const EVENTS: usize = 200;
    let house = House::start(Paces::unlimited()).await;
    let events = (0..EVENTS).map(|copy| event(1, copy)).collect();
    send(&house.sender, events).await;
    let issues = house.issues(1).await;
    assert_eq!(issues, ["[error] Problem1Error — shop/cart.py:42"]);
    let alerts = house.booty(&["alerts", "--json"]);
    let alerts: serde_json::Value = serde_json::from_slice(&alerts.stdout).unwrap();
    assert_eq!(alerts.as_array().map(Vec::len), Some(1), "{alerts}");
    assert_eq!(alerts[0]["count"], EVENTS.to_string(), "{alerts}");
    house.stop().await;
}

/// Every problem gets its one issue, though GitHub is slow to let them in, drops three answers of ten
/// after the write, and everything dies on the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_problems_is_one_issue_each_though_everything_is_killed() {
    const PROBLEMS: usize = 120;
    let mut house = House::start(Paces::unlimited()).await;
    house.sim.add_fault(Rule::new(Trouble::DropAfterCommit).writes().probability(0.3)).unwrap();
    let events = |of: std::ops::Range<usize>| of.map(|problem| event(problem, 0)).collect();
    let mut accepted = send(&house.sender, events(0..PROBLEMS / 2)).await;
    house.kill_everything().await;
    house.listening(house.address()).await;
    accepted.extend(send(&house.sender, events(PROBLEMS / 2..PROBLEMS)).await);
    assert_eq!(accepted.len(), PROBLEMS, "ingress takes all that comes while it is up");
    let issues = house.issues(PROBLEMS).await;
    let different: BTreeSet<_> = issues.iter().collect();
    assert_eq!((issues.len(), different.len()), (PROBLEMS, PROBLEMS), "{issues:#?}");
    house.stop().await;
}

/// GitHub is away, then the broker, then both. What was accepted ends as an issue, at once or after a
/// replay from the spool.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_github_and_the_broker_are_away_ends_as_an_issue() {
    const EACH: usize = 15;
    let mut house = House::start(Paces::unlimited()).await;
    let events = |of: std::ops::Range<usize>| of.map(|problem| event(problem, 0)).collect();
    house.sim.set_down(true).unwrap();
    let mut accepted = send(&house.sender, events(0..EACH)).await;
    house.server.kill9().await.unwrap();
    accepted.extend(send(&house.sender, events(EACH..2 * EACH)).await);
    house.server.restart().await.unwrap();
    house.sim.set_down(false).unwrap();
    house.server.kill9().await.unwrap();
    accepted.extend(send(&house.sender, events(2 * EACH..3 * EACH)).await);
    house.server.restart().await.unwrap();
    assert_eq!(accepted.len(), 3 * EACH);

    house.settled().await;
    // None matched is no failure here: GitHub may have come back before forge gave up on anything.
    house.booty(&["spool", "replay", "--all", "--yes"]);
    let issues = house.issues(3 * EACH).await;
    let different: BTreeSet<_> = issues.iter().collect();
    assert_eq!((issues.len(), different.len()), (3 * EACH, 3 * EACH), "{issues:#?}");
    house.stop().await;
}
