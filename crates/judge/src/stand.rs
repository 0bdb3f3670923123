//! One tree, checked out and made ready to run things in.

use std::{path::PathBuf, sync::Arc};

use booty_policy::{Language, TreeView as _, config::CommandSpec};
use booty_sandbox::{Mount, RunResult};
use booty_workspace::{Checkout, FileContent, Mode, Proposal, Side};
use tempfile::TempDir;

use crate::{
    case::Results,
    error::Error,
    evidence,
    judge::Judge,
    report::{Ran, Section, Stage},
    results::{self, Instrumented},
    rewritten::Stamps,
    rules::{Commands, Rules},
    shell::{Script, Shell},
    stage::setup,
    view::SideView,
};

/// Where a run's report is expected, inside. Outside the tree: what lies in the tree is the change's.
const PACKAGE_JSON: &str = "package.json";
const REPORT_FOLDER: &str = "/booty/report";
/// Where go keeps what it compiled, inside. Without one it compiles its standard library in each run.
const BUILD_FOLDER: &str = "/booty/go-build";

/// A tree that things can be run in.
pub(crate) struct Stand {
    checkout: Checkout,
    pub(crate) shell: Shell,
    /// The tree's `package.json`, which says what `npm test` is.
    package_json: Option<String>,
    /// The tree's sources before anything ran in it.
    stamps: Arc<Stamps>,
    /// What setup said.
    pub(crate) setup: Section,
    /// Whether the dependencies are there, or there are none.
    pub(crate) is_installed: bool,
    /// What this tree's runs compiled. Another tree's code must not write to it.
    _build: Option<TempDir>,
}

/// One run of the test command.
pub(crate) struct TestRun {
    pub(crate) run: RunResult,
    pub(crate) results: Results,
    pub(crate) ran: Ran,
}

impl TestRun {
    pub(crate) fn succeeded(&self) -> bool {
        self.run.succeeded()
    }
}

/// A tree to make ready.
pub(crate) struct Wanted<'a> {
    pub(crate) proposal: &'a Proposal,
    pub(crate) side: Side,
    /// The job's folder is called so.
    pub(crate) name: String,
    /// Files to put over the tree before anything runs.
    pub(crate) overlay: &'a [(String, Option<String>)],
    pub(crate) commands: &'a Commands,
}

impl Stand {
    /// Checks the tree out and installs its dependencies.
    pub(crate) async fn prepare(
        judge: &Judge,
        order: &crate::judge::Order<'_>,
        rules: &Rules,
        wanted: Wanted<'_>,
    ) -> Result<Self, Error> {
        let cancel = order.cancel.clone();
        let checkout = wanted.proposal.check_out(wanted.side, &wanted.name, cancel.clone()).await?;
        overlay(&checkout, wanted.overlay).await?;
        own(judge, checkout.work_tree().to_owned()).await?;
        let stamps = stamps(rules.language, &wanted, checkout.work_tree().to_owned()).await?;
        let mut shell = Shell {
            sandbox: judge.sandbox.clone(),
            tree: checkout.work_tree().to_owned(),
            env: judge.env.clone(),
            mounts: Vec::new(),
            after: Default::default(),
            limits: judge.limits,
            cancel,
        };
        let scope = match wanted.side {
            Side::Base => setup::BASE_SCOPE,
            Side::Merged => order.scope,
        };
        let installed = setup::run(judge, order, rules, wanted.commands, scope, &mut shell).await?;
        let build = build_folder(judge, rules, &mut shell).await?;
        Ok(Self {
            package_json: package_json(&wanted),
            stamps,
            checkout,
            shell,
            _build: build,
            setup: installed.section,
            is_installed: installed.is_there,
        })
    }

    /// Puts other files over the tree.
    pub(crate) async fn overlay(
        &self,
        judge: &Judge,
        files: &[(String, Option<String>)],
    ) -> Result<(), Error> {
        overlay(&self.checkout, files).await?;
        own(judge, self.checkout.work_tree().to_owned()).await
    }

    /// Runs the test command, and reads what it reported.
    pub(crate) async fn test(
        &self,
        judge: &Judge,
        name: &str,
        commands: &Commands,
        command: &CommandSpec,
    ) -> Result<TestRun, Error> {
        let folder = scratch(judge, "booty-report-").await?;
        let package = self.package_json.as_deref();
        let instrumented =
            results::instrument_package(commands.runner, command, REPORT_FOLDER, package);
        let mut shell = self.shell.clone();
        shell.mounts.push(Mount {
            source: folder.path().to_owned(),
            target: PathBuf::from(REPORT_FOLDER),
            writable: true,
        });
        let run = shell.run(&script(command, &instrumented)).await?;
        if shell.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let results = self.read(commands, &instrumented, &run, folder).await?;
        let ran = Ran::of(name, &command.command, &run);
        tracing::info!(
            event = "command_ran",
            command = name,
            end = %run.end,
            duration_ms = ran.duration_ms,
            cases = results.cases.len(),
        );
        Ok(TestRun { run, results, ran })
    }

    /// Sources that what ran here has rewritten, if nothing was put over the tree since.
    pub(crate) async fn rewritten(&self, side: &SideView) -> Result<Vec<String>, Error> {
        let (stamps, tree, side) = (self.stamps.clone(), self.shell.tree.clone(), side.clone());
        let read = tokio::task::spawn_blocking(move || stamps.rewritten(&tree, &side));
        read.await.map_err(|error| Error::Broken(error.to_string()))
    }

    /// Reading what a hostile run left takes a while.
    async fn read(
        &self,
        commands: &Commands,
        instrumented: &Instrumented,
        run: &RunResult,
        folder: TempDir,
    ) -> Result<Results, Error> {
        let (runner, instrumented, tree) =
            (commands.runner, instrumented.clone(), self.shell.tree.clone());
        let output = run.output.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut results = results::read(runner, &instrumented, &output, folder.path());
            results::locate(&mut results, &instrumented.directory, &tree);
            results
        });
        read.await.map_err(|error| Error::Broken(error.to_string()))
    }

    /// Removes the folder. A failure is logged and no more: the next start sweeps what is left.
    pub(crate) async fn close(self) {
        if let Err(error) = self.checkout.close().await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(event = "workspace_left", error);
        }
    }
}

/// A folder for go's compiled packages that all runs in one tree share.
async fn build_folder(
    judge: &Judge,
    rules: &Rules,
    shell: &mut Shell,
) -> Result<Option<TempDir>, Error> {
    if rules.language != Some(Language::Go) {
        return Ok(None);
    }
    let folder = scratch(judge, "booty-build-").await?;
    shell.mounts.push(Mount {
        source: folder.path().to_owned(),
        target: PathBuf::from(BUILD_FOLDER),
        writable: true,
    });
    shell.env.entry("GOCACHE".to_owned()).or_insert_with(|| BUILD_FOLDER.to_owned());
    Ok(Some(folder))
}

/// A folder that the sandbox's user may write to.
async fn scratch(judge: &Judge, prefix: &str) -> Result<TempDir, Error> {
    let folder = tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(&judge.scratch)
        .map_err(Error::Scratch)?;
    own(judge, folder.path().to_owned()).await?;
    Ok(folder)
}

/// Which `package.json` the tree has, with what is put over it.
fn package_json(wanted: &Wanted<'_>) -> Option<String> {
    let directory = wanted.commands.test.as_ref().map_or("", |test| test.directory.as_str());
    let path = match directory {
        "" => PACKAGE_JSON.to_owned(),
        directory => format!("{directory}/{PACKAGE_JSON}"),
    };
    match wanted.overlay.iter().find(|(over, _)| *over == path) {
        Some((_, content)) => content.clone(),
        None => SideView::new(wanted.proposal, wanted.side).read(&path),
    }
}

/// Of a tree as it was checked out, with nothing put over it.
async fn stamps(
    language: Option<Language>,
    wanted: &Wanted<'_>,
    tree: PathBuf,
) -> Result<Arc<Stamps>, Error> {
    let Some(language) = language.filter(|_| wanted.overlay.is_empty()) else {
        return Ok(Arc::default());
    };
    let side = SideView::new(wanted.proposal, wanted.side);
    let take = move || {
        let sources = side.paths().filter(|path| evidence::is_source(language, path));
        Arc::new(Stamps::take(&tree, sources))
    };
    let taken = tokio::task::spawn_blocking(take).await;
    taken.map_err(|error| Error::Broken(error.to_string()))
}

fn script(command: &CommandSpec, instrumented: &Instrumented) -> Script {
    Script {
        text: instrumented.script.clone(),
        directory: instrumented.directory.clone(),
        env: instrumented.env.clone(),
        timeout: command.timeout,
        output_bytes: Some(instrumented.output_bytes),
    }
}

/// A script that is run as its owner wrote it.
pub(crate) fn plain_script(command: &CommandSpec) -> Script {
    Script {
        text: command.command.clone(),
        directory: command.directory.clone(),
        env: command.env.clone(),
        timeout: command.timeout,
        output_bytes: None,
    }
}

async fn overlay(checkout: &Checkout, files: &[(String, Option<String>)]) -> Result<(), Error> {
    if files.is_empty() {
        return Ok(());
    }
    let files: Vec<_> = files
        .iter()
        .map(|(path, content)| {
            let content = content.as_ref().map(|text| FileContent {
                mode: mode_of(checkout, path),
                content: text.clone().into_bytes(),
            });
            (path.clone().into_bytes(), content)
        })
        .collect();
    Ok(checkout.overlay(files).await?)
}

/// The mode that the tree has there: a script that a test runs stays one.
fn mode_of(checkout: &Checkout, path: &str) -> Mode {
    let file = checkout.files().binary_search_by(|file| file.path.as_slice().cmp(path.as_bytes()));
    match file.ok().and_then(|at| checkout.files().get(at)) {
        Some(file) if file.mode == Mode::Executable => Mode::Executable,
        _ => Mode::Regular,
    }
}

/// Makes a folder the sandbox user's. Walking a large tree blocks.
async fn own(judge: &Judge, path: PathBuf) -> Result<(), Error> {
    let sandbox = judge.sandbox.clone();
    let owned = tokio::task::spawn_blocking(move || sandbox.own(&path)).await;
    Ok(owned.map_err(|error| Error::Broken(error.to_string()))??)
}

/// A stage whose setup failed says so once.
pub(crate) fn not_reached(stage: Stage, why: &str) -> Section {
    Section::skipped(stage, why)
}
