//! Control groups, where the machine has them and Booty may use them.
//!
//! They count what no limit of a single process does: memory of all processes together, memory
//! files and shared memory included.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::command::Limits;

const MOUNT: &str = "/sys/fs/cgroup";
const PREFIX: &str = "booty-sandbox-";
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Where groups can be made: folders of this process's own groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parents {
    memory: Option<(PathBuf, Version)>,
    pids: Option<(PathBuf, Version)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Parents {
    /// Looks for controllers that can be used, by using them once. Removes what runs that were
    /// killed have left.
    pub(crate) fn find() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut parents = Self {
            memory: parent(&own, "memory", "memory.limit_in_bytes", "memory.max"),
            pids: parent(&own, "pids", "pids.max", "pids.max"),
        };
        for (folder, _) in parents.all() {
            sweep(&folder);
        }
        let works = |group: io::Result<Group>, has: fn(&Group) -> bool| {
            group.map(|group| (has(&group), group.remove())).is_ok_and(|(has, _)| has)
        };
        if !works(parents.group(&Limits::default()), |group| group.memory.is_some()) {
            parents = Self::default();
        }
        parents
    }

    pub(crate) fn have_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// A new group with these limits; an empty one when there are no controllers.
    pub(crate) fn group(&self, limits: &Limits) -> io::Result<Group> {
        let name =
            format!("{PREFIX}{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let mut group = Group::default();
        for (parent, _) in self.all() {
            let folder = parent.join(&name);
            match fs::create_dir(&folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => group.folders.push(folder),
            }
        }
        if let Some((parent, version)) = &self.memory {
            let folder = parent.join(&name);
            let bytes = limits.memory_bytes.to_string();
            match version {
                Version::One => {
                    fs::write(folder.join("memory.limit_in_bytes"), &bytes)?;
                    // Absent where the kernel does not count swap.
                    let _ = fs::write(folder.join("memory.memsw.limit_in_bytes"), &bytes);
                    group.memory = Some(MemoryKills(folder.join("memory.oom_control")));
                }
                Version::Two => {
                    fs::write(folder.join("memory.max"), &bytes)?;
                    let _ = fs::write(folder.join("memory.swap.max"), "0");
                    group.memory = Some(MemoryKills(folder.join("memory.events")));
                }
            }
        }
        if let Some((parent, _)) = &self.pids {
            // bubblewrap's own init is one of them.
            fs::write(parent.join(&name).join("pids.max"), (limits.processes + 1).to_string())?;
        }
        Ok(group)
    }

    fn all(&self) -> Vec<(PathBuf, Version)> {
        let mut all: Vec<_> = [&self.memory, &self.pids].into_iter().flatten().cloned().collect();
        all.dedup();
        all
    }
}

/// The groups of one run. Dropping it removes them when nothing is left in them.
#[derive(Debug, Default)]
pub(crate) struct Group {
    folders: Vec<PathBuf>,
    memory: Option<MemoryKills>,
}

/// The file that says how often the kernel killed in a group because it had too much memory.
#[derive(Debug, Clone)]
pub(crate) struct MemoryKills(PathBuf);

impl MemoryKills {
    pub(crate) fn any(&self) -> bool {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.is_some_and(|count| count.trim() != "0")
    }
}

impl Group {
    pub(crate) fn add(&self, pid: i32) -> io::Result<()> {
        self.folders
            .iter()
            .try_for_each(|folder| fs::write(folder.join("cgroup.procs"), pid.to_string()))
    }

    pub(crate) fn kills(&self) -> Option<MemoryKills> {
        self.memory.clone()
    }

    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.memory.as_ref().is_some_and(MemoryKills::any)
    }

    /// Waits a little for the kernel to take the last process out.
    pub(crate) async fn settle(&self) {
        for _ in 0..50 {
            if self.remove() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether it is gone now.
    pub(crate) fn remove(&self) -> bool {
        self.folders.iter().fold(true, |all, folder| {
            let gone = match fs::remove_dir(folder) {
                Ok(()) => true,
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
            all && gone
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The folder of our own group for a controller, if it looks as if groups could be made in it.
fn parent(
    own: &str,
    controller: &str,
    file_one: &str,
    file_two: &str,
) -> Option<(PathBuf, Version)> {
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let path = path.trim_start_matches('/');
        if controllers.split(',').any(|name| name == controller) {
            let folder = Path::new(MOUNT).join(controllers).join(path);
            if folder.join(file_one).exists() || folder.join("cgroup.procs").exists() {
                return Some((folder, Version::One));
            }
        } else if controllers.is_empty() {
            let folder = Path::new(MOUNT).join(path);
            let passed_on =
                fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
            if passed_on.split_whitespace().any(|name| name == controller) && !file_two.is_empty() {
                return Some((folder, Version::Two));
            }
        }
    }
    None
}

/// Removes groups whose Booty is gone.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}
