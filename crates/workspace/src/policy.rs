//! A change as policy judges it.

use booty_policy::{Change as What, ChangedPath, FileMode};

use crate::{Change, ChangeKind, Mode};

impl From<Mode> for FileMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Regular => Self::Regular,
            Mode::Executable => Self::Executable,
            Mode::Symlink => Self::Symlink,
        }
    }
}

impl From<&Change> for ChangedPath {
    fn from(change: &Change) -> Self {
        let is_deleted = change.kind == ChangeKind::Deleted;
        let is_link = change.mode == Mode::Symlink && !is_deleted;
        Self {
            path: change.path.clone(),
            change: match change.kind {
                ChangeKind::Added => What::Added,
                ChangeKind::Modified | ChangeKind::ModeChanged => What::Changed,
                ChangeKind::Deleted => What::Deleted,
            },
            old_mode: match change.kind {
                ChangeKind::Deleted => Some(change.mode.into()),
                _ => change.old_mode.map(Into::into),
            },
            new_mode: (!is_deleted).then(|| change.mode.into()),
            added_lines: change.added_lines as u64,
            deleted_lines: change.deleted_lines as u64,
            bytes: change.content.len() as u64,
            binary: change.binary,
            symlink_target: is_link.then(|| change.content.clone()),
        }
    }
}
