//! A cage for a program of Booty's own that reads what an enemy wrote: no network, and of the host what
//! it is given. Commands of a repository can be run from inside, each in a sandbox of its own.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Resource};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines, Take},
    net::unix::pipe::Receiver,
    process::{self, ChildStderr, ChildStdin, ChildStdout},
    time::timeout,
};

use crate::{
    Backend, Error, Limits, Mount, Sandbox,
    bwrap::{Arguments, Reach},
    cgroup::Group,
    mount,
    running::{Running, Victim},
    sandbox::{SETUP, number},
    spawn::{self, Prelude},
};

/// What the program itself needs besides what its commands may use.
const OWN_MEMORY_BYTES: u64 = 1024 * 1024 * 1024;
const OWN_PROCESSES: u64 = 128;
/// What a client of TLS trusts by; never the folder of private keys beside it.
const CERTIFICATES: [&str; 4] =
    ["/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted"];
/// Of `bwrap --json-status-fd`: three short lines.
const MAX_STATUS_BYTES: u64 = 64 * 1024;

/// Of what bubblewrap says when it fails.
const MAX_SAID_BYTES: u64 = 4 * 1024;

/// A program of ours, and what of the host it sees besides the system's folders, the certificates that
/// the machine trusts, and the operator's toolchains.
#[derive(Debug, Clone, Default)]
pub struct Cage {
    /// What is started. It sees itself.
    pub program: PathBuf,
    /// Its arguments: anyone on the machine can read them.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Files, folders and sockets, at a path of their own choice.
    pub mounts: Vec<Mount>,
}

/// A started one. Dropping it kills everyone inside.
#[derive(Debug)]
pub struct Caged {
    /// Its standard input.
    pub stdin: ChildStdin,
    /// Its standard output.
    pub stdout: ChildStdout,
    /// Its standard error.
    pub stderr: ChildStderr,
    /// What is needed to end it.
    pub handle: CageHandle,
}

/// Ends what is in a cage.
#[derive(Debug)]
pub struct CageHandle {
    running: Running,
    status: Lines<BufReader<Take<Receiver>>>,
    /// The thread that started it must live as long as it.
    _sandbox: Sandbox,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CageEnd {
    /// By itself.
    Exited(ExitStatus),
    /// The cage could not be built, so that the program never ran. Its standard error says why.
    NotBuilt,
    /// It did not end in time, or was killed.
    Killed,
}

impl Sandbox {
    /// Starts a program of ours in a cage: namespaces of its own for processes, mounts, IPC and network,
    /// the last one without an interface. As root it runs as the sandbox's user; what it writes to must
    /// be given to that user first.
    ///
    /// # Errors
    /// When bubblewrap did not come up, or there is none. What goes wrong later is [`CageEnd::NotBuilt`].
    pub async fn confine(&self, cage: &Cage) -> Result<Caged, Error> {
        let shared = self.parts();
        let Backend::Bwrap { program } = &shared.settings.backend else {
            return Err(Error::Refused { why: "without a sandbox there is no cage".to_owned() });
        };
        mount::check_sources(&cage.mounts)?;
        let pipe = || io::pipe().map_err(Error::system("make a pipe"));
        let ((status, status_end), (block_end, block)) = (pipe()?, pipe()?);
        let reach = if shared.staged { Reach::Staged } else { Reach::Directly };
        let passing = || Error::system("pass on the arguments");
        let (mut arguments, mut prelude) =
            arguments(cage, program, self, &reach).map_err(passing())?;
        arguments.controls(status_end.into(), block_end.into()).map_err(passing())?;
        let (list, keep) = arguments.finish().map_err(passing())?;
        prelude.keep = keep;
        // What it holds in memory must not end in a file.
        prelude.limits = vec![(Resource::Core, 0)];
        prelude.run_as = shared.run_as;
        let mut command = process::Command::new(program);
        command.args(["--args", &list, "--"]).arg(&cage.program).args(&cage.args);
        command.env_clear().process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        spawn::before_exec(&mut command, prelude);
        let mut child =
            shared.spawner.spawn(command).await.map_err(Error::system("start the program"))?;
        let missing = || Error::Setup { said: "it was started without its pipes".to_owned() };
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;

        let status = Receiver::from_owned_fd(status.into())
            .map_err(Error::system("read from bubblewrap"))?;
        let mut status = BufReader::new(status.take(MAX_STATUS_BYTES)).lines();
        let line = timeout(SETUP, status.next_line()).await.ok().and_then(Result::ok).flatten();
        let init = line.and_then(|line| number(&line, "child-pid")).and_then(Pid::from_raw);
        let watched = init.ok_or_else(|| Error::Setup { said: "no process id".to_owned() });
        // It waits for our word, unless it fails before: then what it said is why.
        let watched = watched.and_then(|init| self.watch_over(init));
        let (victim, group) = match watched {
            Ok(watched) => watched,
            Err(error) => return Err(failed(child, stderr, error).await),
        };
        let running = Running { child, victim, group };
        drop(block);
        let handle = CageHandle { running, status, _sandbox: self.clone() };
        Ok(Caged { stdin, stdout, stderr, handle })
    }

    /// Whom to kill, and the control group that holds all of it together.
    fn watch_over(&self, init: Pid) -> Result<(Victim, Group), Error> {
        let victim = Victim::init(init).map_err(Error::system("watch over the cage"))?;
        let commands = Limits::default();
        let limits = Limits {
            memory_bytes: commands.memory_bytes.saturating_add(OWN_MEMORY_BYTES),
            processes: commands.processes.saturating_add(OWN_PROCESSES),
            ..commands
        };
        let group = self.parts().groups.group(&limits).unwrap_or_default();
        let grouped = group.add(init.as_raw_nonzero().get());
        grouped.map_err(Error::system("put the cage into its control group"))?;
        Ok((victim, group))
    }
}

/// Why there is no cage: what bubblewrap said, or else `error`.
async fn failed(mut child: process::Child, stderr: ChildStderr, error: Error) -> Error {
    let _ = child.start_kill();
    let mut said = Vec::new();
    let _ = timeout(SETUP, stderr.take(MAX_SAID_BYTES).read_to_end(&mut said)).await;
    match String::from_utf8_lossy(&said).trim() {
        "" => error,
        said => Error::Setup { said: said.to_owned() },
    }
}

impl CageHandle {
    /// Waits for the end of a program that has nothing more to do, and kills it if that does not come.
    /// Returns when everyone inside is dead.
    pub async fn end(mut self, patience: Duration) -> CageEnd {
        let ended = timeout(patience, self.running.child.wait()).await;
        self.running.victim.kill();
        self.running.victim.dead().await;
        self.running.group.settle().await;
        // Told only when the program was started.
        let told = timeout(SETUP, self.status.next_line()).await;
        let was_started =
            matches!(&told, Ok(Ok(Some(line))) if number(line, "exit-code").is_some());
        match ended {
            Ok(Ok(status)) if was_started => CageEnd::Exited(status),
            Ok(Ok(status)) if status.code().is_some() => CageEnd::NotBuilt,
            _ => CageEnd::Killed,
        }
    }
}

fn arguments(
    cage: &Cage,
    bwrap: &Path,
    sandbox: &Sandbox,
    reach: &Reach,
) -> io::Result<(Arguments, Prelude)> {
    let (mut arguments, mut prelude) = (Arguments::default(), Prelude::default());
    // User namespaces stay possible: the sandboxes of commands are made of them. Commands run as the
    // user that the cage has outside, which owns nothing but what was given to it.
    arguments.texts(&["--unshare-user", "--unshare-all", "--die-with-parent", "--new-session"]);
    arguments.texts(&["--cap-drop", "ALL", "--clearenv", "--uid", "1000", "--gid", "1000"]);
    arguments.texts(&["--hostname", "booty"]);
    arguments.root()?;
    for place in CERTIFICATES {
        arguments.texts(&["--ro-bind-try", place, place]);
    }
    arguments.texts(&["--proc", "/proc", "--dev", "/dev"]);
    arguments.texts(&["--perms", "1777", "--tmpfs", "/tmp"]);
    let own = [bwrap, cage.program.as_path()];
    let tools = sandbox.settings().read_only.iter().map(PathBuf::as_path);
    for path in own.into_iter().filter(|path| !is_shown(path)).chain(tools) {
        let source = reach.stage(&mut prelude, path)?;
        arguments.paths("--ro-bind", &source, path);
    }
    for mount in &cage.mounts {
        let source = reach.stage(&mut prelude, &mount.source)?;
        let option = if mount.writable { "--bind" } else { "--ro-bind" };
        arguments.paths(option, &source, &mount.target);
    }
    arguments.texts(&["--remount-ro", "/", "--chdir", "/"]);
    for (name, value) in &cage.env {
        arguments.texts(&["--setenv", name, value]);
    }
    Ok((arguments, prelude))
}

/// Whether a path is in the system's folders, which are there as they are.
fn is_shown(path: &Path) -> bool {
    ["/usr", "/bin", "/sbin"].iter().any(|folder| path.starts_with(folder))
}
