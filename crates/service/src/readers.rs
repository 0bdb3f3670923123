//! Where readers get their tokens: from the operator, or from forge over the bus.
//!
//! No reader ever has the App's key. Forge answers with a token that can read the one repository that
//! was asked about, and that ends within the hour.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use booty_bus::Bus;
use booty_events::{
    Message, RepoName,
    subject::RPC_FORGE_READ_TOKEN,
    v1::{ReadTokenReply, ReadTokenRequest},
};
use booty_github::{Scope, StaticToken, TokenError, TokenSource};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::env::Env;

/// Forge renews its tokens five minutes before they end, so what it gives lasts at least so long.
const RENEWED_BEFORE: TimeDelta = TimeDelta::minutes(4);

/// A question dies with the forge that took it: it is asked again after this time. A forge that is
/// only slow has begun to mint, and answers the second asking with what the first one brought.
const ASKED_AGAIN: Duration = Duration::from_secs(5);
/// Forge may have to ask GitHub twice, each within its own timeout.
const MOST_ASKINGS: u32 = 4;

/// How a service that only reads gets its tokens: the one place that decides it.
#[derive(Debug, Clone)]
pub enum ReadAccess {
    /// `GITHUB_READ_TOKEN`, the same for every repository.
    Token(SecretString),
    /// Forge is an App, and is asked.
    Forge,
}

impl ReadAccess {
    /// `GITHUB_READ_TOKEN` when it is set, else forge.
    pub fn from_env(env: &mut Env) -> Self {
        env.secret("GITHUB_READ_TOKEN").map_or(Self::Forge, Self::Token)
    }

    /// The tokens themselves.
    pub fn source(&self, bus: &Bus) -> Arc<dyn TokenSource> {
        match self {
            Self::Token(token) => Arc::new(StaticToken::new(token.clone())),
            Self::Forge => Arc::new(BusTokens::new(bus.clone(), Utc::now)),
        }
    }
}

struct Kept {
    token: SecretString,
    expires: DateTime<Utc>,
}

#[derive(Default)]
struct Place {
    kept: Option<Kept>,
    /// sha256 of the token that GitHub refused.
    refused: Vec<u8>,
}

/// Tokens that forge gives over the bus, each asked for once however many want it at a time.
pub struct BusTokens {
    bus: Bus,
    clock: fn() -> DateTime<Utc>,
    places: Mutex<HashMap<RepoName, Arc<tokio::sync::Mutex<Place>>>>,
}

impl BusTokens {
    /// Asks nothing yet.
    pub fn new(bus: Bus, clock: fn() -> DateTime<Utc>) -> Self {
        Self { bus, clock, places: Mutex::default() }
    }

    fn place(&self, repo: &RepoName) -> Arc<tokio::sync::Mutex<Place>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(repo.clone()).or_default())
    }

    async fn call(&self, question: Bytes) -> Result<Bytes, booty_bus::Error> {
        let mut askings = 1;
        loop {
            let asked = Instant::now();
            match self.bus.call(RPC_FORGE_READ_TOKEN, question.clone(), ASKED_AGAIN).await {
                // Nobody is there: that is said at once, and is no reason to stay.
                Err(error) if askings == MOST_ASKINGS || asked.elapsed() < ASKED_AGAIN => {
                    return Err(error);
                }
                Err(_) => askings += 1,
                Ok(answer) => return Ok(answer),
            }
        }
    }

    async fn ask(
        &self,
        repo: &RepoName,
        installation: Option<u64>,
        refused: &[u8],
    ) -> Result<Kept, TokenError> {
        let error = |why: String, retryable| TokenError { scope: repo.to_string(), why, retryable };
        let request = ReadTokenRequest {
            repository: repo.to_string(),
            installation: installation.unwrap_or_default(),
            refused: refused.to_vec().into(),
        };
        let answer = self.call(request.encode_to_vec().into()).await.map_err(|source| {
            let why = "forge, which gives readers their tokens, does not answer; is it running? \
                       (Or set GITHUB_READ_TOKEN.)";
            tracing::debug!(error = &source as &dyn std::error::Error, "no read token");
            error(why.to_owned(), true)
        })?;
        let reply = ReadTokenReply::decode(answer)
            .map_err(|_| error("forge's answer can't be read".to_owned(), false))?;
        if !reply.error.is_empty() {
            return Err(error(reply.error, reply.retryable));
        }
        let expires = reply.expires.and_then(|at| DateTime::<Utc>::try_from(at).ok());
        match expires {
            Some(expires) if !reply.token.is_empty() => {
                Ok(Kept { token: reply.token.into(), expires })
            }
            _ => Err(error("forge's answer holds no token".to_owned(), false)),
        }
    }
}

#[async_trait]
impl TokenSource for BusTokens {
    async fn token(&self, scope: &Scope) -> Result<SecretString, TokenError> {
        let Some(repo) = &scope.repository else {
            return Err(TokenError {
                scope: "no repository".to_owned(),
                why: "a reader's token is for one repository".to_owned(),
                retryable: false,
            });
        };
        let place = self.place(repo);
        let mut place = place.lock().await;
        let now = (self.clock)();
        if let Some(kept) = &place.kept
            && now + RENEWED_BEFORE < kept.expires
        {
            return Ok(kept.token.clone());
        }
        let kept = self.ask(repo, scope.installation, &place.refused).await?;
        let token = kept.token.clone();
        *place = Place { kept: Some(kept), refused: Vec::new() };
        Ok(token)
    }

    async fn refused(&self, scope: &Scope, token: &SecretString) -> bool {
        let Some(repo) = &scope.repository else { return false };
        let place = self.place(repo);
        let mut place = place.lock().await;
        let same = |kept: &mut Kept| kept.token.expose_secret() == token.expose_secret();
        if place.kept.take_if(same).is_some() {
            place.refused = Sha256::digest(token.expose_secret()).to_vec();
        }
        true
    }
}
