//! The one thread that appends. Whatever is waiting is written together and synced once, so that
//! many deliveries share a disk's slow confirmation.

use std::{
    fs::File,
    io::{self, BufWriter, Seek as _, SeekFrom, Write as _},
    path::PathBuf,
    sync::Arc,
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    error::SpoolError,
    folder::State,
    line::{Key, Line},
    segment::{self, Sealed},
};

/// The most entries that share one sync.
const MAX_BATCH: usize = 512;

/// What the thread is asked to do.
pub(crate) enum Command {
    /// Keep a message; answered once it is on disk.
    Append { line: Line, reply: oneshot::Sender<Result<(), SpoolError>> },
    /// Begin a new file with the next entry, so that the present one can be drained.
    Seal { reply: oneshot::Sender<()> },
    /// Find out whether something could be kept now.
    Probe { reply: oneshot::Sender<io::Result<()>> },
    /// End, and give the folder back.
    Close,
}

pub(crate) struct Writer {
    pub(crate) dir: PathBuf,
    pub(crate) state: Arc<State>,
    pub(crate) max_bytes: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) next_number: u64,
    pub(crate) active: Option<Active>,
    /// Held for as long as this thread lives: a second process must not append to the same files.
    pub(crate) _lock: File,
}

pub(crate) struct Active {
    path: PathBuf,
    file: BufWriter<File>,
    /// What is known to be on disk.
    bytes: u64,
}

struct Pending {
    key: Key,
    reply: oneshot::Sender<Result<(), SpoolError>>,
}

impl Writer {
    /// Runs until it is told to close, or every sender is gone.
    pub(crate) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(first) = commands.blocking_recv() {
            let mut pending = Vec::new();
            let mut failed = None;
            let mut next = Some(first);
            while let Some(command) = next {
                match command {
                    Command::Append { line, reply } => {
                        self.append(line, reply, &mut pending, &mut failed);
                    }
                    Command::Seal { reply } => {
                        self.commit(&mut pending, &mut failed);
                        self.seal();
                        let _ = reply.send(());
                    }
                    Command::Probe { reply } => {
                        let _ = reply.send(self.probe());
                    }
                    Command::Close => {
                        self.commit(&mut pending, &mut failed);
                        return;
                    }
                }
                next = if pending.len() < MAX_BATCH { commands.try_recv().ok() } else { None };
            }
            self.commit(&mut pending, &mut failed);
        }
    }

    fn append(
        &mut self,
        line: Line,
        reply: oneshot::Sender<Result<(), SpoolError>>,
        pending: &mut Vec<Pending>,
        failed: &mut Option<io::Error>,
    ) {
        // Nobody waits for it any more: its sender was told that it is not kept.
        if reply.is_closed() {
            return;
        }
        let size = line.payload.len() as u64;
        if self.state.bytes() + self.unsynced(pending) + size > self.max_bytes {
            self.state.set_full();
            let _ = reply.send(Err(SpoolError::Full { max_bytes: self.max_bytes }));
            return;
        }
        if failed.is_none()
            && let Err(error) = self.write(&line)
        {
            *failed = Some(error);
        }
        pending.push(Pending { key: Key::of(&line.subject), reply });
    }

    /// A rough size of what was written and not yet counted, so that one batch can't overrun the
    /// bound by more than its buffered part.
    fn unsynced(&mut self, pending: &[Pending]) -> u64 {
        if pending.is_empty() {
            return 0;
        }
        self.active.as_mut().map_or(0, |active| {
            let written = active.file.get_mut().stream_position().unwrap_or(active.bytes);
            written.saturating_sub(active.bytes)
        })
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let active = match &mut self.active {
            Some(active) => active,
            none => {
                let path = segment::path(&self.dir, self.next_number);
                // A number is used once, also when this fails half way.
                self.next_number += 1;
                let file = segment::create(&path)?;
                let file = BufWriter::with_capacity(256 * 1024, file);
                none.insert(Active { path, file, bytes: 0 })
            }
        };
        line.write(&mut active.file)
    }

    /// Makes what was written durable, and only then says so.
    fn commit(&mut self, pending: &mut Vec<Pending>, failed: &mut Option<io::Error>) {
        if pending.is_empty() {
            return;
        }
        let synced = match failed.take() {
            Some(error) => Err(error),
            None => self.sync(),
        };
        match synced {
            Ok(()) => {
                self.state.keep(pending.iter().map(|p| p.key));
                for waiting in pending.drain(..) {
                    let _ = waiting.reply.send(Ok(()));
                }
                if self.active.as_ref().is_some_and(|a| a.bytes >= self.segment_bytes) {
                    self.seal();
                }
            }
            Err(error) => {
                tracing::error!(event = "spool_write_failed", %error, lost = pending.len(),
                    "the disk spool did not take these messages");
                self.abandon();
                let error = Arc::new(error);
                for waiting in pending.drain(..) {
                    let _ = waiting.reply.send(Err(SpoolError::Disk(Arc::clone(&error))));
                }
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        active.file.flush()?;
        let file = active.file.get_mut();
        file.sync_data()?;
        let bytes = file.seek(SeekFrom::End(0))?;
        self.state.grow(bytes.saturating_sub(active.bytes));
        active.bytes = bytes;
        Ok(())
    }

    /// After a failed write or sync nothing is certain about the file's end: cut it off as well as
    /// possible, and never append to it again.
    fn abandon(&mut self) {
        let Some(active) = self.active.take() else { return };
        let (file, _unwritten) = active.file.into_parts();
        if let Err(error) = file.set_len(active.bytes) {
            tracing::warn!(event = "spool_tail_left", path = %active.path.display(), %error,
                "a torn line stays at the end; it will be skipped");
        }
        if active.bytes > 0 {
            self.state.seal(Sealed { path: active.path, bytes: active.bytes });
        } else if let Err(error) = std::fs::remove_file(&active.path) {
            tracing::debug!(event = "spool_file_left", path = %active.path.display(), %error);
        }
    }

    fn seal(&mut self) {
        if let Some(active) = self.active.take() {
            self.state.seal(Sealed { path: active.path, bytes: active.bytes });
        }
    }

    fn probe(&self) -> io::Result<()> {
        if self.state.is_full() {
            return Err(io::Error::other("it is full"));
        }
        let path = self.dir.join("probe");
        let mut file = File::create(&path)?;
        file.write_all(b"can something be kept here?\n")?;
        file.sync_data()?;
        std::fs::remove_file(&path)
    }
}
