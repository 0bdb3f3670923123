//! What a run changed.

use gix::diff::blob::{Algorithm, Diff, InternedInput};

/// How far git looks for a NUL before it takes a file for text.
const TEXT_PROBE_BYTES: usize = 8000;

/// Lines that are compared one by one, after what both sides begin and end with is set aside. A diff of long files that
/// were made for it takes minutes; above this all lines between count as changed, which no review would take anyway.
const MAX_COMPARED_LINES: usize = 10_000;

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
    /// Lines that are new; 0 for binaries. Too high rather than too low where more than 10,000 lines on both sides differ.
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

impl Change {
    /// A path that is new or other than it was. `old` is what the base has there.
    pub(crate) fn present(
        path: Vec<u8>,
        mode: Mode,
        content: Vec<u8>,
        other_bytes: bool,
        old: Option<(Mode, &[u8])>,
    ) -> Self {
        let kind = match old {
            None => ChangeKind::Added,
            // The same bytes as a link's target and as a file's content are not the same thing.
            Some((old, _)) if other_bytes || (old == Mode::Symlink) != (mode == Mode::Symlink) => {
                ChangeKind::Modified
            }
            Some(_) => ChangeKind::ModeChanged,
        };
        let count = Count::between(old.map_or(&[], |(_, content)| content), &content);
        let old_mode = old.map(|(mode, _)| mode);
        Self {
            path,
            kind,
            mode,
            old_mode,
            content,
            added_lines: count.added,
            deleted_lines: count.deleted,
            binary: count.binary,
        }
    }

    /// A path that is gone.
    pub(crate) fn gone(path: Vec<u8>, mode: Mode, old: &[u8]) -> Self {
        let Count { added, deleted, binary } = Count::between(old, &[]);
        Self {
            path,
            kind: ChangeKind::Deleted,
            mode,
            old_mode: Some(mode),
            content: Vec::new(),
            added_lines: added,
            deleted_lines: deleted,
            binary,
        }
    }
}

struct Count {
    added: usize,
    deleted: usize,
    binary: bool,
}

impl Count {
    fn between(old: &[u8], new: &[u8]) -> Self {
        let is_binary =
            |content: &[u8]| content.iter().take(TEXT_PROBE_BYTES).any(|&byte| byte == 0);
        if is_binary(old) || is_binary(new) {
            return Self { added: 0, deleted: 0, binary: true };
        }
        let mut input = InternedInput::new(old, new);
        let head = input.before.iter().zip(&input.after).take_while(|(a, b)| a == b).count();
        input.before.drain(..head);
        input.after.drain(..head);
        let (before, after) = (input.before.iter().rev(), input.after.iter().rev());
        let tail = before.zip(after).take_while(|(a, b)| a == b).count();
        input.before.truncate(input.before.len() - tail);
        input.after.truncate(input.after.len() - tail);
        let (deleted, added) = (input.before.len(), input.after.len());
        if deleted.min(added) > MAX_COMPARED_LINES {
            return Self { added, deleted, binary: false };
        }
        let diff = Diff::compute(Algorithm::Histogram, &input);
        Self {
            added: diff.count_additions() as usize,
            deleted: diff.count_removals() as usize,
            binary: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"", b"", 0, 0, false)]
    #[case(b"", b"a\nb\n", 2, 0, false)]
    #[case(b"a\nb\n", b"", 0, 2, false)]
    #[case(b"a\nb\nc\n", b"a\nx\nc\n", 1, 1, false)]
    #[case(b"a\nb", b"a\nb\n", 1, 1, false)] // the missing newline is a change of the line
    #[case(b"a\r\n", b"a\n", 1, 1, false)]
    #[case(b"a\0b", b"a\n", 0, 0, true)]
    #[case(b"\xff\xfe\n", b"\xff\n", 1, 1, false)]
    fn lines(
        #[case] old: &[u8],
        #[case] new: &[u8],
        #[case] added: usize,
        #[case] deleted: usize,
        #[case] binary: bool,
    ) {
        let count = Count::between(old, new);
        assert_eq!((count.added, count.deleted, count.binary), (added, deleted, binary));
    }

    #[test]
    fn files_made_to_keep_a_diff_busy() {
        // Few different lines in no common order: minutes for an honest diff, a moment for this one.
        let make = |f: fn(u64) -> u64| -> Vec<u8> {
            (0..100_000).flat_map(|i| format!("{}\n", f(i)).into_bytes()).collect()
        };
        let (old, new) = (make(|i| i % 7), make(|i| (i * i) % 11));
        let count = Count::between(&old, &new);
        assert!(
            (99_990..=100_000).contains(&count.added)
                && (99_990..=100_000).contains(&count.deleted)
        );

        // One line in the middle of a long file is still one line.
        let mut new = old.clone();
        new[100_000] = b'x';
        let count = Count::between(&old, &new);
        assert_eq!((count.added, count.deleted), (1, 1));
    }
}
