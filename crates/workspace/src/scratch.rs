//! A place of our own for what a merge makes, over objects that somebody else keeps.
//!
//! A bare repository in a job's folder. Its configuration, its attributes (none) and its merge drivers (none) are ours; it
//! reads the other objects by way of `objects/info/alternates`, and writes to its own folder only.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Error,
    job::{JobFolder, Jobs},
    mirror::{InUse, chain},
};

/// A repository that goes with this value.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) repo: gix::ThreadSafeRepository,
    // After the repository, so that nothing is open when the folder goes.
    _folder: JobFolder,
    _in_use: Option<InUse>,
}

/// One that is not filled yet.
pub(crate) struct Empty {
    folder: JobFolder,
    path: PathBuf,
}

impl Empty {
    pub(crate) fn make(jobs: &Jobs, options: gix::open::Options) -> Result<Self, Error> {
        let folder = jobs.create_unnamed("merge")?;
        let path = folder.path().join("repo.git");
        let creation = gix::create::Options {
            destination_must_be_empty: Some(true),
            fs_capabilities: Some(gix::fs::Capabilities::default()),
            object_hash: Some(gix::hash::Kind::Sha1),
        };
        gix::ThreadSafeRepository::init_opts(&path, gix::create::Kind::Bare, creation, options)
            .map_err(|error| Error::invalid(format!("no place for a merge: {}", chain(&error))))?;
        Ok(Self { folder, path })
    }

    /// Where the repository lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder around it.
    pub(crate) fn around(&self) -> &Path {
        self.folder.path()
    }

    /// Opens it over the objects in `objects`, which `in_use` keeps.
    pub(crate) fn over(
        self,
        objects: &Path,
        in_use: Option<InUse>,
        options: gix::open::Options,
    ) -> Result<Scratch, Error> {
        let list = self.path.join("objects/info/alternates");
        let mut line = objects.as_os_str().as_encoded_bytes().to_vec();
        line.push(b'\n');
        list.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&list, line))
            .map_err(Error::io("can't write", &list))?;
        let repo = gix::open_opts(&self.path, options.open_path_as_is(true))
            .map_err(|error| Error::invalid(format!("no place for a merge: {}", chain(&error))))?;
        Ok(Scratch { repo: repo.into_sync(), _folder: self.folder, _in_use: in_use })
    }
}
