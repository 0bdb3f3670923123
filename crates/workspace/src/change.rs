//! What a run changed.

/// The difference between the work tree and the base commit, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangeSet {
    /// One entry a path; a rename is a deletion and an addition.
    pub changes: Vec<Change>,
}

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Below the root, `/` between folders; any bytes but NUL.
    pub path: Vec<u8>,
    /// What happened to it.
    pub kind: ChangeKind,
    /// What it is now; for a deletion, what it was.
    pub mode: Mode,
    /// What it was; `None` for an addition.
    pub old_mode: Option<Mode>,
    /// The bytes as they are now (a symlink's target); empty for a deletion.
    pub content: Vec<u8>,
    /// Lines that are new; 0 for binaries.
    pub added_lines: usize,
    /// Lines that are gone; 0 for binaries.
    pub deleted_lines: usize,
    /// Whether the old or the new content holds a NUL among its first 8,000 bytes, which is git's own rule.
    pub binary: bool,
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// Not in the base.
    Added,
    /// Other bytes; also when a file became a symlink, or the other way round.
    Modified,
    /// Only in the base.
    Deleted,
    /// The same bytes, with another executable bit.
    ModeChanged,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// A file.
    Regular,
    /// A file that its owner may execute.
    Executable,
    /// A symbolic link; its content is the target.
    Symlink,
}

impl Mode {
    /// The mode as git's tree objects and GitHub's Git Data API write it.
    pub fn as_git(self) -> &'static str {
        match self {
            Self::Regular => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
        }
    }
}
