//! One request, one answer: sending, limits, the cache, and the sorting of what comes back.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, header};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use tracing::Instrument;
use url::Url;

use crate::{
    cache::{Cache, Kept},
    endpoint::Endpoint,
    error::{Call, Error, Kind, ValidationError},
    limits::{self, Closed, PointLimit, Points},
    token::{Scope, TokenSource},
};

/// The API version that the field names in [`crate::object`] are those of.
const API_VERSION: &str = "2022-11-28";

/// No answer that Booty asks for comes near it.
const LARGEST_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// How long an unused connection is kept.
const IDLE_CONNECTION: Duration = Duration::from_secs(15);

/// A renamed repository answers with one redirect.
const MOST_REDIRECTS: usize = 3;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// `https://api.github.com`, or `https://<host>/api/v3` on GitHub Enterprise.
    pub base_url: Url,
    /// For one request, from asking for its token to the last byte of the answer.
    pub timeout: Duration,
    /// For connecting.
    pub connect_timeout: Duration,
    /// The pauses before a failed *read* is tried again. Writes are never tried again here.
    pub read_retry_delays: Vec<Duration>,
    /// How many answers to reads are kept for `If-None-Match`.
    pub cached_answers: usize,
    /// How long nothing is sent after a secondary limit that names no time; doubles while it goes on.
    pub unnamed_wait: Duration,
    /// What requests may cost.
    pub points: PointLimit,
    /// `User-Agent`, which GitHub insists on.
    pub user_agent: String,
}

impl ClientSettings {
    /// The usual behaviour against an API.
    pub fn new(base_url: Url) -> Self {
        Self {
            base_url,
            timeout: Duration::from_secs(9),
            connect_timeout: Duration::from_secs(3),
            read_retry_delays: vec![
                Duration::from_millis(200),
                Duration::from_secs(1),
                Duration::from_secs(3),
            ],
            cached_answers: 1000,
            unnamed_wait: limits::UNNAMED_WAIT,
            points: PointLimit::default(),
            user_agent: concat!("booty/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A good answer.
#[derive(Debug, Clone)]
pub struct Response<T> {
    /// 2xx.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// What it holds.
    pub body: T,
}

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Whether another page follows.
    pub has_next: bool,
}

/// GitHub's REST API under one scope. Clones share connections, cache and limits.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    scope: Scope,
}

struct Shared {
    settings: ClientSettings,
    http: reqwest::Client,
    tokens: Arc<dyn TokenSource>,
    cache: Cache,
    closed: Closed,
    points: Points,
}

impl Client {
    /// Sets the client up; connects to nothing yet. Ignores proxy variables of the environment.
    pub fn new(settings: ClientSettings, tokens: Arc<dyn TokenSource>) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(&settings.user_agent)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            // Shorter than any server's: a request on a connection that the other side is closing
            // ends with an unknown outcome.
            .pool_idle_timeout(IDLE_CONNECTION)
            // Redirects are followed here: a POST must stay a POST, and the token at home.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|source| Error::SetUp { source: source.without_url() })?;
        let cache = Cache::new(settings.cached_answers);
        let shared = Shared {
            settings,
            http,
            tokens,
            cache,
            closed: Closed::default(),
            points: Points::default(),
        };
        Ok(Self { shared: Arc::new(shared), scope: Scope::default() })
    }

    /// The same client with tokens for another scope.
    pub fn scoped(&self, scope: Scope) -> Self {
        Self { shared: Arc::clone(&self.shared), scope }
    }

    /// How long GitHub has asked to be left alone; requests before that are refused here.
    pub fn closed_for(&self) -> Option<Duration> {
        self.shared.closed.left(Instant::now())
    }

    /// Reads something. Tried again after network errors and 5xx.
    pub async fn get<T: DeserializeOwned>(&self, at: Endpoint) -> Result<Response<T>, Error> {
        let raw = self.read(&at).await?;
        decode(Method::GET, &at, raw)
    }

    /// [`Client::get`] for who needs no headers.
    pub async fn get_json<T: DeserializeOwned>(&self, at: Endpoint) -> Result<T, Error> {
        Ok(self.get(at).await?.body)
    }

    /// [`Client::get_json`], with `None` where there is nothing.
    pub async fn find_json<T: DeserializeOwned>(&self, at: Endpoint) -> Result<Option<T>, Error> {
        match self.get_json(at).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One page of a listing, 100 to a page, counted from 1.
    pub async fn get_page<T: DeserializeOwned>(
        &self,
        at: Endpoint,
        page: u32,
    ) -> Result<Page<T>, Error> {
        let answer = self.get::<Vec<T>>(at.query("per_page", 100).query("page", page)).await?;
        let has_next = has_next(&answer.headers);
        Ok(Page { items: answer.body, has_next })
    }

    /// Creates something. Sent once.
    pub async fn post<T: DeserializeOwned>(
        &self,
        at: Endpoint,
        body: &impl Serialize,
    ) -> Result<Response<T>, Error> {
        self.write(Method::POST, at, body).await
    }

    /// Changes something. Sent once.
    pub async fn patch<T: DeserializeOwned>(
        &self,
        at: Endpoint,
        body: &impl Serialize,
    ) -> Result<Response<T>, Error> {
        self.write(Method::PATCH, at, body).await
    }

    /// Sets something as a whole. Sent once.
    pub async fn put<T: DeserializeOwned>(
        &self,
        at: Endpoint,
        body: &impl Serialize,
    ) -> Result<Response<T>, Error> {
        self.write(Method::PUT, at, body).await
    }

    /// Deletes something. Sent once.
    pub async fn delete(&self, at: Endpoint) -> Result<Response<()>, Error> {
        let raw = self.send(Method::DELETE, &at, None).await?;
        Ok(Response { status: raw.status, headers: raw.headers, body: () })
    }

    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        at: Endpoint,
        body: &impl Serialize,
    ) -> Result<Response<T>, Error> {
        let encoded = serde_json::to_vec(body).map_err(|source| Error::Decode {
            // Nothing was sent, so this must not look like a lost answer to a POST.
            call: Call::new(Method::GET, at.to_string()),
            source,
        })?;
        let raw = self.send(method.clone(), &at, Some(encoded.into())).await?;
        decode(method, &at, raw)
    }

    async fn read(&self, at: &Endpoint) -> Result<Response<Bytes>, Error> {
        let mut delays = self.shared.settings.read_retry_delays.iter();
        loop {
            let error = match self.send(Method::GET, at, None).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match delays.next() {
                Some(delay) if error.kind() == Kind::Retryable => {
                    tracing::debug!(%error, ?delay, "read is tried again");
                    tokio::time::sleep(*delay).await;
                }
                _ => return Err(error),
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        at: &Endpoint,
        body: Option<Bytes>,
    ) -> Result<Response<Bytes>, Error> {
        let span = tracing::info_span!(
            "github.request",
            otel.kind = "client",
            http.request.method = %method,
            url.path = %at,
            http.response.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        let outcome = self.exchange(method, at, body).instrument(span.clone()).await;
        match &outcome {
            Ok(answer) => span.record("http.response.status_code", answer.status),
            Err(error) => span.record("error.type", error.word()),
        };
        outcome
    }

    async fn exchange(
        &self,
        method: Method,
        at: &Endpoint,
        body: Option<Bytes>,
    ) -> Result<Response<Bytes>, Error> {
        let shared = &*self.shared;
        let call = Call::new(method, at.to_string());
        if let Some(wait) = shared.closed.left(Instant::now()) {
            return Err(Error::RateLimited { call, wait, secondary: false });
        }
        let mut url = at.url(&shared.settings.base_url, &call.method)?;
        let key = (call.method == Method::GET).then(|| format!("{:?} {url}", self.scope));
        let kept = key.as_deref().and_then(|key| shared.cache.get(key));
        // One for all of it: who sends under a lease must not send after it, and a token that had to
        // be minted first, or anew, has taken a part of the time.
        let ends = Instant::now() + shared.settings.timeout;
        let mut may_renew = true;
        let mut redirects = 0;
        while redirects <= MOST_REDIRECTS {
            let token = shared
                .tokens
                .token(&self.scope)
                .await
                .map_err(|source| Error::Token { call: call.clone(), source })?;
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
                .map_err(|_| Error::Unauthorized {
                    call: call.clone(),
                    message: "the token holds characters that no token has".to_owned(),
                })?;
            bearer.set_sensitive(true);
            let left = ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Timeout { call, sent: false });
            }
            let is_write = call.method != Method::GET;
            let now = Instant::now();
            if let Err(wait) = shared.points.take(now, is_write, shared.settings.points) {
                tracing::info!(?wait, "no points are left in this minute");
                shared.closed.close_for(now, wait);
                return Err(Error::RateLimited { call, wait, secondary: false });
            }
            let mut request = shared
                .http
                .request(call.method.clone(), url.clone())
                .timeout(left)
                .header(header::AUTHORIZATION, bearer)
                .header(header::ACCEPT, "application/vnd.github+json")
                .header("X-GitHub-Api-Version", API_VERSION);
            if let Some(kept) = &kept {
                request = request.header(header::IF_NONE_MATCH, &kept.etag);
            }
            if let Some(body) = &body {
                request =
                    request.header(header::CONTENT_TYPE, "application/json").body(body.clone());
            }
            let answer = request.send().await.map_err(|e| broken(&call, e))?;
            let status = answer.status().as_u16();
            if matches!(status, 301 | 302 | 307 | 308) {
                // GitHub asks for the request to be repeated verbatim.
                match same_origin(&url, answer.headers().get(header::LOCATION)) {
                    Some(next) => (url, redirects) = (next, redirects + 1),
                    None => return Err(Error::Unexpected { call, status }),
                }
                continue;
            }
            let headers = answer.headers().clone();
            if let Some(wait) = limits::exhausted(&headers) {
                shared.closed.close_for(Instant::now(), wait);
            }
            if let (304, Some(kept)) = (status, &kept) {
                return Ok(Response {
                    status: 200,
                    headers: kept.headers.clone(),
                    body: kept.body.clone(),
                });
            }
            let body = collect(&call, answer).await?;
            if !(200..300).contains(&status) {
                let said: Refusal = serde_json::from_slice(&body).unwrap_or_default();
                if let Some(limit) = limits::refusal(status, &headers, &said.message) {
                    let now = Instant::now();
                    let wait = match limit.wait {
                        Some(wait) => wait,
                        None => {
                            let least = shared.settings.unnamed_wait;
                            shared.closed.close_unnamed(now, least, is_write)
                        }
                    };
                    shared.closed.close_for(now, wait);
                    return Err(Error::RateLimited { call, wait, secondary: limit.secondary });
                }
                let error = refused(&call, status, said);
                // Nothing was done, so the same request may go again, whatever it is.
                if let Error::Unauthorized { .. } = error
                    && shared.tokens.refused(&self.scope, &token).await
                    && may_renew
                {
                    may_renew = false;
                    continue;
                }
                return Err(error);
            }
            shared.closed.passed(is_write);
            if let (Some(key), Some(etag)) = (key, headers.get(header::ETAG))
                && let Ok(etag) = etag.to_str()
            {
                let kept =
                    Kept { etag: etag.to_owned(), headers: headers.clone(), body: body.clone() };
                shared.cache.put(key, kept);
            }
            return Ok(Response { status, headers, body });
        }
        Err(Error::Unexpected { call, status: 310 })
    }
}

/// Whether another page follows.
pub(crate) fn has_next(headers: &HeaderMap) -> bool {
    let links = headers.get_all(header::LINK);
    links.iter().any(|link| link.to_str().is_ok_and(|link| link.contains("rel=\"next\"")))
}

/// The target of a redirect, if it stays with the host that has the token.
fn same_origin(from: &Url, location: Option<&HeaderValue>) -> Option<Url> {
    let target = from.join(location?.to_str().ok()?).ok()?;
    (target.origin() == from.origin()).then_some(target)
}

async fn collect(call: &Call, mut answer: reqwest::Response) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|e| broken(call, e))? {
        if body.len() + chunk.len() > LARGEST_ANSWER_BYTES {
            return Err(Error::TooLarge { call: call.clone(), limit: LARGEST_ANSWER_BYTES });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn broken(call: &Call, error: reqwest::Error) -> Error {
    let call = call.clone();
    // Building a request fails before, and connecting is before.
    let sent = !error.is_connect() && !error.is_builder();
    if error.is_timeout() {
        Error::Timeout { call, sent }
    } else {
        Error::Network { call, sent, source: error.without_url() }
    }
}

/// What GitHub says when it refuses.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
    /// Objects, and from a few endpoints bare strings.
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

fn refused(call: &Call, status: u16, said: Refusal) -> Error {
    let call = call.clone();
    match status {
        404 | 410 => Error::NotFound { call, gone: status == 410 },
        401 => Error::Unauthorized { call, message: said.message },
        403 | 451 => Error::Forbidden { call, message: said.message },
        400 | 409 | 413 | 422 => {
            let errors = said.errors.into_iter().filter_map(complaint).collect();
            Error::Validation { call, status, message: said.message, errors }
        }
        500.. => Error::Server { call, status },
        _ => Error::Unexpected { call, status },
    }
}

fn complaint(value: serde_json::Value) -> Option<ValidationError> {
    match value {
        serde_json::Value::String(message) => Some(ValidationError {
            resource: None,
            field: None,
            code: None,
            message: Some(message),
        }),
        other => serde_json::from_value(other).ok(),
    }
}

fn decode<T: DeserializeOwned>(
    method: Method,
    at: &Endpoint,
    raw: Response<Bytes>,
) -> Result<Response<T>, Error> {
    // 204 has no body; `null` stands for it.
    let text: &[u8] = if raw.body.is_empty() { b"null" } else { &raw.body };
    let body = serde_json::from_slice(text)
        .map_err(|source| Error::Decode { call: Call::new(method, at.to_string()), source })?;
    Ok(Response { status: raw.status, headers: raw.headers, body })
}
