//! Local copies of repositories, one folder a repository.
//!
//! `mirrors/<key>/lock` is held by who fetches, over all processes. `mirrors/<key>/<n>.git` is a generation: bare, shallow,
//! complete from the moment it has its name. Whoever reads one holds `<n>.git/in-use` shared, so a newer generation can
//! come at any time and the older one goes when its last reader is gone. gix never repacks; a new generation does it.

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gix::{
    ObjectId,
    bstr::BString,
    progress::Discard,
    protocol::transport::{Protocol, client::blocking_io::http::Transport},
    remote::{Direction, fetch, ref_map},
};
use tokio::time::Instant;

use crate::{
    Error, MirrorLimits, Remote, Want, remove,
    transport::{Clients, Terms, Wire},
};

/// Where mirrors are, below the root of all.
const MIRRORS: &str = "mirrors";
/// How often the lock is asked for while somebody else fetches.
const LOCK_POLL: Duration = Duration::from_millis(20);
/// gix refuses any single allocation above this, or above one file's limit if that is more: an object's header may claim
/// exabytes, and a delta may unfold to them.
const MIN_ALLOCATION_LIMIT: u64 = 128 << 20;

/// The copies under one folder.
#[derive(Debug)]
pub(crate) struct Mirrors {
    folder: PathBuf,
    trash: PathBuf,
    limits: MirrorLimits,
    allocation_limit: u64,
    clients: Clients,
}

/// A commit in a mirror that stays readable for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) repo: gix::ThreadSafeRepository,
    pub(crate) commit: ObjectId,
    pub(crate) in_use: InUse,
}

/// Keeps a generation from being removed.
#[derive(Debug)]
pub(crate) struct InUse(#[allow(dead_code, reason = "held, not read")] File);

/// What is fetched.
pub(crate) struct Order<'a> {
    pub(crate) key: &'a str,
    pub(crate) remote: &'a Remote,
    pub(crate) want: &'a Want,
    pub(crate) terms: Terms,
}

/// Why a fetch into a generation did not work.
pub(crate) enum Trouble {
    Error(Error),
    /// Nobody's fault but the generation's, as far as one can see.
    Generation(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Mirrors {
    /// Makes the folder and removes half-made and superseded generations.
    pub(crate) fn open(
        root: &Path,
        trash: &Path,
        limits: MirrorLimits,
        file_bytes: u64,
    ) -> Result<Self, Error> {
        let folder = root.join(MIRRORS);
        fs::create_dir_all(&folder).map_err(Error::io("can't make the folder", &folder))?;
        let this = Self {
            folder,
            trash: trash.to_owned(),
            limits,
            allocation_limit: file_bytes.max(MIN_ALLOCATION_LIMIT),
            clients: Clients::new()?,
        };
        for entry in fs::read_dir(&this.folder).map_err(Error::io("can't list", &this.folder))? {
            let mirror = entry.map_err(Error::io("can't list", &this.folder))?.path();
            let path = mirror.join("lock");
            let Ok(lock) = File::open(&path) else { continue };
            match lock.try_lock() {
                Ok(()) => this.tidy(&mirror)?,
                // Somebody is fetching, and tidies afterwards.
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(Error::io("can't take the lock", path)(error));
                }
            }
        }
        Ok(this)
    }

    /// Fetches what is wanted. `fresh` starts a new generation whatever the current one looks like.
    pub(crate) fn fetch(&self, order: &Order<'_>, fresh: bool) -> Result<Held, Error> {
        let mirror = self.make(order)?;
        let lock = self.lock(&mirror, &order.terms)?;
        self.tidy(&mirror)?;
        let held = self.newest(&mirror, order, fresh)?;
        self.tidy(&mirror)?;
        drop(lock);
        Ok(held)
    }

    /// The folder of a repository's generations.
    pub(crate) fn make(&self, order: &Order<'_>) -> Result<PathBuf, Error> {
        let mirror = self.folder.join(order.key);
        fs::create_dir_all(&mirror).map_err(Error::io("can't make the folder", &mirror))?;
        Ok(mirror)
    }

    /// What is wanted, from the newest generation or from one that is made for it. Needs the mirror's lock.
    pub(crate) fn newest(
        &self,
        mirror: &Path,
        order: &Order<'_>,
        fresh: bool,
    ) -> Result<Held, Error> {
        let current = generations(mirror)?.last().copied();
        let Some(number) = current.filter(|_| !fresh) else {
            return self.clone(mirror, current, order);
        };
        match self.update(&generation(mirror, number), order) {
            Ok(held) => Ok(held),
            Err(Trouble::Error(error)) => Err(error),
            Err(Trouble::Generation(why)) => {
                tracing::info!(mirror = order.key, why, "cloning the mirror anew");
                self.clone(mirror, current, order)
            }
        }
    }

    pub(crate) fn lock(&self, mirror: &Path, terms: &Terms) -> Result<File, Error> {
        let path = mirror.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(Error::io("can't make the lock", &path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(Error::io("can't take the lock", path)(error));
                }
            }
            if terms.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if Instant::now() >= terms.deadline {
                let what = "another fetch of this repository held its mirror for too long".into();
                return Err(Error::Network { what, source: None });
            }
            terms.runtime.block_on(async {
                tokio::select! {
                    () = terms.cancel.cancelled() => {}
                    () = tokio::time::sleep(LOCK_POLL) => {}
                }
            });
        }
    }

    /// A new generation, with nothing in it but what is wanted.
    fn clone(&self, mirror: &Path, current: Option<u64>, order: &Order<'_>) -> Result<Held, Error> {
        let number = current.map_or(1, |number| number + 1);
        // What the old generation cost is not the new one's.
        order.terms.received.store(0, Ordering::Relaxed);
        let half = mirror.join(format!("{number}.half"));
        let path = generation(mirror, number);
        // Nothing of ours is old here, so what can't be explained is the remote's.
        let strange = |what: String| Error::Network { what, source: None };
        let options = gix::create::Options {
            destination_must_be_empty: Some(true),
            fs_capabilities: Some(gix::fs::Capabilities::default()),
            object_hash: Some(gix::hash::Kind::Sha1),
        };
        let made = gix::ThreadSafeRepository::init_opts(
            &half,
            gix::create::Kind::Bare,
            options,
            self.options(),
        )
        .map_err(|error| strange(error.to_string()))
        .and_then(|_| {
            File::create(half.join("in-use")).map_err(Error::io("can't make the lock", &half))?;
            self.receive(&half, order).map_err(|trouble| match trouble {
                Trouble::Error(error) => error,
                Trouble::Generation(what) => strange(what),
            })
        });
        let commit = match made {
            Ok(commit) => commit,
            Err(error) => {
                self.discard(&half)?;
                return Err(error);
            }
        };
        fs::rename(&half, &path).map_err(Error::io("can't name the mirror", &path))?;
        self.hold(&path, commit).map_err(|trouble| match trouble {
            Trouble::Error(error) => error,
            Trouble::Generation(what) => strange(what),
        })
    }

    fn update(&self, path: &Path, order: &Order<'_>) -> Result<Held, Trouble> {
        let packs = packs(path)?;
        if packs >= self.limits.packs {
            return Err(Trouble::Generation(format!("{packs} packs")));
        }
        clear_locks(path)?;
        if let Want::Commit { sha, .. } = order.want {
            let commit = ObjectId::from_hex(sha.as_bytes())
                .map_err(|error| Error::invalid(error.to_string()))?;
            let held = self.hold(path, commit);
            if held.is_ok() {
                return held;
            }
        }
        let commit = self.receive(path, order)?;
        self.hold(path, commit)
    }

    /// A commit of a generation, with a hand on it. Packs come as a whole, so a commit that is there is complete.
    fn hold(&self, path: &Path, commit: ObjectId) -> Result<Held, Trouble> {
        let lock = path.join("in-use");
        let in_use = File::open(&lock).map_err(Error::io("can't open the lock", &lock))?;
        in_use.lock_shared().map_err(Error::io("can't take the lock", &lock))?;
        let repo = self.repository(path)?;
        if !repo.has_object(commit) {
            return Err(Trouble::Generation(format!("{commit} is missing")));
        }
        Ok(Held { repo: repo.into_sync(), commit, in_use: InUse(in_use) })
    }

    /// The wanted commit, without its history.
    pub(crate) fn receive(&self, path: &Path, order: &Order<'_>) -> Result<ObjectId, Trouble> {
        let source = match order.want {
            Want::Branch(branch) => format!("refs/heads/{branch}"),
            Want::Commit { sha, .. } => sha.clone(),
        };
        self.ask(path, order, &[&source], None)?.ok_or_else(|| {
            Error::NotFound { what: format!("branch {}", order.want.branch()) }.into()
        })
    }

    /// Asks for refs or commits. With a depth, that much of their history is fetched, whatever is here already; without,
    /// only the first one, if it is not here. Returns what the first one is, if the remote has it.
    pub(crate) fn ask(
        &self,
        path: &Path,
        order: &Order<'_>,
        sources: &[&str],
        depth: Option<NonZeroU32>,
    ) -> Result<Option<ObjectId>, Trouble> {
        let terms = &order.terms;
        let interrupt = Arc::new(AtomicBool::new(false));
        // Indexing a pack listens to a flag only.
        let watch = terms.runtime.spawn({
            let (interrupt, terms) = (interrupt.clone(), terms.clone());
            async move {
                tokio::select! {
                    () = terms.cancel.cancelled() => {}
                    () = tokio::time::sleep_until(terms.deadline) => {}
                }
                interrupt.store(true, Ordering::Relaxed);
            }
        });
        let result = self.talk(path, order, sources, depth, &interrupt);
        watch.abort();
        if result.is_err() && interrupt.load(Ordering::Relaxed) {
            return Err(if terms.cancel.is_cancelled() {
                Error::Cancelled.into()
            } else {
                Error::TimedOut { limit: terms.limit }.into()
            });
        }
        result
    }

    fn talk(
        &self,
        path: &Path,
        order: &Order<'_>,
        sources: &[&str],
        depth: Option<NonZeroU32>,
        interrupt: &AtomicBool,
    ) -> Result<Option<ObjectId>, Trouble> {
        let Remote { url, token } = order.remote;
        let (wire, failure) = Wire::new(&self.clients, url, token.as_ref(), order.terms.clone())?;
        let explain = |error: gix::Error| {
            let first = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            first.map_or_else(|| self.explain(order, error), Trouble::Error)
        };
        let address =
            gix::Url::try_from(url.as_str()).map_err(|error| Error::invalid(error.to_string()))?;
        let transport = Transport::new_http(wire, address.clone(), Protocol::V2, false);
        let repo = self.repository(path)?;
        let refspecs = sources.iter().map(|source| {
            let name = source.strip_prefix("refs/heads/").unwrap_or(source);
            BString::from(format!("+{source}:{}", local_ref(name)))
        });
        let remote = repo
            .remote_at_without_url_rewrite(address)
            .and_then(|remote| remote.with_refspecs(refspecs, Direction::Fetch))
            .map_err(|error| Error::invalid(format!("can't ask for this: {error}")))?
            .with_fetch_tags(fetch::Tags::None);
        let connection = remote
            .to_connection_with_transport(transport)
            // No helper is ever asked: the one token there is was sent already.
            .with_credentials(|_| Ok(None))
            .with_transport_options(Box::new(()));
        let prepared =
            connection.prepare_fetch(Discard, ref_map::Options::default()).map_err(explain)?;
        let tip = prepared
            .ref_map()
            .mappings
            .first()
            .and_then(|mapping| mapping.remote.as_id())
            .map(ToOwned::to_owned);
        let Some(tip) = tip else { return Ok(None) };
        // Asked for a depth, gix would fetch, and store an empty pack.
        if depth.is_none() && repo.has_object(tip) {
            return Ok(Some(tip));
        }
        tracing::debug!(mirror = order.key, %tip, depth, "fetching");
        prepared
            .with_shallow(fetch::Shallow::DepthAtRemote(depth.unwrap_or(NonZeroU32::MIN)))
            .receive(Discard, interrupt)
            .map_err(explain)?;
        Ok(Some(tip))
    }

    /// What gix's own words mean to us.
    fn explain(&self, order: &Order<'_>, error: gix::Error) -> Trouble {
        if error.is_resource_exhausted() {
            let limit = self.allocation_limit;
            return Error::too_large("bytes in one object", limit, limit + 1).into();
        }
        let full = gix::error::classify(&error).any(|class| {
            class
                .error()
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == ErrorKind::StorageFull)
        });
        let text = chain(&error);
        if full || text.contains("No space left on device") {
            let source = io::Error::from(ErrorKind::StorageFull);
            return Error::Io {
                what: "can't store the pack in",
                path: self.folder.clone(),
                source,
            }
            .into();
        }
        match order.want {
            // upload-pack's words for a commit that it does not have or does not give away.
            Want::Commit { sha, .. }
                if text.contains("not our ref") || text.contains("unadvertised object") =>
            {
                Error::NotFound { what: format!("commit {sha}") }.into()
            }
            Want::Branch(branch) if text.contains("matched any of the") => {
                Error::NotFound { what: format!("branch {branch}") }.into()
            }
            _ => Trouble::Generation(text),
        }
    }

    pub(crate) fn repository(&self, path: &Path) -> Result<gix::Repository, Trouble> {
        gix::open_opts(path, self.options().open_path_as_is(true)).map_err(generation_trouble)
    }

    /// Neither the user's nor the system's configuration, nor the environment, and nothing that starts a program.
    pub(crate) fn options(&self) -> gix::open::Options {
        gix::open::Options::isolated().with(gix::sec::Trust::Reduced).config_overrides([
            format!("gitoxide.objects.allocLimit={}", self.allocation_limit),
            // A replacement is another object under the same id.
            "core.useReplaceRefs=false".to_owned(),
        ])
    }

    /// Removes what is half made, and generations that nobody reads any more. Needs the mirror's lock.
    pub(crate) fn tidy(&self, mirror: &Path) -> Result<(), Error> {
        for entry in fs::read_dir(mirror).map_err(Error::io("can't list", mirror))? {
            let path = entry.map_err(Error::io("can't list", mirror))?.path();
            if path.extension().is_some_and(|extension| extension == "half") {
                self.discard(&path)?;
            }
        }
        let mut numbers = generations(mirror)?;
        numbers.pop();
        for number in numbers {
            let path = generation(mirror, number);
            let free = match File::open(path.join("in-use")) {
                Ok(file) => file.try_lock().is_ok(),
                Err(error) => error.kind() == ErrorKind::NotFound,
            };
            if free {
                self.discard(&path)?;
            }
        }
        Ok(())
    }

    fn discard(&self, path: &Path) -> Result<(), Error> {
        match remove::discard(path, &self.trash)
            .and_then(|place| remove::remove(place, &self.trash))
        {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io("can't remove the folder", path)(error))
            }
            _ => Ok(()),
        }
    }
}

/// A ref's name by hash: branches come and go, and `a` and `a/b` can't both be files.
fn local_ref(name: &str) -> String {
    let hash =
        gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Blob, name.as_bytes());
    // Hashing fails only for a collision attack on SHA-1; then the name's length is as good.
    format!("refs/mirror/{}", hash.map_or_else(|_| name.len().to_string(), |id| id.to_string()))
}

/// The newest generation of a mirror below `root`.
pub(crate) fn newest(root: &Path, key: &str) -> Result<Option<PathBuf>, Error> {
    let mirror = root.join(MIRRORS).join(key);
    if !mirror.is_dir() {
        return Ok(None);
    }
    Ok(generations(&mirror)?.last().map(|number| generation(&mirror, *number)))
}

fn generation(mirror: &Path, number: u64) -> PathBuf {
    mirror.join(format!("{number}.git"))
}

/// The numbers of the complete generations, the newest last.
fn generations(mirror: &Path) -> Result<Vec<u64>, Error> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(mirror).map_err(Error::io("can't list", mirror))? {
        let name = entry.map_err(Error::io("can't list", mirror))?.file_name();
        numbers.extend(
            name.to_str()
                .and_then(|name| name.strip_suffix(".git"))
                .and_then(|number| number.parse::<u64>().ok()),
        );
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn packs(path: &Path) -> Result<usize, Trouble> {
    let folder = path.join("objects/pack");
    let entries =
        fs::read_dir(&folder).map_err(|error| Trouble::Generation(format!("no packs: {error}")))?;
    Ok(entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "idx"))
        .count())
}

/// Removes lock files and half-written packs of a process that was killed: we hold the mirror's lock, so nobody else
/// does. Readers need none of them.
fn clear_locks(path: &Path) -> Result<(), Error> {
    let mut folders = vec![path.to_owned(), path.join("objects/pack")];
    let mut refs = vec![path.join("refs")];
    while let Some(folder) = refs.pop() {
        if let Ok(entries) = fs::read_dir(&folder) {
            refs.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()));
        }
        folders.push(folder);
    }
    for folder in folders {
        let packs = folder.ends_with("pack");
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let half = packs && !name.to_string_lossy().starts_with("pack-");
            if path.is_file()
                && (half || path.extension().is_some_and(|extension| extension == "lock"))
            {
                fs::remove_file(&path).map_err(Error::io("can't remove", &path))?;
            }
        }
    }
    Ok(())
}

fn generation_trouble(error: gix::Error) -> Trouble {
    Trouble::Generation(chain(&error))
}

pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
