//! The App's private key, and the JWTs that it signs.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use thiserror::Error;

use crate::token::{Scope, TokenError, TokenSource};

/// GitHub asks for a minute of the past, because clocks drift.
const BACKDATED: TimeDelta = TimeDelta::seconds(60);
/// GitHub takes no JWT that lasts longer than ten minutes by its own clock.
const LASTS: TimeDelta = TimeDelta::minutes(9);

/// Why a key can't be used. Says nothing of the key itself.
#[derive(Debug, Error)]
pub enum BadAppKey {
    /// Neither PKCS#1 nor PKCS#8 of an RSA key.
    #[error(
        "is not the PEM of an RSA private key (BEGIN RSA PRIVATE KEY or BEGIN PRIVATE KEY), as \
         GitHub gives it for download"
    )]
    Pem,
    /// It can be read, but signs nothing.
    #[error("can be read, but can't sign: {why}")]
    Sign {
        /// What the signing library says.
        why: String,
    },
}

/// A GitHub App's id and private key.
#[derive(Clone)]
pub struct AppKey {
    id: Arc<str>,
    key: EncodingKey,
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
}

impl AppKey {
    /// From the App's id (or client id) and its key in PEM. `\n` in two characters stands for a line's
    /// end, because many environments keep no line ends.
    ///
    /// # Errors
    /// A key that can't sign, told now and not at the first request.
    pub fn new(id: &str, pem: &SecretString) -> Result<Self, BadAppKey> {
        let pem = pem.expose_secret().replace("\\n", "\n");
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| BadAppKey::Pem)?;
        let key = Self { id: id.into(), key };
        key.jwt(DateTime::UNIX_EPOCH)?;
        Ok(key)
    }

    /// The App's id, as it was given.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A JWT for the minutes after `now`.
    pub(crate) fn jwt(&self, now: DateTime<Utc>) -> Result<SecretString, BadAppKey> {
        let claims = Claims {
            iat: (now - BACKDATED).timestamp(),
            exp: (now + LASTS).timestamp(),
            iss: &self.id,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map(SecretString::from)
            .map_err(|error| BadAppKey::Sign { why: error.to_string() })
    }
}

/// The App itself: what it may ask for in its own name, and nothing in a repository.
pub(super) struct Jwts {
    pub(super) key: AppKey,
    pub(super) clock: fn() -> DateTime<Utc>,
}

#[async_trait]
impl TokenSource for Jwts {
    async fn token(&self, _scope: &Scope) -> Result<SecretString, TokenError> {
        self.key.jwt((self.clock)()).map_err(|error| TokenError {
            scope: format!("App {}", self.key.id()),
            why: format!("its key {error}"),
            retryable: false,
        })
    }
}
