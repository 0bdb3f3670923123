//! Limits that the kernel does not hold for us: looked at again and again.

use std::{
    collections::HashSet,
    fs,
    ops::ControlFlow,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{CWD, Mode, OFlags};

use crate::{
    cgroup::MemoryKills,
    command::Limits,
    result::Limit,
    tree::{self, Stop},
};

/// A disk takes about 200 MB in this time.
const PAUSE: Duration = Duration::from_millis(200);
/// A look may take a fifth of one processor.
const PAUSE_PER_LOOK: u32 = 4;
/// Below this the file system is full for everyone else on the machine.
const FREE_FLOOR_BYTES: u64 = 256 * 1024 * 1024;
/// Open files that are looked at in one look, to find what was deleted and still grows.
const MAX_DESCRIPTORS: usize = 10_000;

/// What a tree holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    bytes: u64,
    entries: u64,
}

/// Everything a look needs. Made before the command starts.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The work tree first, then the other folders and files that can be written.
    trees: Vec<PathBuf>,
    before: Usage,
    free_before: u64,
    limits: Limits,
    /// The sandbox's own file systems.
    scratch: Vec<OwnedFd>,
    /// The folder in `/proc` of the init of its PID namespace, and the namespace's name.
    namespace: Option<(PathBuf, PathBuf)>,
    count_memory: bool,
    /// Where the kernel counts how often it killed for memory.
    kills: Option<MemoryKills>,
}

impl Watch {
    /// Measures the trees as they are now. Blocks.
    pub(crate) fn new(trees: Vec<PathBuf>, limits: Limits, count_memory: bool) -> Self {
        // If a tree is too deep before anything ran, the first look says so.
        let before =
            measure(&trees, Usage { bytes: u64::MAX, entries: u64::MAX }).unwrap_or_default();
        let free_before = free_bytes(&trees);
        Self {
            trees,
            before,
            free_before,
            limits,
            scratch: Vec::new(),
            namespace: None,
            count_memory,
            kills: None,
        }
    }

    /// Tells it which sandbox to look into; `init` is alive and stays so during this call.
    pub(crate) fn attach(&mut self, init: i32, kills: Option<MemoryKills>) {
        self.kills = kills;
        let process = Path::new("/proc").join(init.to_string());
        self.namespace = fs::read_link(process.join("ns/pid")).ok().map(|name| (process, name));
    }

    /// Opens the sandbox's own file systems, once bubblewrap has mounted them. Until then, the same
    /// paths are the host's: only what has the size that was asked for is taken.
    fn open_scratch(&mut self) {
        let Some((process, namespace)) = &self.namespace else { return };
        if !self.scratch.is_empty()
            || !fs::read_link(process.join("ns/pid")).is_ok_and(|now| now == *namespace)
        {
            return;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let size = scratch_bytes(&self.limits);
        let ours = |file_system: &OwnedFd| {
            let now = rustix::fs::fstatvfs(file_system);
            now.is_ok_and(|now| now.f_blocks == size.div_ceil(now.f_frsize))
        };
        let open =
            |folder| rustix::fs::openat(CWD, process.join(folder), flags, Mode::empty()).ok();
        self.scratch =
            ["root/tmp", "root/dev/shm"].into_iter().filter_map(open).filter(ours).collect();
    }

    /// Ends when a limit is passed, and never otherwise. Dropping it is fine at any time.
    pub(crate) async fn overrun(self) -> Limit {
        let mut watch = self;
        loop {
            let started = Instant::now();
            let looked = tokio::task::spawn_blocking(move || {
                let found = watch.look();
                (watch, found)
            });
            match looked.await {
                Ok((_, Some(limit))) => return limit,
                Ok((same, None)) => watch = same,
                // The runtime is going down, and all futures with it.
                Err(_) => return std::future::pending().await,
            }
            tokio::time::sleep(PAUSE.max(started.elapsed() * PAUSE_PER_LOOK)).await;
        }
    }

    fn look(&mut self) -> Option<Limit> {
        self.open_scratch();
        let most = Usage {
            bytes: self.before.bytes.saturating_add(self.limits.disk_bytes),
            entries: self.before.entries.saturating_add(self.limits.disk_entries),
        };
        let usage = match measure(&self.trees, most) {
            Ok(usage) => usage,
            Err(limit) => return Some(limit),
        };
        if self.free_before > 2 * FREE_FLOOR_BYTES && free_bytes(&self.trees) < FREE_FLOOR_BYTES {
            return Some(Limit::Disk);
        }
        for file_system in &self.scratch {
            let Ok(now) = rustix::fs::fstatvfs(file_system) else { continue };
            if now.f_files.saturating_sub(now.f_ffree) > self.limits.disk_entries {
                return Some(Limit::DiskEntries);
            }
        }
        if self.kills.as_ref().is_some_and(MemoryKills::any) {
            return Some(Limit::Memory);
        }
        let processes = self.processes();
        let (on_disk, in_memory) = self.nameless_bytes(&processes);
        if usage.bytes.saturating_add(on_disk) > most.bytes {
            return Some(Limit::Disk);
        }
        let too_much = self.count_memory
            && in_memory.max(self.memory_bytes(&processes)) > self.limits.memory_bytes;
        too_much.then_some(Limit::Memory)
    }

    /// The processes of the sandbox's PID namespace.
    fn processes(&self) -> Vec<PathBuf> {
        let Some((_, namespace)) = &self.namespace else { return Vec::new() };
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let is_process = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.bytes().all(|byte| byte.is_ascii_digit())
                && fs::read_link(path.join("ns/pid")).is_ok_and(|name| name == *namespace)
        };
        entries.flatten().map(|entry| entry.path()).filter(is_process).collect()
    }

    /// What open files hold that have no name: on the trees' disks, and in memory.
    fn nameless_bytes(&self, processes: &[PathBuf]) -> (u64, u64) {
        let devices: HashSet<u64> =
            self.trees.iter().filter_map(|tree| Some(fs::metadata(tree).ok()?.dev())).collect();
        let mut seen = HashSet::new();
        processes
            .iter()
            .filter_map(|process| fs::read_dir(process.join("fd")).ok())
            .flat_map(|descriptors| descriptors.flatten())
            .take(MAX_DESCRIPTORS)
            .filter_map(|descriptor| fs::metadata(descriptor.path()).ok())
            .filter(|file| file.is_file() && file.nlink() == 0)
            .filter(|file| seen.insert((file.dev(), file.ino())))
            .fold((0, 0), |(disk, memory), file| match devices.contains(&file.dev()) {
                true => (disk + file.blocks() * 512, memory),
                false => (disk, memory + file.blocks() * 512),
            })
    }

    /// Memory of all processes. What they share is counted once if it matters.
    fn memory_bytes(&self, processes: &[PathBuf]) -> u64 {
        let resident: u64 =
            processes.iter().map(|process| field_bytes(process, "status", "VmRSS:")).sum();
        if resident <= self.limits.memory_bytes {
            return resident;
        }
        processes.iter().map(|process| field_bytes(process, "smaps_rollup", "Pss:")).sum()
    }
}

/// The size of each of the sandbox's own file systems, which are memory.
pub(crate) fn scratch_bytes(limits: &Limits) -> u64 {
    limits.disk_bytes.min(limits.memory_bytes)
}

/// Counts trees together, up to `most`. One of them may be a file.
fn measure(trees: &[PathBuf], most: Usage) -> Result<Usage, Limit> {
    let mut usage = Usage::default();
    let mut linked = HashSet::new();
    for tree in trees {
        let walked = tree::walk(tree, |_, _, stat| {
            usage.entries += 1;
            if stat.st_nlink < 2 || linked.insert((stat.st_dev, stat.st_ino)) {
                let bytes = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
                usage.bytes = usage.bytes.saturating_add(bytes);
            }
            match usage.bytes > most.bytes || usage.entries > most.entries {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        match walked {
            Ok(()) => {}
            Err(Stop::TooDeep) => return Err(Limit::Depth),
            Err(Stop::Enough) if usage.bytes > most.bytes => return Err(Limit::Disk),
            Err(Stop::Enough) => return Err(Limit::DiskEntries),
            // It is the command's tree: it may take away what we look at.
            Err(Stop::Failed(_)) => {
                let file = fs::symlink_metadata(tree).ok().filter(fs::Metadata::is_file);
                usage.bytes += file.map_or(0, |file| file.blocks() * 512);
            }
        }
    }
    match usage.bytes > most.bytes {
        true => Err(Limit::Disk),
        false => Ok(usage),
    }
}

fn free_bytes(trees: &[PathBuf]) -> u64 {
    let free = |tree: &PathBuf| {
        rustix::fs::statvfs(tree).map_or(u64::MAX, |now| now.f_bavail.saturating_mul(now.f_frsize))
    };
    trees.iter().map(free).min().unwrap_or(u64::MAX)
}

/// A line `Name:   123 kB` of a file in `/proc`.
fn field_bytes(process: &Path, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(process.join(file)).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}
