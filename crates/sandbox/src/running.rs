//! A command from its start to the death of its last descendant.

use std::{
    io,
    os::fd::OwnedFd,
    process::ExitStatus,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Resource, Signal, WaitId, WaitIdOptions};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::unix::pipe::Receiver,
    process::Child,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cgroup::Group,
    command::Limits,
    error::Error,
    output::Capture,
    result::{End, Limit},
    watch::Watch,
};

/// How long a killed namespace may take to be gone: the two seconds that are promised, with time to
/// tell.
const DEATH: Duration = Duration::from_millis(1_500);
/// How much is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Whom to kill so that all are dead.
#[derive(Debug)]
pub(crate) enum Victim {
    /// The init of a PID namespace: the kernel kills everyone else in it.
    Init(AsyncFd<OwnedFd>),
    /// A process group, for want of a namespace.
    ProcessGroup(Pid),
}

impl Victim {
    /// `pid` is alive and stays so during this call.
    pub(crate) fn init(pid: Pid) -> io::Result<Self> {
        let descriptor = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        // What replaces it is unsafe, for types that may change their descriptor. This one owns its.
        #[allow(deprecated)]
        let registered = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        Ok(Self::Init(registered))
    }

    pub(crate) fn kill(&self) {
        // Fails when it is dead already.
        let _ = match self {
            Self::Init(init) => rustix::process::pidfd_send_signal(init, Signal::KILL),
            Self::ProcessGroup(group) => rustix::process::kill_process_group(*group, Signal::KILL),
        };
    }

    /// Waits until everyone in the namespace is dead, which the kernel says with the end of its init.
    pub(crate) async fn dead(&self) {
        if let Self::Init(init) = self {
            if timeout(DEATH, init.readable()).await.is_err() {
                tracing::warn!(event = "sandbox_slow_death", "a killed sandbox is not gone yet");
            }
            // Where Booty is the machine's first process, orphans are its to bury.
            let _ = rustix::process::waitid(
                WaitId::PidFd(std::os::fd::AsFd::as_fd(init.get_ref())),
                WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
            );
        }
    }
}

/// A started command. Dropping it kills everyone.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) victim: Victim,
    pub(crate) group: Group,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.victim.kill();
        // After a whole run it is removed already; a dropped one leaves the dying in it for a moment.
        let group = std::mem::take(&mut self.group);
        if let (false, Ok(runtime)) = (group.remove(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { group.settle().await });
        }
    }
}

impl Running {
    /// Follows it to its end, and says how the started process ended unless we ended it.
    pub(crate) async fn follow(
        &mut self,
        output: &mut Output,
        limits: &Limits,
        watch: Watch,
        cancel: &CancellationToken,
        started: Instant,
    ) -> Result<Result<ExitStatus, End>, Error> {
        let mut ours = None;
        let over = watch.overrun();
        let deadline = sleep(limits.wall.saturating_sub(started.elapsed()));
        tokio::pin!(over, deadline);
        let status = loop {
            let end = tokio::select! {
                biased;
                status = self.child.wait() => break status,
                () = cancel.cancelled(), if ours.is_none() => End::Cancelled,
                () = &mut deadline, if ours.is_none() => End::TimedOut,
                limit = &mut over, if ours.is_none() => End::OverLimit(limit),
                () = output.read() => continue,
            };
            ours = Some(end);
            self.victim.kill();
            // bubblewrap follows its init at once; if it doesn't, it is made to.
            if let Ok(status) = timeout(DEATH, self.child.wait()).await {
                break status;
            }
            let _ = self.child.start_kill();
        };
        // Descendants that outlived the command, or left its process group.
        self.victim.kill();
        self.victim.dead().await;
        output.drain().await;
        let out_of_memory = self.group.ran_out_of_memory();
        self.group.settle().await;
        let status = status.map_err(Error::system("wait for the command"))?;
        Ok(match ours {
            Some(end) => Err(end),
            // Whatever the command made of it: a part of it was killed.
            None if out_of_memory => Err(End::OverLimit(Limit::Memory)),
            None => Ok(status),
        })
    }
}

/// Reads what the command prints, always, so that it never waits for us.
#[derive(Debug)]
pub(crate) struct Output {
    pipe: Receiver,
    open: bool,
    chunk: Vec<u8>,
    pub(crate) capture: Capture,
}

impl Output {
    pub(crate) fn new(pipe: OwnedFd, limit: usize) -> io::Result<Self> {
        // Fewer turns for a loud command. Refused where a user may not have more pipe memory.
        let _ = rustix::pipe::fcntl_setpipe_size(&pipe, 1024 * 1024);
        let pipe = Receiver::from_owned_fd(pipe)?;
        Ok(Self { pipe, open: true, chunk: vec![0; CHUNK_BYTES], capture: Capture::new(limit) })
    }

    /// Reads once. Never ends when the pipe is closed. Dropping it loses nothing.
    pub(crate) async fn read(&mut self) {
        if !self.open {
            return std::future::pending().await;
        }
        match self.pipe.readable().await.and_then(|()| self.pipe.try_read(&mut self.chunk)) {
            Ok(0) => self.open = false,
            Ok(length) => self.capture.push(&self.chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.open = false,
        }
    }

    /// Reads what is left. All writers are dead, or as good as.
    pub(crate) async fn drain(&mut self) {
        let rest = async {
            while self.open {
                self.read().await;
            }
        };
        let _ = timeout(DEATH, rest).await;
    }
}

/// The limits that the kernel holds for each process; set before the sandbox is made.
///
/// The number of processes is not among them. It is set inside, in the sandbox's own user namespace
/// (see `bwrap`), where it counts that sandbox's processes alone since Linux 5.14.
pub(crate) fn resource_limits(limits: &Limits) -> Vec<(Resource, u64)> {
    vec![
        (Resource::Core, 0),
        (Resource::Cpu, limits.cpu.as_secs().max(1)),
        // Not the address space: Node and Go reserve far more of that than they use.
        (Resource::Data, limits.memory_bytes),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Nofile, limits.open_files),
    ]
}
