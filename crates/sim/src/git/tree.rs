//! Trees: reading them, and building one from another by paths.

use std::collections::BTreeMap;

use gix::ObjectId;
use gix::bstr::{BString, ByteSlice};
use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{Kind, Tree};

use super::{GitError, Store};

/// The five modes a tree may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode(EntryKind);

impl Mode {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(Self(match text {
            "100644" => EntryKind::Blob,
            "100755" => EntryKind::BlobExecutable,
            "120000" => EntryKind::Link,
            "040000" => EntryKind::Tree,
            "160000" => EntryKind::Commit,
            _ => return None,
        }))
    }

    /// Six digits, as the API shows them.
    pub(crate) fn digits(self) -> &'static str {
        match self.0 {
            EntryKind::Blob => "100644",
            EntryKind::BlobExecutable => "100755",
            EntryKind::Link => "120000",
            EntryKind::Tree => "040000",
            EntryKind::Commit => "160000",
        }
    }

    /// `blob`, `tree` or `commit`.
    pub(crate) fn kind(self) -> &'static str {
        match self.0 {
            EntryKind::Tree => "tree",
            EntryKind::Commit => "commit",
            _ => "blob",
        }
    }

    pub(crate) fn is_tree(self) -> bool {
        self.0 == EntryKind::Tree
    }
}

/// What becomes of one path: an entry, or nothing.
pub(crate) type Edit = Option<(Mode, ObjectId)>;

/// Why a path can't be in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathFault {
    LeadingSlash,
    Malformed,
}

/// Paths as GitHub takes them: no empty, `.`, `..` or `.git` component, however that is spelt.
pub(crate) fn check_path(path: &str) -> Result<(), PathFault> {
    if path.starts_with('/') {
        return Err(PathFault::LeadingSlash);
    }
    let bad = |part: &str| {
        let folded = part.trim_end_matches([' ', '.']).to_ascii_lowercase();
        part.is_empty()
            || part == "."
            || part == ".."
            || part.contains(['\0', '\n'])
            || folded == ".git"
            || folded == "git~1"
    };
    if path.split('/').any(bad) { Err(PathFault::Malformed) } else { Ok(()) }
}

impl Store {
    pub(crate) fn tree_entries(
        &self,
        tree: ObjectId,
    ) -> Result<Vec<(String, Mode, ObjectId)>, GitError> {
        Ok(self
            .read_tree(tree)?
            .entries
            .into_iter()
            .map(|entry| {
                (entry.filename.to_str_lossy().into_owned(), Mode(entry.mode.kind()), entry.oid)
            })
            .collect())
    }

    /// Every path below a tree, trees included, in git's order.
    pub(crate) fn all_entries(
        &self,
        tree: ObjectId,
    ) -> Result<Vec<(String, Mode, ObjectId)>, GitError> {
        let mut found = Vec::new();
        for (name, mode, id) in self.tree_entries(tree)? {
            let below = if mode.is_tree() { self.all_entries(id)? } else { Vec::new() };
            found.push((name.clone(), mode, id));
            found.extend(
                below.into_iter().map(|(path, mode, id)| (format!("{name}/{path}"), mode, id)),
            );
        }
        Ok(found)
    }

    /// `base` with the edits applied. `Ok(None)` when a path to delete isn't there.
    pub(crate) fn edit_tree(
        &self,
        base: Option<ObjectId>,
        edits: &[(String, Edit)],
    ) -> Result<Option<ObjectId>, GitError> {
        let borrowed: Vec<(&str, Edit)> =
            edits.iter().map(|(path, edit)| (path.as_str(), *edit)).collect();
        let mut missing = false;
        let tree = self.edit_level(base, &borrowed, &mut missing)?;
        if missing {
            return Ok(None);
        }
        let repo = self.repo();
        Ok(Some(match tree {
            Some(tree) => tree,
            None => repo.write_object(Tree::empty()).map_err(GitError::new)?.detach(),
        }))
    }

    /// One directory; `None` when nothing is left in it.
    fn edit_level(
        &self,
        base: Option<ObjectId>,
        edits: &[(&str, Edit)],
        missing: &mut bool,
    ) -> Result<Option<ObjectId>, GitError> {
        let mut entries: BTreeMap<BString, (Mode, ObjectId)> = match base {
            Some(base) => self
                .read_tree(base)?
                .entries
                .into_iter()
                .map(|entry| (entry.filename, (Mode(entry.mode.kind()), entry.oid)))
                .collect(),
            None => BTreeMap::new(),
        };
        let mut below: BTreeMap<&str, Vec<(&str, Edit)>> = BTreeMap::new();
        for (path, edit) in edits {
            match (path.split_once('/'), edit) {
                (Some((name, rest)), edit) => below.entry(name).or_default().push((rest, *edit)),
                (None, Some(entry)) => {
                    entries.insert(BString::from(*path), *entry);
                }
                (None, None) => {
                    *missing |= entries.remove(&BString::from(*path)).is_none();
                }
            }
        }
        for (name, edits) in below {
            let name = BString::from(name);
            let old = entries.get(&name).filter(|(mode, _)| mode.is_tree()).map(|(_, id)| *id);
            match self.edit_level(old, &edits, missing)? {
                Some(tree) => entries.insert(name, (Mode(EntryKind::Tree), tree)),
                None => entries.remove(&name),
            };
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let mut entries: Vec<Entry> = entries
            .into_iter()
            .map(|(filename, (mode, oid))| Entry { mode: mode.0.into(), filename, oid })
            .collect();
        entries.sort();
        let repo = self.repo();
        Ok(Some(repo.write_object(&Tree { entries }).map_err(GitError::new)?.detach()))
    }

    fn read_tree(&self, id: ObjectId) -> Result<Tree, GitError> {
        let repo = self.repo();
        let object = repo.find_object(id).map_err(GitError::new)?;
        if object.kind != Kind::Tree {
            return Err(GitError(format!("{id} is a {}, not a tree", object.kind)));
        }
        let tree = object.into_tree();
        let decoded = tree.decode().map_err(GitError::new)?;
        Ok(decoded.into())
    }
}

#[cfg(test)]
mod tests {
    use super::{PathFault, check_path};

    #[test]
    fn paths_that_leave_the_tree_are_refused() {
        for good in ["a", "src/lib.rs", ".github/workflows/ci.yml", "a b/ü", ".gitignore"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        assert_eq!(check_path("/etc/passwd"), Err(PathFault::LeadingSlash));
        for bad in ["", "a//b", "a/", "../a", "a/../b", "./a", ".git/config", "a/.GIT/x", ".git. "]
        {
            assert_eq!(check_path(bad), Err(PathFault::Malformed), "{bad}");
        }
    }
}
