//! A single file: for the few messages that a service gave up on while the spool on the broker took
//! nothing.
//!
//! What [`FileSpool::keep`] confirmed is on disk. [`FileSpool::drain`] reads the file from its start,
//! and empties it once the broker has all of it; a process that dies in between hands some lines over
//! twice, which the broker knows by their subject.

use std::{
    collections::HashSet,
    ffi::OsString,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use booty_bus::{BoxError, Bus, Error, Fallback, Outgoing, PublishError, Spooled};
use booty_events::{stream, subject::SpoolPlace};
use chrono::{DateTime, Utc};
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    error::{OpenError, SpoolError},
    line::{Key, Line},
    lines::{Lines, Step},
    segment,
    watch::Watch,
};

/// How soon the broker is asked again; it doubles from the one to the other.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// A file's place and size.
#[derive(Debug, Clone)]
pub struct FileSettings {
    /// The file. Beside it lie `<file>.lock`, and `<file>.set-aside` once there is something for a
    /// person to look at.
    pub path: PathBuf,
    /// The most that it may hold.
    pub max_bytes: u64,
    /// The wall clock, for each line's time.
    pub clock: fn() -> DateTime<Utc>,
}

impl FileSettings {
    /// The usual size, 1 GiB.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_bytes: 1 << 30, clock: Utc::now }
    }
}

/// The handle on a single file. Cheap to clone.
#[derive(Clone)]
pub struct FileSpool(Arc<Inner>);

struct Inner {
    settings: FileSettings,
    watch: Arc<dyn Watch>,
    held: Mutex<Held>,
    /// Something was kept.
    kept: Notify,
    _lock: File,
}

/// What is on disk for sure.
#[derive(Default)]
struct Held {
    keys: HashSet<Key>,
    bytes: u64,
}

/// The line at one place, and where the next one begins.
struct Next {
    /// Its bytes when it can't be read.
    line: Result<Line, Vec<u8>>,
    end: u64,
}

impl FileSpool {
    /// Takes the file over, with what an earlier process left in it; makes it when it is missing.
    ///
    /// # Errors
    /// Another process has it, or it can't be used.
    pub fn open(settings: FileSettings, watch: Arc<dyn Watch>) -> Result<Self, OpenError> {
        let path = settings.path.clone();
        let unusable = |source| OpenError::Unusable { path: path.clone(), source };
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(unusable)?;
        }
        let lock = segment::lock(&beside(&path, ".lock")).map_err(unusable)?;
        let Some(lock) = lock else { return Err(OpenError::Taken { path }) };
        OpenOptions::new().append(true).create(true).open(&path).map_err(unusable)?;
        segment::sync_folder_of(&path).map_err(unusable)?;
        let survey = segment::recover(&path).map_err(unusable)?;
        if survey.torn > 0 {
            tracing::warn!(event = "spool_recovered", path = %path.display(),
                torn_bytes = survey.torn, "a torn last line was never confirmed and is cut off");
        }
        if survey.whole > 0 {
            tracing::info!(event = "spool_resumed", path = %path.display(), bytes = survey.whole,
                "messages of an earlier run wait for the broker");
        }
        let held = Held { keys: survey.keys.into_iter().collect(), bytes: survey.whole };
        watch.size(held.keys.len(), held.bytes);
        let held = Mutex::new(held);
        Ok(Self(Arc::new(Inner { settings, watch, held, kept: Notify::new(), _lock: lock })))
    }

    /// Keeps a message; it is on disk when this returns `Ok`. One whose subject is held already is not
    /// written again.
    ///
    /// # Errors
    /// The file is full, or the disk does not take it.
    pub async fn keep(&self, message: Outgoing, error: &str) -> Result<(), SpoolError> {
        let line = Line::new((self.0.settings.clock)(), message, error);
        let inner = Arc::clone(&self.0);
        // It goes on to its end, also when nobody waits for it any more.
        let kept = tokio::task::spawn_blocking(move || inner.append(&line)).await;
        kept.unwrap_or(Err(SpoolError::Closed))?;
        self.0.kept.notify_one();
        Ok(())
    }

    /// Whether nothing waits for the broker.
    pub fn is_empty(&self) -> bool {
        self.0.held().bytes == 0
    }

    /// Hands over what is kept, in order, until `shutdown`: entries of the spool go into the spool,
    /// anything else to its own subject. What is left then stays for the next process.
    pub async fn drain(self, bus: Bus, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.drain_for_ever(&bus)).await;
    }

    async fn drain_for_ever(&self, bus: &Bus) {
        let mut done = 0;
        let mut backoff = FIRST_BACKOFF;
        loop {
            match self.hand_over_next(bus, done).await {
                Ok(Some(end)) => {
                    done = end;
                    backoff = FIRST_BACKOFF;
                }
                Ok(None) => {
                    done = 0;
                    self.0.kept.notified().await;
                }
                Err(error) => {
                    tracing::debug!(
                        event = "spool_waits",
                        error = &*error as &dyn std::error::Error
                    );
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
            }
        }
    }

    /// Hands the line at `done` over. Where the next one begins; `None` when that was all, and the file
    /// is empty now.
    async fn hand_over_next(&self, bus: &Bus, done: u64) -> Result<Option<u64>, BoxError> {
        let Some(Next { line, end }) = self.blocking(move |inner| inner.next(done)).await? else {
            return Ok(None);
        };
        match line {
            Ok(line) => {
                let key = Key::of(&line.subject);
                match hand_over(bus, line.clone()).await {
                    Ok(()) => {
                        self.0.watch.drained();
                        self.0.forget(key);
                    }
                    Err(error) if is_for_ever(&error) => {
                        tracing::error!(event = "spool_refused", subject = line.subject, %error,
                            "the broker will not take a message; it is set aside");
                        self.set_aside(move |file| line.write(file)).await?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Err(bytes) => {
                tracing::error!(event = "spool_damaged", at = done, "a line is set aside");
                self.set_aside(move |mut file| {
                    file.write_all(&bytes)?;
                    file.write_all(b"\n")
                })
                .await?;
            }
        }
        Ok(Some(end))
    }

    async fn set_aside(
        &self,
        write: impl FnOnce(&File) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        self.0.watch.set_aside();
        self.blocking(move |inner| {
            let path = beside(&inner.settings.path, ".set-aside");
            let file = OpenOptions::new().append(true).create(true).open(&path)?;
            write(&file)?;
            file.sync_all()?;
            segment::sync_folder_of(&path)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(io::Error::other)?
    }
}

impl fmt::Debug for FileSpool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSpool").field("path", &self.0.settings.path).finish_non_exhaustive()
    }
}

#[async_trait]
impl Fallback for FileSpool {
    async fn keep(&self, entry: Outgoing, why: &str) -> Result<(), BoxError> {
        Ok(FileSpool::keep(self, entry, why).await?)
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, line: &Line) -> Result<(), SpoolError> {
        let FileSettings { path, max_bytes, .. } = &self.settings;
        let disk = |error| SpoolError::Disk(Arc::new(error));
        let mut text = Vec::new();
        line.write(&mut text).map_err(disk)?;
        let mut held = self.held();
        let key = Key::of(&line.subject);
        if held.keys.contains(&key) {
            return Ok(());
        }
        if held.bytes + text.len() as u64 > *max_bytes {
            return Err(SpoolError::Full { max_bytes: *max_bytes });
        }
        let end = append_after(path, held.bytes, &text).map_err(|error| {
            tracing::error!(event = "spool_write_failed", path = %path.display(), %error,
                "the disk did not take a message");
            disk(error)
        })?;
        held.keys.insert(key);
        held.bytes = end;
        self.watch.size(held.keys.len(), held.bytes);
        Ok(())
    }

    /// The line at `done`; at the end of all lines the file is emptied, and there is none.
    fn next(&self, done: u64) -> io::Result<Option<Next>> {
        let path = &self.settings.path;
        // Nobody appends meanwhile.
        let mut held = self.held();
        if done >= held.bytes {
            if held.bytes > 0 {
                let file = OpenOptions::new().write(true).open(path)?;
                file.set_len(0)?;
                file.sync_all()?;
                tracing::info!(event = "spool_drained", path = %path.display(), bytes = held.bytes,
                    "the broker has these messages now");
                *held = Held::default();
                self.watch.size(0, 0);
            }
            return Ok(None);
        }
        let mut lines = Lines::open(path, done)?;
        let step = lines.next()?;
        if step.is_none() {
            tracing::error!(event = "spool_cut", path = %path.display(), "somebody has cut the file");
            *held = Held::default();
        }
        Ok(step.map(|step| match step {
            Step::Whole { bytes, end } => {
                Next { line: Line::read(bytes).map_err(|_| bytes.to_vec()), end }
            }
            Step::TooLong { end } => {
                Next { line: Err(b"a line that was longer than any message".to_vec()), end }
            }
            // Somebody else wrote to the file.
            Step::Torn { bytes } => Next { line: Err(b"half a line".to_vec()), end: done + bytes },
        }))
    }

    fn forget(&self, key: Key) {
        let mut held = self.held();
        held.keys.remove(&key);
        self.watch.size(held.keys.len(), held.bytes);
    }
}

/// What is on disk behind `kept` bytes is half a line of an earlier try, and is written over. Where the
/// text ends.
fn append_after(path: &Path, kept: u64, text: &[u8]) -> io::Result<u64> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    // It is shorter when somebody has cut it.
    let at = file.metadata()?.len().min(kept);
    file.set_len(at)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(text)?;
    file.sync_all()?;
    Ok(at + text.len() as u64)
}

async fn hand_over(bus: &Bus, line: Line) -> Result<(), Error> {
    match SpoolPlace::parse(&line.subject) {
        Some(place) => match bus.spool(&place, line.headers, line.payload.clone()).await? {
            Spooled::New { .. } => Ok(()),
            Spooled::Already { sequence } => {
                let there = bus.message_at(stream::SPOOL.name, sequence).await?;
                if there.is_some_and(|there| there.payload != line.payload) {
                    let why =
                        "an entry of another message has its place; was the broker's store lost?";
                    let source = PublishError::Refused(why.into());
                    return Err(Error::Write { doing: format!("spool {}", line.subject), source });
                }
                Ok(())
            }
        },
        None => {
            let doing = format!("publish on {}", line.subject);
            let published = bus.publish(line.into_message()).await;
            published.map(drop).map_err(|source| Error::Write { doing, source })
        }
    }
}

/// Whether waiting can't help: somebody would have to change the message.
fn is_for_ever(error: &Error) -> bool {
    use PublishError::{Refused, TooLarge};
    matches!(error, Error::Write { source: Refused(_) | TooLarge { .. }, .. })
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}
