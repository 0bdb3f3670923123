//! What a cache is made for: the files that say which packages a project wants.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags};
use sha2::{Digest as _, Sha256};

use crate::kind::Kind;

/// Lock files of large projects reach some megabytes.
const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;
/// A workspace has hundreds of manifests.
const MAX_FILES: usize = 5_000;
/// Folders within folders; manifests are near the top.
const MAX_DEPTH: usize = 24;
/// Entries that are looked at.
const MAX_ENTRIES: usize = 300_000;
/// Where installed packages are, whose manifests are not the project's.
const SKIPPED: [&str; 7] =
    [".git", "node_modules", "target", ".venv", "venv", "__pycache__", "site-packages"];

/// What a tree's packages are known by.
pub(crate) struct Packages {
    /// The hash of all manifests and locks, with their paths.
    pub(crate) hash: [u8; 32],
    /// Whether there is any. Without, the step's own script is all that names packages.
    pub(crate) are_named: bool,
}

/// Reads all manifests and locks of these kinds. `None`: there are more than can be looked at, so
/// that there is nothing to remember an installation by. Blocks.
pub(crate) fn read_all(tree: &Path, kinds: &[Kind]) -> Option<Packages> {
    let mut files = find(tree, kinds)?;
    files.sort();
    let mut hasher = Sha256::new();
    for file in &files {
        let content = read(&tree.join(file)).ok()?;
        let name = file.as_os_str().as_encoded_bytes();
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update((content.len() as u64).to_le_bytes());
        hasher.update(&content);
    }
    Some(Packages { hash: hasher.finalize().into(), are_named: !files.is_empty() })
}

/// Their paths, relative to the tree. Follows no link.
fn find(tree: &Path, kinds: &[Kind]) -> Option<Vec<PathBuf>> {
    let (mut found, mut entries) = (Vec::new(), 0);
    let mut open = vec![(PathBuf::new(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(dir) = rustix::fs::openat(CWD, tree.join(&folder), flags, Mode::empty()) else {
            continue;
        };
        for entry in Dir::new(dir).ok()?.flatten() {
            entries += 1;
            if entries > MAX_ENTRIES || found.len() > MAX_FILES {
                return None;
            }
            let Ok(name) = entry.file_name().to_str() else { continue };
            let path = folder.join(name);
            let is_above = [".", ".."].contains(&name);
            match entry.file_type() {
                FileType::Directory
                    if depth < MAX_DEPTH && !is_above && !SKIPPED.contains(&name) =>
                {
                    open.push((path, depth + 1));
                }
                FileType::RegularFile if kinds.iter().any(|kind| kind.names_packages(name)) => {
                    found.push(path);
                }
                _ => {}
            }
        }
    }
    Some(found)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = std::fs::File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?);
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    match content.len() as u64 > MAX_FILE_BYTES {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(content),
    }
}
