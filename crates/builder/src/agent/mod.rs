//! The child process that talks to the model and runs the repository's commands.
//!
//! It has no token of GitHub's and no credentials of the bus: what it needs comes through its standard
//! input, and nothing else leaves it than the frames on its standard output. It changes the source
//! tree through its tools; what came of it is computed by the builder, from the tree.

mod bench;
mod clamp;
mod conversation;
pub(crate) mod frame;
mod judgement;
pub(crate) mod link;
mod map;
mod model;
mod on_files;
pub(crate) mod prompt;
mod proof;
pub(crate) mod protocol;
mod rounds;
mod runner;
mod stuck;
mod tested;
mod tool;
mod tree;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub(crate) use tree::{Tree, TreePath};

use self::{conversation::Conversation, frame::FrameError, link::Link, protocol::FromAgent};

/// Why the agent ended without a report.
#[derive(Debug, Error)]
#[error("the agent lost its builder")]
pub struct AgentError(#[source] FrameError);

/// Runs the agent until it has reported, or its builder is gone. The binary calls it with the process's
/// own standard input and output (`booty agent`), and ends the process afterwards.
///
/// # Errors
/// When the builder is gone or speaks another language; there is nobody to report to then.
pub async fn main<R, W>(stdin: R, stdout: W) -> Result<(), AgentError>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send,
{
    let gone = CancellationToken::new();
    let (link, start) = Link::open(stdin, stdout, gone.clone()).await.map_err(AgentError)?;
    let work = async {
        let mut conversation = Conversation::new(link, start);
        let report = conversation.run().await?;
        conversation.link().send(&FromAgent::Finished(Box::new(report))).await
    };
    tokio::select! {
        done = work => done.map_err(AgentError),
        // Dropping the work kills what runs in the sandbox.
        () = gone.cancelled() => Err(AgentError(FrameError::Closed)),
    }
}
