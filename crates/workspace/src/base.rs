//! The tree of a commit, checked as a whole before anything of it is written.

use std::collections::BTreeMap;

use gix::{ObjectId, objs::Kind, objs::TreeRefIter, objs::tree::name_order};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Mode, TreeLimits,
    path::{self, BareRepository},
};

/// What a commit's tree holds, every folder before what is in it.
#[derive(Debug, Default)]
pub(crate) struct BaseTree {
    pub(crate) entries: Vec<Entry>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: EntryKind,
    pub(crate) id: ObjectId,
    /// Bytes; 0 for what is not a file.
    pub(crate) size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Folder,
    File(Mode),
    /// A commit of another repository: an empty folder, and never fetched.
    Submodule,
}

/// Why there is no tree: the tree's own fault, or the mirror's.
pub(crate) enum Refusal {
    Error(Error),
    /// An object is missing or can't be decoded.
    Damaged(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// The bytes of an object that must be of this kind and must not be longer than that.
pub(crate) fn read(repo: &gix::Repository, id: ObjectId, kind: Kind, limit: u64) -> Result<Vec<u8>, Refusal> {
    let header = repo.find_header(id).map_err(|error| Refusal::Damaged(format!("{id}: {error}")))?;
    if header.kind() != kind {
        return Err(Refusal::Damaged(format!("{id} is a {}, and was named as a {kind}", header.kind())));
    }
    // Before anything is decompressed.
    if header.size() > limit {
        return Err(Error::too_large(format!("bytes in one {kind}"), limit, header.size()).into());
    }
    let object = repo.find_object(id).map_err(|error| Refusal::Damaged(format!("{id}: {error}")))?;
    Ok(object.detach().data)
}

/// Walks the commit's tree. Counts as it walks, so a tree that repeats itself a billion times ends at the limit.
pub(crate) fn walk(
    repo: &gix::Repository,
    tree: ObjectId,
    limits: &TreeLimits,
    cancel: &CancellationToken,
) -> Result<BaseTree, Refusal> {
    let mut walk = Walk { repo, limits, cancel, base: BaseTree::default(), links: BTreeMap::new(), bytes: 0 };
    // Folders to look into: how deep, and the entry, or nothing for the root. Depth first, so that order holds.
    walk.folder(tree, &[], 0)?;
    path::check_links(&walk.links)?;
    Ok(walk.base)
}

struct Walk<'a> {
    repo: &'a gix::Repository,
    limits: &'a TreeLimits,
    cancel: &'a CancellationToken,
    base: BaseTree,
    links: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: u64,
}

impl Walk<'_> {
    /// Calls itself once a level, `limits.depth` levels at the most.
    fn folder(&mut self, id: ObjectId, folder: &[u8], depth: usize) -> Result<(), Refusal> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled.into());
        }
        if depth > self.limits.depth {
            return Err(Error::too_large("folders within one another", self.limits.depth as u64, depth as u64).into());
        }
        let data = read(self.repo, id, Kind::Tree, self.limits.file_bytes)?;
        let mut bare = BareRepository::default();
        let mut previous: Option<(&[u8], bool)> = None;
        for entry in TreeRefIter::from_bytes(&data, id.kind()) {
            let entry = entry.map_err(|error| Error::hostile(folder, format!("a malformed tree: {error}")))?;
            let name: &[u8] = entry.filename;
            let path = join(folder, name);
            let kind = kind(entry.mode.value()).ok_or_else(|| {
                Error::hostile(&path, format!("mode {:o} is none of git's", entry.mode.value()))
            })?;
            path::check_name(name, &path, kind == EntryKind::File(Mode::Symlink))?;
            let is_folder = kind == EntryKind::Folder;
            if let Some((before, before_is_folder)) = previous {
                // Sorted by git's order there is no way to hide a second entry of the same name from the next check.
                if name == before || name_order(before, before_is_folder, name, is_folder).is_ge() {
                    return Err(Error::hostile(&path, "a tree with doubled or unsorted names").into());
                }
            }
            previous = Some((name, is_folder));
            bare.note(name, is_folder);
            self.entry(path, kind, entry.oid.to_owned(), depth)?;
        }
        bare.check(folder)?;
        Ok(())
    }

    fn entry(&mut self, path: Vec<u8>, kind: EntryKind, id: ObjectId, depth: usize) -> Result<(), Refusal> {
        let limits = self.limits;
        if path.len() > limits.path_bytes {
            let found = path.len() as u64;
            return Err(Error::too_large("bytes in one path", limits.path_bytes as u64, found).into());
        }
        if self.base.entries.len() >= limits.files {
            let limit = limits.files as u64;
            return Err(Error::too_large("files and folders in the tree", limit, limit + 1).into());
        }
        let mut size = 0;
        if let EntryKind::File(mode) = kind {
            let header = self.repo.find_header(id).map_err(|error| Refusal::Damaged(format!("{id}: {error}")))?;
            if header.kind() != Kind::Blob {
                return Err(Error::hostile(&path, format!("named as a file, but is a {}", header.kind())).into());
            }
            size = header.size();
            if size > limits.file_bytes {
                let what = format!("bytes in {}", path.escape_ascii());
                return Err(Error::too_large(what, limits.file_bytes, size).into());
            }
            self.bytes = self.bytes.saturating_add(size);
            if self.bytes > limits.total_bytes {
                return Err(Error::too_large("bytes in the tree", limits.total_bytes, self.bytes).into());
            }
            if mode == Mode::Symlink {
                if size > path::TARGET_MAX {
                    return Err(Error::hostile(&path, "a link with a target too long for any path").into());
                }
                let target = read(self.repo, id, Kind::Blob, path::TARGET_MAX)?;
                self.links.insert(path.clone(), target);
            }
        }
        let inner = (kind == EntryKind::Folder).then(|| path.clone());
        self.base.entries.push(Entry { path, kind, id, size });
        match inner {
            Some(folder) => self.folder(id, &folder, depth + 1),
            None => Ok(()),
        }
    }
}

fn kind(mode: u16) -> Option<EntryKind> {
    Some(match mode {
        0o040000 => EntryKind::Folder,
        // 100664 was written by very old versions of git.
        0o100644 | 0o100664 => EntryKind::File(Mode::Regular),
        0o100755 => EntryKind::File(Mode::Executable),
        0o120000 => EntryKind::File(Mode::Symlink),
        0o160000 => EntryKind::Submodule,
        _ => return None,
    })
}

pub(crate) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}
