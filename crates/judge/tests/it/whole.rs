//! Whole judgements of real local repositories: a world with one base, and a report for each change.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use booty_judge::{
    Judge, Order, Report, Waiver,
    report::{Finding, Rule},
};
use booty_sandbox::{Limits, Sandbox, SandboxSettings};
use booty_setup::{Operator, Setup, SetupNetwork, SetupSettings};
use booty_workspace::{Merge, TreeLimits, WorkspaceSettings, Workspaces};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

static SANDBOX: OnceCell<Sandbox> = OnceCell::const_new();

/// What becomes of a file in a change: its text, or nothing.
pub(crate) type Change<'a> = (&'a str, Option<&'a str>);

pub(crate) struct World {
    dir: TempDir,
}

impl World {
    /// A repository whose branch `main` has these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let world = Self { dir: TempDir::new().unwrap() };
        std::fs::create_dir(world.repository()).unwrap();
        world.git(&["init", "-q", "-b", "main"]);
        let changes: Vec<Change<'_>> =
            files.iter().map(|(path, text)| (*path, Some(*text))).collect();
        world.write(&changes);
        world.commit("base");
        world
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    pub(crate) fn git(&self, args: &[&str]) {
        let ran = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "core.hooksPath=/dev/null"])
            .args(args)
            .current_dir(self.repository())
            .output()
            .unwrap();
        assert!(ran.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    fn write(&self, changes: &[Change<'_>]) {
        for (path, text) in changes {
            let path = self.repository().join(path);
            match text {
                Some(text) => {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, text).unwrap();
                }
                None => std::fs::remove_file(path).unwrap(),
            }
        }
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// Judges a change to `main`.
    pub(crate) async fn judge(&self, changes: &[Change<'_>]) -> Report {
        self.judge_as(None, |world| world.write(changes)).await
    }

    /// Judges what `change` does to the work tree.
    pub(crate) async fn judge_as(
        &self,
        waiver: Option<Waiver>,
        change: impl FnOnce(&Self),
    ) -> Report {
        self.git(&["checkout", "-q", "-B", "change", "main"]);
        change(self);
        self.commit("change");
        self.judge_head(waiver).await
    }

    /// Judges what `change` does to the index alone.
    pub(crate) async fn judge_index(&self, change: impl FnOnce(&Self)) -> Report {
        self.git(&["checkout", "-q", "-B", "change", "main"]);
        change(self);
        self.git(&["commit", "-q", "-m", "change"]);
        self.judge_head(None).await
    }

    async fn judge_head(&self, waiver: Option<Waiver>) -> Report {
        let workspaces = Workspaces::open(WorkspaceSettings {
            root: self.dir.path().join("workspaces"),
            limits: TreeLimits::default(),
            fetch_timeout: std::time::Duration::from_secs(60),
        })
        .unwrap();
        let cancel = CancellationToken::new();
        let repository = self.repository();
        let merge = workspaces.merge_local(&repository, "main", "change", cancel.clone());
        let proposal = match merge.await.unwrap() {
            Merge::Clean(proposal) => proposal,
            Merge::Conflict { base, head, paths } => {
                return booty_judge::conflict(&base, &head, &paths);
            }
        };
        let judge = judge(self.dir.path()).await;
        let order = Order {
            proposal: &proposal,
            repository: "test",
            scope: "change",
            name: "job",
            waiver,
            cancel,
            progress: &|_| (),
        };
        judge.judge(&order).await.unwrap()
    }
}

async fn judge(dir: &Path) -> Judge {
    let prepare = || async {
        let read_only = rust_toolchain().into_iter().collect();
        Sandbox::prepare(SandboxSettings { read_only, ..SandboxSettings::default() }).await.unwrap()
    };
    let sandbox = SANDBOX.get_or_init(prepare).await.clone();
    let mut setup = SetupSettings::new(dir.join("caches"));
    setup.network = SetupNetwork::Off;
    let scratch = dir.join("reports");
    std::fs::create_dir_all(&scratch).unwrap();
    Judge {
        sandbox,
        setup: Setup::new(setup, Operator::default()).unwrap(),
        env: BTreeMap::new(),
        limits: Limits::default(),
        scratch,
    }
}

/// The toolchain that runs this test; it lies in a home, which no sandbox sees otherwise.
pub(crate) fn rust_toolchain() -> Option<PathBuf> {
    let printed = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(printed.stdout).ok()?.trim());
    path.join("bin/cargo").exists().then_some(path)
}

/// The finding of a rule.
pub(crate) fn found(report: &Report, rule: Rule) -> &Finding {
    let all = report.findings();
    let named = all.iter().find(|finding| finding.rule == rule);
    named.unwrap_or_else(|| panic!("no {rule} in {report:#?}"))
}
