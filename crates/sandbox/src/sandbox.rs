//! The handle that the services hold.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::unix::pipe::Receiver,
    process,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Backend, Command, End, Error, Limit, RunResult, SandboxSettings, Unavailable,
    bwrap::{self, Arguments, Reach},
    cgroup::{Group, Parents},
    mount,
    network::{Exit, Network},
    prepare,
    running::{self, Output, Running, Victim},
    spawn::{self, Prelude, Spawner},
    tree,
    watch::Watch,
};

/// bubblewrap takes some 50 ms; a machine under load takes longer.
pub(crate) const SETUP: Duration = Duration::from_secs(20);

/// Runs commands as its settings say. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: SandboxSettings,
    /// Who to become; set only when started as root.
    pub(crate) run_as: Option<(u32, u32)>,
    /// Whether folders must be mounted where that user can reach them.
    pub(crate) staged: bool,
    pub(crate) groups: Parents,
    pub(crate) spawner: Spawner,
    pub(crate) description: String,
}

impl Sandbox {
    /// Runs `true` in a sandbox once, so that what is missing is known before the first job.
    pub async fn prepare(settings: SandboxSettings) -> Result<Self, Unavailable> {
        prepare::prepare(settings).await
    }

    pub(crate) fn from_shared(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn shared(&mut self) -> Option<&mut Shared> {
        Arc::get_mut(&mut self.shared)
    }

    /// Runs one command. Dropping the future kills all that it started.
    pub async fn run(
        &self,
        command: &Command,
        cancel: &CancellationToken,
    ) -> Result<RunResult, Error> {
        command.check()?;
        let started = Instant::now();
        let tree = command.work_tree.clone();
        let folder =
            |source| Error::Folder { what: "use the work tree", path: tree.clone(), source };
        // As the stage does, refuse a link in the place of the tree itself.
        match std::fs::symlink_metadata(&tree) {
            Ok(found) if found.is_dir() && tree.is_absolute() => {}
            Ok(_) => return Err(folder(io::ErrorKind::NotADirectory.into())),
            Err(error) => return Err(folder(error)),
        }
        let (limits, count_memory) = (command.limits, !self.shared.groups.have_memory());
        mount::check_sources(&command.mounts)?;
        let written = command.mounts.iter().filter(|mount| mount.writable);
        let trees: Vec<_> =
            std::iter::once(tree).chain(written.map(|mount| mount.source.clone())).collect();
        let watch =
            tokio::task::spawn_blocking(move || Watch::new(trees, limits, count_memory)).await;
        let watch = watch
            .map_err(|error| Error::system("measure the work tree")(io::Error::other(error)))?;
        let (ended, output) = match self.shared.settings.backend {
            Backend::Bwrap { ref program } => {
                self.isolated(program, command, watch, cancel, started).await?
            }
            Backend::None => self.bare(command, watch, cancel, started).await?,
        };
        let output_bytes = output.capture.total();
        Ok(RunResult {
            end: ended,
            output: output.capture.finish(),
            output_bytes,
            duration: started.elapsed(),
        })
    }

    /// Makes a work tree the sandbox user's, so that it can be written to. Follows no symlink.
    /// Does nothing when not started as root. To be called again when files were added from
    /// outside. Walks the tree: call it where blocking is allowed, and not during a run in it.
    pub fn own(&self, path: &Path) -> Result<(), Error> {
        match self.shared.run_as {
            Some(ids) => tree::give(path, ids),
            None => Ok(()),
        }
    }

    /// Whether commands with [`Network::Proxy`] can be run: there is a forwarder, and isolation.
    pub fn has_exits(&self) -> bool {
        let settings = &self.shared.settings;
        settings.forwarder.is_some() && settings.backend != Backend::None
    }

    /// What it was prepared with; programs and folders are named as they were found.
    pub fn settings(&self) -> &SandboxSettings {
        &self.shared.settings
    }

    /// Who commands run as when Booty runs as root.
    pub fn run_as(&self) -> Option<(u32, u32)> {
        self.shared.run_as
    }

    pub(crate) fn parts(&self) -> &Shared {
        &self.shared
    }

    /// What isolates commands, for logs, health pages and pull requests.
    pub fn describe(&self) -> &str {
        &self.shared.description
    }

    async fn isolated(
        &self,
        program: &Path,
        command: &Command,
        mut watch: Watch,
        cancel: &CancellationToken,
        started: Instant,
    ) -> Result<(End, Output), Error> {
        let pipe = || io::pipe().map_err(Error::system("make a pipe"));
        let ((output, printed), (status, status_end), (block_end, block)) =
            (pipe()?, pipe()?, pipe()?);
        let reach = if self.shared.staged { Reach::Staged } else { Reach::Directly };
        let read_only = &self.shared.settings.read_only;
        let exit = Exit::find(&command.network, self.shared.settings.forwarder.as_deref())?;
        let (arguments, mut prelude) = Arguments::new(
            command,
            read_only,
            exit.as_ref(),
            &reach,
            status_end.into(),
            block_end.into(),
        )
        .map_err(Error::system("pass on the arguments"))?;
        let (line, keep) =
            arguments.command_line(command).map_err(Error::system("pass on the arguments"))?;
        prelude.keep = keep;
        prelude.limits = running::resource_limits(&command.limits);
        prelude.run_as = self.shared.run_as;
        let mut process = process::Command::new(program);
        process.args(line);
        let child = self.start(process, printed.into(), prelude).await?;
        let mut output = self.output(output.into(), command)?;

        let status = Receiver::from_owned_fd(status.into())
            .map_err(Error::system("read from bubblewrap"))?;
        let mut status = BufReader::new(status.take(64 * 1024)).lines();
        let init = loop {
            let next = tokio::select! {
                line = timeout(SETUP, status.next_line()) => line,
                () = output.read() => continue,
            };
            match next
                .ok()
                .and_then(Result::ok)
                .flatten()
                .and_then(|line| number(&line, "child-pid"))
            {
                Some(pid) => break Pid::from_raw(pid),
                None => return Err(setup_failed(child, output).await),
            }
        };
        let init = init.ok_or_else(|| Error::Setup { said: "no process id".to_owned() })?;
        // It waits for our word, so it is alive, and the process id is its own.
        let victim = Victim::init(init).map_err(Error::system("watch over the sandbox"))?;
        let group = self.shared.groups.group(&command.limits).unwrap_or_default();
        let mut running = Running { child, victim, group };
        // If the machine runs out of memory, it is this that goes, not the broker.
        let _ = std::fs::write(format!("/proc/{}/oom_score_adj", init.as_raw_nonzero()), "1000");
        let grouped = running.group.add(init.as_raw_nonzero().get());
        grouped.map_err(Error::system("put the sandbox into its control group"))?;
        watch.attach(init.as_raw_nonzero().get(), running.group.kills());
        drop(block);

        let ended = running.follow(&mut output, &command.limits, watch, cancel, started).await?;
        let end = match ended {
            Err(end) => end,
            Ok(process) => match timeout(SETUP, status.next_line()).await {
                // Told only when the command was started.
                Ok(Ok(Some(line))) => match number(&line, "exit-code") {
                    Some(code) => end_of_code(code),
                    None => return Err(said(output)),
                },
                _ if process.signal().is_some() => {
                    return Err(Error::Setup { said: "bubblewrap itself was killed".to_owned() });
                }
                _ => return Err(said(output)),
            },
        };
        Ok((end, output))
    }

    async fn bare(
        &self,
        command: &Command,
        watch: Watch,
        cancel: &CancellationToken,
        started: Instant,
    ) -> Result<(End, Output), Error> {
        if !command.mounts.is_empty() || command.network != Network::None {
            let why = "without a sandbox there are no mounts and no network of its own".to_owned();
            return Err(Error::Refused { why });
        }
        let (output, printed) = io::pipe().map_err(Error::system("make a pipe"))?;
        let directory = command.work_tree.join(&command.directory);
        let folder = |source| Error::Folder { what: "use", path: directory.clone(), source };
        let real = directory.canonicalize().map_err(folder)?;
        if !real.starts_with(command.work_tree.canonicalize().map_err(folder)?) {
            return Err(folder(io::Error::other("it leads out of the work tree")));
        }
        let mut process = process::Command::new("/bin/sh");
        process.args(["-c", &command.script]).current_dir(real).process_group(0);
        process.env_clear();
        process.envs(bwrap::allowed(bwrap::search_path(&self.shared.settings.read_only), "/tmp"));
        process.envs(&command.env);
        let mut prelude = Prelude { run_as: self.shared.run_as, ..Prelude::default() };
        prelude.limits = running::resource_limits(&command.limits);
        let child = self.start(process, printed.into(), prelude).await?;
        let mut output = self.output(output.into(), command)?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid =
            pid.ok_or_else(|| Error::system("start the command")(io::ErrorKind::NotFound.into()))?;
        let mut running =
            Running { child, victim: Victim::ProcessGroup(pid), group: Group::default() };
        let ended = running.follow(&mut output, &command.limits, watch, cancel, started).await?;
        Ok((ended.map_or_else(|end| end, end_of_status), output))
    }

    async fn start(
        &self,
        mut process: process::Command,
        printed: OwnedFd,
        prelude: Prelude,
    ) -> Result<process::Child, Error> {
        let start = Error::system("start the command");
        let again = match printed.try_clone() {
            Ok(again) => again,
            Err(error) => return Err(start(error)),
        };
        if matches!(self.shared.settings.backend, Backend::Bwrap { .. }) {
            // bubblewrap becomes the init, whose environment can be read inside.
            process.env_clear();
        }
        process.stdin(Stdio::null()).stdout(again).stderr(printed);
        spawn::before_exec(&mut process, prelude);
        self.shared.spawner.spawn(process).await.map_err(start)
    }

    fn output(&self, pipe: OwnedFd, command: &Command) -> Result<Output, Error> {
        Output::new(pipe, command.limits.output_bytes).map_err(Error::system("read the output"))
    }
}

/// What bubblewrap said instead of starting the command.
async fn setup_failed(mut child: process::Child, mut output: Output) -> Error {
    let _ = child.start_kill();
    let _ = child.wait().await;
    output.drain().await;
    said(output)
}

fn said(output: Output) -> Error {
    Error::Setup { said: output.capture.finish().trim().to_owned() }
}

/// A whole number of one of bubblewrap's JSON lines.
pub(crate) fn number(line: &str, name: &str) -> Option<i32> {
    let document: serde_json::Value = serde_json::from_str(line).ok()?;
    document.get(name)?.as_i64()?.try_into().ok()
}

/// bubblewrap tells a signal as a shell does, as 128 and its number.
fn end_of_code(code: i32) -> End {
    match code - 128 {
        signal if signal == Signal::XCPU.as_raw() => End::OverLimit(Limit::Cpu),
        signal if signal == Signal::XFSZ.as_raw() => End::OverLimit(Limit::FileSize),
        signal @ 1..=31 => End::Signalled(signal),
        _ => End::Exited(code),
    }
}

fn end_of_status(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, signal) => end_of_code(128 + signal.unwrap_or(0)),
    }
}
