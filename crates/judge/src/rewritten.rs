//! Which files of the tree its own run has rewritten: what was tested then is not what the change
//! brings.

use std::{
    collections::BTreeMap,
    fs::Metadata,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use booty_policy::TreeView;

/// Files that are looked at.
const MAX_FILES: usize = 20_000;
/// Rewritten files that are named.
const MAX_NAMED: usize = 10;

/// How files were before anything ran.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    of: BTreeMap<String, Stamp>,
}

/// Nobody can set the time of a file's last change of any kind, not even its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { inode: metadata.ino(), changed }
    }
}

impl Stamps {
    /// Of these files. Blocks.
    pub(crate) fn take(tree: &Path, paths: impl Iterator<Item = String>) -> Self {
        let stamp = |path: String| {
            let metadata = tree.join(&path).symlink_metadata().ok()?;
            metadata.is_file().then(|| (path, Stamp::of(&metadata)))
        };
        Self { of: paths.take(MAX_FILES).filter_map(stamp).collect() }
    }

    /// Those that have another content than the side that was checked out. Blocks.
    pub(crate) fn rewritten(&self, tree: &Path, side: &dyn TreeView) -> Vec<String> {
        let is_other = |path: &str, stamp: Stamp| {
            let place = tree.join(path);
            match place.symlink_metadata() {
                Ok(metadata) if metadata.is_file() && Stamp::of(&metadata) == stamp => false,
                Ok(metadata) if metadata.is_file() => {
                    side.read(path).is_some_and(|text| !holds(&place, &text))
                }
                _ => true,
            }
        };
        let other = self.of.iter().filter(|(path, stamp)| is_other(path, **stamp));
        other.map(|(path, _)| path.clone()).take(MAX_NAMED).collect()
    }
}

/// Whether a file that code under test could reach holds this text. No link is followed, and a pipe
/// is not waited for.
fn holds(path: &Path, text: &str) -> bool {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
    let Ok(file) = opened else { return false };
    let mut found = Vec::new();
    let most = (text.len() as u64).saturating_add(1);
    file.take(most).read_to_end(&mut found).is_ok() && found == text.as_bytes()
}
