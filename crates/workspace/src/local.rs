//! A repository on this machine, read and never believed.
//!
//! Its objects and refs are wanted, and nothing else: a configuration starts programs, alternates lead to other people's
//! objects, replacements and a commit graph tell other histories. So the repository itself is never opened. A repository
//! of our own gets links to its object folders, packs and refs, and is opened instead.

use std::{
    fs,
    io::{ErrorKind, Read},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use gix::ObjectId;

use crate::{
    Error,
    job::Jobs,
    scratch::{Empty, Scratch},
};

/// Bytes of a `.git` file, of `commondir` or of `HEAD`: each is one short line.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// The folders of a repository.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Where `HEAD` is.
    own: PathBuf,
    /// Where objects and refs are; another one for a worktree only.
    common: PathBuf,
}

impl Layout {
    /// Finds them for a work tree's folder, for a `.git` in it, or for a bare repository.
    pub(crate) fn find(repository: &Path) -> Result<Self, Error> {
        let no = || Error::invalid(format!("{} is no git repository", repository.display()));
        let path = fs::canonicalize(repository)
            .map_err(Error::io("can't find the repository", repository))?;
        let inner = path.join(".git");
        let own = match fs::metadata(&inner) {
            Ok(found) if found.is_dir() => inner,
            Ok(found) if found.is_file() => {
                let line = line(&inner)?;
                let to = line.strip_prefix("gitdir:").ok_or_else(no)?.trim();
                path.join(to)
            }
            _ => path,
        };
        let common = match line(&own.join("commondir")) {
            Ok(to) => own.join(to.trim()),
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => own.clone(),
            Err(error) => return Err(error),
        };
        let absolute = |path: &Path| fs::canonicalize(path).map_err(|_| no());
        let this = Self { own: absolute(&own)?, common: absolute(&common)? };
        let is_repository = this.own.join("HEAD").is_file()
            && this.common.join("objects").is_dir()
            && this.common.join("refs").is_dir();
        if is_repository { Ok(this) } else { Err(no()) }
    }

    /// A repository of ours that reads this one's objects and refs.
    pub(crate) fn open(&self, jobs: &Jobs, options: gix::open::Options) -> Result<Scratch, Error> {
        let empty = Empty::make(jobs, options.clone())?;
        let objects = empty.around().join("objects");
        self.link_objects(&objects)?;
        let (path, common) = (empty.path(), &self.common);
        fs::remove_dir_all(path.join("refs")).map_err(Error::io("can't remove", path))?;
        link(&common.join("refs"), &path.join("refs"))?;
        for name in ["packed-refs", "shallow", "logs"] {
            let from = common.join(name);
            let fits = match fs::metadata(&from) {
                Ok(found) => found.is_dir() == (name == "logs") && !is_special(&found),
                Err(_) => false,
            };
            if fits {
                link(&from, &path.join(name))?;
            }
        }
        let head = path.join("HEAD");
        fs::write(&head, line(&self.own.join("HEAD"))?).map_err(Error::io("can't write", &head))?;
        empty.over(&objects, None, options)
    }

    /// Loose objects and packs, without `info`, where alternates and the commit graph are.
    fn link_objects(&self, to: &Path) -> Result<(), Error> {
        let from = self.common.join("objects");
        fs::create_dir(to).map_err(Error::io("can't make the folder", to))?;
        for entry in fs::read_dir(&from).map_err(Error::io("can't list", &from))? {
            let name = entry.map_err(Error::io("can't list", &from))?.file_name();
            let bytes = name.as_encoded_bytes();
            let loose = bytes.len() == 2 && bytes.iter().all(u8::is_ascii_hexdigit);
            if (loose || bytes == b"pack") && from.join(&name).is_dir() {
                link(&from.join(&name), &to.join(&name))?;
            }
        }
        Ok(())
    }
}

fn is_special(found: &fs::Metadata) -> bool {
    !found.is_dir() && !found.is_file()
}

fn link(from: &Path, to: &Path) -> Result<(), Error> {
    symlink(from, to).map_err(Error::io("can't make the link", to))
}

/// A file of one short line.
fn line(path: &Path) -> Result<String, Error> {
    let failed = || Error::io("can't read", path);
    // A pipe would never end.
    if is_special(&fs::metadata(path).map_err(failed())?) {
        return Err(Error::invalid(format!("{} is no file", path.display())));
    }
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_LINE_BYTES).read_to_string(&mut text))
        .map_err(failed())?;
    Ok(text)
}

/// The commit that a revision names.
pub(crate) fn resolve(
    repo: &gix::Repository,
    repository: &Path,
    revision: &str,
) -> Result<ObjectId, Error> {
    let found = repo.rev_parse_single(revision).ok();
    found.and_then(|id| id.object().ok()?.peel_to_commit().ok()).map(|commit| commit.id).ok_or_else(
        || Error::invalid(format!("{} has no commit {revision:?}", repository.display())),
    )
}
