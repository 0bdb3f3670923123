//! The door of this crate.

use tokio_util::sync::CancellationToken;

use crate::{Checkout, Error, MirrorLimits, Remote, Want, WorkspaceSettings};

/// All mirrors and job folders under one root. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workspaces;

impl Workspaces {
    /// Makes the folders, and sweeps what crashed processes left in them.
    pub fn open(settings: WorkspaceSettings) -> Result<Self, Error> {
        Self::open_with(settings, MirrorLimits::default())
    }

    /// [`open`](Self::open) with bounds of one's own for mirrors.
    pub fn open_with(_settings: WorkspaceSettings, _mirror: MirrorLimits) -> Result<Self, Error> {
        Ok(Self)
    }

    /// A fresh folder with the wanted commit's files. Needs a tokio runtime; the work runs on its blocking threads.
    ///
    /// `repo_key` names the mirror, `job` the folder: letters, digits, `_`, `-` and `.` only, not starting with a dot.
    pub async fn checkout(
        &self,
        _repo_key: &str,
        _remote: &Remote,
        _want: &Want,
        _job: &str,
        _cancel: CancellationToken,
    ) -> Result<Checkout, Error> {
        Err(Error::Cancelled)
    }
}
