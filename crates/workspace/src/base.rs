//! The tree of a commit, checked as a whole before anything of it is written.

use std::collections::{BTreeMap, HashSet};

use gix::{
    ObjectId,
    objs::{Kind, tree::name_order},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Mode, TreeLimits,
    path::{self, BareRepository},
};

/// Bytes of an object id in a tree object.
const SHA1_BYTES: usize = 20;

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

impl Refusal {
    /// For who can't get the objects anew. `repo` is whose they are.
    pub(crate) fn into_error(self, repo: &str) -> Error {
        match self {
            Self::Error(error) => error,
            Self::Damaged(what) => Error::Damaged { repo: repo.to_owned(), what },
        }
    }
}

/// The bytes of an object that must be of this kind and must not be longer than that.
pub(crate) fn read(
    repo: &gix::Repository,
    id: ObjectId,
    kind: Kind,
    limit: u64,
) -> Result<Vec<u8>, Refusal> {
    let header =
        repo.find_header(id).map_err(|error| Refusal::Damaged(format!("{id}: {error}")))?;
    if header.kind() != kind {
        return Err(Error::invalid(format!(
            "{id} is a {}, and was named as a {kind}",
            header.kind()
        ))
        .into());
    }
    // Before anything is decompressed.
    if header.size() > limit {
        return Err(Error::too_large(format!("bytes in one {kind}"), limit, header.size()).into());
    }
    let object =
        repo.find_object(id).map_err(|error| Refusal::Damaged(format!("{id}: {error}")))?;
    Ok(object.detach().data)
}

/// Walks the commit's tree. Counts as it walks, so a tree that repeats itself a billion times ends at the limit.
pub(crate) fn walk(
    repo: &gix::Repository,
    tree: ObjectId,
    limits: &TreeLimits,
    cancel: &CancellationToken,
) -> Result<BaseTree, Refusal> {
    let mut walk =
        Walk { repo, limits, cancel, base: BaseTree::default(), links: BTreeMap::new(), bytes: 0 };
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
            return Err(Error::too_large(
                "folders within one another",
                self.limits.depth as u64,
                depth as u64,
            )
            .into());
        }
        let data = read(self.repo, id, Kind::Tree, self.limits.file_bytes)?;
        let mut bare = BareRepository::default();
        let mut previous: Option<(&[u8], bool)> = None;
        let mut names = HashSet::new();
        let mut rest = data.as_slice();
        while !rest.is_empty() {
            let (mode, name, id) = next_entry(&mut rest)
                .ok_or_else(|| Error::hostile(folder, "a malformed tree object"))?;
            let path = join(folder, name);
            let kind = kind(mode).ok_or_else(|| {
                Error::hostile(
                    &path,
                    format!("mode {} is none that git makes", mode.escape_ascii()),
                )
            })?;
            path::check_name(name, &path, kind == EntryKind::File(Mode::Symlink))?;
            let is_folder = kind == EntryKind::Folder;
            let sorted = previous.is_none_or(|(name_before, was_folder)| {
                name_order(name_before, was_folder, name, is_folder).is_lt()
            });
            // A folder sorts as if its name ended in a slash, so two of one name can lie apart in a sorted tree.
            if !sorted || !names.insert(name) {
                return Err(
                    Error::hostile(&path, "a tree object with doubled or unsorted names").into()
                );
            }
            previous = Some((name, is_folder));
            bare.note(name, is_folder);
            self.entry(path, kind, id, depth)?;
        }
        bare.check(folder)?;
        Ok(())
    }

    fn entry(
        &mut self,
        path: Vec<u8>,
        kind: EntryKind,
        id: ObjectId,
        depth: usize,
    ) -> Result<(), Refusal> {
        let limits = self.limits;
        if path.len() > limits.path_bytes {
            let found = path.len() as u64;
            return Err(
                Error::too_large("bytes in one path", limits.path_bytes as u64, found).into()
            );
        }
        if self.base.entries.len() >= limits.files {
            let limit = limits.files as u64;
            return Err(Error::too_large("files and folders in the tree", limit, limit + 1).into());
        }
        let mut size = 0;
        if let EntryKind::File(mode) = kind {
            let header = self
                .repo
                .find_header(id)
                .map_err(|error| Refusal::Damaged(format!("{id}: {error}")))?;
            if header.kind() != Kind::Blob {
                return Err(Error::hostile(
                    &path,
                    format!("named as a file, but is a {}", header.kind()),
                )
                .into());
            }
            size = header.size();
            if size > limits.file_bytes {
                let what = format!("bytes in {}", path.escape_ascii());
                return Err(Error::too_large(what, limits.file_bytes, size).into());
            }
            self.bytes = self.bytes.saturating_add(size);
            if self.bytes > limits.total_bytes {
                return Err(
                    Error::too_large("bytes in the tree", limits.total_bytes, self.bytes).into()
                );
            }
            if mode == Mode::Symlink {
                if size > path::TARGET_MAX {
                    return Err(Error::hostile(
                        &path,
                        "a link with a target too long for any path",
                    )
                    .into());
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

/// Takes the next `<mode> <name>\0<id>` off a tree object. gix has a reader for it, which takes mode 140000 for a folder.
fn next_entry<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8], ObjectId)> {
    let space = rest.iter().position(|&byte| byte == b' ')?;
    let (mode, after) = (&rest[..space], &rest[space + 1..]);
    let nul = after.iter().position(|&byte| byte == 0)?;
    let (name, after) = (&after[..nul], &after[nul + 1..]);
    let (id, after) = after.split_at_checked(SHA1_BYTES)?;
    *rest = after;
    Some((mode, name, ObjectId::try_from(id).ok()?))
}

fn kind(mode: &[u8]) -> Option<EntryKind> {
    Some(match mode {
        // Some old hosts wrote the zero.
        b"40000" | b"040000" => EntryKind::Folder,
        // 100664 was written by very old versions of git.
        b"100644" | b"100664" => EntryKind::File(Mode::Regular),
        b"100755" => EntryKind::File(Mode::Executable),
        b"120000" => EntryKind::File(Mode::Symlink),
        b"160000" => EntryKind::Submodule,
        _ => return None,
    })
}

pub(crate) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}
