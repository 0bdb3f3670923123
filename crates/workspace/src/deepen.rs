//! Two commits in a mirror, with enough of their history to merge them.
//!
//! Mirrors are shallow, since a checkout needs one commit. A merge needs what lies between two commits and where they
//! part, so a mirror is deepened step by step until that is seen, and stays as deep as it got.

use std::num::NonZeroU32;

use gix::ObjectId;

use crate::{
    Error, Want,
    base::Refusal,
    history::{self, Relation},
    mirror::{Held, Mirrors, Order, Trouble},
    remote::Head,
};

/// How deep a mirror is made, in commits from the tips; the last is git's own word for everything. Most branches part within
/// the first step. Each step costs a round trip and a pack.
const DEPTHS: [NonZeroU32; 5] = [
    NonZeroU32::new(50).unwrap(),
    NonZeroU32::new(500).unwrap(),
    NonZeroU32::new(5_000).unwrap(),
    NonZeroU32::new(50_000).unwrap(),
    NonZeroU32::new(0x7fff_ffff).unwrap(),
];

/// A base, a head, and the commits they have in common.
#[derive(Debug)]
pub(crate) struct Pair {
    /// With the base's commit.
    pub(crate) held: Held,
    pub(crate) head: ObjectId,
    pub(crate) merge_bases: Vec<ObjectId>,
}

impl Mirrors {
    /// Fetches the order's commit and `head`, and their history back to where they part.
    pub(crate) fn fetch_pair(
        &self,
        order: &Order<'_>,
        head: &Head,
        fresh: bool,
    ) -> Result<Pair, Error> {
        let mirror = self.make(order)?;
        let lock = self.lock(&mirror, &order.terms)?;
        self.tidy(&mirror)?;
        let held = self.newest(&mirror, order, fresh)?;
        let pair = match self.pair(held, order, head) {
            Ok(pair) => pair,
            Err(Trouble::Error(error)) => return Err(error),
            Err(Trouble::Generation(why)) if !fresh => {
                tracing::info!(mirror = order.key, why, "cloning the mirror anew");
                let held = self.newest(&mirror, order, true)?;
                self.pair(held, order, head).map_err(strange)?
            }
            Err(trouble) => return Err(strange(trouble)),
        };
        self.tidy(&mirror)?;
        drop(lock);
        Ok(pair)
    }

    fn pair(&self, held: Held, order: &Order<'_>, head: &Head) -> Result<Pair, Trouble> {
        let path = held.repo.git_dir();
        let branch = order.want.branch().to_owned();
        let want = Want::Commit { branch, sha: head.sha.clone() };
        let order = Order { want: &want, terms: order.terms.clone(), ..*order };
        let head = self.take_head(&held, &order, head)?;
        let base = held.commit.to_string();
        let tips = [base.as_str(), want_sha(&want)];
        let mut depths = DEPTHS.into_iter();
        loop {
            // Opened anew each time, so that the packs that came are seen.
            let repo = self.repository(path)?;
            let cancel = &order.terms.cancel;
            let relation = history::relate(&repo, held.commit, head, cancel).map_err(trouble)?;
            match (relation, depths.next()) {
                (Relation::MergeBases(merge_bases), _) => {
                    let repo = repo.into_sync();
                    return Ok(Pair { held: Held { repo, ..held }, head, merge_bases });
                }
                (Relation::Unrelated, _) => {
                    return Err(Error::Unrelated { base, head: head.to_string() }.into());
                }
                (Relation::OutOfSight, Some(depth)) => {
                    self.ask(path, &order, &tips, Some(depth))?;
                }
                // The remote is shallow itself, or does not do as it says.
                (Relation::OutOfSight, None) => {
                    let what = "the remote does not give the history of both commits".into();
                    return Err(Error::Network { what, source: None }.into());
                }
            }
        }
    }

    /// The head by its sha, which may be had after the ref moved on; by the ref where a remote gives tips only.
    fn take_head(&self, held: &Held, order: &Order<'_>, head: &Head) -> Result<ObjectId, Trouble> {
        let path = held.repo.git_dir();
        let commit = ObjectId::from_hex(head.sha.as_bytes())
            .map_err(|error| Error::invalid(error.to_string()))?;
        if held.repo.to_thread_local().has_object(commit) {
            return Ok(commit);
        }
        match self.receive(path, order) {
            Err(Trouble::Error(gone @ Error::NotFound { .. })) => {
                match self.ask(path, order, &[&head.reference], None) {
                    Ok(Some(tip)) if tip == commit => Ok(commit),
                    Ok(_) | Err(Trouble::Error(Error::NotFound { .. })) => Err(gone.into()),
                    Err(trouble) => Err(trouble),
                }
            }
            result => result,
        }
    }
}

fn want_sha(want: &Want) -> &str {
    match want {
        Want::Branch(name) | Want::Commit { sha: name, .. } => name,
    }
}

fn trouble(refusal: Refusal) -> Trouble {
    match refusal {
        Refusal::Error(error) => Trouble::Error(error),
        Refusal::Damaged(what) => Trouble::Generation(what),
    }
}

/// Nothing of ours is old here, so what can't be explained is the remote's.
fn strange(trouble: Trouble) -> Error {
    match trouble {
        Trouble::Error(error) => error,
        Trouble::Generation(what) => Error::Network { what, source: None },
    }
}
