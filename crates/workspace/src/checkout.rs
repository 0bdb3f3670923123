//! A job's folder.

use std::path::{Path, PathBuf};

use crate::{ChangeSet, Error, Mode};

/// A job's own files, as the base commit has them; the folder is removed with this value.
#[derive(Debug)]
pub struct Checkout {
    tree: PathBuf,
    base: String,
    branch: String,
    files: Vec<BaseFile>,
}

/// A file of the base commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseFile {
    /// Below the root, `/` between folders; any bytes but NUL.
    pub path: Vec<u8>,
    /// What it is.
    pub mode: Mode,
    /// Its size in bytes.
    pub size: u64,
}

impl Checkout {
    /// The folder with the files, absolute; nothing else lies in it, no `.git` either.
    pub fn work_tree(&self) -> &Path {
        &self.tree
    }

    /// The commit's sha, 40 hexadecimal digits.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The target branch.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// The files of the base commit, sorted by path.
    pub fn files(&self) -> &[BaseFile] {
        &self.files
    }

    /// A file as the base commit has it, whatever the run made of it; `None` when the commit has no such file.
    pub async fn base_content(&self, _path: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Err(Error::Cancelled)
    }

    /// Added, changed, deleted and mode-changed paths of the work tree against the base.
    ///
    /// Call it when nothing writes to the folder any more.
    pub async fn change_set(&self) -> Result<ChangeSet, Error> {
        Err(Error::Cancelled)
    }

    /// Removes the folder and says whether that worked; dropping does the same silently.
    pub async fn close(self) -> Result<(), Error> {
        Ok(())
    }
}
