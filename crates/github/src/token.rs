//! Where access tokens come from.

use async_trait::async_trait;
use booty_events::RepoName;
use secrecy::SecretString;
use thiserror::Error;

/// What a token is wanted for. A personal token fits everything; an App's token belongs to one
/// installation and may be narrowed to one repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Scope {
    /// The App's installation; `None` for a personal token.
    pub installation: Option<u64>,
    /// The one repository that is to be reached, or `None` for all of them.
    pub repository: Option<RepoName>,
}

/// Why there is no token.
#[derive(Debug, Error)]
#[error("no GitHub token for {scope}: {why}")]
pub struct TokenError {
    /// What it was wanted for, in words.
    pub scope: String,
    /// What is wrong and what to do, without any part of a secret.
    pub why: String,
    /// Whether asking again later may help.
    pub retryable: bool,
}

/// Gives access tokens. A source that mints them keeps them until shortly before they end, and
/// mints one at a time per scope.
#[async_trait]
pub trait TokenSource: Send + Sync + 'static {
    /// A token that is good for at least one request's time.
    async fn token(&self, scope: &Scope) -> Result<SecretString, TokenError>;

    /// GitHub refused this token: a source that can get another forgets it, and says so.
    async fn refused(&self, _scope: &Scope, _token: &SecretString) -> bool {
        false
    }
}

/// A personal token, the same for every scope.
pub struct StaticToken(SecretString);

impl StaticToken {
    /// Takes the token as it was configured.
    pub fn new(token: SecretString) -> Self {
        Self(token)
    }
}

#[async_trait]
impl TokenSource for StaticToken {
    async fn token(&self, _scope: &Scope) -> Result<SecretString, TokenError> {
        Ok(self.0.clone())
    }
}
