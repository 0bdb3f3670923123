//! The one error of this crate.

use std::{io, path::PathBuf, time::Duration};

/// Why there is no checkout, no merge, or no change set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository, the branch or the commit is not there (any more), or the token may not see it.
    #[error(
        "{what} was not found on the remote; was it deleted, renamed, or is it out of the token's reach?"
    )]
    NotFound {
        /// `repository`, `branch x` or `commit x`.
        what: String,
    },
    /// The remote wants a token, or refuses the one it got.
    #[error("the remote refused access (HTTP {status}); check the token and what it may read")]
    Unauthorized {
        /// 401 or 403.
        status: u16,
    },
    /// The remote points elsewhere. Neither the token nor our trust goes there.
    #[error("the remote redirects to {to}; if the repository has moved, configure its new address")]
    Redirected {
        /// The other host.
        to: String,
    },
    /// The way to the remote failed, or the remote itself did; the same call may succeed later.
    #[error("talking to the git remote failed: {what}")]
    Network {
        /// What was seen.
        what: String,
        /// What lies below, when there is something.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The remote answered, but not everything within the time that a fetch may take, or a merge took too long. The same
    /// remote may never be quicker, so whoever tries again has to count.
    #[error("the fetch or merge was not done within the {} s that it may take", limit.as_secs_f32())]
    TimedOut {
        /// The bound.
        limit: Duration,
    },
    /// More of something than the settings allow.
    #[error("too large: {found} {what}, the limit is {limit}")]
    TooLarge {
        /// What was counted, with its unit.
        what: String,
        /// The bound.
        limit: u64,
        /// What was found; counting stops at the first that is too much, so it may be less than all.
        found: u64,
    },
    /// A path that must not be written, read or handed on.
    #[error("refused path {path:?}: {why}")]
    Hostile {
        /// The path below the root of the tree; escaped, as it may hold anything.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The caller asked for what can't be: a bad name, URL or sha.
    #[error("{what}")]
    Invalid {
        /// What is wrong.
        what: String,
    },
    /// Base and head have no commit in common, so there is nothing that a merge could start from.
    #[error("{head} and {base} have no history in common, so they can't be merged")]
    Unrelated {
        /// The base's sha.
        base: String,
        /// The head's sha.
        head: String,
    },
    /// Another checkout of the same name is alive, in this process or another.
    #[error("job {job} already has a checkout")]
    Busy {
        /// The job.
        job: String,
    },
    /// Objects are missing or damaged: in a mirror, where cloning it anew did not help, or in a local repository.
    #[error("the objects of {repo} are damaged: {what}")]
    Damaged {
        /// The repository's key, or its folder.
        repo: String,
        /// What was seen.
        what: String,
    },
    /// The disk said no.
    #[error("{what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The caller's token was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Network { .. }
            | Self::TimedOut { .. }
            | Self::Busy { .. }
            | Self::Io { .. }
            | Self::Cancelled
            | Self::Damaged { .. } => true,
            Self::NotFound { .. }
            | Self::Unauthorized { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::Hostile { .. }
            | Self::Unrelated { .. }
            | Self::Invalid { .. } => false,
        }
    }

    pub(crate) fn hostile(path: &[u8], why: impl Into<String>) -> Self {
        Self::Hostile { path: path.escape_ascii().to_string(), why: why.into() }
    }

    pub(crate) fn too_large(what: impl Into<String>, limit: u64, found: u64) -> Self {
        Self::TooLarge { what: what.into(), limit, found }
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into() }
    }

    pub(crate) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
