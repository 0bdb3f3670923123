//! Where a repository lies, and what is wanted from it.

use secrecy::SecretString;
use url::Url;

/// A repository on a server.
#[derive(Debug, Clone)]
pub struct Remote {
    /// `https://host/owner/name.git`; plain http is accepted for loopback only. No user, password or query.
    pub url: Url,
    /// Sent as the password of `x-access-token`, to this host only.
    pub token: Option<SecretString>,
}

/// What to check out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// The branch's newest commit.
    Branch(String),
    /// Exactly this commit; the branch is only a name that goes with it.
    Commit {
        /// The target branch.
        branch: String,
        /// 40 hexadecimal digits.
        sha: String,
    },
}

impl Want {
    /// The target branch.
    pub fn branch(&self) -> &str {
        match self {
            Self::Branch(branch) | Self::Commit { branch, .. } => branch,
        }
    }
}
