//! One side of a proposal, as the analyses read it: from the object store, whatever a run made of the
//! files.

use booty_policy::TreeView;
use booty_workspace::{Proposal, Side};

/// What the analyses read of one file at most.
const MAX_BYTES: u64 = 256 * 1024;

/// One side of a proposal. Reading blocks for as long as decompressing one object takes.
#[derive(Clone)]
pub(crate) struct SideView {
    proposal: Proposal,
    side: Side,
}

impl SideView {
    pub(crate) fn new(proposal: &Proposal, side: Side) -> Self {
        Self { proposal: proposal.clone(), side }
    }
}

impl TreeView for SideView {
    fn paths(&self) -> Box<dyn Iterator<Item = String> + '_> {
        let files = self.proposal.files(self.side).iter();
        Box::new(files.filter_map(|file| String::from_utf8(file.path.clone()).ok()))
    }

    fn read(&self, path: &str) -> Option<String> {
        let content = self.proposal.content_now(self.side, path.as_bytes(), MAX_BYTES);
        match content {
            Ok(content) => String::from_utf8(content?).ok(),
            Err(error) => {
                tracing::warn!(path, error = &error as &dyn std::error::Error, "can't be read");
                None
            }
        }
    }
}
