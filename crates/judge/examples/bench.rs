//! What a judgement costs beside the commands that it runs: the same commands, by hand, in the same
//! sandbox on a checkout that is there already.
//!
//! `cargo run --release -p booty-judge --example bench [-- ROUNDS SECONDS]`
//!
//! Rounds alternate in one run, so that a busy machine burdens both. The repository is a Python program
//! whose one test takes SECONDS; its change adds a function and the test that proves it, so that all
//! stages have something to do.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    process,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use booty_judge::{Conclusion, Judge, Order, Report};
use booty_sandbox::{Command, Limits, Sandbox, SandboxSettings};
use booty_setup::{Operator, Setup, SetupSettings};
use booty_workspace::{Merge, TreeLimits, WorkspaceSettings, Workspaces};
use tokio_util::sync::CancellationToken;

const CONFIG: &str = "version: 1\ntest: python3 -B -m unittest -v\n";
const CODE: &str = "def add(a, b):\n    return a + b\n";
const MORE: &str = "\n\ndef sub(a, b):\n    return a - b\n";
const MORE_TESTS: &str = "import unittest\n\nimport calc\n\n\nclass Sub(unittest.TestCase):\n    def test_sub(self):\n        self.assertEqual(calc.sub(3, 2), 1)\n";

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rounds: u32 = arguments.next().map_or(Ok(5), |word| word.parse())?;
    let seconds: f64 = arguments.next().map_or(Ok(1.0), |word| word.parse())?;
    let folder = tempfile::tempdir()?;
    let repository = folder.path().join("repository");
    make(&repository, seconds)?;
    let sandbox = Sandbox::prepare(SandboxSettings::default()).await?;
    let mut out = std::io::stdout();
    let (mut judged, mut by_hand, mut stages) =
        (Duration::ZERO, Duration::ZERO, BTreeMap::<&str, u64>::new());
    for round in 0..rounds.max(1) {
        let started = Instant::now();
        let report = judge(&sandbox, folder.path(), &repository).await?;
        let judgement = started.elapsed();
        ensure!(report.conclusion == Conclusion::Success, "not green: {}", report.title);
        let hand = run_by_hand(&sandbox, &repository, &report).await?;
        let over = judgement.as_secs_f64() - hand.as_secs_f64();
        let (judge_s, hand_s) = (judgement.as_secs_f64(), hand.as_secs_f64());
        writeln!(
            out,
            "round {round}: judgement {judge_s:.2} s, by hand {hand_s:.2} s, over {over:.2} s"
        )?;
        judged += judgement;
        by_hand += hand;
        for section in &report.sections {
            // What of a stage is not its commands.
            let ran: u64 = section.runs.iter().map(|run| run.duration_ms).sum();
            *stages.entry(section.stage.as_str()).or_default() +=
                section.duration_ms.saturating_sub(ran);
        }
    }
    let rounds = f64::from(rounds.max(1));
    let (judged, by_hand) = (judged.as_secs_f64() / rounds, by_hand.as_secs_f64() / rounds);
    writeln!(
        out,
        "judgement / by hand = {:.2}; overhead {:.2} s a judgement",
        judged / by_hand,
        judged - by_hand
    )?;
    for (stage, millis) in stages {
        let millis = u32::try_from(millis).map_or(f64::MAX, f64::from) / rounds;
        writeln!(out, "  {stage}: {millis:.0} ms beside its commands")?;
    }
    Ok(())
}

/// Everything that `booty verify` does, but for starting.
async fn judge(sandbox: &Sandbox, folder: &Path, repository: &Path) -> Result<Report> {
    let folder = tempfile::tempdir_in(folder)?;
    let cancel = CancellationToken::new();
    let workspaces = Workspaces::open(WorkspaceSettings {
        root: folder.path().join("workspaces"),
        limits: TreeLimits::default(),
        fetch_timeout: Duration::from_secs(60),
    })?;
    let scratch = folder.path().join("reports");
    fs::create_dir(&scratch)?;
    let merge = workspaces.merge_local(repository, "main", "change", cancel.clone()).await?;
    let settings = SetupSettings::new(folder.path().join("setup"));
    let judge = Judge {
        sandbox: sandbox.clone(),
        setup: Setup::new(settings, Operator::new(std::env::vars()))?,
        env: BTreeMap::new(),
        limits: Limits::default(),
        scratch,
    };
    let Merge::Clean(proposal) = merge else { anyhow::bail!("it can't be merged") };
    let order = Order {
        proposal: &proposal,
        repository: "bench",
        scope: "bench",
        name: "bench",
        waiver: None,
        cancel,
        progress: &|_| (),
    };
    Ok(judge.judge(&order).await?)
}

/// The commands that the report names, each in the sandbox on one checkout.
async fn run_by_hand(sandbox: &Sandbox, tree: &Path, report: &Report) -> Result<Duration> {
    let copy = tempfile::tempdir()?;
    for entry in fs::read_dir(tree)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), copy.path().join(entry.file_name()))?;
        }
    }
    sandbox.own(copy.path())?;
    let started = Instant::now();
    for run in report.sections.iter().flat_map(|section| &section.runs) {
        let command = Command::new(run.script.clone(), copy.path());
        sandbox.run(&command, &CancellationToken::new()).await?;
    }
    Ok(started.elapsed())
}

/// A repository with a branch `main` and a branch `change`.
fn make(at: &Path, seconds: f64) -> Result<()> {
    fs::create_dir(at)?;
    let tests = format!(
        "import time\nimport unittest\n\nfrom calc import add\n\n\nclass Add(unittest.TestCase):\n    def test_add(self):\n        time.sleep({seconds})\n        self.assertEqual(add(2, 3), 5)\n"
    );
    git(at, &["init", "-q", "-b", "main"])?;
    fs::write(at.join(".booty.yml"), CONFIG)?;
    fs::write(at.join("calc.py"), CODE)?;
    fs::write(at.join("test_calc.py"), tests)?;
    commit(at)?;
    git(at, &["checkout", "-q", "-b", "change"])?;
    fs::write(at.join("calc.py"), format!("{CODE}{MORE}"))?;
    fs::write(at.join("test_sub.py"), MORE_TESTS)?;
    commit(at)
}

fn commit(at: &Path) -> Result<()> {
    git(at, &["add", "-A"])?;
    git(at, &["commit", "-q", "-m", "files"])
}

fn git(at: &Path, arguments: &[&str]) -> Result<()> {
    let own = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "core.hooksPath=/dev/null"];
    let status = process::Command::new("git").args(own).args(arguments).current_dir(at).status();
    ensure!(status.context("git can't be started")?.success(), "git {arguments:?} failed");
    Ok(())
}
