//! The disk spool: where deliveries are kept while the broker does not take them.
//!
//! A folder of JSONL files that a person can read. One process at a time owns it. What
//! [`Spool::append`] confirmed is on disk; [`drain`] hands it to the broker in the order in which it
//! came, and a file is deleted when the broker has confirmed every line of it. A process that dies
//! in between hands some lines over twice, which the broker knows by their subject.

pub(crate) mod drain;
mod line;
mod segment;
mod writer;

use std::{
    collections::{HashSet, VecDeque},
    fs::{self, File, TryLockError},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use tokio::sync::{Notify, mpsc, oneshot};

pub(crate) use line::{Entry, Key};
use segment::Sealed;
use writer::{Command, Writer};

use crate::{error::Error, metrics::Metrics, settings::SpoolSettings};

/// Entries that wait for the writer at a time; their bodies are within the body budget.
const WAITING: usize = 1024;
const LOCK_FILE: &str = "lock";
/// Lines that the broker will never take, and lines that can't be read. Kept for a person.
const SET_ASIDE_FILE: &str = "set-aside.jsonl";

/// Why an entry is not kept.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum SpoolError {
    /// It holds as much as it may.
    #[error("the disk spool holds its {max_bytes} bytes")]
    Full { max_bytes: u64 },
    /// The disk does not take it.
    #[error("the disk does not take it: {0}")]
    Disk(Arc<io::Error>),
    /// Its thread is gone.
    #[error("the disk spool is closed")]
    Closed,
}

/// The handle on the disk spool. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Spool {
    commands: mpsc::Sender<Command>,
    state: Arc<State>,
    dir: PathBuf,
}

/// What the writer, the drain and the requests share.
pub(crate) struct State {
    inner: Mutex<Inner>,
    metrics: Metrics,
    /// Something was kept.
    kept: Notify,
}

#[derive(Default)]
struct Inner {
    keys: HashSet<Key>,
    sealed: VecDeque<Sealed>,
    /// The file that is appended to holds something.
    active: bool,
    /// The last entry found no room.
    full: bool,
    bytes: u64,
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self) -> u64 {
        self.inner().bytes
    }

    fn grow(&self, bytes: u64) {
        let mut inner = self.inner();
        inner.bytes += bytes;
        inner.full = false;
    }

    fn is_full(&self) -> bool {
        self.inner().full
    }

    fn set_full(&self) {
        self.inner().full = true;
    }

    fn keep(&self, keys: impl Iterator<Item = Key>) {
        let mut inner = self.inner();
        inner.keys.extend(keys);
        inner.active = true;
        self.metrics.spool_size(inner.keys.len(), inner.bytes);
        drop(inner);
        self.kept.notify_one();
    }

    fn seal(&self, segment: Sealed) {
        let mut inner = self.inner();
        inner.sealed.push_back(segment);
        inner.active = false;
    }

    fn has_work(&self) -> bool {
        let inner = self.inner();
        inner.active || !inner.sealed.is_empty()
    }

    fn oldest(&self) -> Option<Sealed> {
        self.inner().sealed.front().cloned()
    }

    fn forget(&self, key: Key) {
        let mut inner = self.inner();
        inner.keys.remove(&key);
        self.metrics.spool_size(inner.keys.len(), inner.bytes);
    }

    /// The oldest file is done with.
    fn drained(&self, segment: &Sealed) {
        let mut inner = self.inner();
        if inner.sealed.front().is_some_and(|oldest| oldest.path == segment.path) {
            inner.sealed.pop_front();
            inner.bytes = inner.bytes.saturating_sub(segment.bytes);
            inner.full = false;
        }
        self.metrics.spool_size(inner.keys.len(), inner.bytes);
    }
}

impl Spool {
    /// Takes the folder over, with what an earlier process left in it. The thread ends, and gives
    /// the folder back, at [`Spool::close`] or when the last handle is dropped.
    ///
    /// # Errors
    /// Another process has it, or the folder can't be used.
    pub(crate) fn open(
        settings: &SpoolSettings,
        metrics: Metrics,
    ) -> Result<(Self, JoinHandle<()>), Error> {
        let dir = settings.dir.clone();
        let unusable = |source| Error::Spool { dir: dir.clone(), source };
        fs::create_dir_all(&dir).map_err(unusable)?;
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(LOCK_FILE))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::SpoolTaken { dir }),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }

        let mut inner = Inner::default();
        let mut next_number = 1;
        for (number, path) in segment::list(&dir).map_err(unusable)? {
            next_number = number + 1;
            let survey = segment::recover(&path).map_err(unusable)?;
            if survey.torn > 0 || survey.damaged > 0 {
                tracing::warn!(event = "spool_recovered", path = %path.display(),
                    torn_bytes = survey.torn, damaged_lines = survey.damaged,
                    "a torn last line was never confirmed to its sender and is cut off; damaged \
                     lines will be set aside");
            }
            if survey.whole == 0 {
                fs::remove_file(&path).map_err(unusable)?;
                continue;
            }
            inner.keys.extend(survey.keys);
            inner.bytes += survey.whole;
            inner.sealed.push_back(Sealed { path, bytes: survey.whole });
        }
        if !inner.sealed.is_empty() {
            tracing::info!(
                event = "spool_resumed",
                entries = inner.keys.len(),
                bytes = inner.bytes,
                "deliveries of an earlier run wait for the broker"
            );
        }
        metrics.spool_size(inner.keys.len(), inner.bytes);

        let state = Arc::new(State { inner: Mutex::new(inner), metrics, kept: Notify::new() });
        let writer = Writer {
            dir: dir.clone(),
            state: Arc::clone(&state),
            max_bytes: settings.max_bytes,
            segment_bytes: settings.segment_bytes,
            next_number,
            active: None,
            _lock: lock,
        };
        let (commands, receiver) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("ingress-spool".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(unusable)?;
        Ok((Self { commands, state, dir }, thread))
    }

    /// Keeps an entry; it is on disk when this returns `Ok`. The caller has made sure that no entry
    /// with this key is held or on its way.
    pub(crate) async fn append(&self, entry: Entry) -> Result<(), SpoolError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Append { entry, reply };
        self.commands.send(command).await.map_err(|_| SpoolError::Closed)?;
        answer.await.unwrap_or(Err(SpoolError::Closed))
    }

    /// Whether an entry with this key is held.
    pub(crate) fn holds(&self, key: &Key) -> bool {
        let inner = self.state.inner();
        !inner.keys.is_empty() && inner.keys.contains(key)
    }

    /// Closes the file that is appended to, if it holds anything, so that it can be drained.
    async fn seal(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Seal { reply }).await.is_ok() {
            let _ = done.await;
        }
    }

    /// Keeps what was sent before, and nothing after.
    pub(crate) async fn close(&self) {
        // An error means that it is closed.
        let _ = self.commands.send(Command::Close).await;
    }

    /// Whether something could be kept now.
    pub(crate) async fn probe(&self) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let closed = || SpoolError::Closed.to_string();
        self.commands.send(Command::Probe { reply }).await.map_err(|_| closed())?;
        match answer.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{}: {error}", self.dir.display())),
            Err(_) => Err(closed()),
        }
    }
}
