//! Where two commits part, and whether the history that is here is enough to say so.

use std::collections::{BTreeSet, BinaryHeap, HashMap};

use gix::{
    ObjectId,
    objs::{CommitRefIter, Kind},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    base::{self, Refusal},
    mirror::chain,
};

/// Bytes of a commit object: its message is somebody's text, not a store.
pub(crate) const MAX_COMMIT_BYTES: u64 = 1 << 20;
/// Merge bases of one pair of commits. Two are a criss-cross; a head that picks dozens was made to keep us busy, as each
/// one costs a merge.
const MAX_MERGE_BASES: usize = 8;
/// Pairs of merge bases that are looked at for one merge, those of merge bases' merge bases included.
const MAX_PAIRS: usize = 100;

/// How two commits are related.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The newest commits that both have, never none.
    MergeBases(Vec<ObjectId>),
    /// They have nothing in common.
    Unrelated,
    /// The history that is here ends too early to tell.
    OutOfSight,
}

/// Relates two commits, and their merge bases with one another when there are several, as those are merged then.
pub(crate) fn relate(
    repo: &gix::Repository,
    one: ObjectId,
    other: ObjectId,
    cancel: &CancellationToken,
) -> Result<Relation, Refusal> {
    let first = relate_pair(repo, one, other, cancel)?;
    let Relation::MergeBases(merge_bases) = &first else { return Ok(first) };
    let mut known = BTreeSet::new();
    let mut ahead = pairs(merge_bases);
    while let Some(pair) = ahead.pop() {
        if !known.insert(pair) {
            continue;
        }
        if known.len() > MAX_PAIRS {
            let limit = MAX_PAIRS as u64;
            return Err(Error::too_large("pairs of merge bases", limit, limit + 1).into());
        }
        match relate_pair(repo, pair.0, pair.1, cancel)? {
            Relation::MergeBases(merge_bases) => ahead.extend(pairs(&merge_bases)),
            relation => return Ok(relation),
        }
    }
    Ok(first)
}

fn pairs(commits: &[ObjectId]) -> Vec<(ObjectId, ObjectId)> {
    let mut pairs = Vec::new();
    for (i, one) in commits.iter().enumerate() {
        for other in &commits[i + 1..] {
            pairs.push(if one < other { (*one, *other) } else { (*other, *one) });
        }
    }
    pairs
}

fn relate_pair(
    repo: &gix::Repository,
    one: ObjectId,
    other: ObjectId,
    cancel: &CancellationToken,
) -> Result<Relation, Refusal> {
    let open = paint(repo, one, other, cancel)?;
    let found = repo
        .merge_bases_many(one, &[other])
        .map_err(|error| Refusal::Damaged(chain(&error)))?
        .into_iter()
        .map(|id| id.detach())
        .collect::<Vec<_>>();
    if found.len() > MAX_MERGE_BASES {
        let (limit, found) = (MAX_MERGE_BASES as u64, found.len() as u64);
        return Err(Error::too_large("merge bases", limit, found).into());
    }
    Ok(match (open, found.is_empty()) {
        (true, _) => Relation::OutOfSight,
        (false, true) => Relation::Unrelated,
        (false, false) => Relation::MergeBases(found),
    })
}

/// Whose history a commit belongs to.
const ONE: u8 = 1;
const OTHER: u8 = 2;
/// An ancestor of a common commit; nothing is learned there.
const PAST: u8 = 4;

/// Whether the history of either, as far as it is its own, ends where parents are missing. When all that each of them has
/// alone is here, with its parents, each common commit that is out of sight is an ancestor of one that is in sight, so
/// nothing better is hidden.
fn paint(
    repo: &gix::Repository,
    one: ObjectId,
    other: ObjectId,
    cancel: &CancellationToken,
) -> Result<bool, Refusal> {
    struct Seen {
        marks: u8,
        time: i64,
        parents: Vec<ObjectId>,
        cut: bool,
    }
    let mut seen: HashMap<ObjectId, Seen> = HashMap::new();
    let mut queue = BinaryHeap::new();
    // How many queued entries are not past: only those can tell anything.
    let mut live = 0_usize;
    let mut marks = vec![(one, ONE), (other, OTHER)];
    loop {
        while let Some((id, mark)) = marks.pop() {
            let known = match seen.get_mut(&id) {
                Some(known) => known,
                None => {
                    let Some((time, parents)) = commit(repo, id)? else { continue };
                    seen.entry(id).or_insert(Seen { marks: 0, time, parents, cut: false })
                }
            };
            if known.marks | mark != known.marks {
                known.marks |= mark;
                live += usize::from(known.marks & PAST == 0);
                queue.push((known.time, id, known.marks));
            }
        }
        if live == 0 {
            break;
        }
        let Some((_, id, queued)) = queue.pop() else { break };
        if cancel.is_cancelled() {
            return Err(Error::Cancelled.into());
        }
        live -= usize::from(queued & PAST == 0);
        let Some(Seen { marks: now, parents, .. }) = seen.get(&id) else { continue };
        let mut mark = *now;
        if mark & ONE != 0 && mark & OTHER != 0 {
            mark |= PAST;
        }
        marks.extend(parents.iter().map(|parent| (*parent, mark)));
        let mut cut = false;
        for parent in parents {
            cut |= !seen.contains_key(parent) && !repo.has_object(*parent);
        }
        if let Some(this) = seen.get_mut(&id) {
            this.cut = cut;
        }
    }
    let cut = |mark: u8| seen.values().any(|seen| seen.cut && seen.marks == mark);
    // What one side has may be the other's as well, by way of what is missing there.
    Ok(cut(ONE) || cut(OTHER))
}

/// A commit's time and parents; `None` when it is not here.
fn commit(repo: &gix::Repository, id: ObjectId) -> Result<Option<(i64, Vec<ObjectId>)>, Refusal> {
    if !repo.has_object(id) {
        return Ok(None);
    }
    let data = base::read(repo, id, Kind::Commit, MAX_COMMIT_BYTES)?;
    let malformed = |error: String| Refusal::Damaged(format!("{id}: {error}"));
    let mut parents = Vec::new();
    let commit = || CommitRefIter::from_bytes(&data, id.kind());
    parents.extend(commit().parent_ids());
    let committer = commit().committer().map_err(|error| malformed(error.to_string()))?;
    Ok(Some((committer.seconds(), parents)))
}

/// The tree of a commit.
pub(crate) fn tree_of(repo: &gix::Repository, commit: ObjectId) -> Result<ObjectId, Refusal> {
    let data = base::read(repo, commit, Kind::Commit, MAX_COMMIT_BYTES)?;
    CommitRefIter::from_bytes(&data, commit.kind())
        .tree_id()
        .map_err(|error| Refusal::Damaged(format!("{commit}: {error}")))
}
