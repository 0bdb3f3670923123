//! The program inside a sandbox with an exit: carries connections from a port of the loopback to
//! the Unix socket that the sandbox was given.
//!
//! It knows nothing of what it carries, and everything in the sandbox could reach the socket
//! without it: what may pass is decided at the other end. The script runs in the process that bubblewrap
//! started, as it would without an exit, so that it ends in the same way; the forwarder is nobody's
//! child and dies with the namespace.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write as _},
    net::{Ipv4Addr, TcpListener},
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::Arc,
};

use tokio::{net::UnixStream, sync::Semaphore};

/// The argument that makes a program the forwarder.
pub const ARGUMENT: &str = "forward";

pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Where HTTP proxies usually are; the loopback is the sandbox's own, so it is free.
pub(crate) const PORT: u16 = 3128;
/// Where the forwarder and the socket are inside: outside of the rooms of a command's own mounts.
pub(crate) const PROGRAM: &str = "/run/booty/forward";
pub(crate) const SOCKET: &str = "/run/booty/proxy";

/// The three lives of the program, as its second argument.
pub(crate) const RUN: &str = "run";
const DETACH: &str = "detach";
const SERVE: &str = "serve";

/// More wait for a free place. Clients open some fifty.
const MAX_CONNECTIONS: usize = 128;
/// As of a shell that cannot execute what it found.
const CANNOT_START: u8 = 126;

/// What `<program> forward …` is: `arguments` are those after `forward`. To be called before any
/// thread is started and any descriptor is opened. Returns only when it failed.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
    let end = match arguments.as_slice() {
        [life, script] if *life == RUN => run(script),
        [life] if *life == DETACH => detach(),
        [life] if *life == SERVE => serve(),
        _ => Err(io::Error::other("it is started by sandboxes only")),
    };
    let Err(error) = end else { return ExitCode::SUCCESS };
    let _ = writeln!(io::stderr(), "the way to the proxy cannot be opened: {error}");
    CANNOT_START.into()
}

/// Opens the port, so that a connection waits from here on, and becomes the script.
fn run(script: &OsStr) -> io::Result<()> {
    let listener = TcpListener::bind((ADDRESS, PORT))?;
    let ended = forwarder(DETACH).stdin(Stdio::from(OwnedFd::from(listener))).status()?;
    if !ended.success() {
        return Err(io::Error::other("it did not start"));
    }
    Err(Command::new("/bin/sh").arg("-c").arg(script).exec())
}

/// Starts the last life and ends, so that the script has no child that it did not make.
fn detach() -> io::Result<()> {
    forwarder(SERVE).stdin(Stdio::inherit()).process_group(0).spawn()?;
    Ok(())
}

/// Nothing of the command's output is held open, and nothing of its environment is needed.
fn forwarder(life: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args([ARGUMENT, life]).env_clear().current_dir("/");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn serve() -> io::Result<()> {
    let listener = TcpListener::from(rustix::io::dup(io::stdin())?);
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(carry(listener, Path::new(SOCKET)))
}

async fn carry(listener: TcpListener, socket: &Path) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
        // Out of descriptors: those that are open will be closed.
        let Ok((mut inside, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let socket = socket.to_owned();
        tokio::spawn(async move {
            if let Ok(mut outside) = UnixStream::connect(socket).await {
                let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
            }
            drop(place);
        });
    }
}
