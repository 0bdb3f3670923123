//! Where the folders lie, and how much of a repository is taken.

use std::{path::PathBuf, time::Duration};

/// Files in a tree, folders counted too. Linux has 90,000; a tree of more is built to fill a disk.
pub const MAX_FILES: usize = 200_000;
/// Bytes of all files of a tree.
pub const MAX_TOTAL_BYTES: u64 = 1 << 30;
/// Bytes of one file: GitHub refuses more in a push.
pub const MAX_FILE_BYTES: u64 = 100 << 20;
/// Bytes of a path below the root: a quarter of Linux's `PATH_MAX`, so that tools still reach the file from where it lies.
pub const MAX_PATH_BYTES: usize = 1024;
/// Folders within one another. Each level costs an open descriptor while a tree is walked.
pub const MAX_DEPTH: usize = 64;
/// Bytes of content in one change set: more can't travel on the bus (32 MiB a message), nor be reviewed.
pub const MAX_CHANGED_BYTES: u64 = 32 << 20;
/// Packs of a mirror before it is cloned anew: every fetch adds one, each costs a look-up per object, nobody repacks.
pub const MAX_PACKS: usize = 50;
/// Bytes that one clone or fetch may receive.
pub const MAX_DOWNLOAD_BYTES: u64 = 2 << 30;

/// What [`Workspaces::open`](crate::Workspaces::open) needs.
#[derive(Debug, Clone)]
pub struct WorkspaceSettings {
    /// The folder that holds `mirrors/` and `jobs/`; made when missing. Several processes may share it.
    pub root: PathBuf,
    /// How much of a tree is taken.
    pub limits: TreeLimits,
    /// The longest a clone or fetch may take, waiting for the mirror's lock included.
    pub fetch_timeout: Duration,
}

/// Bounds of a tree, for the commit as well as for what a run leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeLimits {
    /// Files and folders; default [`MAX_FILES`].
    pub files: usize,
    /// Bytes of all files; default [`MAX_TOTAL_BYTES`].
    pub total_bytes: u64,
    /// Bytes of one file; default [`MAX_FILE_BYTES`].
    pub file_bytes: u64,
    /// Bytes of one path below the root; default [`MAX_PATH_BYTES`].
    pub path_bytes: usize,
    /// Folders within one another; default [`MAX_DEPTH`].
    pub depth: usize,
    /// Bytes of content in one change set; default [`MAX_CHANGED_BYTES`].
    pub changed_bytes: u64,
}

impl Default for TreeLimits {
    fn default() -> Self {
        Self {
            files: MAX_FILES,
            total_bytes: MAX_TOTAL_BYTES,
            file_bytes: MAX_FILE_BYTES,
            path_bytes: MAX_PATH_BYTES,
            depth: MAX_DEPTH,
            changed_bytes: MAX_CHANGED_BYTES,
        }
    }
}

/// Bounds of a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MirrorLimits {
    /// Packs before the mirror is cloned anew; default [`MAX_PACKS`].
    pub packs: usize,
    /// Bytes that one clone or fetch may receive; default [`MAX_DOWNLOAD_BYTES`].
    pub download_bytes: u64,
}

impl Default for MirrorLimits {
    fn default() -> Self {
        Self { packs: MAX_PACKS, download_bytes: MAX_DOWNLOAD_BYTES }
    }
}
