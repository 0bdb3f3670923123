//! Starting a process, and what it does before it becomes another program.

use std::{ffi::CString, io, os::fd::OwnedFd};

use rustix::{
    fs::{self, CWD, Mode, OFlags},
    io::FdFlags,
    mount::{self, MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags},
    process::{Gid, Resource, Rlimit, Uid},
    thread::{self, UnshareFlags},
};
use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::{mpsc, oneshot},
};

/// Where mounts are staged: a folder that every system has. Only the new process sees them there.
const STAGE: &std::ffi::CStr = c"/tmp";

/// Starts processes from one thread that lives as long as this value.
///
/// bubblewrap asks the kernel to be killed when the *thread* that started it ends, and an async
/// runtime ends threads when it has no work for them.
#[derive(Debug)]
pub(crate) struct Spawner {
    requests: mpsc::Sender<(Command, Handle, oneshot::Sender<io::Result<Child>>)>,
}

impl Spawner {
    pub(crate) fn start() -> io::Result<Self> {
        let (requests, mut inbox) = mpsc::channel::<(Command, Handle, oneshot::Sender<_>)>(16);
        std::thread::Builder::new().name("sandbox-spawn".to_owned()).spawn(move || {
            while let Some((mut command, runtime, reply)) = inbox.blocking_recv() {
                let _entered = runtime.enter();
                // Nobody waits for it any more: the child is killed as it is dropped.
                let _ = reply.send(command.spawn());
            }
        })?;
        Ok(Self { requests })
    }

    pub(crate) async fn spawn(&self, mut command: Command) -> io::Result<Child> {
        command.kill_on_drop(true);
        let gone = || io::Error::other("the thread that starts processes is gone");
        let (reply, answer) = oneshot::channel();
        self.requests.send((command, Handle::current(), reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// A folder or file to mount where any user can reach it.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) source: CString,
    /// Below [`STAGE`].
    pub(crate) target: CString,
    pub(crate) is_folder: bool,
}

/// What a child does between fork and exec.
#[derive(Debug, Default)]
pub(crate) struct Prelude {
    /// What to mount on the stage, in a mount namespace of the child's own. Needs root.
    pub(crate) stage: Vec<Staged>,
    /// Room for the mounts on their way, as nothing can be allocated then.
    pub(crate) staged: Vec<OwnedFd>,
    /// The user and group to become. Needs root.
    pub(crate) run_as: Option<(u32, u32)>,
    /// Limits to set on itself.
    pub(crate) limits: Vec<(Resource, u64)>,
    /// Descriptors to hand on. All others close.
    pub(crate) keep: Vec<OwnedFd>,
}

impl Prelude {
    /// Only system calls: another thread may have held the allocator's lock at the fork.
    fn run(&mut self) -> io::Result<()> {
        fs_umask();
        self.stage()?;
        for (resource, limit) in &self.limits {
            // Only root with all its capabilities could raise one that is lower already.
            let highest = rustix::process::getrlimit(*resource).maximum.unwrap_or(u64::MAX);
            let limit = (*limit).min(highest);
            // The signal for the processor time comes at the soft limit, the kill at the hard one.
            let spare = if *resource == Resource::Cpu { 5 } else { 0 };
            let hard = limit.saturating_add(spare).min(highest);
            let limit = Rlimit { current: Some(limit), maximum: Some(hard) };
            rustix::process::setrlimit(*resource, limit)?;
        }
        if let Some((user, group)) = self.run_as {
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
            thread::set_thread_groups(&[])?;
            thread::set_thread_res_gid(group, group, group)?;
            thread::set_thread_res_uid(user, user, user)?;
        }
        close_on_exec_all();
        for descriptor in &self.keep {
            rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?;
        }
        Ok(())
    }

    fn stage(&mut self) -> io::Result<()> {
        if self.stage.is_empty() {
            return Ok(());
        }
        thread_unshare_mounts()?;
        mount::mount_change(c"/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        // The sources may lie below the stage: they are opened before it is covered.
        let clone = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE
            | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
        for Staged { source, .. } in &self.stage {
            self.staged.push(mount::open_tree(CWD, source.as_c_str(), clone)?);
        }
        let flags = MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
        mount::mount(c"tmpfs", STAGE, c"tmpfs", flags, Some(c"mode=0755,size=65536"))?;
        for (Staged { target, is_folder, .. }, tree) in self.stage.iter().zip(&self.staged) {
            if *is_folder {
                fs::mkdirat(CWD, target.as_c_str(), Mode::RWXU | Mode::XGRP | Mode::XOTH)?;
            } else {
                let new = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                fs::openat(CWD, target.as_c_str(), new, Mode::RUSR)?;
            }
            let by_descriptor = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
            mount::move_mount(tree, c"", CWD, target.as_c_str(), by_descriptor)?;
        }
        Ok(())
    }
}

/// Has `command` run `prelude` in its child.
#[allow(unsafe_code)]
pub(crate) fn before_exec(command: &mut Command, mut prelude: Prelude) {
    // SAFETY: `Prelude::run` makes system calls only; it neither allocates nor takes a lock. What it
    // reads was made before the fork and is the child's own copy.
    unsafe { command.pre_exec(move || prelude.run()) };
}

fn fs_umask() {
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
}

fn thread_unshare_mounts() -> io::Result<()> {
    // After a fork there is one thread, so this is the whole process.
    #[allow(unsafe_code)]
    // SAFETY: only `CLONE_FILES` could pull descriptors from under another thread.
    unsafe {
        thread::unshare_unsafe(UnshareFlags::NEWNS)?;
    }
    Ok(())
}

/// Marks all descriptors but the standard three, also those that some library forgot to mark.
fn close_on_exec_all() {
    const FIRST: libc::c_uint = 3;
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: a system call with three numbers. It fails before Linux 5.11, where the marks of
    // whoever opened the descriptors have to do.
    #[allow(unsafe_code)]
    unsafe {
        libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC);
    }
}
