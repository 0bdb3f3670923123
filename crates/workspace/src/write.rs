//! Writing a checked tree to disk.
//!
//! Each folder is opened relative to its parent's descriptor without following links, and each file must be new, so
//! nothing that lies in the tree can send a later write elsewhere.

use std::{
    fs::File,
    io::Write,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use gix::objs::Kind;
use rustix::fs::{self, CWD, OFlags};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Mode,
    base::{self, BaseTree, EntryKind, Refusal},
};

const FOLDER: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);
/// A file that nothing has the name of yet.
pub(crate) const NEW_FILE: OFlags = OFlags::CREATE
    .union(OFlags::EXCL)
    .union(OFlags::WRONLY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens a folder without following a link in its last component.
pub(crate) fn open_folder(path: &Path) -> Result<OwnedFd, Error> {
    fs::openat(CWD, path, FOLDER, fs::Mode::empty())
        .map_err(|error| Error::io("can't open", path)(error.into()))
}

/// Opens a folder within an open one without following a link.
pub(crate) fn open_within(parent: impl AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    fs::openat(parent, name, FOLDER, fs::Mode::empty())
}

/// Fills the empty folder `root`.
pub(crate) fn write(
    repo: &gix::Repository,
    base: &BaseTree,
    root: &Path,
    cancel: &CancellationToken,
) -> Result<(), Refusal> {
    let top = open_folder(root)?;
    // The folders on the way to the current entry.
    let mut open: Vec<(&[u8], OwnedFd)> = Vec::new();
    for entry in &base.entries {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled.into());
        }
        let (folder, name) = match entry.path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&entry.path[..slash], &entry.path[slash + 1..]),
            None => (&[][..], &entry.path[..]),
        };
        while open.last().is_some_and(|(path, _)| *path != folder) {
            open.pop();
        }
        let parent = open.last().map_or(top.as_fd(), |(_, fd)| fd.as_fd());
        let failed = |error: rustix::io::Errno| {
            Refusal::Error(Error::io(
                "can't write",
                root.join(entry.path.escape_ascii().to_string()),
            )(error.into()))
        };
        match entry.kind {
            EntryKind::Folder => {
                fs::mkdirat(parent, name, fs::Mode::from_raw_mode(0o755)).map_err(failed)?;
                let fd = open_within(parent, name).map_err(failed)?;
                open.push((&entry.path, fd));
            }
            EntryKind::Submodule => {
                fs::mkdirat(parent, name, fs::Mode::from_raw_mode(0o755)).map_err(failed)?;
            }
            EntryKind::File(Mode::Symlink) => {
                let target = base::read(repo, entry.id, Kind::Blob, entry.size)?;
                fs::symlinkat(target.as_slice(), parent, name).map_err(failed)?;
            }
            EntryKind::File(mode) => {
                let content = base::read(repo, entry.id, Kind::Blob, entry.size)?;
                let bits = if mode == Mode::Executable { 0o755 } else { 0o644 };
                let fd = fs::openat(parent, name, NEW_FILE, fs::Mode::from_raw_mode(bits))
                    .map_err(failed)?;
                File::from(fd).write_all(&content).map_err(|error| {
                    Error::io("can't write", root.join(entry.path.escape_ascii().to_string()))(
                        error,
                    )
                })?;
            }
        }
    }
    Ok(())
}
