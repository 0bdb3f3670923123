//! The folder of a job: made, locked, swept.
//!
//! `jobs/<job>/lock` is held with flock by the process that works in the folder, so the kernel lets go of it however the
//! process ends. A folder whose lock is free belongs to nobody and goes.

use std::{
    fs::{self, File, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{Error, remove};

/// The number of the next folder without a name.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Where jobs lie, and where they go.
#[derive(Debug)]
pub(crate) struct Jobs {
    jobs: PathBuf,
    trash: PathBuf,
}

/// One job's folder; dropping it removes it.
#[derive(Debug)]
pub(crate) struct JobFolder {
    folder: PathBuf,
    tree: PathBuf,
    trash: PathBuf,
    /// Held for as long as the folder is in use; `None` once it is gone.
    lock: Option<File>,
}

impl Jobs {
    /// Makes the folders and removes what crashed jobs left.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let this = Self { jobs: root.join("jobs"), trash: root.join("trash") };
        for folder in [&this.jobs, &this.trash] {
            fs::create_dir_all(folder).map_err(Error::io("can't make the folder", folder))?;
        }
        this.sweep()?;
        Ok(this)
    }

    /// Where removed folders wait.
    pub(crate) fn trash(&self) -> &Path {
        &self.trash
    }

    /// Makes a job's folder, with an empty `tree/` in it.
    pub(crate) fn create(&self, job: &str) -> Result<JobFolder, Error> {
        let folder = self.jobs.join(job);
        let guard = self.guard()?;
        let leftover = match take(&folder)? {
            Taken::Alive => return Err(Error::Busy { job: job.to_owned() }),
            Taken::Missing => None,
            Taken::Leftover(_lock) => Some(self.discard(&folder)?),
        };
        let tree = folder.join("tree");
        fs::create_dir_all(&tree).map_err(Error::io("can't make the folder", &tree))?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(Error::io("can't make the lock", &path))?;
        lock.lock().map_err(Error::io("can't take the lock", &path))?;
        drop(guard);
        if let Some(place) = leftover {
            self.remove(place)?;
        }
        Ok(JobFolder { folder, tree, trash: self.trash.clone(), lock: Some(lock) })
    }

    /// Makes a folder of a name that no job can have.
    pub(crate) fn create_unnamed(&self, what: &str) -> Result<JobFolder, Error> {
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            // In another container the same process id may be taken.
            match self.create(&format!(".{what}-{}-{number}", std::process::id())) {
                Err(Error::Busy { .. }) => {}
                result => return result,
            }
        }
    }

    fn sweep(&self) -> Result<(), Error> {
        let guard = self.guard()?;
        for entry in fs::read_dir(&self.jobs).map_err(Error::io("can't list", &self.jobs))? {
            let folder = entry.map_err(Error::io("can't list", &self.jobs))?.path();
            if folder.is_dir()
                && let Taken::Leftover(_lock) = take(&folder)?
            {
                tracing::info!(job = %folder.display(), "removing what a crashed job left");
                self.discard(&folder)?;
            }
        }
        drop(guard);
        for entry in fs::read_dir(&self.trash).map_err(Error::io("can't list", &self.trash))? {
            let place = entry.map_err(Error::io("can't list", &self.trash))?.path();
            if place.is_dir() {
                self.remove(place)?;
            }
        }
        Ok(())
    }

    /// Keeps a sweep from seeing a folder between its making and its locking.
    fn guard(&self) -> Result<File, Error> {
        let path = self.jobs.join(".lock");
        let file = File::create(&path).map_err(Error::io("can't make the lock", &path))?;
        file.lock().map_err(Error::io("can't take the lock", &path))?;
        Ok(file)
    }

    fn discard(&self, folder: &Path) -> Result<PathBuf, Error> {
        remove::discard(folder, &self.trash).map_err(Error::io("can't remove the folder", folder))
    }

    fn remove(&self, place: PathBuf) -> Result<(), Error> {
        remove::remove(place.clone(), &self.trash)
            .map_err(Error::io("can't remove the folder", place))
    }
}

enum Taken {
    Missing,
    Alive,
    /// With its lock, if it got that far.
    Leftover(#[allow(dead_code, reason = "held, not read")] Option<File>),
}

fn take(folder: &Path) -> Result<Taken, Error> {
    let path = folder.join("lock");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(if folder.exists() { Taken::Leftover(None) } else { Taken::Missing });
        }
        Err(error) => return Err(Error::io("can't open the lock", path)(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Taken::Leftover(Some(file))),
        Err(TryLockError::WouldBlock) => Ok(Taken::Alive),
        Err(TryLockError::Error(error)) => Err(Error::io("can't take the lock", path)(error)),
    }
}

impl JobFolder {
    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// The folder for the files.
    pub(crate) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Where what is removed waits.
    pub(crate) fn trash(&self) -> &Path {
        &self.trash
    }

    /// Removes the folder now.
    pub(crate) fn close(mut self) -> Result<(), Error> {
        match self.discard()? {
            Some(place) => remove::remove(place, &self.trash)
                .map_err(Error::io("can't remove the folder", &self.folder)),
            None => Ok(()),
        }
    }

    fn discard(&mut self) -> Result<Option<PathBuf>, Error> {
        let Some(lock) = self.lock.take() else { return Ok(None) };
        let place = match remove::discard(&self.folder, &self.trash) {
            Ok(place) => Some(place),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("can't remove the folder", &self.folder)(error)),
        };
        drop(lock);
        Ok(place)
    }
}

impl Drop for JobFolder {
    /// The name is free at once; the files go on a blocking thread where there is one, else here.
    fn drop(&mut self) {
        let place = match self.discard() {
            Ok(Some(place)) => place,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "a job's folder stays until the next start");
                return;
            }
        };
        let trash = self.trash.clone();
        let work = move || {
            if let Err(error) = remove::remove(place, &trash) {
                tracing::warn!(%error, "a job's files stay until the next start");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(handle) => drop(handle.spawn_blocking(work)),
            Err(_) => work(),
        }
    }
}
