//! The agent's end of the pipe: the past first, then what is new, each step acknowledged.

use std::collections::VecDeque;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{
    frame::{self, FrameError},
    protocol::{FromAgent, Start, Step, ToAgent},
};

/// The event of [`Link::differs`].
pub(crate) const MISMATCH: &str = "journal_mismatch";

/// The pipe to the builder, and what it has said of the past.
pub(crate) struct Link<W> {
    stdout: W,
    frames: mpsc::Receiver<Result<ToAgent, FrameError>>,
    past: VecDeque<Step>,
    /// How many steps of the past were taken.
    taken: usize,
    /// Whether the past says that the model's work ended there.
    is_halted: bool,
}

impl<W: AsyncWrite + Unpin> Link<W> {
    /// Reads everything up to [`ToAgent::Begin`]. `gone` is cancelled when the builder closes the
    /// pipe, which it does by dying, too.
    pub(crate) async fn open<R>(
        stdin: R,
        stdout: W,
        gone: CancellationToken,
    ) -> Result<(Self, Start), FrameError>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let mut frames = read_all(stdin, gone);
        let mut next = async || frames.recv().await.unwrap_or(Err(FrameError::Closed));
        let ToAgent::Start(start) = next().await? else { return Err(FrameError::Closed) };
        let mut past = VecDeque::new();
        loop {
            match next().await? {
                ToAgent::Past(step) => past.push_back(step),
                ToAgent::Begin => break,
                ToAgent::Start(_) | ToAgent::Ack | ToAgent::Deny { .. } => {
                    return Err(FrameError::Closed);
                }
            }
        }
        Ok((Self { stdout, frames, past, taken: 0, is_halted: false }, *start))
    }

    /// The next step of the past, if there is one left.
    pub(crate) fn next_past(&mut self) -> Option<Step> {
        let step = self.past.pop_front();
        self.taken += usize::from(step.is_some());
        self.is_halted |= matches!(step, Some(Step::Halted { .. }));
        step
    }

    /// The next step of the past if it is what tools gave back.
    pub(crate) fn next_past_if_tools_ran(&mut self) -> Option<Step> {
        matches!(self.past.front(), Some(Step::ToolsRan { .. })).then(|| self.next_past())?
    }

    /// The next step of the past if it is the end of the model's work.
    pub(crate) fn next_past_if_halted(&mut self) -> Option<Step> {
        matches!(self.past.front(), Some(Step::Halted { .. })).then(|| self.next_past())?
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.is_halted
    }

    /// Whether steps of the past are left.
    pub(crate) fn has_past(&self) -> bool {
        !self.past.is_empty()
    }

    pub(crate) fn has_replayed(&self) -> bool {
        self.taken > 0
    }

    /// Returns once the step is durable.
    pub(crate) async fn journal(&mut self, step: Step) -> Result<(), FrameError> {
        self.send(&FromAgent::Journal(step)).await?;
        match self.frames.recv().await.unwrap_or(Err(FrameError::Closed))? {
            ToAgent::Ack => Ok(()),
            _ => Err(FrameError::Closed),
        }
    }

    /// Whether a question may be asked; the inner error says which budget is used up.
    pub(crate) async fn may_ask(&mut self) -> Result<Result<(), String>, FrameError> {
        self.send(&FromAgent::MayAsk).await?;
        match self.frames.recv().await.unwrap_or(Err(FrameError::Closed))? {
            ToAgent::Ack => Ok(Ok(())),
            ToAgent::Deny { what } => Ok(Err(what)),
            _ => Err(FrameError::Closed),
        }
    }

    /// Says that the step that was taken last is not what would happen now.
    pub(crate) async fn differs(&mut self, message: String) -> Result<(), FrameError> {
        self.log(MISMATCH, format!("step {}: {message}", self.taken)).await
    }

    pub(crate) async fn log(&mut self, event: &str, message: String) -> Result<(), FrameError> {
        self.send(&FromAgent::Log { event: event.to_owned(), message }).await
    }

    pub(crate) async fn send(&mut self, frame: &FromAgent) -> Result<(), FrameError> {
        frame::write(&mut self.stdout, frame).await
    }
}

fn read_all<R>(mut stdin: R, gone: CancellationToken) -> mpsc::Receiver<Result<ToAgent, FrameError>>
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let frame = frame::read(&mut stdin).await;
            let ends = frame.is_err();
            let unwanted = sender.send(frame).await.is_err();
            if ends || unwanted {
                gone.cancel();
                return;
            }
        }
    });
    receiver
}
