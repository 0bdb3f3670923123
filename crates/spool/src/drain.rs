//! Hands what a folder holds to the broker, in order, once the broker takes it again.

use std::{fs, io, time::Duration};

use booty_bus::{Bus, PublishError};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    folder::{SET_ASIDE_FILE, Spool},
    line::{Key, Line},
    lines::{Lines, Step},
    segment::{self, Sealed},
};

/// How often a lost connection is looked at. A message in the spool is late by this at most.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);
/// No answer within this is no answer. Longer than for a waiting sender: nobody waits here, and a
/// broker that has just come back is slow.
const PUBLISH_LIMIT: Duration = Duration::from_secs(5);
/// What is read ahead of the broker: this many bytes, or a single longer line.
const BATCH_BYTES: usize = 1024 * 1024;

/// The loop from the spool to the broker.
pub struct Drain {
    /// Where the messages are.
    pub spool: Spool,
    /// Where they go.
    pub bus: Bus,
}

enum Item {
    Message(Line),
    Damaged(Vec<u8>),
}

impl Drain {
    /// Runs until `shutdown`. What is left then stays in the spool for the next process.
    pub async fn run(self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.run_for_ever()).await;
    }

    async fn run_for_ever(self) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            if !self.spool.state.has_work() {
                self.spool.state.kept.notified().await;
                continue;
            }
            if !self.bus.is_connected() {
                sleep(LOOK_AGAIN).await;
                continue;
            }
            let Some(oldest) = self.spool.state.oldest() else {
                self.spool.seal().await;
                continue;
            };
            match self.drain(&oldest).await {
                Ok(()) => {
                    self.spool.state.drained(&oldest);
                    backoff = FIRST_BACKOFF;
                }
                Err(error) => {
                    tracing::error!(event = "spool_read_failed", path = %oldest.path.display(), %error,
                        "spooled messages can't be read; trying again");
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
            }
        }
    }

    /// Hands one file over, and deletes it.
    async fn drain(&self, segment: &Sealed) -> io::Result<()> {
        let path = segment.path.clone();
        let mut lines = match Lines::open(&path, 0) {
            Ok(lines) => lines,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::error!(event = "spool_file_gone", path = %path.display(),
                    "somebody took a file out of the spool; its messages are not handed over");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut count = 0_usize;
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let items = read_batch(&mut lines)?;
                Ok::<_, io::Error>((lines, items))
            });
            let items;
            (lines, items) = read.await.map_err(io::Error::other)??;
            if items.is_empty() {
                break;
            }
            for item in items {
                count += 1;
                match item {
                    Item::Message(line) => self.hand_over(line).await?,
                    Item::Damaged(line) => self.set_aside(&line)?,
                }
            }
        }
        tracing::info!(event = "spool_drained", entries = count, path = %path.display(),
            "the broker has these messages now");
        fs::remove_file(&path)
    }

    /// Publishes until the broker has it, or says that it never will.
    async fn hand_over(&self, line: Line) -> io::Result<()> {
        let key = Key::of(&line.subject);
        let message = line.clone().into_message();
        let mut backoff = FIRST_BACKOFF;
        loop {
            if !self.bus.is_connected() {
                sleep(LOOK_AGAIN).await;
                continue;
            }
            match timeout(PUBLISH_LIMIT, self.bus.publish(message.clone())).await {
                Ok(Ok(_)) => {
                    self.spool.state.forget(key);
                    self.spool.state.watch.drained();
                    return Ok(());
                }
                Ok(Err(error)) if !error.is_retryable() => return self.refuse(line, &error),
                Ok(Err(error)) => {
                    tracing::debug!(event = "spool_waits", %error);
                }
                Err(_) => tracing::debug!(event = "spool_waits", "the broker does not answer"),
            }
            sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// One message that can never be handed over must not hold up all behind it.
    fn refuse(&self, line: Line, error: &PublishError) -> io::Result<()> {
        tracing::error!(event = "spool_refused", subject = line.subject, %error,
            "the broker will not take a message; it stays in {SET_ASIDE_FILE}");
        // Its key stays known: the same message again would only end here again.
        let mut text = Vec::new();
        Line { error: error.to_string(), ..line }.write(&mut text)?;
        self.set_aside(text.trim_ascii_end())
    }

    fn set_aside(&self, line: &[u8]) -> io::Result<()> {
        self.spool.state.watch.set_aside();
        segment::append_durably(&self.spool.dir.join(SET_ASIDE_FILE), line)
    }
}

fn read_batch(lines: &mut Lines) -> io::Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut bytes = 0;
    while bytes < BATCH_BYTES {
        match lines.next()? {
            None => break,
            Some(Step::Whole { bytes: line, .. }) => {
                bytes += line.len();
                items.push(match Line::read(line) {
                    Ok(line) => Item::Message(line),
                    Err(_) => Item::Damaged(line.to_vec()),
                });
            }
            Some(Step::TooLong { .. }) => {
                items.push(Item::Damaged(b"a line that was longer than any message".to_vec()));
            }
            // A sync that failed half way, or a process that died: nobody was told that it is kept.
            Some(Step::Torn { bytes }) => {
                tracing::warn!(event = "spool_torn", bytes, "a torn last line is skipped");
                break;
            }
        }
    }
    Ok(items)
}
