//! The listener: every request passes trouble, limits, the route, and the record.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, Refusal};
use crate::control;
use crate::faults::Trouble;
use crate::git::{GitRequest, GitVerb, git_request, serve_git};
use crate::limits::{self, Primary};
use crate::record::Recorder;
use crate::rest::{self, Caller, Outcome};
use crate::view::{Changed, RequestView};
use crate::world::{Access, Permission, Repo, World};

/// Largest request that is read: a blob of 25 MB in base64, and then some.
const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    pub(crate) changed: Changed,
    pub(crate) control_token: SecretString,
    pub(crate) recorder: Option<Arc<Recorder>>,
    /// Requests being answered, by their `Authorization`.
    in_flight: Mutex<HashMap<Vec<u8>, u32>>,
}

impl Shared {
    pub(crate) fn new(
        world: World,
        changed: Changed,
        control_token: SecretString,
        recorder: Option<Arc<Recorder>>,
    ) -> Self {
        Self {
            world: Mutex::new(world),
            changed,
            control_token,
            recorder,
            in_flight: Mutex::default(),
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection is closed without a byte of answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer is dropped on purpose")]
struct Dropped;

type Reply = Response<Full<Bytes>>;

/// Takes connections until told to stop; then open ones are closed.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let (stream, _peer) = tokio::select! {
            () = stop.cancelled() => return,
            taken = listener.accept() => match taken {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| serve(Arc::clone(&shared), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                // Ends in an error whenever an answer is dropped: nothing to tell anybody.
                _ = connection => {}
            }
        });
    }
}

async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Reply, Dropped> {
    let (parts, body) = request.into_parts();
    let raw = match Limited::new(body, MAX_REQUEST_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large")),
    };
    let path = parts.uri.path().to_owned();
    if path.starts_with("/_sim/") {
        return Ok(control::answer(shared, parts.method, path, parts.headers, raw).await);
    }
    let query = parts.uri.query().map(str::to_owned);
    let flight = InFlight::enter(&shared, &parts.headers);
    let (down, trouble) = {
        let world = &mut *shared.world();
        let down = world.faults.down;
        let trouble = if down {
            None
        } else {
            world.faults.strike(parts.method.as_str(), &path, &mut world.rng)
        };
        (down, trouble)
    };
    let asked = Asked { method: parts.method, path, query, headers: parts.headers, raw };
    if down {
        return asked.drop_unanswered(&shared);
    }
    if let Some(Trouble::DropBeforeCommit) = trouble {
        return asked.drop_unanswered(&shared);
    }
    if let Some(Trouble::Slow { millis }) = trouble {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    if let Some(refusal) = trouble.as_ref().and_then(refused_before) {
        let reply = asked.refuse(&shared, refusal);
        return Ok(reply);
    }
    let git = git_request(&asked.method, &asked.path, asked.query.as_deref());
    let (user, reply) = match git {
        Some(git) => asked.git(&shared, git).await,
        None => asked.api(&shared, flight.count).await,
    };
    shared.changed.tell();
    let reply = match trouble {
        Some(Trouble::DropAfterCommit) => None,
        Some(Trouble::FailAfterCommit { status }) => Some(failure(status)),
        _ => Some(reply),
    };
    asked.remember(&shared, user, reply.as_ref());
    reply.ok_or(Dropped)
}

fn refused_before(trouble: &Trouble) -> Option<Refusal> {
    match trouble {
        Trouble::Fail { status } => Some(Refusal::new(
            StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            "Server Error",
        )),
        Trouble::PrimaryLimit { seconds } => {
            Some(limits::primary_limit("user ID 0").header("x-sim-reset-in", seconds.to_string()))
        }
        Trouble::UnnamedLimit { status } => {
            let mut refusal = limits::secondary_limit(*status, TimeDelta::zero());
            refusal.headers.retain(|(name, _)| *name != "retry-after");
            Some(refusal)
        }
        Trouble::SecondaryLimit { status, seconds } => {
            let wait = TimeDelta::seconds(i64::try_from(*seconds).unwrap_or(i64::MAX / 1000));
            Some(limits::secondary_limit(*status, wait))
        }
        _ => None,
    }
}

/// A request, read.
struct Asked {
    method: Method,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    raw: Bytes,
}

impl Asked {
    async fn api(&self, shared: &Arc<Shared>, in_flight: u32) -> (String, Reply) {
        let job = {
            let shared = Arc::clone(shared);
            let (method, path, query) =
                (self.method.clone(), self.path.clone(), self.query.clone());
            let (headers, raw) = (self.headers.clone(), self.raw.clone());
            move || {
                let world = &mut *shared.world();
                let method = if method == Method::HEAD { Method::GET } else { method };
                let conditional = headers.get("if-none-match").cloned();
                let outcome = rest::handle(
                    world,
                    &method,
                    &path,
                    query.as_deref(),
                    &headers,
                    &raw,
                    in_flight,
                );
                let is_get = method == Method::GET;
                let user = outcome.user.clone();
                (user, dress(world, outcome, is_get, conditional.as_ref()))
            }
        };
        match tokio::task::spawn_blocking(job).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "the simulator panicked");
                (String::new(), failure(500))
            }
        }
    }

    async fn git(&self, shared: &Shared, git: GitRequest) -> (String, Reply) {
        let (user, allowed) = self.git_repository(shared, &git);
        let repository = match allowed {
            Ok(repository) => repository,
            Err(reply) => return (user, *reply),
        };
        let reply = match serve_git(git.what, &repository, &self.headers, self.raw.clone()).await {
            Ok((status, content_type, body)) => {
                let mut reply = Response::new(Full::new(body));
                *reply.status_mut() = status;
                reply.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
                reply.headers_mut().insert("cache-control", HeaderValue::from_static("no-cache"));
                reply
            }
            Err(error) => {
                tracing::error!(%error, "git upload-pack failed");
                plain(StatusCode::INTERNAL_SERVER_ERROR, "git upload-pack failed")
            }
        };
        (user, reply)
    }

    /// The repository that may be fetched, or what is answered instead.
    fn git_repository(
        &self,
        shared: &Shared,
        git: &GitRequest,
    ) -> (String, Result<PathBuf, Box<Reply>>) {
        let mut world = shared.world();
        let ask = || {
            let mut reply = plain(
                StatusCode::UNAUTHORIZED,
                "Invalid username or token. Password authentication is not supported for Git \
                 operations.",
            );
            reply
                .headers_mut()
                .insert("www-authenticate", HeaderValue::from_static("Basic realm=\"GitHub\""));
            Box::new(reply)
        };
        // Git's own protocol takes Basic only.
        let is_basic = self.headers.get("authorization").map(|value| {
            value.as_bytes().get(..6).is_some_and(|s| s.eq_ignore_ascii_case(b"basic "))
        });
        let caller = match is_basic {
            None => None,
            Some(false) => return (String::new(), Err(ask())),
            Some(true) => match rest::authenticate(&world, &self.headers) {
                Ok(caller) => Some(caller),
                Err(_) => return (String::new(), Err(ask())),
            },
        };
        let user = caller.as_ref().map_or("", Caller::login).to_owned();
        let permission = world
            .repo(&git.repo)
            .map_or(Permission::None, |repo| may_fetch(&world, repo, caller.as_ref(), &user));
        if permission >= Permission::Read
            && git.what == GitVerb::Advertise
            && let Err(refusal) = world.try_merges(&git.repo)
        {
            tracing::error!(error = refusal.full_message(), "trial merges failed");
        }
        let result = match (world.repo(&git.repo), git.what) {
            (Ok(repo), GitVerb::Advertise | GitVerb::UploadPack)
                if permission >= Permission::Read =>
            {
                Ok(repo.git.path().to_path_buf())
            }
            _ if user.is_empty() => Err(ask()),
            (Ok(_), GitVerb::Push) if permission >= Permission::Read => Err(Box::new(plain(
                StatusCode::FORBIDDEN,
                "Write access to repository not granted.",
            ))),
            _ => Err(Box::new(plain(StatusCode::NOT_FOUND, "Repository not found."))),
        };
        (user, result)
    }

    fn refuse(&self, shared: &Shared, mut refusal: Refusal) -> Reply {
        let world = &mut *shared.world();
        let user = rest::authenticate(world, &self.headers)
            .map_or_else(|_| String::new(), |caller| caller.login().to_owned());
        let now = world.instant();
        let mut primary = world.limits.primary(&user, now);
        // The reset travels inside the refusal, and never leaves as a header of its own.
        if let Some(at) = refusal.headers.iter().position(|(name, _)| *name == "x-sim-reset-in") {
            let (_, seconds) = refusal.headers.remove(at);
            primary.used = primary.limit;
            primary.reset = now + TimeDelta::seconds(seconds.parse().unwrap_or(60));
        }
        let outcome = Outcome {
            answer: refusal.into_answer("https://docs.github.com/rest"),
            user: user.clone(),
            primary: Some(primary),
            accepted: None,
        };
        let reply = dress(world, outcome, false, None);
        self.note(world, user, reply.status().as_u16());
        if let Some(recorder) = &shared.recorder {
            recorder.exchange(
                &self.method,
                &self.path,
                self.query.as_deref(),
                &self.headers,
                &self.raw,
                &reply,
            );
        }
        reply
    }

    fn drop_unanswered(&self, shared: &Shared) -> Result<Reply, Dropped> {
        self.remember(shared, String::new(), None);
        Err(Dropped)
    }

    fn remember(&self, shared: &Shared, user: String, reply: Option<&Reply>) {
        let status = reply.map_or(0, |reply| reply.status().as_u16());
        self.note(&mut shared.world(), user, status);
        if let (Some(recorder), Some(reply)) = (&shared.recorder, reply) {
            recorder.exchange(
                &self.method,
                &self.path,
                self.query.as_deref(),
                &self.headers,
                &self.raw,
                reply,
            );
        }
    }

    fn note(&self, world: &mut World, user: String, status: u16) {
        let path = match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        };
        let at = world.instant();
        world.remember(RequestView { at, method: self.method.to_string(), path, user, status });
    }
}

/// What git lets a caller do: an installation's token reads what it was given, and like everybody
/// what is public.
fn may_fetch(world: &World, repo: &Repo, caller: Option<&Caller>, user: &str) -> Permission {
    match caller {
        Some(Caller::Installation { grant, .. }) => {
            let given = grant.permissions.get("contents").is_some_and(|may| *may >= Access::Read);
            if !repo.private || (given && world.reaches(grant, repo)) {
                Permission::Read
            } else {
                Permission::None
            }
        }
        _ => repo.permission(user),
    }
}

/// Puts GitHub's headers on an answer.
fn dress(
    world: &mut World,
    outcome: Outcome,
    is_get: bool,
    conditional: Option<&HeaderValue>,
) -> Reply {
    let Outcome { answer, user, mut primary, accepted } = outcome;
    let mut status = answer.status;
    let mut body = answer.bytes();
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if is_get && status == StatusCode::OK {
        let etag = format!("W/\"{}\"", hex::encode(Sha256::digest(&body)));
        let known = conditional.and_then(|value| value.to_str().ok()).is_some_and(|value| {
            value == "*" || value.split(',').any(|one| same_etag(one.trim(), &etag))
        });
        if known {
            status = StatusCode::NOT_MODIFIED;
            body = Bytes::new();
            world.limits.give_back(&user);
            let now = world.instant();
            primary = Some(world.limits.primary(&user, now));
        }
        put("etag", etag);
        put("cache-control", "private, max-age=60, s-maxage=60".to_owned());
        put("vary", "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding".to_owned());
    }
    if !body.is_empty() {
        put("content-type", "application/json; charset=utf-8".to_owned());
    }
    put("server", "github.com".to_owned());
    put("x-github-media-type", "github.v3; format=json".to_owned());
    put("x-github-api-version-selected", "2022-11-28".to_owned());
    put("x-github-request-id", world.request_id());
    if let Some(accepted) = accepted {
        put("x-accepted-github-permissions", accepted);
    }
    if let Some(Primary { limit, used, reset }) = primary {
        put("x-ratelimit-limit", limit.to_string());
        put("x-ratelimit-remaining", limit.saturating_sub(used).to_string());
        put("x-ratelimit-used", used.to_string());
        put("x-ratelimit-reset", reset.timestamp().to_string());
        put("x-ratelimit-resource", "core".to_owned());
    }
    for (name, value) in answer.headers {
        put(name, value);
    }
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    reply
}

/// Weak comparison.
fn same_etag(one: &str, other: &str) -> bool {
    one.trim_start_matches("W/") == other.trim_start_matches("W/")
}

/// GitHub's 5xx comes from a proxy and isn't JSON of the API.
fn failure(status: u16) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = plain(status, "{\"message\": \"Server Error\"}");
    reply
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/json; charset=utf-8"));
    reply
}

pub(crate) fn plain(status: StatusCode, text: &str) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(text.to_owned())));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

pub(crate) fn json(answer: &Answer) -> Reply {
    let mut reply = plain(answer.status, "");
    *reply.body_mut() = Full::new(answer.bytes());
    reply
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/json; charset=utf-8"));
    reply
}

/// Counts a request while it is being answered.
struct InFlight<'a> {
    shared: &'a Shared,
    key: Vec<u8>,
    count: u32,
}

impl<'a> InFlight<'a> {
    fn enter(shared: &'a Shared, headers: &HeaderMap) -> Self {
        let key =
            headers.get("authorization").map(|value| value.as_bytes().to_vec()).unwrap_or_default();
        let mut all = shared.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(key.clone()).or_default();
        *count += 1;
        let count = *count;
        Self { shared, key, count }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut all = self.shared.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.key);
            }
        }
    }
}
