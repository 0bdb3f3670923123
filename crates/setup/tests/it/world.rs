//! A sandbox with an exit, a work tree and a folder for caches.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use booty_sandbox::{Command, Limits, RunResult, Sandbox, SandboxSettings};
use booty_setup::{
    Installed, Kind, Operator, Setup, SetupNetwork, SetupOutcome, SetupSettings, SetupStep,
};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

static SANDBOX: OnceCell<Sandbox> = OnceCell::const_new();

pub(crate) async fn sandbox() -> Sandbox {
    let prepare = || async {
        let settings = SandboxSettings {
            forwarder: Some(env!("CARGO_BIN_EXE_setup-forward").into()),
            read_only: toolchain().into_iter().collect(),
            ..SandboxSettings::default()
        };
        Sandbox::prepare(settings).await.unwrap()
    };
    SANDBOX.get_or_init(prepare).await.clone()
}

/// The toolchain that built this test, which rustup keeps in a home.
pub(crate) fn toolchain() -> Option<PathBuf> {
    let cargo = PathBuf::from(std::env::var_os("CARGO")?);
    let folder = cargo.parent()?.parent()?;
    folder.join("lib/rustlib").is_dir().then(|| folder.to_owned())
}

/// This test's own environment is the operator's.
pub(crate) fn operator() -> Operator {
    let is_cargos = |name: &str| {
        // What cargo and rustup set for the test's own build.
        ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_TARGET_DIR", "RUSTUP_TOOLCHAIN"].contains(&name)
            || ["CARGO_PKG_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
    };
    Operator::new(std::env::vars().filter(|(name, _)| !is_cargos(name)))
}

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) settings: SetupSettings,
    caches: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        // A cache is not in memory, as /tmp may be; as root, other users cannot enter its home.
        let home = if rustix::process::geteuid().is_root() { "/root" } else { "/var/tmp" };
        let caches = tempfile::tempdir_in(home).unwrap();
        let settings = SetupSettings::new(caches.path());
        Self { sandbox: sandbox().await, settings, caches }
    }

    pub(crate) fn caches(&self) -> &Path {
        self.caches.path()
    }

    pub(crate) fn setup(&self) -> Setup {
        Setup::new(self.settings.clone(), operator()).unwrap()
    }

    /// One that reaches nothing.
    pub(crate) fn offline(&self) -> Setup {
        let settings = SetupSettings { network: SetupNetwork::Off, ..self.settings.clone() };
        Setup::new(settings, operator()).unwrap()
    }

    pub(crate) async fn run(&self, setup: &Setup, step: &SetupStep) -> SetupOutcome {
        setup.run(&self.sandbox, step, &CancellationToken::new()).await.unwrap()
    }

    /// As a test after a setup step.
    pub(crate) async fn after(
        &self,
        installed: &Installed,
        tree: &Path,
        script: &str,
    ) -> RunResult {
        let mut command = Command::new(script, tree);
        installed.prepare(&mut command);
        self.sandbox.run(&command, &CancellationToken::new()).await.unwrap()
    }

    pub(crate) fn tree(&self, files: &[(&str, &str)]) -> TempDir {
        let tree = tempfile::tempdir_in("/var/tmp").unwrap();
        for (name, content) in files {
            let path = tree.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        self.sandbox.own(tree.path()).unwrap();
        tree
    }
}

pub(crate) fn step(kind: Kind, tree: &Path, script: &str) -> SetupStep {
    let limits = Limits { memory_bytes: 4 << 30, ..Limits::default() };
    let command = Command { limits, env: BTreeMap::new(), ..Command::new(script, tree) };
    SetupStep {
        command,
        kinds: vec![kind],
        repo: "owner/name".into(),
        scope: "base".into(),
        also_from: Vec::new(),
    }
}

pub(crate) fn installed(outcome: SetupOutcome) -> Installed {
    match outcome {
        SetupOutcome::Installed(installed) => installed,
        SetupOutcome::NotInstalled(not) => panic!(
            "{}: {:?} {:?} {:?}",
            not.why,
            not.result.map(|result| result.output),
            not.refused,
            not.notes
        ),
    }
}
