//! Removing caches. What is in them was made by an enemy: links are not followed.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use rustix::fs::FlockOperation;

use super::{COMPLETE, CacheError, Complete, at, has};

/// How the name of a folder ends that is being removed.
const GONE: &str = ".gone";

/// Removes the longest unused ones until the rest is small enough. Those in use stay.
pub(super) fn evict(root: &Path, max_bytes: u64) {
    let mut all = list(root);
    all.sort_by_key(|(used, ..)| *used);
    let mut sum: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, bytes, folder) in all {
        if sum <= max_bytes {
            return;
        }
        let mut name = folder.clone().into_os_string();
        name.push(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(name);
        // A second descriptor of our own process is another holder too.
        let free = lock
            .as_ref()
            .is_ok_and(|lock| has(lock, FlockOperation::NonBlockingLockExclusive).unwrap_or(false));
        if free && remove(&folder).is_ok() {
            tracing::info!(event = "setup_cache_evicted", folder = %folder.display(), bytes, "removed");
            sum = sum.saturating_sub(bytes);
        }
    }
}

/// The whole ones: last use, size, folder.
fn list(root: &Path) -> Vec<(SystemTime, u64, PathBuf)> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let whole = |entry: fs::DirEntry| {
        let marker = entry.path().join(COMPLETE);
        let used = fs::metadata(&marker).ok()?.modified().ok()?;
        let complete: Complete = serde_json::from_slice(&fs::read(&marker).ok()?).ok()?;
        // An unfinished one is its filler's.
        entry.path().extension().is_none().then(|| (used, complete.bytes, entry.path()))
    };
    entries.filter_map(whole).collect()
}

/// Removes a folder, out of sight first, so that half of one is never taken for a whole.
pub(super) fn remove(folder: &Path) -> Result<(), CacheError> {
    match put_aside(folder)? {
        Some(aside) => clear(&aside),
        None => Ok(()),
    }
}

/// Takes a folder out of sight, if it is there.
pub(super) fn put_aside(folder: &Path) -> Result<Option<PathBuf>, CacheError> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut aside = folder.to_owned().into_os_string();
    aside.push(format!(".{}-{number}{GONE}", std::process::id()));
    let aside = PathBuf::from(aside);
    match fs::rename(folder, &aside) {
        Ok(()) => Ok(Some(aside)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(folder)(error)),
    }
}

/// Removes what a crash left of removals. Another process may be at it too.
pub(super) fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().ends_with(GONE.as_bytes()) {
            let _ = clear(&entry.path());
        }
    }
}

pub(super) fn clear(folder: &Path) -> Result<(), CacheError> {
    for attempt in 0..2 {
        match fs::remove_dir_all(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // go makes the folders of its modules read-only, and we are their owner.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && attempt == 0 => {
                open_up(folder, 0);
            }
            Err(error) => return Err(at(folder)(error)),
        }
    }
    Ok(())
}

/// Lets folders be emptied. Their owner is us, or we are root and were not refused.
fn open_up(folder: &Path, depth: usize) {
    let Ok(found) = fs::symlink_metadata(folder) else { return };
    if !found.is_dir() || depth > 128 {
        return;
    }
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        open_up(&entry.path(), depth + 1);
    }
}

/// What a folder takes of the disk.
pub(super) fn bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let found = fs::symlink_metadata(entry.path()).ok()?;
            let below = if found.is_dir() { bytes(&entry.path()) } else { 0 };
            Some(found.blocks() * 512 + below)
        })
        .sum()
}
