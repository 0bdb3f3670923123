//! The work tree as the tools may touch it.
//!
//! Paths are the model's words, and commands of the repository's have run in the tree, so neither the
//! path nor what lies there can be trusted: every step goes through a directory handle and follows no
//! link, and a file is replaced by renaming a new one over it, never by writing through what is there.

use std::{
    fmt,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::Path,
};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};

/// The longest path, as Linux has it.
const MAX_PATH_BYTES: usize = 4096;
/// Deeper trees are not walked.
const MAX_DEPTH: usize = 64;
/// The name of a file that is being written; it is renamed at once.
const TEMPORARY: &str = ".booty-write.tmp";

/// Why a path or file was not touched. The text is meant for the model: what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn refused<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(why.into()))
}

/// A path inside the tree: relative, of plain names, none of them Git's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TreePath(Vec<String>);

impl TreePath {
    /// Takes `a/b`, `./a/b`, `a//b` and `.`; refuses everything that leaves the tree or enters Git's
    /// own folder, on any file system.
    pub(crate) fn parse(text: &str) -> Result<Self, Refused> {
        let shown: String = text.chars().take(120).flat_map(char::escape_debug).collect();
        if text.len() > MAX_PATH_BYTES {
            return refused(format!("the path {shown}… is longer than {MAX_PATH_BYTES} bytes"));
        }
        if text.starts_with('/') || text.starts_with('~') || text.contains('\\') {
            return refused(format!(
                "{shown} is not a path inside the repository; give one relative to its top, such \
                 as src/main.py"
            ));
        }
        if text.chars().any(char::is_control) {
            return refused(format!("the path {shown} holds a control character"));
        }
        let mut names = Vec::new();
        for name in text.split('/').filter(|name| !name.is_empty() && *name != ".") {
            if name == ".." {
                return refused(format!(
                    "{shown} holds `..`; paths stay inside the repository and never go up"
                ));
            }
            if name.len() > 255 {
                return refused(format!("the path {shown} has a name above 255 bytes"));
            }
            if is_gits_own(name) || name == TEMPORARY {
                return refused(format!("{shown} belongs to Git or to Booty and is not for you"));
            }
            names.push(name.to_owned());
        }
        Ok(Self(names))
    }

    fn file(&self) -> Result<(&[String], &str), Refused> {
        match self.0.split_last() {
            Some((name, folders)) => Ok((folders, name)),
            None => refused("the path names no file"),
        }
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str(".") } else { f.write_str(&self.0.join("/")) }
    }
}

/// `.git` however a file system may spell it: case (macOS, Windows), ignorable characters (HFS+),
/// trailing dots and spaces, streams and short names (NTFS).
fn is_gits_own(name: &str) -> bool {
    let visible: String = name
        .chars()
        .filter(|c| {
            !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
        })
        .collect();
    let lower = visible.to_lowercase();
    let stem = lower.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    stem == ".git" || stem == "git~1"
}

/// One entry of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    Other,
}

/// A file at one time: another one lies there, or it was written to, when it is another stamp. No program
/// can set the time of a file's change back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp([i128; 4]);

/// The tree, held by a handle on its top.
pub(crate) struct Tree {
    top: OwnedFd,
}

const FOLDER: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

impl Tree {
    pub(crate) fn open(top: &Path) -> io::Result<Self> {
        Ok(Self { top: fs::open(top, FOLDER, Mode::empty())? })
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { top: self.top.try_clone()? })
    }

    /// What tells that a file was written to since; `None`: there is none, or it can't be reached.
    pub(crate) fn stamp(&self, path: &TreePath) -> Option<Stamp> {
        let (folders, name) = path.file().ok()?;
        let folder = self.folder(folders, path, false).ok()?;
        let stat = fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(Stamp([
            i128::from(stat.st_ino),
            i128::from(stat.st_size),
            i128::from(stat.st_ctime),
            i128::from(stat.st_ctime_nsec),
        ]))
    }

    /// The whole content of a regular file of at most `limit` bytes.
    pub(crate) fn read(&self, path: &TreePath, limit: usize) -> Result<Vec<u8>, Refused> {
        let (folders, name) = path.file()?;
        let folder = self.folder(folders, path, false)?;
        let mut file = self.regular(&folder, name, path)?.0;
        let mut content = Vec::new();
        (&mut file)
            .take(limit as u64 + 1)
            .read_to_end(&mut content)
            .map_err(|error| system(path, &error))?;
        if content.len() > limit {
            return refused(format!("{path} is larger than {limit} bytes and is not shown"));
        }
        Ok(content)
    }

    /// Whether a regular file is there that may be executed.
    pub(crate) fn is_executable(&self, path: &TreePath) -> bool {
        let executable = || {
            let (folders, name) = path.file()?;
            Ok::<_, Refused>(self.regular(&self.folder(folders, path, false)?, name, path)?.1)
        };
        executable().unwrap_or(false)
    }

    /// Makes or replaces a regular file. One that is there keeps its mode, a new one is executable if
    /// `executable` says so.
    pub(crate) fn write(
        &self,
        path: &TreePath,
        content: &[u8],
        executable: bool,
    ) -> Result<(), Refused> {
        let (folders, name) = path.file()?;
        let folder = self.folder(folders, path, true)?;
        let executable = match self.kind(&folder, name, path)? {
            None => executable,
            Some(_) => self.regular(&folder, name, path)?.1,
        };
        let mode = if executable { 0o755 } else { 0o644 };
        // Left over by a command, or not: it is never written through.
        let _ = fs::unlinkat(&folder, TEMPORARY, AtFlags::empty());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW;
        let written = fs::openat(&folder, TEMPORARY, flags | OFlags::CLOEXEC, Mode::from(0o600))
            .map_err(io::Error::from)
            .and_then(|handle| {
                // The creation mode went through the umask.
                fs::fchmod(&handle, Mode::from(mode))?;
                inherit_owner(&folder, &handle);
                std::fs::File::from(handle).write_all(content)?;
                Ok(fs::renameat(&folder, TEMPORARY, &folder, name)?)
            });
        written.map_err(|error| {
            let _ = fs::unlinkat(&folder, TEMPORARY, AtFlags::empty());
            system(path, &error)
        })
    }

    /// Removes a file or a link, and the folders that it was alone in: Git knows none that are empty.
    pub(crate) fn delete(&self, path: &TreePath) -> Result<(), Refused> {
        let (folders, name) = path.file()?;
        let folder = self.folder(folders, path, false)?;
        match self.kind(&folder, name, path)? {
            None => refused(format!("there is no {path}")),
            Some(Kind::Folder) => {
                refused(format!("{path} is a folder; delete its files one by one"))
            }
            Some(_) => {
                fs::unlinkat(&folder, name, AtFlags::empty())
                    .map_err(|error| system(path, &error.into()))?;
                self.remove_empty(folders, path);
                Ok(())
            }
        }
    }

    fn remove_empty(&self, mut folders: &[String], path: &TreePath) {
        while let Some((name, above)) = folders.split_last() {
            let Ok(folder) = self.folder(above, path, false) else { return };
            // One that holds something stays.
            if fs::unlinkat(&folder, name.as_str(), AtFlags::REMOVEDIR).is_err() {
                return;
            }
            folders = above;
        }
    }

    /// What lies at a path, if anything does.
    pub(crate) fn find(&self, path: &TreePath) -> Result<Option<Kind>, Refused> {
        let Ok((folders, name)) = path.file() else { return Ok(Some(Kind::Folder)) };
        let folder = self.folder(folders, path, false)?;
        self.kind(&folder, name, path)
    }

    /// Visits everything below a folder in the order of names, folders before what they hold, until
    /// `visit` says `false` or `most` entries were seen. Returns whether all was seen. Git's folder
    /// and names that are not UTF-8 are passed over, links are named and not followed.
    pub(crate) fn walk(
        &self,
        below: &TreePath,
        most: usize,
        recursive: bool,
        visit: &mut dyn FnMut(&TreePath, Kind) -> bool,
    ) -> Result<bool, Refused> {
        let folder = self.folder(&below.0, below, false)?;
        let mut left = most;
        self.walk_folder(&folder, below, recursive, &mut left, visit)
    }

    fn walk_folder(
        &self,
        folder: &OwnedFd,
        at: &TreePath,
        recursive: bool,
        left: &mut usize,
        visit: &mut dyn FnMut(&TreePath, Kind) -> bool,
    ) -> Result<bool, Refused> {
        let (names, whole) = names(folder, *left).map_err(|error| system(at, &error))?;
        for name in names {
            if *left == 0 {
                return Ok(false);
            }
            *left -= 1;
            let mut path = at.clone();
            path.0.push(name);
            let Some((_, name)) = path.0.split_last().map(|(name, rest)| (rest, name)) else {
                continue;
            };
            // Gone since it was listed.
            let Some(kind) = self.kind(folder, name, &path)? else { continue };
            if !visit(&path, kind) {
                return Ok(false);
            }
            if kind == Kind::Folder && recursive && path.0.len() < MAX_DEPTH {
                // A folder that can't be opened (or became a link just now) is passed over.
                let Ok(inner) = fs::openat(folder, name.as_str(), FOLDER, Mode::empty()) else {
                    continue;
                };
                if !self.walk_folder(&inner, &path, recursive, left, visit)? {
                    return Ok(false);
                }
            }
        }
        Ok(whole)
    }

    /// Goes down by handles; `make` makes what is missing.
    fn folder(&self, names: &[String], path: &TreePath, make: bool) -> Result<OwnedFd, Refused> {
        let mut at = self.top.try_clone().map_err(|error| system(path, &error))?;
        for name in names {
            at = match fs::openat(&at, name.as_str(), FOLDER, Mode::empty()) {
                Ok(next) => next,
                Err(rustix::io::Errno::NOENT) if make => {
                    fs::mkdirat(&at, name.as_str(), Mode::from(0o755))
                        .and_then(|()| fs::openat(&at, name.as_str(), FOLDER, Mode::empty()))
                        .inspect(|made| inherit_owner(&at, made))
                        .map_err(|error| system(path, &error.into()))?
                }
                Err(rustix::io::Errno::NOENT) => return refused(format!("there is no {path}")),
                Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
                    return refused(format!(
                        "{path} can't be reached: {name} on the way is a link or a file, and \
                         links are not followed"
                    ));
                }
                Err(error) => return Err(system(path, &error.into())),
            };
        }
        Ok(at)
    }

    fn kind(&self, folder: &OwnedFd, name: &str, path: &TreePath) -> Result<Option<Kind>, Refused> {
        match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Folder,
                FileType::Symlink => Kind::Link,
                _ => Kind::Other,
            })),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(system(path, &error.into())),
        }
    }

    /// Opens a regular file and says whether it is executable.
    fn regular(
        &self,
        folder: &OwnedFd,
        name: &str,
        path: &TreePath,
    ) -> Result<(std::fs::File, bool), Refused> {
        // Without NONBLOCK, opening a FIFO would wait for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let handle = match fs::openat(folder, name, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::NOENT) => return refused(format!("there is no {path}")),
            Err(rustix::io::Errno::LOOP) => {
                return refused(format!("{path} is a symbolic link; links are not followed"));
            }
            Err(error) => return Err(system(path, &error.into())),
        };
        let stat = fs::fstat(&handle).map_err(|error| system(path, &error.into()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok((handle.into(), stat.st_mode & 0o100 != 0)),
            FileType::Directory => refused(format!("{path} is a folder, not a file")),
            _ => refused(format!("{path} is no regular file")),
        }
    }
}

/// The names in a folder, sorted; at most `most`, and whether that was all.
fn names(folder: &OwnedFd, most: usize) -> io::Result<(Vec<String>, bool)> {
    let mut names = Vec::new();
    let mut whole = true;
    for entry in fs::Dir::read_from(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name == "." || name == ".." || is_gits_own(name) || name == TEMPORARY {
            continue;
        }
        if names.len() == most {
            whole = false;
            break;
        }
        names.push(name.to_owned());
    }
    names.sort_unstable();
    Ok((names, whole))
}

/// Started as root, the sandbox runs commands as another user, who must own what we add to the tree.
fn inherit_owner(folder: &OwnedFd, made: &OwnedFd) {
    if let Ok(stat) = fs::fstat(folder) {
        let owner = rustix::fs::Uid::from_raw(stat.st_uid);
        let group = rustix::fs::Gid::from_raw(stat.st_gid);
        // Only root can; anybody else owns it already.
        let _ = fs::fchown(made, Some(owner), Some(group));
    }
}

fn system(path: &TreePath, error: &io::Error) -> Refused {
    Refused(format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    #[test]
    fn paths_stay_inside() {
        let long = "a/".repeat(3000);
        let name = "n".repeat(256);
        for bad in [
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/..",
            "..",
            "~/.ssh/id",
            "a\\..\\x",
            "C:\\x",
            ".git/config",
            "a/.git/hooks/x",
            ".GIT/config",
            ".g\u{200c}it/config",
            "git~1/config",
            ".git./config",
            ".git ",
            ".git::$INDEX_ALLOCATION/config",
            "a\0b",
            "a\nb",
            long.as_str(),
            name.as_str(),
            ".booty-write.tmp",
        ] {
            assert!(TreePath::parse(bad).is_err(), "{bad:?}");
        }
        for (good, shown) in [
            ("./a//b/", "a/b"),
            (".", "."),
            ("", "."),
            (".gitignore", ".gitignore"),
            ("…/ä", "…/ä"),
        ] {
            assert_eq!(path(good).to_string(), shown);
        }
    }

    #[test]
    fn links_lead_nowhere_and_nothing_is_written_through() {
        let dir = tempfile::TempDir::new().unwrap();
        let outside = dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), "secret").unwrap();
        let top = dir.path().join("tree");
        std::fs::create_dir(&top).unwrap();
        symlink(&outside, top.join("folder")).unwrap();
        symlink(outside.join("secret"), top.join("file")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        std::fs::hard_link(outside.join("secret"), top.join("hard")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            top.join("fifo"),
            FileType::Fifo,
            Mode::from(0o600),
            0,
        )
        .unwrap();
        let tree = Tree::open(&top).unwrap();

        for link in ["folder/secret", "file", "loop", "loop/x", "fifo", "folder"] {
            assert!(tree.read(&path(link), 100).is_err(), "{link}");
            assert!(tree.write(&path(link), b"x", false).is_err(), "{link}");
        }
        assert!(tree.write(&path("folder/new"), b"x", false).is_err());
        assert!(tree.delete(&path("folder/secret")).is_err());
        // A hard link is replaced, not written through.
        tree.write(&path("hard"), b"mine", false).unwrap();
        assert_eq!(std::fs::read(outside.join("secret")).unwrap(), b"secret");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
        // A link itself may go.
        tree.delete(&path("file")).unwrap();
        assert!(outside.join("secret").exists());
    }

    #[test]
    fn files_are_made_replaced_and_found() {
        let dir = tempfile::TempDir::new().unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        tree.write(&path("a/b/c.txt"), b"one", false).unwrap();
        std::fs::set_permissions(
            dir.path().join("a/b/c.txt"),
            std::fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        tree.write(&path("a/b/c.txt"), b"two", false).unwrap();
        let mode = std::fs::metadata(dir.path().join("a/b/c.txt")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "still executable");
        assert_eq!(tree.read(&path("a/b/c.txt"), 3).unwrap(), b"two");
        assert!(tree.read(&path("a/b/c.txt"), 2).unwrap_err().0.contains("larger than 2 bytes"));
        assert_eq!(tree.find(&path("a/b")), Ok(Some(Kind::Folder)));
        assert_eq!(tree.find(&path("a/x")), Ok(None));
        assert!(tree.delete(&path("a/b")).unwrap_err().0.contains("folder"));
        assert!(tree.write(&path("a/b"), b"", false).unwrap_err().0.contains("folder"));
        assert!(tree.write(&path("a/b/c.txt/d"), b"", false).is_err());

        std::fs::create_dir_all(dir.path().join("a/.git")).unwrap();
        let mut seen = Vec::new();
        let whole = tree.walk(&path(""), 100, true, &mut |path, kind| {
            seen.push((path.to_string(), kind));
            true
        });
        assert_eq!(whole, Ok(true));
        assert_eq!(
            seen,
            [
                ("a".to_owned(), Kind::Folder),
                ("a/b".to_owned(), Kind::Folder),
                ("a/b/c.txt".to_owned(), Kind::File),
            ]
        );
        assert_eq!(tree.walk(&path(""), 2, true, &mut |_, _| true), Ok(false));
    }
}
