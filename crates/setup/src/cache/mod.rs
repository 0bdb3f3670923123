//! One folder for each set of locked packages: filled once, then sealed.
//!
//! ```text
//! <root>/<key>.lock      held alone while it is filled, together while it is used
//! <root>/<key>.filling/  a fill, or what a crash left of one
//! <root>/<key>/          a whole one: it has come into being by one rename
//!     content/           mounted at /cache
//!     complete           when it was last used
//! ```

mod evict;

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::kind::Kind;

/// Whoever waits for another's fill looks this often.
const PAUSE: Duration = Duration::from_millis(100);
const CONTENT: &str = "content";
const COMPLETE: &str = "complete";
const FILLING: &str = "filling";
/// Changes when what is in a cache does.
const FORMAT: &str = "1";

/// What a cache is for. Two that differ in anything never share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheKey(String);

impl CacheKey {
    /// `repo` is the repository, and `scope` who may fill it: code of one pull request runs while
    /// a cache is filled, so its caches serve that pull request alone. `inputs` are hashes and texts
    /// that decide what is installed.
    pub fn new(kinds: &[Kind], repo: &str, scope: &str, inputs: &[&[u8]]) -> Self {
        let mut kinds: Vec<String> = kinds.iter().map(Kind::to_string).collect();
        kinds.sort();
        kinds.dedup();
        let kinds = kinds.join("-");
        let mut hasher = Sha256::new();
        let texts = [FORMAT, &kinds, repo, scope];
        for part in texts.into_iter().map(str::as_bytes).chain(inputs.iter().copied()) {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let hash = hex::encode(hasher.finalize());
        Self(format!("{kinds}-{hash}"))
    }
}

/// All caches of one data folder.
#[derive(Debug, Clone)]
pub struct Caches {
    root: PathBuf,
    max_bytes: u64,
}

/// What there is for a key.
#[derive(Debug)]
pub enum Cache {
    /// A whole one.
    Sealed(CacheFolder),
    /// None; this caller alone may fill one.
    Filling(Filling),
}

/// A whole cache, which stays while this value lives.
#[derive(Debug, Clone)]
pub struct CacheFolder {
    folder: PathBuf,
    _lock: Arc<File>,
}

/// An empty folder to be filled. Dropping it without [`Filling::seal`] discards it.
#[derive(Debug)]
pub struct Filling {
    root: PathBuf,
    key: CacheKey,
    max_bytes: u64,
    lock: Option<File>,
}

/// Why caches cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The caller gave up waiting.
    #[error("cancelled while another filled the cache")]
    Cancelled,
    /// The disk refused.
    #[error("cannot use the cache {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What is in a complete marker.
#[derive(Debug, Serialize, Deserialize)]
struct Complete {
    bytes: u64,
}

impl Caches {
    /// Below a data folder; makes it. All together hold at most `max_bytes`, or the one in use.
    pub fn open(root: &Path, max_bytes: u64) -> Result<Self, CacheError> {
        fs::create_dir_all(root).map_err(at(root))?;
        let root = root.canonicalize().map_err(at(root))?;
        evict::sweep(&root);
        Ok(Self { root, max_bytes })
    }

    /// The cache of a key if there is a whole one; waits for nobody.
    pub fn find(&self, key: &CacheKey) -> Result<Option<CacheFolder>, CacheError> {
        let folder = self.root.join(&key.0);
        if !is_complete(&folder) {
            return Ok(None);
        }
        let lock = self.lock(key)?;
        let is_ours = has(&lock, FlockOperation::NonBlockingLockShared)? && is_complete(&folder);
        Ok(is_ours.then(|| CacheFolder::used(folder, lock)))
    }

    /// The cache of a key, or the right to fill it. Waits while another fills it.
    pub async fn cache_for(
        &self,
        key: &CacheKey,
        cancel: &CancellationToken,
    ) -> Result<Cache, CacheError> {
        let lock = self.lock(key)?;
        let folder = self.root.join(&key.0);
        loop {
            if has(&lock, FlockOperation::NonBlockingLockShared)? && is_complete(&folder) {
                return Ok(Cache::Sealed(CacheFolder::used(folder, lock)));
            }
            if has(&lock, FlockOperation::NonBlockingLockExclusive)? && !is_complete(&folder) {
                return self.start(key, lock).await.map(Cache::Filling);
            }
            tokio::select! {
                () = cancel.cancelled() => return Err(CacheError::Cancelled),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Gives up a cache that turned out to be of no use, and fills it anew. Others that use it go on
    /// with what they have; then this waits for them.
    pub async fn refill(
        &self,
        key: &CacheKey,
        of_no_use: CacheFolder,
        cancel: &CancellationToken,
    ) -> Result<Filling, CacheError> {
        drop(of_no_use);
        let lock = self.lock(key)?;
        while !has(&lock, FlockOperation::NonBlockingLockExclusive)? {
            tokio::select! {
                () = cancel.cancelled() => return Err(CacheError::Cancelled),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        self.start(key, lock).await
    }

    /// Begins with nothing, whatever a crash or a cache of no use has left.
    async fn start(&self, key: &CacheKey, lock: File) -> Result<Filling, CacheError> {
        let filling = Filling {
            root: self.root.clone(),
            key: key.clone(),
            max_bytes: self.max_bytes,
            lock: Some(lock),
        };
        let old = self.root.join(&key.0);
        let started = tokio::task::spawn_blocking(move || {
            evict::remove(&old)?;
            evict::remove(&filling.folder())?;
            let content = filling.path();
            fs::create_dir_all(&content).map_err(at(&content))?;
            Ok(filling)
        });
        started.await.map_err(io::Error::other).map_err(at(&self.root))?
    }

    fn lock(&self, key: &CacheKey) -> Result<File, CacheError> {
        let path = self.root.join(format!("{}.lock", key.0));
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        open.map_err(at(&path))
    }
}

impl CacheFolder {
    fn used(folder: PathBuf, lock: File) -> Self {
        // How it is known when it was last used.
        touch(&folder.join(COMPLETE));
        Self { folder, _lock: Arc::new(lock) }
    }

    /// What to mount, not to be written.
    pub fn path(&self) -> PathBuf {
        self.folder.join(CONTENT)
    }
}

impl Filling {
    /// What to mount, to be written.
    pub fn path(&self) -> PathBuf {
        self.folder().join(CONTENT)
    }

    fn folder(&self) -> PathBuf {
        self.root.join(format!("{}.{FILLING}", self.key.0))
    }

    /// Makes it whole: written to the disk, marked, renamed. Then removes what was not used for
    /// longest, if all together are too large. Blocks.
    pub fn seal(mut self) -> Result<CacheFolder, CacheError> {
        let (from, to) = (self.folder(), self.root.join(&self.key.0));
        let complete = Complete { bytes: evict::bytes(&from) };
        let marker = from.join(COMPLETE);
        let text = serde_json::to_vec(&complete).map_err(io::Error::other).map_err(at(&marker))?;
        // Its name must not outlive its content in a power cut.
        let folder = File::open(&from).map_err(at(&from))?;
        rustix::fs::syncfs(&folder).map_err(io::Error::from).map_err(at(&from))?;
        fs::write(&marker, text).map_err(at(&marker))?;
        File::open(&marker).and_then(|file| file.sync_all()).map_err(at(&marker))?;
        folder.sync_all().map_err(at(&from))?;
        fs::rename(&from, &to).map_err(at(&to))?;
        let root = File::open(&self.root).and_then(|root| root.sync_all());
        root.map_err(at(&self.root))?;
        let Some(lock) = self.lock.take() else {
            return Err(at(&to)(io::ErrorKind::NotFound.into()));
        };
        // Not in one step: somebody may have removed it in between, which is looked for below.
        rustix::fs::flock(&lock, FlockOperation::LockShared)
            .map_err(io::Error::from)
            .map_err(at(&to))?;
        let sealed = CacheFolder { folder: to, _lock: Arc::new(lock) };
        evict::evict(&self.root, self.max_bytes);
        match is_complete(&sealed.folder) {
            true => Ok(sealed),
            false => Err(at(&sealed.folder)(io::ErrorKind::NotFound.into())),
        }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        if self.lock.is_some()
            && let Err(error) = evict::remove(&self.folder())
        {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(event = "setup_cache_left", error, "an unfinished cache stays for now");
        }
    }
}

fn is_complete(folder: &Path) -> bool {
    let marker = fs::read(folder.join(COMPLETE)).unwrap_or_default();
    serde_json::from_slice::<Complete>(&marker).is_ok()
}

fn touch(path: &Path) {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let now = rustix::fs::Timestamps { last_access: now, last_modification: now };
    let _ = rustix::fs::utimensat(rustix::fs::CWD, path, &now, rustix::fs::AtFlags::empty());
}

fn has(lock: &File, operation: FlockOperation) -> Result<bool, CacheError> {
    match rustix::fs::flock(lock, operation) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(at(Path::new("lock"))(error.into())),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    let path = path.to_owned();
    move |source| CacheError::Io { path, source }
}
