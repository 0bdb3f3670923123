//! Merging two commits the way git does, and what that would change.

use std::{
    collections::{BTreeSet, HashSet},
    panic::{self, AssertUnwindSafe},
    time::Duration,
};

use gix::{
    ObjectId,
    bstr::ByteSlice,
    diff::Rewrites,
    merge::{
        blob::{builtin_driver::text::Labels, pipeline::WorktreeRoots},
        commit::Options,
        plumbing,
        tree::TreatAsUnresolved,
    },
    objs::{Kind, Write},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Change, ChangeSet, Error, TreeLimits,
    base::{self, BaseTree, EntryKind, Refusal},
    history::tree_of,
    scan::{BaseIndex, Tracked},
    watched::Watched,
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

/// The longest that a merge may take.
const MERGE_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of a file that both sides changed and that is merged line by line; a larger one is taken for binary, which is a
/// conflict. A diff of text that was made for it takes 10 seconds a megabyte.
const MAX_TEXT_BYTES: u64 = 4 << 20;
/// Bytes of a file that is compared with others to see whether it was renamed and changed.
const MAX_RENAMED_BYTES: u64 = 256 << 10;
/// Bytes of all pairs of files that are compared for that. It can't be stopped once it goes on, and takes a minute for files
/// that were made for it. Above this only files of the same bytes are renames, so that a change of a file that the other
/// side moved and changed is a conflict.
const MAX_COMPARED_BYTES: u64 = 32 << 20;

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
    let head_files = base::walk(repo, tree_of(repo, head)?, limits, cancel)?;
    let mut compared = 0_u64;
    for commit in merge_bases {
        let before = base::walk(repo, tree_of(repo, *commit)?, limits, cancel)?;
        for after in [&base_files, &head_files] {
            compared = compared.max(compared_bytes(&before, after));
        }
    }
    let objects = Watched::new(repo, cancel, MERGE_TIMEOUT);
    // A message that broke off a service would break off the next one, too.
    let merged = panic::catch_unwind(AssertUnwindSafe(|| {
        run(repo, &objects, base, head, compared <= MAX_COMPARED_BYTES)
    }));
    let mut outcome = merged
        .map_err(|_| Error::invalid("the merge broke off on what is in these commits"))?
        .map_err(|error| objects.explain(&error))?;
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
    let tree =
        outcome.tree.write(|tree| objects.write(tree)).map_err(|error| objects.explain(&error))?;
    let merged_files = base::walk(repo, tree, limits, cancel)?;
    Ok(Outcome::Clean(Merged { tree, base_tree, base_files, merged_files }))
}

fn run<'a>(
    repo: &gix::Repository,
    objects: &'a Watched<'_>,
    base: ObjectId,
    head: ObjectId,
    compare: bool,
) -> gix::Result<plumbing::tree::Outcome<'a>> {
    let labels =
        Labels { ancestor: None, current: Some(b"base".as_bstr()), other: Some(b"head".as_bstr()) };
    // Neither reads attributes: the repository is bare and has no index. Nobody configured a driver.
    let mut renames = repo.diff_resource_cache_for_tree_diff()?;
    let mut contents = repo.merge_resource_cache(WorktreeRoots::default())?;
    renames.filter.options.large_file_threshold_bytes = MAX_RENAMED_BYTES;
    contents.filter.options.large_file_threshold_bytes = MAX_TEXT_BYTES;
    let mut options = repo.tree_merge_options()?;
    if !compare {
        options = options.with_rewrites(Some(Rewrites { percentage: None, ..Rewrites::default() }));
    }
    let outcome = plumbing::commit(
        base,
        head,
        labels,
        &mut repo.revision_graph(None),
        &mut renames,
        &mut contents,
        objects,
        &mut |id| id.to_string(),
        Options::from(options).into(),
    )?;
    Ok(outcome.tree_merge)
}

/// How many bytes are read when each file that is gone is compared with each new one.
fn compared_bytes(before: &BaseTree, after: &BaseTree) -> u64 {
    let one_sided = |of: &BaseTree, other: &BaseTree| {
        let known: HashSet<_> = other.entries.iter().map(|entry| entry.path.as_slice()).collect();
        // Those of the same bytes are found without a look at them.
        let same: HashSet<_> = other.entries.iter().map(|entry| entry.id).collect();
        let (mut count, mut bytes) = (0_u64, 0_u64);
        for entry in &of.entries {
            if matches!(entry.kind, EntryKind::File(_))
                && entry.size <= MAX_RENAMED_BYTES
                && !known.contains(entry.path.as_slice())
                && !same.contains(&entry.id)
            {
                count += 1;
                bytes += entry.size;
            }
        }
        (count, bytes)
    };
    let (gone, gone_bytes) = one_sided(before, after);
    let (new, new_bytes) = one_sided(after, before);
    gone.saturating_mul(new_bytes).saturating_add(new.saturating_mul(gone_bytes))
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
