//! What a change may touch.

use std::fmt;

/// A file's mode, as Git knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// 100644
    Regular,
    /// 100755
    Executable,
    /// 120000
    Symlink,
    /// 160000
    Submodule,
    /// A FIFO, a socket, a device, or a mode that Git does not write.
    Other(u32),
}

/// What happened to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Added,
    /// Content or mode is another.
    Changed,
    /// It is not there any more.
    Deleted,
    /// It was elsewhere. Both names are checked.
    Renamed {
        /// Its name before.
        from: Vec<u8>,
    },
}

/// One path of a change, as computed from the two trees and never as told by a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedPath {
    /// Relative to the work tree, `/` between components.
    pub path: Vec<u8>,
    /// What happened to it.
    pub change: Change,
    /// Its mode before, unless added.
    pub old_mode: Option<FileMode>,
    /// Its mode now, unless deleted.
    pub new_mode: Option<FileMode>,
    /// Lines that were added.
    pub added_lines: u64,
    /// Lines that were removed.
    pub deleted_lines: u64,
    /// Size of the content now; 0 when deleted.
    pub bytes: u64,
    /// Whether the content before or now is not text.
    pub binary: bool,
    /// Where the symlink points to now, when it is one.
    pub symlink_target: Option<Vec<u8>>,
}

/// How large a change may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffLimits {
    /// Changed paths.
    pub files: u64,
    /// Added and deleted lines together.
    pub lines: u64,
    /// Bytes of all new contents together.
    pub bytes: u64,
    /// Whether binary files may change.
    pub binaries: bool,
    /// Whether the executable bit may change.
    pub modes: bool,
}

impl Default for DiffLimits {
    fn default() -> Self {
        Self { files: 30, lines: 1_500, bytes: 512 * 1024, binaries: false, modes: false }
    }
}

/// The paths that no change may touch: Booty's own list and the repository's.
#[derive(Debug, Clone, Default)]
pub struct Protected {}

/// Which rule a path breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// It matches this protected pattern.
    Protected(String),
}

/// One reason to refuse a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path, made printable; none when the whole change is meant.
    pub path: Option<String>,
    /// Which rule it breaks.
    pub rule: Rule,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {:?}", self.path, self.rule)
    }
}

/// Judges a change. All violations are listed, at most 100.
pub fn check_change(paths: &[ChangedPath], limits: &DiffLimits, protected: &Protected) -> Result<(), Vec<Violation>> {
    let _ = (paths, limits, protected);
    Ok(())
}
