//! A folder of files: for many messages, while the broker does not take them.
//!
//! One process at a time owns it. What [`Spool::append`] confirmed is on disk; [`crate::Drain`] hands
//! it to the broker in the order in which it came, and a file is deleted when the broker has confirmed every line of it. A process that dies
//! in between hands some lines over twice, which the broker knows by their subject.

use std::{
    collections::{HashSet, VecDeque},
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    error::{OpenError, SpoolError},
    line::{Key, Line},
    segment::{self, Sealed},
    watch::Watch,
    writer::{Command, Writer},
};

/// Entries that wait for the writer at a time. Whoever appends bounds their bodies.
const WAITING: usize = 1024;
const LOCK_FILE: &str = "lock";
/// Lines that the broker will never take, and lines that can't be read. Kept for a person.
pub(crate) const SET_ASIDE_FILE: &str = "set-aside.jsonl";

/// A spool's place and size.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its folder; made when it is missing.
    pub dir: PathBuf,
    /// The most that its files may hold together.
    pub max_bytes: u64,
    /// When a file is full and the next one is begun. A drained file is deleted as a whole.
    pub segment_bytes: u64,
}

impl Settings {
    /// The usual sizes, in a folder: 4 GiB in files of 16 MiB.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), max_bytes: 4 << 30, segment_bytes: 16 << 20 }
    }
}

/// The handle on the disk spool. Cheap to clone.
#[derive(Clone)]
pub struct Spool {
    commands: mpsc::Sender<Command>,
    pub(crate) state: Arc<State>,
    pub(crate) dir: PathBuf,
}

/// What the writer, the drain and the requests share.
pub(crate) struct State {
    inner: Mutex<Inner>,
    pub(crate) watch: Arc<dyn Watch>,
    /// Something was kept.
    pub(crate) kept: Notify,
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

    pub(crate) fn bytes(&self) -> u64 {
        self.inner().bytes
    }

    pub(crate) fn grow(&self, bytes: u64) {
        let mut inner = self.inner();
        inner.bytes += bytes;
        inner.full = false;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.inner().full
    }

    pub(crate) fn set_full(&self) {
        self.inner().full = true;
    }

    pub(crate) fn keep(&self, keys: impl Iterator<Item = Key>) {
        let mut inner = self.inner();
        inner.keys.extend(keys);
        inner.active = true;
        self.watch.size(inner.keys.len(), inner.bytes);
        drop(inner);
        self.kept.notify_one();
    }

    pub(crate) fn seal(&self, segment: Sealed) {
        let mut inner = self.inner();
        inner.sealed.push_back(segment);
        inner.active = false;
    }

    pub(crate) fn has_work(&self) -> bool {
        let inner = self.inner();
        inner.active || !inner.sealed.is_empty()
    }

    pub(crate) fn oldest(&self) -> Option<Sealed> {
        self.inner().sealed.front().cloned()
    }

    pub(crate) fn forget(&self, key: Key) {
        let mut inner = self.inner();
        inner.keys.remove(&key);
        self.watch.size(inner.keys.len(), inner.bytes);
    }

    /// The oldest file is done with.
    pub(crate) fn drained(&self, segment: &Sealed) {
        let mut inner = self.inner();
        if inner.sealed.front().is_some_and(|oldest| oldest.path == segment.path) {
            inner.sealed.pop_front();
            inner.bytes = inner.bytes.saturating_sub(segment.bytes);
            inner.full = false;
        }
        self.watch.size(inner.keys.len(), inner.bytes);
    }
}

impl Spool {
    /// Takes the folder over, with what an earlier process left in it. The thread ends, and gives
    /// the folder back, at [`Spool::close`] or when the last handle is dropped.
    ///
    /// # Errors
    /// Another process has it, or the folder can't be used.
    pub fn open(
        settings: &Settings,
        watch: Arc<dyn Watch>,
    ) -> Result<(Self, JoinHandle<()>), OpenError> {
        let dir = settings.dir.clone();
        let unusable = |source| OpenError::Unusable { path: dir.clone(), source };
        fs::create_dir_all(&dir).map_err(unusable)?;
        let lock = segment::lock(&dir.join(LOCK_FILE)).map_err(unusable)?;
        let Some(lock) = lock else { return Err(OpenError::Taken { path: dir }) };

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
                "messages of an earlier run wait for the broker"
            );
        }
        watch.size(inner.keys.len(), inner.bytes);

        let state = Arc::new(State { inner: Mutex::new(inner), watch, kept: Notify::new() });
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
            .name("spool".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(unusable)?;
        Ok((Self { commands, state, dir }, thread))
    }

    /// Keeps a message; it is on disk when this returns `Ok`. The caller has made sure that none with
    /// this subject is held or on its way.
    ///
    /// # Errors
    /// The spool is full or closed, or the disk does not take it.
    pub async fn append(&self, line: Line) -> Result<(), SpoolError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Append { line, reply };
        self.commands.send(command).await.map_err(|_| SpoolError::Closed)?;
        answer.await.unwrap_or(Err(SpoolError::Closed))
    }

    /// Whether a message with this key is held.
    pub fn holds(&self, key: &Key) -> bool {
        let inner = self.state.inner();
        !inner.keys.is_empty() && inner.keys.contains(key)
    }

    /// Closes the file that is appended to, if it holds anything, so that it can be drained.
    pub(crate) async fn seal(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Seal { reply }).await.is_ok() {
            let _ = done.await;
        }
    }

    /// Keeps what was sent before, and nothing after.
    pub async fn close(&self) {
        // An error means that it is closed.
        let _ = self.commands.send(Command::Close).await;
    }

    /// Whether something could be kept now.
    ///
    /// # Errors
    /// Why not.
    pub async fn probe(&self) -> Result<(), String> {
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
