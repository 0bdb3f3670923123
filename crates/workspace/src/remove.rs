//! Removing what untrusted code made.
//!
//! `std::fs::remove_dir_all` holds a descriptor a level and stops at folders without permissions, so that a run could
//! leave a folder that nobody removes. Here folders are moved next to one another first, and opened up.

use std::{
    fs,
    io::{self, ErrorKind},
    os::{fd::BorrowedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{AtFlags, CWD, Mode},
    io::Errno,
};

/// Numbers the folders that this process moves, so that their names don't clash.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Moves a folder into `trash`, which is on the same file system, and returns where it is now.
pub(crate) fn discard(folder: &Path, trash: &Path) -> io::Result<PathBuf> {
    loop {
        let place =
            trash.join(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        match fs::rename(folder, &place) {
            Ok(()) => return Ok(place),
            // A leftover of an earlier process with our id.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty
                ) => {}
            Err(error) => return Err(error),
        }
    }
}

/// [`discard`] for a folder within an open one.
pub(crate) fn discard_within(
    parent: BorrowedFd<'_>,
    name: &[u8],
    trash: &Path,
) -> io::Result<PathBuf> {
    // As in `empty`: moving it needs the right to write in it.
    rustix::fs::chmodat(parent, name, Mode::from_raw_mode(0o700), AtFlags::empty())?;
    loop {
        let place =
            trash.join(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        match rustix::fs::renameat(parent, name, CWD, &place) {
            Ok(()) => return Ok(place),
            Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes a folder that lies in `trash`. What somebody else removes meanwhile is no error.
pub(crate) fn remove(discarded: PathBuf, trash: &Path) -> io::Result<()> {
    let mut folders = vec![discarded];
    while let Some(folder) = folders.pop() {
        if let Err(error) =
            empty(&folder, trash, &mut folders).and_then(|()| fs::remove_dir(&folder))
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    Ok(())
}

fn empty(folder: &Path, trash: &Path, folders: &mut Vec<PathBuf>) -> io::Result<()> {
    open_up(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            // Moving a folder rewrites its `..`, which needs the right to write in it.
            open_up(&path)?;
            folders.push(discard(&path, trash)?);
        } else if let Err(error) = fs::remove_file(&path)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    Ok(())
}

fn open_up(folder: &Path) -> io::Result<()> {
    let permissions = fs::symlink_metadata(folder)?.permissions();
    if permissions.mode() & 0o700 == 0o700 {
        return Ok(());
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_deeper_than_any_path_goes() {
        let root = tempfile::tempdir().unwrap();
        let trash = root.path().join("trash");
        fs::create_dir(&trash).unwrap();
        // Built from the inside out, as the whole path is longer than PATH_MAX.
        let (top, next) = (root.path().join("top"), root.path().join("next"));
        fs::create_dir(&top).unwrap();
        for _ in 0..3000 {
            fs::create_dir(&next).unwrap();
            fs::rename(&top, next.join("a-folder-with-a-name")).unwrap();
            fs::rename(&next, &top).unwrap();
        }
        fs::set_permissions(&top, fs::Permissions::from_mode(0o000)).unwrap();

        let place = discard(&top, &trash).unwrap();
        remove(place, &trash).unwrap();
        assert_eq!(fs::read_dir(&trash).unwrap().count(), 0);
    }

    #[test]
    fn a_link_is_removed_and_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let (trash, keep, top) =
            (root.path().join("trash"), root.path().join("keep"), root.path().join("top"));
        for folder in [&trash, &keep, &top] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(keep.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(&keep, top.join("link")).unwrap();

        remove(discard(&top, &trash).unwrap(), &trash).unwrap();
        assert!(keep.join("file").exists());
        assert!(!top.exists());
    }
}
