//! The repository's commands: in the sandbox, in a tree of their own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use booty_judge::{
    case::Results,
    results::{self, Instrumented},
};
use booty_policy::{CommandSpec, Language};
use booty_sandbox::{Backend, Command, End, Limits, Mount, RunResult, Sandbox, SandboxSettings};
use tempfile::TempDir;
use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;

use super::{
    bench::{Bench, Content},
    conversation::Halt,
    link::Link,
    on_files,
    prompt::shorten,
    proof::Prover,
    protocol::{
        AgentEnd, CommandLine, CommandName, Commands, ONE_TEST, Rules, SandboxChoice, Start, Step,
    },
    tested::{self, Tested},
    tool::TestName,
    tree::{Tree, TreePath},
};

/// How much output a run keeps: it goes into the journal and, shortened, into a prompt.
const OUTPUT_BYTES: usize = 128 * 1024;
/// Where a run's report is expected, inside. Outside of the tree, where nothing of the tree's lies.
const REPORT_FOLDER: &str = "/booty/report";
/// Where go keeps what it compiled, inside. Without one it compiles its standard library in each run.
const BUILD_FOLDER: &str = "/booty/go-build";
/// Where Python keeps what it compiled of the code as it was. In the tree, what a check compiled of the
/// change would be taken for it: size and second of a file can be the same before and after.
const WITNESS_ENV: (&str, &str) = ("PYTHONPYCACHEPREFIX", "/tmp/pycache-of-the-base");

/// Runs the commands that the repository names.
pub(crate) struct Runner {
    commands: Commands,
    rules: Rules,
    tree: PathBuf,
    choice: SandboxChoice,
    is_replay: bool,
    /// Set up when it is first needed.
    sandbox: Option<Sandbox>,
    /// Whether the tree belongs to the sandbox's user and is made ready.
    is_ready: bool,
    /// What go compiled.
    build: Option<TempDir>,
    pub(super) prover: Prover,
}

/// What the run tree is to hold.
pub(crate) enum Trees<'a> {
    /// The change.
    Change,
    /// What was there before the change.
    Base {
        /// With these files instead. `None`: not there.
        over: &'a BTreeMap<TreePath, Option<String>>,
        /// How long a run there may take, if the command's own limit is not shorter.
        wall: Duration,
    },
}

impl Runner {
    pub(crate) fn new(start: &Start) -> Self {
        Self {
            commands: start.commands.clone(),
            rules: start.rules.clone(),
            tree: start.run_tree.clone(),
            choice: start.sandbox.clone(),
            is_replay: start.is_replay,
            sandbox: None,
            is_ready: false,
            build: None,
            prover: Prover::default(),
        }
    }

    pub(crate) fn commands(&self) -> &Commands {
        &self.commands
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Finds out before the first question whether commands can be run here at all.
    pub(crate) async fn prepare(&mut self) -> Result<(), Halt> {
        let is_needed = self.commands != Commands::default() && !self.is_replay;
        if !is_needed || self.sandbox.is_some() {
            return Ok(());
        }
        let settings = SandboxSettings {
            backend: match &self.choice.bwrap {
                Some(program) => Backend::Bwrap { program: program.clone() },
                None => Backend::None,
            },
            read_only: self.choice.read_only.clone(),
            run_as: self.choice.run_as,
            ..SandboxSettings::default()
        };
        let sandbox = Sandbox::prepare(settings)
            .await
            .map_err(|error| Halt::End(AgentEnd::SandboxUnavailable { why: error.to_string() }))?;
        self.sandbox = Some(sandbox);
        Ok(())
    }

    /// Runs a command on what the bench holds, or takes its result from the past. `None`: there is no
    /// such command.
    pub(crate) async fn run<W: AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<W>,
        bench: &Bench,
        name: CommandName,
    ) -> Result<Option<RunResult>, Halt> {
        let Some(line) = self.commands.named(name).cloned() else { return Ok(None) };
        self.run_line(link, bench, name, line).await.map(Some)
    }

    /// Runs the tests that are named so. `None`: it is not known how.
    pub(crate) async fn run_one_test<W: AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<W>,
        bench: &Bench,
        test: &TestName,
    ) -> Result<Option<RunResult>, Halt> {
        let Some(mut line) = self.commands.one_test.clone() else { return Ok(None) };
        line.env.insert(ONE_TEST.to_owned(), test.as_str().to_owned());
        self.run_line(link, bench, CommandName::OneTest, line).await.map(Some)
    }

    async fn run_line<W: AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<W>,
        bench: &Bench,
        name: CommandName,
        line: CommandLine,
    ) -> Result<RunResult, Halt> {
        if let Some(Past { result, .. }) = self.past(link, name)? {
            return Ok(result);
        }
        self.make_ready(link.has_replayed(), bench, name).await?;
        let result = self.run_now(bench, &line).await?;
        journal(link, name, &result, None, BTreeMap::new()).await?;
        Ok(result)
    }

    /// Runs the test command and reads what it reports. `None`: there is none.
    pub(crate) async fn test<W: AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<W>,
        bench: &Bench,
        trees: Trees<'_>,
    ) -> Result<Option<Tested>, Halt> {
        let Some(line) = self.commands.test.clone() else { return Ok(None) };
        let name = match trees {
            Trees::Change => CommandName::Test,
            Trees::Base { .. } => CommandName::Witness,
        };
        if let Some(Past { result, tests, .. }) = self.past(link, name)? {
            let results = tests.unwrap_or_default();
            return Ok(Some(Tested { is_past: true, result, results }));
        }
        self.make_ready(link.has_replayed(), bench, name).await?;
        let mut tested = self.test_now(bench, &line, &trees).await?;
        if let Trees::Base { .. } = trees {
            self.bring_over(bench)?;
        }
        tested.results = tested::kept(tested.results);
        let tests = Some(tested.results.clone());
        journal(link, name, &tested.result, tests, BTreeMap::new()).await?;
        Ok(Some(tested))
    }

    /// Runs a command on the changed files that it is for, or takes its result from the past. What
    /// `format` made of them is put on the bench. `None`: there is no such command, or no such file.
    pub(crate) async fn run_on_files<W: AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<W>,
        bench: &mut Bench,
        name: CommandName,
    ) -> Result<Option<RunResult>, Halt> {
        let command = match name {
            CommandName::Format => &self.commands.format,
            CommandName::Lint => &self.commands.lint,
            _ => &None,
        };
        let Some(command) = command.clone() else { return Ok(None) };
        let is_format = name == CommandName::Format;
        // A file that is protected makes the change one that is refused; nothing is made of it before.
        let protect: &[String] = if is_format { &self.rules.protect } else { &[] };
        let files =
            on_files::files(bench, &command, is_format.then_some(protect)).map_err(broken)?;
        if files.is_empty() {
            return Ok(None);
        }
        let (result, written) = match self.past(link, name)? {
            Some(Past { result, written, .. }) => (result, written),
            None => {
                self.make_ready(link.has_replayed(), bench, name).await?;
                let script = on_files::script(&command.line, &files);
                let line = CommandLine { script, ..command.line };
                let run = Tree::open(&self.tree).map_err(|error| broken(error.to_string()))?;
                self.bring_over(bench)?;
                let others = if is_format { on_files::others(bench, &run) } else { Vec::new() };
                let result = self.run_now(bench, &line).await?;
                let mut written = BTreeMap::new();
                if is_format {
                    on_files::put_back(bench, &run, &others).map_err(broken)?;
                    if result.succeeded() {
                        written = on_files::written(bench, &run, &files);
                    }
                }
                journal(link, name, &result, None, written.clone()).await?;
                (result, written)
            }
        };
        for (path, content) in &written {
            let path = TreePath::parse(path).map_err(|why| broken(why.0))?;
            bench.rewrite(&path, content).map_err(|why| broken(why.0))?;
        }
        Ok(Some(result))
    }

    /// The run as the past has it. Played again, there is nothing after the past.
    fn past<W>(&self, link: &mut Link<W>, name: CommandName) -> Result<Option<Past>, Halt>
    where
        W: AsyncWrite + Unpin,
    {
        match past(link, name) {
            Ok(None) | Err(Halt::End(_)) if self.is_replay => {
                let next = format!("a run of {name}");
                Err(Halt::End(AgentEnd::JournalEnds { next }))
            }
            past => past,
        }
    }

    /// Once for each process. A resumed job has a fresh tree: what setup (and check, for the tests)
    /// left in it is made again, and only that; their results stay the journal's.
    async fn make_ready(
        &mut self,
        resumed: bool,
        bench: &Bench,
        name: CommandName,
    ) -> Result<(), Halt> {
        if std::mem::replace(&mut self.is_ready, true) {
            return Ok(());
        }
        self.own(&self.tree).await?;
        if self.rules.language == Some(Language::Go) && self.has_mounts() {
            let folder = self.scratch("go-build-").await?;
            self.build = Some(folder);
        }
        let before: &[CommandName] = match name {
            CommandName::Setup => &[],
            CommandName::Check | CommandName::Format => &[CommandName::Setup],
            CommandName::Lint | CommandName::Test | CommandName::OneTest | CommandName::Witness => {
                &[CommandName::Setup, CommandName::Check]
            }
        };
        for name in before.iter().filter(|_| resumed) {
            if let Some(line) = self.commands.named(*name).cloned() {
                self.run_now(bench, &line).await?;
            }
        }
        Ok(())
    }

    /// Without isolation there are no mounts.
    fn has_mounts(&self) -> bool {
        self.choice.bwrap.is_some()
    }

    /// A folder that the sandbox's user may write to: beside the tree, where it goes with the job's
    /// folder however this process ends, or where nothing can be made there, in the usual place.
    async fn scratch(&self, prefix: &str) -> Result<TempDir, Halt> {
        let beside = self.tree.parent().unwrap_or(&self.tree);
        let mut named = tempfile::Builder::new();
        named.prefix(prefix);
        let folder = named.tempdir_in(beside).or_else(|_| named.tempdir()).map_err(|error| {
            let why = format!("no folder for a run's report can be made: {error}");
            Halt::End(AgentEnd::TryAgain { why, after_ms: None })
        })?;
        self.own(folder.path()).await?;
        Ok(folder)
    }

    async fn own(&self, path: &Path) -> Result<(), Halt> {
        let Some(sandbox) = self.sandbox.clone() else { return Ok(()) };
        let path = path.to_owned();
        match tokio::task::spawn_blocking(move || sandbox.own(&path)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(sandbox_error(&error)),
            Err(error) => Err(broken(error.to_string())),
        }
    }

    async fn run_now(&self, bench: &Bench, line: &CommandLine) -> Result<RunResult, Halt> {
        self.bring_over(bench)?;
        self.sandboxed(self.command(line)).await
    }

    /// Runs the tests so that what they report can be read, and reads it.
    async fn test_now(
        &self,
        bench: &Bench,
        line: &CommandLine,
        trees: &Trees<'_>,
    ) -> Result<Tested, Halt> {
        let mut line = line.clone();
        match trees {
            Trees::Change => self.bring_over(bench)?,
            Trees::Base { over, wall } => {
                self.bring_back(bench, over)?;
                let own = line.timeout_s.map_or(Limits::WALL, Duration::from_secs);
                line.timeout_s = Some(own.min(*wall).as_secs().max(1));
                let (name, value) = WITNESS_ENV;
                line.env.insert(name.to_owned(), value.to_owned());
            }
        }
        if !self.has_mounts() {
            let result = self.sandboxed(self.command(&line)).await?;
            let plain = plain(&line);
            let results =
                results::read(self.rules.runner, &plain, &result.output, Path::new("/nowhere"));
            return Ok(self.located(result, results, &plain));
        }
        let folder = self.scratch("report-").await?;
        let package = self.package_json(&line);
        let instrumented = results::instrument_package(
            self.rules.runner,
            &spec(&line),
            REPORT_FOLDER,
            package.as_deref(),
        );
        line.script.clone_from(&instrumented.script);
        line.env.clone_from(&instrumented.env);
        let mut command = self.command(&line);
        command.limits.output_bytes = instrumented.output_bytes;
        command.mounts.push(Mount {
            source: folder.path().to_owned(),
            target: PathBuf::from(REPORT_FOLDER),
            writable: true,
        });
        let result = self.sandboxed(command).await?;
        let (runner, output) = (self.rules.runner, result.output.clone());
        let read = instrumented.clone();
        // Reading what a hostile run left takes a while.
        let read = tokio::task::spawn_blocking(move || {
            results::read(runner, &read, &output, folder.path())
        });
        let results = read.await.map_err(|error| broken(error.to_string()))?;
        Ok(self.located(result, results, &instrumented))
    }

    /// With the places of this tree, and an output as people read it.
    fn located(&self, mut result: RunResult, mut results: Results, how: &Instrumented) -> Tested {
        results::locate(&mut results, &how.directory, &self.tree);
        let output = results::readable(&result.output);
        result.output = shorten(&output, OUTPUT_BYTES / 2, OUTPUT_BYTES / 2);
        Tested { is_past: false, result, results }
    }

    /// What `npm test` would read.
    fn package_json(&self, line: &CommandLine) -> Option<String> {
        const MAX_BYTES: usize = 256 * 1024;
        let tree = Tree::open(&self.tree).ok()?;
        let path = TreePath::parse(&format!("{}/package.json", line.directory)).ok()?;
        String::from_utf8(tree.read(&path, MAX_BYTES).ok()?).ok()
    }

    fn command(&self, line: &CommandLine) -> Command {
        let mut limits = Limits { output_bytes: OUTPUT_BYTES, ..Limits::default() };
        if let Some(seconds) = line.timeout_s {
            limits.wall = Duration::from_secs(seconds);
        }
        let mut env = line.env.clone();
        // Python takes a compiled file for current when size and second of the source are the same,
        // and two rounds fit into one second.
        env.entry("PYTHONDONTWRITEBYTECODE".to_owned()).or_insert_with(|| "1".to_owned());
        let mut mounts = Vec::new();
        if let Some(folder) = &self.build {
            mounts.push(Mount {
                source: folder.path().to_owned(),
                target: PathBuf::from(BUILD_FOLDER),
                writable: true,
            });
            env.entry("GOCACHE".to_owned()).or_insert_with(|| BUILD_FOLDER.to_owned());
        }
        Command {
            directory: PathBuf::from(&line.directory),
            env,
            limits,
            mounts,
            ..Command::new(line.script.clone(), self.tree.clone())
        }
    }

    async fn sandboxed(&self, command: Command) -> Result<RunResult, Halt> {
        let Some(sandbox) = &self.sandbox else {
            return Err(broken("a command was run before the sandbox was prepared".to_owned()));
        };
        // The builder ends the whole process, not one command.
        let never = CancellationToken::new();
        let result = sandbox.run(&command, &never).await.map_err(|e| sandbox_error(&e))?;
        if result.end == End::Cancelled {
            return Err(broken("a command was cancelled by nobody".to_owned()));
        }
        Ok(result)
    }

    /// Makes the run tree hold what the model wrote, whatever commands did to it.
    fn bring_over(&self, bench: &Bench) -> Result<(), Halt> {
        let wanted = bench.touched();
        self.hold(bench, wanted.map(|(path, now)| (path.clone(), now)))
    }

    /// Makes the run tree hold what was there before the change, with `over` put over it.
    fn bring_back(
        &self,
        bench: &Bench,
        over: &BTreeMap<TreePath, Option<String>>,
    ) -> Result<(), Halt> {
        let wanted = bench.before().map(|(path, before)| {
            let content = match (over.get(path), before) {
                (Some(text), _) => text.clone().map(String::into_bytes),
                (None, Content::File(bytes)) => Some(bytes.to_vec()),
                (None, Content::Nothing | Content::Other) => None,
            };
            (path.clone(), content)
        });
        self.hold(bench, wanted)
    }

    fn hold(
        &self,
        bench: &Bench,
        wanted: impl Iterator<Item = (TreePath, Option<Vec<u8>>)>,
    ) -> Result<(), Halt> {
        let tree = Tree::open(&self.tree).map_err(|error| broken(error.to_string()))?;
        let mut wanted: Vec<_> = wanted.collect();
        // A file may stand where a folder is to be, or the other way round.
        wanted.sort_by_key(|(_, wanted)| wanted.is_some());
        for (path, wanted) in wanted {
            let done = match &wanted {
                // Too large to be read is not what the model wrote.
                Some(content) => match tree.read(&path, bench.file_bytes()) {
                    Ok(have) if have == *content => Ok(()),
                    _ => tree.write(&path, content, bench.is_executable(&path)),
                },
                None if tree.find(&path).is_ok_and(|kind| kind.is_some()) => tree.delete(&path),
                None => Ok(()),
            };
            done.map_err(|why| {
                broken(format!("a command left the tree so that {path} can't be written: {why}"))
            })?;
        }
        Ok(())
    }
}

/// What an earlier holder of the job journalled of a run.
struct Past {
    result: RunResult,
    tests: Option<Results>,
    written: BTreeMap<String, String>,
}

/// The run of the past that is next, if there is one.
fn past<W: AsyncWrite + Unpin>(
    link: &mut Link<W>,
    name: CommandName,
) -> Result<Option<Past>, Halt> {
    match link.next_past() {
        Some(Step::CommandRan { name: ran, result, tests, written }) if ran == name => {
            Ok(Some(Past { result, tests, written }))
        }
        Some(_) => {
            Err(broken(format!("the journal has another step where a run of {name} is needed")))
        }
        None => Ok(None),
    }
}

async fn journal<W: AsyncWrite + Unpin>(
    link: &mut Link<W>,
    name: CommandName,
    result: &RunResult,
    tests: Option<Results>,
    written: BTreeMap<String, String>,
) -> Result<(), Halt> {
    Ok(link.journal(Step::CommandRan { name, result: result.clone(), tests, written }).await?)
}

/// A command in the words of the judge.
pub(super) fn spec(line: &CommandLine) -> CommandSpec {
    CommandSpec {
        command: line.script.clone(),
        timeout: line.timeout_s.map(Duration::from_secs),
        directory: line.directory.clone(),
        env: line.env.clone(),
    }
}

/// A command that is asked for no report.
fn plain(line: &CommandLine) -> Instrumented {
    Instrumented {
        env: line.env.clone(),
        script: line.script.clone(),
        directory: line.directory.clone(),
        reports: Vec::new(),
        output_bytes: OUTPUT_BYTES,
    }
}

fn broken(why: String) -> Halt {
    Halt::End(AgentEnd::Broken { why })
}

fn sandbox_error(error: &booty_sandbox::Error) -> Halt {
    use booty_sandbox::Error;
    Halt::End(match error {
        Error::Refused { why } => AgentEnd::Broken { why: why.clone() },
        Error::Setup { said } => AgentEnd::SandboxUnavailable { why: said.clone() },
        Error::Folder { .. } | Error::System { .. } => {
            AgentEnd::TryAgain { why: error.to_string(), after_ms: None }
        }
    })
}
