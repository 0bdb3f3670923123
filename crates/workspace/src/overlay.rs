//! Putting files of one tree over another, in a folder that a run may have been in.
//!
//! Every step is taken from an open folder and follows no link, so a planted link leads nowhere: it is replaced.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{self, AtFlags, FileType},
    io::Errno,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Mode, TreeLimits, path, remove,
    write::{NEW_FILE, open_folder, open_within},
};

/// A file as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    /// What it is.
    pub mode: Mode,
    /// Its bytes; a link's target for a link.
    pub content: Vec<u8>,
}

/// Writes or, without content, deletes files below `root`. What stands in the way goes to `trash`.
pub(crate) fn overlay(
    root: &Path,
    trash: &Path,
    files: &[(Vec<u8>, Option<FileContent>)],
    limits: &TreeLimits,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    check(files, limits)?;
    let top = open_folder(root)?;
    // First what goes, so that a folder's last file does not take with it what came.
    let (new, gone): (Vec<_>, Vec<_>) = files.iter().partition(|(_, content)| content.is_some());
    for (path, content) in gone.into_iter().chain(new) {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let failed = Error::io("can't write", root.join(path.escape_ascii().to_string()));
        match content {
            Some(file) => put(&top, trash, path, file).map_err(failed)?,
            None => delete(&top, trash, path).map_err(failed)?,
        }
    }
    Ok(())
}

/// Everything, before the first byte is written.
fn check(files: &[(Vec<u8>, Option<FileContent>)], limits: &TreeLimits) -> Result<(), Error> {
    let mut bytes = 0_u64;
    let mut links = BTreeMap::new();
    for (path, content) in files {
        let names: Vec<_> = path.split(|&byte| byte == b'/').collect();
        let is_link = content.as_ref().is_some_and(|file| file.mode == Mode::Symlink);
        for (i, name) in names.iter().enumerate() {
            path::check_name(name, path, is_link && i + 1 == names.len())?;
        }
        let too_large = |what: String, limit: u64, found: usize| {
            (found as u64 > limit)
                .then(|| Error::too_large(what, limit, found as u64))
                .map_or(Ok(()), Err)
        };
        too_large("bytes in one path".into(), limits.path_bytes as u64, path.len())?;
        let depth = limits.depth as u64;
        too_large("folders within one another".into(), depth, names.len() - 1)?;
        let Some(file) = content else { continue };
        let what = format!("bytes in {}", path.escape_ascii());
        too_large(what, limits.file_bytes, file.content.len())?;
        bytes = bytes.saturating_add(file.content.len() as u64);
        if bytes > limits.total_bytes {
            return Err(Error::too_large("bytes in the tree", limits.total_bytes, bytes));
        }
        if is_link {
            if file.content.len() as u64 > path::TARGET_MAX {
                return Err(Error::hostile(path, "a link with a target too long for any path"));
            }
            links.insert(path.clone(), file.content.clone());
        }
    }
    path::check_links(&links)
}

fn put(top: &OwnedFd, trash: &Path, path: &[u8], file: &FileContent) -> io::Result<()> {
    let (folders, name) = split(path);
    let mut folder = top.try_clone()?;
    for inner in folders {
        folder = match open_within(&folder, inner) {
            Ok(found) => found,
            Err(error) => {
                match error {
                    Errno::NOENT => {}
                    Errno::NOTDIR | Errno::LOOP => fs::unlinkat(&folder, inner, AtFlags::empty())?,
                    _ => return Err(error.into()),
                }
                fs::mkdirat(&folder, inner, fs::Mode::from_raw_mode(0o755))?;
                open_within(&folder, inner)?
            }
        };
    }
    clear(&folder, trash, name)?;
    let bits = match file.mode {
        Mode::Symlink => return Ok(fs::symlinkat(file.content.as_slice(), &folder, name)?),
        Mode::Executable => 0o755,
        Mode::Regular => 0o644,
    };
    let fd = fs::openat(&folder, name, NEW_FILE, fs::Mode::from_raw_mode(bits))?;
    File::from(fd).write_all(&file.content)
}

/// Deletes a file, and the folders that are empty without it, as git does.
fn delete(top: &OwnedFd, trash: &Path, path: &[u8]) -> io::Result<()> {
    let (folders, name) = split(path);
    let mut open = vec![top.try_clone()?];
    for inner in &folders {
        let Some(folder) = open.last() else { break };
        match open_within(folder, inner) {
            Ok(found) => open.push(found),
            // Nothing is below what is no folder.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    let Some(folder) = open.last() else { return Ok(()) };
    clear(folder, trash, name)?;
    for (inner, folder) in folders.iter().zip(&open).rev() {
        if fs::unlinkat(folder, *inner, AtFlags::REMOVEDIR).is_err() {
            break;
        }
    }
    Ok(())
}

/// Makes a name free, whatever has it.
fn clear(folder: &OwnedFd, trash: &Path, name: &[u8]) -> io::Result<()> {
    let stat = match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(stat.st_mode).is_dir() {
        remove::remove(remove::discard_within(folder.as_fd(), name, trash)?, trash)
    } else {
        Ok(fs::unlinkat(folder, name, AtFlags::empty())?)
    }
}

fn split(path: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut names: Vec<_> = path.split(|&byte| byte == b'/').collect();
    let name = names.pop().unwrap_or_default();
    (names, name)
}
