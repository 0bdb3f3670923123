//! Walking a tree that an enemy made: by descriptors, without following a link, within bounds.

use std::{
    ffi::CStr,
    io,
    ops::ControlFlow,
    os::{fd::BorrowedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat},
    process::{Gid, Uid},
};

use crate::error::Error;

/// Folders within folders. Each costs a descriptor; the deepest `node_modules` have about 60.
pub(crate) const MAX_DEPTH: usize = 128;

/// Why a walk did not get to the end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// More than [`MAX_DEPTH`].
    TooDeep,
    /// The visitor had enough.
    Enough,
    Failed(io::Error),
}

/// Visits everything below `root`, folders before what is in them. What vanishes meanwhile, or may
/// not be read, is passed over.
pub(crate) fn walk(
    root: &Path,
    mut visit: impl FnMut(BorrowedFd<'_>, &CStr, &Stat) -> ControlFlow<()>,
) -> Result<(), Stop> {
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |at: BorrowedFd<'_>, name: &CStr| fs::openat(at, name, folder, Mode::empty());
    let root = std::ffi::CString::new(root.as_os_str().as_bytes())
        .map_err(|_| Stop::Failed(io::ErrorKind::InvalidInput.into()))?;
    let failed = |error: rustix::io::Errno| Stop::Failed(error.into());
    let mut stack = vec![Dir::new(open(CWD, &root).map_err(failed)?).map_err(failed)?];
    while let Some(dir) = stack.last_mut() {
        let entry = match dir.read() {
            None => {
                stack.pop();
                continue;
            }
            Some(Err(error)) => return Err(failed(error)),
            Some(Ok(entry)) => entry,
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let at = dir.fd().map_err(failed)?;
        let Ok(stat) = fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if visit(at, name, &stat).is_break() {
            return Err(Stop::Enough);
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let Ok(below) = open(at, name).and_then(Dir::new) else { continue };
            if stack.len() == MAX_DEPTH {
                return Err(Stop::TooDeep);
            }
            stack.push(below);
        }
    }
    Ok(())
}

/// Gives a tree to a user. Links are given, not followed; a hard link to what is somebody else's is
/// refused, as it may be a file of the host under a second name.
pub(crate) fn give(root: &Path, (user, group): (u32, u32)) -> Result<(), Error> {
    let chown = |at: BorrowedFd<'_>, name: &CStr| {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        fs::chownat(at, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)
    };
    let failed = |path: PathBuf, source: io::Error| Error::Folder {
        what: "change the owner of",
        path,
        source,
    };
    let mut problem = None;
    let walked = walk(root, |at, name, stat| {
        if stat.st_uid == user && stat.st_gid == group {
            return ControlFlow::Continue(());
        }
        let path = || PathBuf::from(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !is_folder && stat.st_nlink > 1 {
            problem = Some(failed(path(), io::Error::other("it has a second name (hard link)")));
            return ControlFlow::Break(());
        }
        match chown(at, name) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => ControlFlow::Continue(()),
            Err(error) => {
                problem = Some(failed(path(), error.into()));
                ControlFlow::Break(())
            }
        }
    });
    if let Some(problem) = problem {
        return Err(problem);
    }
    match walked {
        Ok(()) => {}
        Err(Stop::TooDeep | Stop::Enough) => {
            let source = io::Error::other(format!("more than {MAX_DEPTH} folders within folders"));
            return Err(failed(root.to_owned(), source));
        }
        Err(Stop::Failed(source)) => return Err(failed(root.to_owned(), source)),
    }
    let name = std::ffi::CString::new(root.as_os_str().as_bytes())
        .map_err(|_| failed(root.to_owned(), io::ErrorKind::InvalidInput.into()))?;
    chown(CWD, &name).map_err(|error| failed(root.to_owned(), error.into()))
}
