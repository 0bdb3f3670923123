//! What else of the host a command sees, and where.

use std::{
    io,
    os::unix::fs::FileTypeExt,
    path::{Component, Path, PathBuf},
};

use crate::error::Error;

/// Where mounts may be: at or below these. Nothing of the system's is there, so that no mount can
/// stand in front of a tool or a file that the sandbox itself made.
const ROOMS: [&str; 2] = ["/booty", "/cache"];

/// A file or folder of the host that a command sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// On the host: a plain absolute path of a folder or a file that is there, and not a link.
    pub source: PathBuf,
    /// Inside: below `/booty`, or `/cache` and below it.
    pub target: PathBuf,
    /// Whether it can be written; it counts in the disk limits then. As root, give it to the
    /// sandbox user with [`Sandbox::own`](crate::Sandbox::own) first.
    pub writable: bool,
}

impl Mount {
    /// One that cannot be written.
    pub fn read_only(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self { source: source.into(), target: target.into(), writable: false }
    }

    /// One that can be written.
    pub fn writable(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self { writable: true, ..Self::read_only(source, target) }
    }
}

/// Whether they can be mounted, as far as paths tell.
pub(crate) fn check(mounts: &[Mount]) -> Result<(), Error> {
    let refuse = |mount: &Mount, why: &str| {
        let why = format!("{:?} cannot be mounted at {:?}: {why}", mount.source, mount.target);
        Err(Error::Refused { why })
    };
    for (number, mount) in mounts.iter().enumerate() {
        if !is_plain(&mount.target) || !has_room(&mount.target) {
            return refuse(mount, "the target is not below /booty or /cache");
        }
        if !is_plain(&mount.source) {
            return refuse(mount, "the source is not a plain absolute path");
        }
        // One within another would have bubblewrap make a mount point in the host's folder.
        let overlaps = |other: &Mount| {
            other.target.starts_with(&mount.target) || mount.target.starts_with(&other.target)
        };
        if mounts.iter().skip(number + 1).any(overlaps) {
            return refuse(mount, "another mount is there");
        }
    }
    Ok(())
}

/// Looks at the sources; blocks for that. A link in the place of one is refused, as the stage does.
pub(crate) fn check_sources(mounts: &[Mount]) -> Result<(), Error> {
    mounts.iter().try_for_each(|mount| {
        let folder = |source| Error::Folder { what: "mount", path: mount.source.clone(), source };
        let found = std::fs::symlink_metadata(&mount.source).map_err(folder)?.file_type();
        match found.is_dir() || found.is_file() || found.is_socket() {
            true => Ok(()),
            false => Err(folder(io::Error::other("it is a link, or neither folder nor file"))),
        }
    })
}

fn is_plain(path: &Path) -> bool {
    let plain = |part| matches!(part, Component::Normal(_) | Component::RootDir);
    // `components` passes over `.`: bubblewrap would not.
    path.is_absolute()
        && path.components().all(plain)
        && path.as_os_str().as_encoded_bytes().split(|byte| *byte == b'/').all(|part| part != b".")
        && !path.as_os_str().as_encoded_bytes().contains(&0)
}

fn has_room(target: &Path) -> bool {
    ROOMS.iter().any(|room| target.starts_with(room)) && target != Path::new(ROOMS[0])
}
