//! The repository's commands: in the sandbox, in a tree of their own.

use std::{path::PathBuf, time::Duration};

use booty_sandbox::{Backend, Command, End, Limits, RunResult, Sandbox, SandboxSettings};
use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;

use super::{
    bench::Bench,
    conversation::Halt,
    link::Link,
    protocol::{
        AgentEnd, CommandLine, CommandName, Commands, ONE_TEST, SandboxChoice, Start, Step,
    },
    tool::TestName,
    tree::Tree,
};

/// How much output a run keeps: it goes into the journal and, shortened, into a prompt.
const OUTPUT_BYTES: usize = 128 * 1024;

/// Runs the commands that the repository names.
pub(crate) struct Runner {
    commands: Commands,
    tree: PathBuf,
    choice: SandboxChoice,
    is_replay: bool,
    /// Set up when it is first needed.
    sandbox: Option<Sandbox>,
    /// Whether the tree belongs to the sandbox's user and is made ready.
    is_ready: bool,
}

impl Runner {
    pub(crate) fn new(start: &Start) -> Self {
        Self {
            commands: start.commands.clone(),
            tree: start.run_tree.clone(),
            choice: start.sandbox.clone(),
            is_replay: start.is_replay,
            sandbox: None,
            is_ready: false,
        }
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
        match link.next_past() {
            Some(Step::CommandRan { name: ran, result }) if ran == name => return Ok(result),
            Some(_) => {
                return Err(Halt::End(AgentEnd::Broken {
                    why: format!("the journal has another step where a run of {name} is needed"),
                }));
            }
            None if self.is_replay => {
                let next = format!("a run of {name}");
                return Err(Halt::End(AgentEnd::JournalEnds { next }));
            }
            None => {}
        }
        self.make_ready(link.has_replayed(), bench, name).await?;
        let result = self.run_now(bench, &line).await?;
        link.journal(Step::CommandRan { name, result: result.clone() }).await?;
        Ok(result)
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
        if let Some(sandbox) = self.sandbox.clone() {
            let tree = self.tree.clone();
            let owned = tokio::task::spawn_blocking(move || sandbox.own(&tree)).await;
            match owned {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(sandbox_error(&error)),
                Err(error) => return Err(broken(error.to_string())),
            }
        }
        let before: &[CommandName] = match name {
            CommandName::Setup => &[],
            CommandName::Check => &[CommandName::Setup],
            CommandName::Test | CommandName::OneTest => &[CommandName::Setup, CommandName::Check],
        };
        for name in before.iter().filter(|_| resumed) {
            if let Some(line) = self.commands.named(*name).cloned() {
                self.run_now(bench, &line).await?;
            }
        }
        Ok(())
    }

    async fn run_now(&self, bench: &Bench, line: &CommandLine) -> Result<RunResult, Halt> {
        self.bring_over(bench)?;
        let Some(sandbox) = &self.sandbox else {
            return Err(broken("a command was run before the sandbox was prepared".to_owned()));
        };
        let mut limits = Limits { output_bytes: OUTPUT_BYTES, ..Limits::default() };
        if let Some(seconds) = line.timeout_s {
            limits.wall = Duration::from_secs(seconds);
        }
        let mut env = line.env.clone();
        // Python takes a compiled file for current when size and second of the source are the same,
        // and two rounds fit into one second.
        env.entry("PYTHONDONTWRITEBYTECODE".to_owned()).or_insert_with(|| "1".to_owned());
        let command = Command {
            directory: PathBuf::from(&line.directory),
            env,
            limits,
            ..Command::new(line.script.clone(), self.tree.clone())
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
        let tree = Tree::open(&self.tree).map_err(|error| broken(error.to_string()))?;
        for (path, wanted) in bench.touched() {
            let done = match &wanted {
                // Too large to be read is not what the model wrote.
                Some(content) => match tree.read(path, bench.file_bytes()) {
                    Ok(have) if have == *content => Ok(()),
                    _ => tree.write(path, content),
                },
                None if tree.find(path).is_ok_and(|kind| kind.is_some()) => tree.delete(path),
                None => Ok(()),
            };
            done.map_err(|why| {
                broken(format!("a command left the tree so that {path} can't be written: {why}"))
            })?;
        }
        Ok(())
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
