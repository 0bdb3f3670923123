//! The server as a child process that can't outlive us.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::{oneshot, watch};

/// From util-linux: makes the kernel kill a program when its parent dies, without unsafe code here.
const SETPRIV: &str = "/usr/bin/setpriv";

#[derive(Debug)]
pub(super) struct Process {
    id: u32,
    /// A handle that never names another process, however soon the id is used again.
    handle: OwnedFd,
    gone: watch::Receiver<bool>,
    keeper: Option<thread::JoinHandle<()>>,
}

impl Process {
    /// Starts the program with its output in `log`.
    pub(super) async fn spawn(
        program: &Path,
        arguments: &[OsString],
        log: &Path,
    ) -> io::Result<Self> {
        let out = File::create(log)?;
        let mut command = if Path::new(SETPRIV).exists() {
            let mut command = Command::new(SETPRIV);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let (started, start) = oneshot::channel();
        let (ended, gone) = watch::channel(false);
        // The kernel sends the signal when the *thread* that started the child ends, so that thread
        // lives as long as the child: none of a runtime's pool would do.
        let keeper = thread::Builder::new().name("nats-server".to_owned()).spawn(move || {
            let child = command.spawn().and_then(|child| {
                let handle = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
                Ok((child, handle))
            });
            match child {
                Ok((mut child, handle)) => {
                    // A caller that is gone dropped the handle; then the child must go, too.
                    if started.send(Ok((child.id(), handle))).is_err() {
                        let _ = child.kill();
                    }
                    let _ = child.wait();
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
            ended.send_replace(true);
        })?;
        let (id, handle) =
            start.await.map_err(|_| io::Error::other("the starting thread ended"))??;
        Ok(Self { id, handle, gone, keeper: Some(keeper) })
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn is_gone(&self) -> bool {
        *self.gone.borrow()
    }

    pub(super) async fn gone(&mut self) {
        // An error means that the waiting thread is gone, and with it the child.
        let _ = self.gone.wait_for(|gone| *gone).await;
    }

    pub(super) fn kill(&self) {
        // Fails only when it has ended already.
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
    }

    pub(super) fn terminate(&self) {
        let _ = pidfd_send_signal(&self.handle, Signal::TERM);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        // Milliseconds, after which nothing writes to its directory any more.
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}
