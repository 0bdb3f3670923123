//! Reads files that code under test has left in a folder.

use std::{
    fs::File,
    io::Read,
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::Path,
};

use rustix::fs::{Dir, FileType, Mode, OFlags};

/// A runner writes one or a few.
const MAX_FILES: usize = 64;
/// Entries that are looked at, whatever they are.
const MAX_ENTRIES: usize = 4_096;
/// Twenty thousand cases with their failures.
const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;
/// All of them together.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// One file of the folder.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// There was more than is read.
    pub(super) is_cut: bool,
}

/// The plain files of a folder, by name. Links, pipes, devices and folders in it are not followed or
/// opened, and what can't be read is as good as absent.
pub(super) fn read(folder: &Path) -> Vec<Left> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(folder) = rustix::fs::open(folder, flags, Mode::empty()) else { return Vec::new() };
    let Ok(entries) = Dir::read_from(&folder) else { return Vec::new() };
    let mut names: Vec<_> = entries
        .take(MAX_ENTRIES)
        .flatten()
        .filter(|entry| matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown))
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| !name.to_bytes().starts_with(b"."))
        .collect();
    names.sort();
    names.truncate(MAX_FILES);
    let mut left = MAX_BYTES;
    let mut files = Vec::new();
    for name in names {
        let Some(text) = std::ffi::OsStr::from_bytes(name.to_bytes()).to_str() else { continue };
        let Some((bytes, is_cut)) = read_file(&folder, text, left.min(MAX_FILE_BYTES)) else {
            continue;
        };
        left = left.saturating_sub(bytes.len() as u64);
        files.push(Left { name: text.to_owned(), bytes, is_cut });
    }
    files
}

fn read_file(folder: impl AsFd, name: &str, bytes: u64) -> Option<(Vec<u8>, bool)> {
    // Opening a pipe would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(folder, name, flags, Mode::empty()).ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut content = Vec::new();
    file.take(bytes.saturating_add(1)).read_to_end(&mut content).ok()?;
    let is_cut = content.len() as u64 > bytes;
    content.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
    Some((content, is_cut))
}
