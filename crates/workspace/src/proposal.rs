//! A merge that nobody has made yet: both sides of it, to be read and to be tried out.

use std::{collections::BTreeSet, fmt, sync::Arc};

use gix::{ObjectId, objs::Kind};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::{
    BaseFile, ChangeSet, Checkout, Error,
    base::{self, BaseTree, EntryKind, Refusal},
    checkout::{Objects, Origin, join},
    merge::{self, Merged},
    remote::check_token,
    scan::BaseIndex,
    scratch::Scratch,
    workspaces::Shared,
    write,
};

/// What merging a head into a base came to.
#[derive(Debug, Clone)]
pub enum Merge {
    /// It can be merged.
    Clean(Proposal),
    /// People have to decide.
    Conflict {
        /// The base commit's sha.
        base: String,
        /// The head commit's sha.
        head: String,
        /// The files that both sides changed, sorted.
        paths: Vec<Vec<u8>>,
    },
}

/// One of the two trees of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The base commit's.
    Base,
    /// What merging makes of it.
    Merged,
}

/// A base and a head, and what merging them makes. Cheap to clone; it keeps the objects that it reads from, and nothing of
/// it is written to a repository of anybody else.
#[derive(Clone)]
pub struct Proposal {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    scratch: Arc<Scratch>,
    names: Names,
    base: Half,
    merged: Half,
    changes: ChangeSet,
    submodules: Vec<Vec<u8>>,
}

/// What a proposal is called.
pub(crate) struct Names {
    /// The mirror's, or the local repository's.
    pub(crate) key: String,
    /// What the base was named by.
    pub(crate) branch: String,
    pub(crate) base: String,
    pub(crate) head: String,
    pub(crate) merge_base: Option<String>,
}

/// One side.
struct Half {
    tree: ObjectId,
    id: String,
    index: BaseIndex,
    files: Vec<BaseFile>,
}

impl Half {
    fn new(tree: ObjectId, id: String, files: BaseTree) -> Self {
        let index = BaseIndex::new(files);
        Self { tree, id, files: index.list(), index }
    }
}

impl Proposal {
    pub(crate) fn new(
        shared: Arc<Shared>,
        scratch: Scratch,
        names: Names,
        merged: Merged,
        cancel: &CancellationToken,
    ) -> Result<Self, Refusal> {
        let Merged { base_tree, base_files, tree, merged_files } = merged;
        let submodules = changed_submodules(&base_files, &merged_files);
        let base = Half::new(base_tree, names.base.clone(), base_files);
        let merged = Half::new(tree, tree.to_string(), merged_files);
        let repo = scratch.repo.to_thread_local();
        let changes = merge::changes(&repo, &base.index, &merged.index, &shared.limits, cancel)?;
        let scratch = Arc::new(scratch);
        Ok(Self {
            inner: Arc::new(Inner { shared, scratch, names, base, merged, changes, submodules }),
        })
    }

    /// The base commit's sha.
    pub fn base(&self) -> &str {
        &self.inner.names.base
    }

    /// The head commit's sha.
    pub fn head(&self) -> &str {
        &self.inner.names.head
    }

    /// The sha of the newest commit that both have; `None` when there are several, which a criss-cross of merges makes.
    pub fn merge_base(&self) -> Option<&str> {
        self.inner.names.merge_base.as_deref()
    }

    /// The id of the merged tree.
    pub fn merged_tree(&self) -> &str {
        &self.inner.merged.id
    }

    /// What merging would change: from the base's tree to the merged one.
    pub fn changes(&self) -> &ChangeSet {
        &self.inner.changes
    }

    /// The paths at which merging would add, remove or move a submodule, sorted. They are no part of
    /// [`Self::changes`], as there is no file of theirs.
    pub fn changed_submodules(&self) -> &[Vec<u8>] {
        &self.inner.submodules
    }

    /// The files of a side, sorted by path.
    pub fn files(&self, side: Side) -> &[BaseFile] {
        &self.half(side).files
    }

    /// A file as a side has it; a link's target for a link. `None` when that side has no such file.
    pub async fn content(&self, side: Side, path: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(tracked) = self.half(side).index.files.get(path).copied() else {
            return Ok(None);
        };
        let inner = self.inner.clone();
        join(spawn_blocking(move || {
            let repo = inner.scratch.repo.to_thread_local();
            base::read(&repo, tracked.id, Kind::Blob, tracked.size)
                .map(Some)
                .map_err(|refusal| refusal.into_error(&inner.names.key))
        }))
        .await
    }

    /// [`Self::content`] for whoever may block; `None` also for what is larger than `max_bytes`.
    pub fn content_now(
        &self,
        side: Side,
        path: &[u8],
        max_bytes: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(tracked) = self.half(side).index.files.get(path) else { return Ok(None) };
        if tracked.size > max_bytes {
            return Ok(None);
        }
        let repo = self.inner.scratch.repo.to_thread_local();
        base::read(&repo, tracked.id, Kind::Blob, tracked.size)
            .map(Some)
            .map_err(|refusal| refusal.into_error(&self.inner.names.key))
    }

    /// A fresh job folder with a side's files. The checkout outlives the proposal.
    pub async fn check_out(
        &self,
        side: Side,
        job: &str,
        cancel: CancellationToken,
    ) -> Result<Checkout, Error> {
        check_token("job name", job)?;
        let cancel = cancel.child_token();
        let _stop = cancel.clone().drop_guard();
        let (this, job) = (self.clone(), job.to_owned());
        join(spawn_blocking(move || this.write(side, &job, &cancel))).await
    }

    fn write(&self, side: Side, job: &str, cancel: &CancellationToken) -> Result<Checkout, Error> {
        let Inner { shared, scratch, names, .. } = &*self.inner;
        let half = self.half(side);
        let damaged = |refusal: Refusal| refusal.into_error(&names.key);
        let folder = shared.jobs.create(job)?;
        let repo = scratch.repo.to_thread_local();
        let tree = base::walk(&repo, half.tree, &shared.limits, cancel).map_err(damaged)?;
        write::write(&repo, &tree, folder.tree(), cancel).map_err(damaged)?;
        let origin =
            Origin { key: names.key.clone(), branch: names.branch.clone(), base: half.id.clone() };
        let objects = Objects::Merge(scratch.clone());
        Ok(Checkout::new(folder, objects, origin, tree, shared.limits))
    }

    fn half(&self, side: Side) -> &Half {
        match side {
            Side::Base => &self.inner.base,
            Side::Merged => &self.inner.merged,
        }
    }
}

fn changed_submodules(base: &BaseTree, merged: &BaseTree) -> Vec<Vec<u8>> {
    let of = |tree: &BaseTree| -> BTreeSet<(Vec<u8>, ObjectId)> {
        let all = tree.entries.iter().filter(|entry| entry.kind == EntryKind::Submodule);
        all.map(|entry| (entry.path.clone(), entry.id)).collect()
    };
    let mut paths: Vec<_> =
        of(base).symmetric_difference(&of(merged)).map(|(path, _)| path.clone()).collect();
    paths.dedup();
    paths
}

/// Without the files and changes, which a log would drown in.
impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proposal")
            .field("base", &self.base())
            .field("head", &self.head())
            .field("merged_tree", &self.merged_tree())
            .finish_non_exhaustive()
    }
}
