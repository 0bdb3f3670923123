//! Installation tokens: minted once, kept until shortly before they end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use booty_events::RepoName;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::key::{AppKey, Jwts};
use crate::{
    client::{Client, ClientSettings},
    endpoint::Endpoint,
    error::{Error, Kind},
    object::App,
    token::{Scope, TokenError, TokenSource},
};

/// A token is renewed this long before it ends, so that nothing that was begun with it ends without.
const RENEWED_BEFORE: TimeDelta = TimeDelta::minutes(5);

/// What a reader's token may do, and nothing else.
const READS: [&str; 5] = ["contents", "issues", "pull_requests", "checks", "metadata"];

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Access {
    /// All that the App may.
    All,
    /// [`READS`].
    Read,
}

/// A token with its end.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The token.
    pub token: SecretString,
    /// When GitHub takes it no longer.
    pub expires: DateTime<Utc>,
}

/// The place of one token; its lock is held while it is minted.
type Place = Arc<tokio::sync::Mutex<Option<Granted>>>;

/// Installation tokens of a GitHub App, each minted once however many ask for it at a time.
pub struct AppTokens {
    /// Speaks in the App's own name.
    app: Client,
    id: String,
    clock: fn() -> DateTime<Utc>,
    places: Mutex<HashMap<(Scope, Access), Place>>,
    installations: Mutex<HashMap<RepoName, u64>>,
}

impl AppTokens {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When the HTTP client can't be set up.
    pub fn new(
        settings: ClientSettings,
        key: AppKey,
        clock: fn() -> DateTime<Utc>,
    ) -> Result<Self, Error> {
        let id = key.id().to_owned();
        let app = Client::new(settings, Arc::new(Jwts { key, clock }))?;
        let (places, installations) = (Mutex::default(), Mutex::default());
        Ok(Self { app, id, clock, places, installations })
    }

    /// The App that the key belongs to.
    ///
    /// # Errors
    /// When GitHub does not know the App or its key, or can't be reached.
    pub async fn app(&self) -> Result<App, Error> {
        self.app.get_json(Endpoint::new(["app"])).await
    }

    /// A token that can read one repository: contents, issues, pull requests, checks, metadata.
    ///
    /// # Errors
    /// When the App is not installed there, or GitHub can't be reached.
    pub async fn read_token(
        &self,
        repo: &RepoName,
        installation: Option<u64>,
    ) -> Result<Granted, TokenError> {
        let scope = Scope { installation, repository: Some(repo.clone()) };
        self.granted(&scope, Access::Read).await
    }

    /// GitHub refused a reader's token, which is known by its sha256 alone: it is not given again.
    pub async fn forget_read_token(
        &self,
        repo: &RepoName,
        installation: Option<u64>,
        sha256: &[u8],
    ) {
        let scope = Scope { installation, repository: Some(repo.clone()) };
        let place = self.place(&scope, Access::Read);
        let mut kept = place.lock().await;
        kept.take_if(|granted| *Sha256::digest(granted.token.expose_secret()) == *sha256);
    }

    async fn granted(&self, scope: &Scope, access: Access) -> Result<Granted, TokenError> {
        let place = self.place(scope, access);
        let mut kept = place.lock().await;
        if let Some(granted) = kept.as_ref().filter(|granted| self.is_fresh(granted)) {
            return Ok(granted.clone());
        }
        let granted = self.mint(scope, access).await?;
        *kept = Some(granted.clone());
        Ok(granted)
    }

    fn is_fresh(&self, granted: &Granted) -> bool {
        (self.clock)() + RENEWED_BEFORE < granted.expires
    }

    /// Where the scope's token is kept. Those that ended go: repositories come and go.
    fn place(&self, scope: &Scope, access: Access) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|(known, _), place| {
            known == scope
                || match place.try_lock() {
                    Ok(kept) => kept.as_ref().is_some_and(|granted| self.is_fresh(granted)),
                    Err(_) => true,
                }
        });
        Arc::clone(places.entry((scope.clone(), access)).or_default())
    }

    async fn mint(&self, scope: &Scope, access: Access) -> Result<Granted, TokenError> {
        let (Some(repo), None) = (&scope.repository, scope.installation) else {
            let Some(installation) = scope.installation else {
                let why = "an App has tokens of its installations only".to_owned();
                return Err(TokenError { scope: words(scope), why, retryable: false });
            };
            return match self.request(installation, scope.repository.as_ref(), access).await {
                // Uninstalled and installed again: it has another number now.
                Err(error) if error.is_not_found() && scope.repository.is_some() => {
                    let anew = Scope { installation: None, ..scope.clone() };
                    Box::pin(self.mint(&anew, access)).await
                }
                answer => answer.map_err(|error| self.told(scope, error)),
            };
        };
        for is_known in [true, false] {
            let Some(installation) = self.installation(repo, is_known).await? else { continue };
            match self.request(installation, Some(repo), access).await {
                Err(error) if error.is_not_found() && is_known => {}
                answer => return answer.map_err(|error| self.told(scope, error)),
            }
        }
        let why = format!("App {} has no installation there", self.id);
        Err(TokenError { scope: words(scope), why, retryable: false })
    }

    /// The installation that has the repository: as it was found before, or as GitHub says now.
    async fn installation(
        &self,
        repo: &RepoName,
        is_known: bool,
    ) -> Result<Option<u64>, TokenError> {
        #[derive(Deserialize)]
        struct Installation {
            id: u64,
        }
        if is_known {
            return Ok(self.with_installations(|known| known.get(repo).copied()));
        }
        let at = Endpoint::repo(repo).at("installation");
        match self.app.get_json::<Installation>(at).await {
            Ok(found) => {
                self.with_installations(|known| known.insert(repo.clone(), found.id));
                Ok(Some(found.id))
            }
            Err(error) => {
                self.with_installations(|known| known.remove(repo));
                let scope = Scope { installation: None, repository: Some(repo.clone()) };
                Err(self.told(&scope, error))
            }
        }
    }

    fn with_installations<T>(&self, change: impl FnOnce(&mut HashMap<RepoName, u64>) -> T) -> T {
        change(&mut self.installations.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Minting twice does no harm, so a lost answer is asked for again by whoever asks next.
    async fn request(
        &self,
        installation: u64,
        repo: Option<&RepoName>,
        access: Access,
    ) -> Result<Granted, Error> {
        #[derive(Deserialize)]
        struct Minted {
            token: SecretString,
            expires_at: DateTime<Utc>,
        }
        let mut body = json!({});
        if let Some(repo) = repo {
            body["repositories"] = json!([repo.name()]);
        }
        if access == Access::Read {
            let reads = READS.map(|what| (what.to_owned(), Value::from("read")));
            body["permissions"] = Value::Object(reads.into_iter().collect());
        }
        let at = Endpoint::new(["app", "installations"]).at(installation).at("access_tokens");
        let minted = self.app.post::<Minted>(at, &body).await?.body;
        tracing::debug!(installation, repo = repo.map(RepoName::as_str), ?access, "token minted");
        Ok(Granted { token: minted.token, expires: minted.expires_at })
    }

    fn told(&self, scope: &Scope, error: Error) -> TokenError {
        let retryable = !matches!(error.kind(), Kind::FailFast);
        let why = match &error {
            Error::NotFound { .. } => format!("App {} is not installed there: {error}", self.id),
            Error::Unauthorized { .. } => {
                format!("GitHub does not take the key of App {}: {error}", self.id)
            }
            Error::Validation { .. } => {
                format!("the installation lacks a repository or permission: {error}")
            }
            other => with_source(other),
        };
        TokenError { scope: words(scope), why, retryable }
    }
}

#[async_trait]
impl TokenSource for AppTokens {
    async fn token(&self, scope: &Scope) -> Result<SecretString, TokenError> {
        Ok(self.granted(scope, Access::All).await?.token)
    }

    async fn refused(&self, scope: &Scope, token: &SecretString) -> bool {
        let place = self.place(scope, Access::All);
        let mut kept = place.lock().await;
        // Another request may have been refused before, and a new token be there already.
        kept.take_if(|granted| granted.token.expose_secret() == token.expose_secret());
        true
    }
}

fn words(scope: &Scope) -> String {
    match (&scope.repository, scope.installation) {
        (Some(repo), Some(installation)) => format!("{repo} (installation {installation})"),
        (Some(repo), None) => repo.to_string(),
        (None, Some(installation)) => format!("installation {installation}"),
        (None, None) => "the App itself".to_owned(),
    }
}

fn with_source(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
