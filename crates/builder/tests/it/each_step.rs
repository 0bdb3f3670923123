//! A long job of three rounds, and its builder killed with SIGKILL at each of its steps: right after an entry
//! of its journal became durable, while the model answers, while a command runs, and between what it
//! publishes and what it then acknowledges. Each kill has a job of its own, and each job must end as the one
//! that nobody disturbed.
//!
//! Every third entry here; all of them, with `BOOTY_TEST_ALL=1`, in `make programs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use booty_bus::{Bus, BusSettings};
use booty_events::{
    JobId, Message as _,
    v1::{Effect, JobState, JournalEntry, journal_entry::Step},
};
use booty_sim::PullView;
use futures_util::{StreamExt as _, future::join_all};
use tokio::process::Child;

use crate::{
    crash::start,
    together::start_forge,
    world::{CALC, LABEL, MAINTAINER, PATIENCE, REPO, TEST_CALC, World, job_id, opens, payload},
};

/// When set, the builder is killed after every entry.
const ALL: &str = "BOOTY_TEST_ALL";
/// Worlds at one time, with a broker, a GitHub and a builder each.
const WORLDS: usize = 3;
/// How often it is looked whether the model was asked, or a process is gone.
const LOOK: Duration = Duration::from_millis(5);

const CONFIG: &str =
    "version: 1\ncheck: python3 -B -c 'import calc'\ntest: python3 -B -m unittest\n";
const OTHER: &str = "\"\"\"Nobody needs it.\"\"\"\n\nONE = 1\n";
/// The title of issues whose answers take their time.
const SLOW: &str = "add() subtracts, slowly";

const TURNS: &str = r#"
      - text: I look around.
        calls:
          - { tool: list, with: { recursive: true } }
          - { tool: read, with: { path: calc.py } }
      - calls:
          - { tool: search, with: { pattern: "def add" } }
          - { tool: search, with: { pattern: "add\\(", path: "" } }
          - { tool: read, with: { path: test_calc.py } }
      - calls: [{ tool: run, with: { command: test } }]
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return a - b", new: "return a * b" } }
          - { tool: run, with: { command: test } }
      - calls: [{ tool: finish, with: { summary: "It multiplies now." } }]
      - calls: [{ tool: read, with: { path: calc.py, from: 2 } }]
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return a * b", new: "return a // b" } }
          - { tool: edit, with: { path: calc.py, old: "not there", new: "x" } }
          - { tool: run, with: { command: check } }
      - calls:
          - { tool: write, with: { path: docs/notes.md, content: "It adds.\n" } }
          - { tool: finish, with: { summary: "It divides now." } }
      - calls: [{ tool: search, with: { pattern: "//" } }, { tool: list, with: { path: docs } }]
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return a * b", new: "return a + b" } }
          - { tool: write, with: { path: docs/notes.md, content: "It adds.\n" } }
          - { tool: delete, with: { path: other.py } }
      - calls: [{ tool: run, with: { command: check } }, { tool: run, with: { command: test } }]
      - calls: [{ tool: finish, with: { summary: "It adds now." } }]
"#;
const ANSWERS: usize = 12;
/// Entries of the job's journal.
const ENTRIES: usize = 38;

/// When the builder is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    Never,
    /// After this entry of the journal, counted from 0.
    Entry(usize),
    /// While the command runs that follows this entry.
    Command(usize),
    /// While the model answers this question, counted from 0.
    Answer(usize),
    /// After this event, and before whatever comes next.
    Said(&'static str),
    /// After the effect was published.
    Effect,
}

fn script() -> String {
    let slow = TURNS.replace("      - calls", "      - wait_ms: 200\n        calls");
    let slow = slow.replace("      - text", "      - wait_ms: 200\n        text");
    format!(
        "asked_log: asked.log\nscenarios:\n  - match: {SLOW:?}\n    turns:\n{slow}  - turns:\n{TURNS}"
    )
}

/// What is the same for all jobs, however often their builder was killed.
struct Ended {
    kinds: Vec<String>,
    /// The change, byte for byte.
    changes: Vec<Vec<u8>>,
    base: String,
    said: BTreeMap<String, usize>,
    diff: String,
    /// Open, draft, labels.
    pull: (bool, bool, Vec<String>),
    labels: Vec<String>,
    comment: String,
}

impl Ended {
    /// One by one, so that a failure shows what differs.
    fn must_be(&self, other: &Self, kill: Kill) {
        assert_eq!(self.kinds, other.kinds, "{kill:?}: each step is journalled once");
        assert_eq!(self.said, other.said, "{kill:?}: each fact is said once");
        assert_eq!(self.changes, other.changes, "{kill:?}");
        assert_eq!((&self.base, &self.diff), (&other.base, &other.diff), "{kill:?}");
        assert_eq!((&self.pull, &self.labels), (&other.pull, &other.labels), "{kill:?}");
        assert_eq!(self.comment, other.comment, "{kill:?}");
    }
}

/// What is watched of a job.
struct Watched {
    entries: Vec<JournalEntry>,
    answered: usize,
}

struct Ground {
    world: World,
    builder: Child,
    watcher: Bus,
    jobs: usize,
}

impl Ground {
    async fn new() -> Self {
        let files = [
            ("calc.py", CALC, "100644"),
            ("other.py", OTHER, "100644"),
            ("test_calc.py", TEST_CALC, "100644"),
            (".booty.yml", CONFIG, "100644"),
        ];
        let mut world = World::with_files(&script(), &files).await;
        world.set("LEASE", "2s");
        start_forge(&world).await;
        let watcher = Bus::connect(BusSettings::new(world.server.url(), "watcher")).await.unwrap();
        let builder = start(&world);
        Self { world, builder, watcher, jobs: 0 }
    }

    async fn kill(&mut self) {
        let started = descendants(self.builder.id().unwrap());
        self.builder.kill().await.unwrap();
        // Neither agent nor command must go on for nobody.
        let gone = async {
            while started.iter().any(|process| is_alive(*process)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.expect("something outlives its builder");
        self.builder = start(&self.world);
    }

    /// Waits until the agent has a command running.
    async fn until_running(&self) {
        let builder = self.builder.id().unwrap();
        let running = async {
            // The agent is the first.
            while descendants(builder).len() < 2 {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, running).await.expect("no command is run");
    }

    /// One job from its label to its end.
    async fn job(&mut self, kill: Kill) -> Ended {
        let mut said = self.watcher.client().subscribe("booty.>").await.unwrap();
        self.watcher.client().flush().await.unwrap();
        self.jobs += 1;
        let delivery = format!("d-{}", self.jobs);
        let asked_before = self.world.asked().len();
        let delivered_before = self.delivered().await;
        let title = if matches!(kill, Kill::Answer(_)) { SLOW } else { "add() subtracts" };
        let issue = self.world.sim.open_issue(REPO, "eve", title, "`add(2, 3)` is -1.").unwrap();
        self.world.sim.add_label(REPO, issue, LABEL, MAINTAINER).unwrap();
        self.world.deliver(&delivery, &payload(issue)).await;
        let job = job_id(issue, &delivery);

        let mut watched = Watched { entries: Vec::new(), answered: 0 };
        let mut answered_at_kill = None;
        // In either order, when the builder dies between the two.
        let mut missing = vec!["proposal_made", "job_completed"];
        while !missing.is_empty() {
            if let Kill::Answer(turn) = kill
                && answered_at_kill.is_none()
                && watched.answered == turn
                && (turn > 0 || !watched.entries.is_empty())
            {
                self.until_asked(asked_before + turn + 1).await;
                self.kill().await;
                answered_at_kill = Some(turn);
            }
            let next = tokio::time::timeout(PATIENCE, said.next()).await;
            let next = next.unwrap_or_else(|_| {
                panic!("{kill:?}: {missing:?} never came after {:?}", kinds(&watched.entries))
            });
            let next = next.unwrap();
            let subject = next.subject.as_str();
            let is_now = if subject == format!("booty.journal.{job}") {
                let entry = JournalEntry::decode(next.payload.as_ref()).unwrap();
                watched.answered += usize::from(matches!(entry.step, Some(Step::ModelAnswered(_))));
                watched.entries.push(entry);
                let entry = watched.entries.len() - 1;
                if kill == Kill::Command(entry) {
                    self.until_running().await;
                }
                [Kill::Entry(entry), Kill::Command(entry)].contains(&kill)
            } else if subject.starts_with("booty.effect.") {
                kill == Kill::Effect
            } else if let Some(what) = event(subject, &job) {
                missing.retain(|missing| *missing != what);
                matches!(kill, Kill::Said(wanted) if wanted == what)
            } else {
                subject.starts_with("booty.event.forge.applied.") && kill == Kill::Said("applied")
            };
            if is_now && answered_at_kill.is_none() {
                answered_at_kill = Some(watched.answered);
                self.kill().await;
            }
        }
        if kill != Kill::Never {
            assert!(answered_at_kill.is_some(), "{kill:?} never came");
        }
        let delivered = self.delivered().await - delivered_before;
        self.asked_once(&watched, answered_at_kill, asked_before, delivered, kill);
        self.ended(issue, &job, &watched, kill).await
    }

    /// How often the broker has given a job to the builder.
    async fn delivered(&self) -> u64 {
        let inbox = self.watcher.jetstream().get_stream("BOOTY_INBOX").await.unwrap();
        let Ok(builder) = inbox.consumer_info("builder").await else { return 0 };
        builder.delivered.consumer_sequence
    }

    /// Waits until the model was asked so often in all.
    async fn until_asked(&self, times: usize) {
        let asked = async {
            while self.world.asked().len() < times {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("the model is never asked");
    }

    /// No question whose answer was durable when the builder died was asked again, and no other one more often
    /// than its job was given to somebody.
    fn asked_once(
        &self,
        watched: &Watched,
        answered_at_kill: Option<usize>,
        before: usize,
        delivered: u64,
        kill: Kill,
    ) {
        let asked = self.world.asked();
        let asked = &asked[before..];
        let hashes: Vec<String> = watched
            .entries
            .iter()
            .filter_map(|entry| match &entry.step {
                Some(Step::ModelAnswered(answered)) => Some(hex(&answered.request_hash)),
                _ => None,
            })
            .collect();
        assert_eq!(hashes.len(), ANSWERS, "{kill:?}");
        let mut again = 0;
        for (turn, hash) in hashes.iter().enumerate() {
            let times = asked.iter().filter(|line| line.contains(hash.as_str())).count();
            assert!(times >= 1, "{kill:?}: turn {turn} was answered by nobody: {asked:?}");
            // On a machine that stalls, a lease can run out as well: then nobody knows what was open.
            if times > 1 && delivered == 2 {
                let was_open = answered_at_kill.is_some_and(|answered| turn >= answered);
                assert!(was_open, "{kill:?}: turn {turn}, {times} times: {asked:?}");
            }
            again += times - 1;
        }
        assert!(
            again < delivered as usize,
            "{kill:?}: {again} questions again in {delivered} deliveries: {asked:?}"
        );
        if matches!(kill, Kill::Answer(_)) {
            assert!(again >= 1, "{kill:?}: its answer was lost with the builder");
        }
        assert_eq!(asked.len(), ANSWERS + again, "{kill:?}: a question of nobody's: {asked:?}");
    }

    async fn ended(&self, issue: u64, job: &JobId, watched: &Watched, kill: Kill) -> Ended {
        let world = &self.world;
        world.events.state(world, job, |job| job.state() == JobState::Completed).await;
        let effects = world.effects().await;
        let mine: Vec<&Effect> =
            effects.iter().filter(|effect| effect.cause == job.as_str()).collect();
        let ids: BTreeSet<_> = mine.iter().map(|effect| &effect.id).collect();
        assert_eq!(ids.len(), 1, "{kill:?}: one effect, however often it was asked for");
        let open = opens(mine[0]);
        for other in &mine {
            assert_eq!(opens(other), open, "{kill:?}: asked for again in other words");
        }
        let github = world.sim.snapshot().unwrap();
        let seen = github.repo(REPO).unwrap();
        let head = format!("agent/issue-{issue}");
        let pulls: Vec<&PullView> = seen.pulls.iter().filter(|pull| pull.head == head).collect();
        assert_eq!(pulls.len(), 1, "{kill:?}: {pulls:#?}");
        let made = github.writes("POST /repos/{owner}/{repo}/pulls");
        assert_eq!(made, self.jobs as u64, "{kill:?}: made and taken back");
        let comments = &seen.issue(issue).unwrap().comments;
        assert_eq!(comments.len(), 1, "{kill:?}: {comments:#?}");
        let made = github.writes("POST /repos/{owner}/{repo}/issues/{number}/comments");
        assert_eq!(made, self.jobs as u64, "{kill:?}: said and taken back");

        let pull = pulls[0];
        let mut said = BTreeMap::new();
        for (subject, _) in world.messages("BOOTY_EVENTS").await {
            if let Some(what) = event(&subject, job) {
                *said.entry(what.to_owned()).or_default() += 1;
            }
        }
        // Neither ids nor forge's marker, which is made of them.
        let without_ids = |text: &str| {
            let text = text.split_once(", trace `").map_or(text, |(words, _)| words);
            let text = text.split_once("<!--").map_or(text, |(words, _)| words);
            text.replace(job.as_str(), "JOB").replace(&format!("#{}", pull.number), "#PULL")
        };
        Ended {
            kinds: kinds(&watched.entries),
            changes: open.changes.iter().map(booty_events::Message::encode_to_vec).collect(),
            base: open.base_sha.clone(),
            said,
            diff: world.sim.pull_diff(REPO, pull.number).unwrap(),
            pull: (pull.open, pull.draft, pull.labels.clone()),
            labels: seen.issue(issue).unwrap().labels.clone(),
            comment: without_ids(&comments[0].body),
        }
    }
}

fn kinds(entries: &[JournalEntry]) -> Vec<String> {
    let kind = |entry: &JournalEntry| {
        let whole = format!("{:?}", entry.step.as_ref().unwrap());
        whole.split('(').next().unwrap().to_owned()
    };
    entries.iter().map(kind).collect()
}

/// What an event of this job's is called.
fn event<'a>(subject: &'a str, job: &JobId) -> Option<&'a str> {
    let (what, whose) = subject.strip_prefix("booty.event.builder.")?.split_once('.')?;
    whose.starts_with(&format!("{job}-")).then_some(what)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The processes that a process has started, and those that they have.
fn descendants(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let Ok(threads) = std::fs::read_dir(format!("/proc/{parent}/task")) else { return found };
    for thread in threads.flatten() {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|id| id.parse().ok()) {
            found.push(child);
            found.extend(descendants(child));
        }
    }
    found
}

/// Whether a process still runs; one that nobody has waited for yet does not.
fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(PathBuf::from(format!("/proc/{process}/stat")));
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_a_long_job_ends_as_if_it_never_was() {
    let step = if std::env::var_os(ALL).is_some() { 1 } else { 3 };
    let mut kills: Vec<Kill> = (0..ENTRIES).step_by(step).map(Kill::Entry).collect();
    kills.extend([0, 2, ANSWERS - 1].map(Kill::Answer));
    // A test that the model asks for, and the runner's own check and test.
    kills.extend([5, 12, 13].map(Kill::Command));
    let said = ["job_enqueued", "workspace_created", "proposal_made", "applied", "job_completed"];
    kills.extend(said.map(Kill::Said));
    kills.push(Kill::Effect);

    let share = kills.len().div_ceil(WORLDS);
    let grounds = kills.chunks(share).map(|kills| async move {
        let mut ground = Ground::new().await;
        let undisturbed = ground.job(Kill::Never).await;
        assert_eq!(undisturbed.kinds.len(), ENTRIES, "{:?}", undisturbed.kinds);
        assert_eq!(undisturbed.said["model_answered"], ANSWERS);
        assert_eq!(undisturbed.said["round_started"], 3);
        assert_eq!(undisturbed.changes.len(), 3);
        for kill in kills {
            ground.job(*kill).await.must_be(&undisturbed, *kill);
        }
        ground.builder.kill().await.unwrap();
    });
    join_all(grounds).await;
}
