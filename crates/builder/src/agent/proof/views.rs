//! Both sides of a change, as the judge reads them: the tree that the model works on, and what it held
//! at first.

use std::{collections::BTreeMap, io, sync::Arc};

use booty_judge::change::{ChangeKind, ChangedFile};
use booty_policy::TreeView;

use super::super::{
    bench::{Bench, Content},
    tree::{Kind, Tree, TreePath},
};

/// What the analyses read of one file at most; the verifier's do, too.
const MAX_BYTES: usize = 256 * 1024;
/// Entries of the tree that are gone through; a larger repository is known by its first files as well.
const MAX_ENTRIES: usize = 50_000;

/// Both sides.
pub(super) struct Views {
    pub(super) base: View,
    pub(super) head: View,
    pub(super) changed: Vec<ChangedFile>,
}

/// One side. Reading blocks.
#[derive(Clone)]
pub(super) struct View {
    tree: Arc<Tree>,
    /// What is another thing on this side than in the tree. `None`: not there.
    other: Arc<BTreeMap<String, Option<Arc<[u8]>>>>,
}

impl Views {
    pub(super) fn of(bench: &Bench) -> io::Result<Self> {
        let tree = Arc::new(bench.reopened()?);
        let mut before = BTreeMap::new();
        let mut changed = Vec::new();
        for (path, was, is) in bench.changed() {
            let kind = match (was, &is) {
                (Content::Nothing, _) => ChangeKind::Added,
                (_, Content::Nothing) => ChangeKind::Deleted,
                _ => ChangeKind::Modified,
            };
            changed.push(ChangedFile { path: path.to_string(), kind });
            let was = match was {
                Content::File(bytes) => Some(Arc::clone(bytes)),
                Content::Nothing | Content::Other => None,
            };
            before.insert(path.to_string(), was);
        }
        let base = View { tree: Arc::clone(&tree), other: Arc::new(before) };
        Ok(Self { base, head: View { tree, other: Arc::default() }, changed })
    }
}

impl TreeView for View {
    fn paths(&self) -> Box<dyn Iterator<Item = String> + '_> {
        let mut paths = Vec::new();
        if let Ok(top) = TreePath::parse("") {
            // What can't be walked to its end is known as far as it was walked.
            let _ = self.tree.walk(&top, MAX_ENTRIES, true, &mut |path, kind| {
                if kind == Kind::File {
                    paths.push(path.to_string());
                }
                true
            });
        }
        paths.retain(|path| !matches!(self.other.get(path), Some(None)));
        let gone = self.other.iter().filter(|(_, content)| content.is_some());
        paths.extend(gone.map(|(path, _)| path.clone()));
        paths.sort_unstable();
        paths.dedup();
        Box::new(paths.into_iter())
    }

    fn read(&self, path: &str) -> Option<String> {
        let bytes = match self.other.get(path) {
            Some(content) => content.as_ref().filter(|bytes| bytes.len() <= MAX_BYTES)?.to_vec(),
            None => self.tree.read(&TreePath::parse(path).ok()?, MAX_BYTES).ok()?,
        };
        String::from_utf8(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::tool::{Delete, Write},
        *,
    };

    #[test]
    fn both_sides_are_seen() {
        let dir = tempfile::TempDir::new().unwrap();
        for name in ["a", "b", "d"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let mut bench = Bench::new(Tree::open(dir.path()).unwrap(), 1_000);
        for (path, content) in [("a", "new"), ("c", "made"), ("d", "d")] {
            bench.write(&Write { path: path.into(), content: content.into() }).unwrap();
        }
        bench.delete(&Delete { path: "b".into() }).unwrap();
        let Views { base, head, changed } = Views::of(&bench).unwrap();
        let changed: Vec<_> = changed.iter().map(|c| (c.path.as_str(), c.kind)).collect();
        let (modified, deleted) = (ChangeKind::Modified, ChangeKind::Deleted);
        assert_eq!(changed, [("a", modified), ("b", deleted), ("c", ChangeKind::Added)]);
        let shown = |view: &View| -> Vec<(String, String)> {
            view.paths().map(|path| (path.clone(), view.read(&path).unwrap())).collect()
        };
        let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        assert_eq!(shown(&base), pairs(&[("a", "a"), ("b", "b"), ("d", "d")]));
        assert_eq!(shown(&head), pairs(&[("a", "new"), ("c", "made"), ("d", "d")]));
        assert_eq!(base.read("c"), None);
    }
}
