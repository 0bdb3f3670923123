//! Merging two commits the way git does, and what that would change.

use std::collections::BTreeSet;

use gix::{
    ObjectId,
    bstr::ByteSlice,
    merge::{blob::builtin_driver::text::Labels, tree::TreatAsUnresolved},
    objs::Kind,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Change, ChangeSet, Error, TreeLimits,
    base::{self, BaseTree, Refusal},
    history::tree_of,
    mirror::chain,
    scan::{BaseIndex, Tracked},
};

/// The trees of a merge, each within the limits.
pub(crate) struct Merged {
    pub(crate) tree: ObjectId,
    pub(crate) base_tree: ObjectId,
    pub(crate) base_files: BaseTree,
    pub(crate) merged_files: BaseTree,
}

/// What came of it.
pub(crate) enum Outcome {
    Clean(Merged),
    /// The paths that people have to look at, sorted.
    Conflict(Vec<Vec<u8>>),
}

/// Merges `head` into `base`. New objects are written to `repo`.
///
/// Every tree that goes in is walked first: the merge itself would follow a tree that repeats itself a billion times.
pub(crate) fn merge(
    repo: &gix::Repository,
    base: ObjectId,
    head: ObjectId,
    merge_bases: &[ObjectId],
    limits: &TreeLimits,
    cancel: &CancellationToken,
) -> Result<Outcome, Refusal> {
    let base_tree = tree_of(repo, base)?;
    let base_files = base::walk(repo, base_tree, limits, cancel)?;
    for commit in merge_bases.iter().chain([&head]) {
        base::walk(repo, tree_of(repo, *commit)?, limits, cancel)?;
    }
    let failed = |error: gix::Error| Refusal::Damaged(chain(&error));
    let labels =
        Labels { ancestor: None, current: Some(b"base".as_bstr()), other: Some(b"head".as_bstr()) };
    let options = repo.tree_merge_options().map_err(failed)?;
    let mut outcome =
        repo.merge_commits(base, head, labels, options.into()).map_err(failed)?.tree_merge;
    if outcome.has_unresolved_conflicts(TreatAsUnresolved::git()) {
        let mut paths = BTreeSet::new();
        for conflict in &outcome.conflicts {
            if conflict.is_unresolved(TreatAsUnresolved::git()) {
                paths.insert(conflict.ours.location().to_vec());
                paths.insert(conflict.theirs.location().to_vec());
            }
        }
        return Ok(Outcome::Conflict(paths.into_iter().collect()));
    }
    let tree = outcome.tree.write().map_err(failed)?.detach();
    let merged_files = base::walk(repo, tree, limits, cancel)?;
    Ok(Outcome::Clean(Merged { tree, base_tree, base_files, merged_files }))
}

/// What leads from one tree to another, by the same rules as what a run changed.
pub(crate) fn changes(
    repo: &gix::Repository,
    old: &BaseIndex,
    new: &BaseIndex,
    limits: &TreeLimits,
    cancel: &CancellationToken,
) -> Result<ChangeSet, Refusal> {
    let mut changes = Vec::new();
    let mut bytes = 0_u64;
    let content = |tracked: Tracked| base::read(repo, tracked.id, Kind::Blob, tracked.size);
    for (path, tracked) in &new.files {
        let before = old.files.get(path).copied();
        let other_bytes = before.is_none_or(|before| before.id != tracked.id);
        if !other_bytes && before.is_some_and(|before| before.mode == tracked.mode) {
            continue;
        }
        if cancel.is_cancelled() {
            return Err(Error::Cancelled.into());
        }
        bytes = bytes.saturating_add(tracked.size);
        if bytes > limits.changed_bytes {
            let limit = limits.changed_bytes;
            return Err(Error::too_large("bytes in changed files", limit, bytes).into());
        }
        let before = before.map(|before| content(before).map(|content| (before.mode, content)));
        let before = before.transpose()?;
        let before = before.as_ref().map(|(mode, content)| (*mode, content.as_slice()));
        let now = content(*tracked)?;
        changes.push(Change::present(path.clone(), tracked.mode, now, other_bytes, before));
    }
    for (path, tracked) in &old.files {
        if !new.files.contains_key(path) {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled.into());
            }
            changes.push(Change::gone(path.clone(), tracked.mode, &content(*tracked)?));
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(ChangeSet { changes })
}
