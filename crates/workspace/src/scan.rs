//! The work tree as a run left it, compared with the base. Nothing in it is trusted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use gix::{ObjectId, objs::Kind};
use rustix::{
    fs::{self, AtFlags, FileType, OFlags},
    io::Errno,
};
use tokio_util::sync::CancellationToken;

use crate::{
    BaseFile, Error, Mode, TreeLimits,
    base::{BaseTree, EntryKind, join},
    ignore::IgnoreRules,
    path::{self, BareRepository},
    write::{open_folder, open_within},
};

/// A regular file is opened without following a link, and without waiting should it be a pipe after all.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// What the base has under a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tracked {
    pub(crate) mode: Mode,
    pub(crate) id: ObjectId,
    pub(crate) size: u64,
}

/// What the work tree has where it differs from the base.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) mode: Mode,
    pub(crate) content: Vec<u8>,
    /// Whether the bytes, and not only the mode, are other than the base's.
    pub(crate) other_bytes: bool,
}

/// The differences, by path.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// Paths that are new, or other than in the base.
    pub(crate) found: BTreeMap<Vec<u8>, Found>,
    /// Paths of the base that are gone.
    pub(crate) gone: Vec<Vec<u8>>,
}

/// The base's files by path, and what else a scan must know of it.
#[derive(Debug)]
pub(crate) struct BaseIndex {
    pub(crate) files: BTreeMap<Vec<u8>, Tracked>,
    folders: BTreeSet<Vec<u8>>,
    submodules: BTreeSet<Vec<u8>>,
}

impl BaseIndex {
    pub(crate) fn new(base: BaseTree) -> Self {
        let mut this =
            Self { files: BTreeMap::new(), folders: BTreeSet::new(), submodules: BTreeSet::new() };
        for entry in base.entries {
            match entry.kind {
                EntryKind::Folder => {
                    this.folders.insert(entry.path);
                }
                EntryKind::Submodule => {
                    this.submodules.insert(entry.path);
                }
                EntryKind::File(mode) => {
                    this.files.insert(entry.path, Tracked { mode, id: entry.id, size: entry.size });
                }
            }
        }
        this
    }

    /// The files, sorted by path.
    pub(crate) fn list(&self) -> Vec<BaseFile> {
        let list = self.files.iter().map(|(path, tracked)| BaseFile {
            path: path.clone(),
            mode: tracked.mode,
            size: tracked.size,
        });
        list.collect()
    }
}

/// Compares. Refuses what must not be in a repository, whether git would take it or not.
pub(crate) fn scan(
    root: &Path,
    base: &BaseIndex,
    rules: &IgnoreRules,
    limits: &TreeLimits,
    cancel: &CancellationToken,
) -> Result<Differences, Error> {
    let mut scan = Scan {
        base,
        rules,
        limits,
        cancel,
        entries: 0,
        bytes: 0,
        changed: 0,
        links: BTreeMap::new(),
        seen: BTreeSet::new(),
        differences: Differences::default(),
    };
    scan.folder(&open_folder(root)?, &[], 0, false)?;
    path::check_links(&scan.links)?;
    let Scan { seen, mut differences, .. } = scan;
    differences.gone = base.files.keys().filter(|path| !seen.contains(*path)).cloned().collect();
    Ok(differences)
}

struct Scan<'a> {
    base: &'a BaseIndex,
    rules: &'a IgnoreRules,
    limits: &'a TreeLimits,
    cancel: &'a CancellationToken,
    entries: usize,
    bytes: u64,
    changed: u64,
    links: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Paths of the base that are still there.
    seen: BTreeSet<Vec<u8>>,
    differences: Differences,
}

impl Scan<'_> {
    /// Calls itself once a level, `limits.depth` levels at the most.
    fn folder(
        &mut self,
        fd: &OwnedFd,
        folder: &[u8],
        depth: usize,
        ignored: bool,
    ) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if depth > self.limits.depth {
            return Err(Error::too_large(
                "folders within one another",
                self.limits.depth as u64,
                depth as u64,
            ));
        }
        let mut bare = BareRepository::default();
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(fd).map_err(|error| unreadable(folder, error))? {
            let entry = entry.map_err(|error| unreadable(folder, error))?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            self.entries += 1;
            if self.entries > self.limits.files {
                let limit = self.limits.files as u64;
                return Err(Error::too_large(
                    "files and folders in the work tree",
                    limit,
                    limit + 1,
                ));
            }
            names.push(name.to_vec());
        }
        names.sort_unstable();
        for name in names {
            let path = join(folder, &name);
            let stat = fs::statat(fd, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| unreadable(&path, error))?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            path::check_name(&name, &path, kind.is_symlink())?;
            if path.len() > self.limits.path_bytes {
                return Err(Error::too_large(
                    "bytes in one path",
                    self.limits.path_bytes as u64,
                    path.len() as u64,
                ));
            }
            bare.note(&name, kind.is_dir());
            let tracked = self.base.files.get(&path).copied();
            let ignored =
                tracked.is_none() && (ignored || self.rules.is_ignored(&path, kind.is_dir()));
            match kind {
                FileType::Directory => self.inner(fd, &name, &path, depth, ignored)?,
                _ if ignored => {}
                FileType::RegularFile => self.file(fd, &name, path, tracked)?,
                FileType::Symlink => self.link(fd, &name, path, tracked)?,
                FileType::Fifo => return Err(Error::hostile(&path, "a named pipe")),
                FileType::Socket => return Err(Error::hostile(&path, "a socket")),
                _ => return Err(Error::hostile(&path, "a device")),
            }
        }
        bare.check(folder)
    }

    fn inner(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        path: &[u8],
        depth: usize,
        ignored: bool,
    ) -> Result<(), Error> {
        let known = self.base.folders.contains(path);
        if ignored && !known {
            return Ok(());
        }
        let fd = open_within(parent, name).map_err(|error| unreadable(path, error))?;
        if self.base.submodules.contains(path) {
            let mut entries = fs::Dir::read_from(&fd).map_err(|error| unreadable(path, error))?;
            let empty = entries.all(|entry| {
                entry.is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))
            });
            return if empty {
                Ok(())
            } else {
                Err(Error::hostile(path, "files in a submodule, which is another repository"))
            };
        }
        self.folder(&fd, path, depth + 1, ignored)
    }

    fn file(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        path: Vec<u8>,
        tracked: Option<Tracked>,
    ) -> Result<(), Error> {
        let fd = fs::openat(parent.as_fd(), name, FILE, fs::Mode::empty())
            .map_err(|error| unreadable(&path, error))?;
        let stat = fs::fstat(&fd).map_err(|error| unreadable(&path, error))?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(Error::hostile(
                &path,
                "a file that became something else while it was read",
            ));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        self.count(&path, size)?;
        let mode = if stat.st_mode & 0o100 == 0 { Mode::Regular } else { Mode::Executable };
        let mut content = Vec::new();
        // One byte more than it says, to see whether it grows.
        File::from(fd)
            .take(size.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|error| Error::hostile(&path, format!("it can't be read: {error}")))?;
        if content.len() as u64 != size {
            return Err(Error::hostile(&path, "a file that changes while it is read"));
        }
        self.compare(path, mode, content, tracked)
    }

    fn link(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        path: Vec<u8>,
        tracked: Option<Tracked>,
    ) -> Result<(), Error> {
        let target = fs::readlinkat(parent, name, Vec::new())
            .map_err(|error| unreadable(&path, error))?
            .into_bytes();
        self.count(&path, target.len() as u64)?;
        self.links.insert(path.clone(), target.clone());
        self.compare(path, Mode::Symlink, target, tracked)
    }

    fn count(&mut self, path: &[u8], size: u64) -> Result<(), Error> {
        if size > self.limits.file_bytes {
            return Err(Error::too_large(
                format!("bytes in {}", path.escape_ascii()),
                self.limits.file_bytes,
                size,
            ));
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.limits.total_bytes {
            return Err(Error::too_large(
                "bytes in the work tree",
                self.limits.total_bytes,
                self.bytes,
            ));
        }
        Ok(())
    }

    fn compare(
        &mut self,
        path: Vec<u8>,
        mode: Mode,
        content: Vec<u8>,
        tracked: Option<Tracked>,
    ) -> Result<(), Error> {
        let other_bytes = match tracked {
            None => true,
            Some(tracked) => {
                self.seen.insert(path.clone());
                let other_bytes =
                    tracked.size != content.len() as u64 || blob_id(&path, &content)? != tracked.id;
                if !other_bytes && tracked.mode == mode {
                    return Ok(());
                }
                other_bytes
            }
        };
        self.changed = self.changed.saturating_add(content.len() as u64);
        if self.changed > self.limits.changed_bytes {
            return Err(Error::too_large(
                "bytes in changed files",
                self.limits.changed_bytes,
                self.changed,
            ));
        }
        self.differences.found.insert(path, Found { mode, content, other_bytes });
        Ok(())
    }
}

fn blob_id(path: &[u8], content: &[u8]) -> Result<ObjectId, Error> {
    gix::objs::compute_hash(gix::hash::Kind::Sha1, Kind::Blob, content)
        .map_err(|error| Error::hostile(path, format!("its bytes attack SHA-1: {error}")))
}

fn unreadable(path: &[u8], error: Errno) -> Error {
    Error::hostile(path, format!("it can't be read: {error}"))
}
