//! Git's bytes over HTTP: one request after the other, with a deadline, a bound, and a token that goes to one host only.
//!
//! gix brings HTTP backends of its own. This one exists because a job has to end when it is cancelled although the server
//! is silent, because a pack must not fill the disk, and because a status must arrive as what it is.

use std::{
    any::Any,
    io::{self, BufRead, Cursor, Read, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse,
};
use reqwest::{
    Method, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{runtime::Handle, time::Instant};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::Error;

/// The longest to wait for a connection: the fetch's own deadline is minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Redirects followed within the same host: GitHub answers with one for a renamed repository.
const MAX_REDIRECTS: usize = 3;

/// The connections of all fetches.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    /// Honours the usual proxy variables.
    https: reqwest::Client,
    /// For plain http on loopback: never by a proxy.
    loopback: reqwest::Client,
}

impl Clients {
    pub(crate) fn new() -> Result<Self, Error> {
        let builder = || {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .user_agent(concat!("git/booty-", env!("CARGO_PKG_VERSION")))
        };
        let failed =
            |error: reqwest::Error| Error::Invalid { what: format!("no HTTP client: {error}") };
        Ok(Self {
            https: builder().https_only(true).build().map_err(failed)?,
            loopback: builder().no_proxy().build().map_err(failed)?,
        })
    }

    fn of(&self, url: &Url) -> reqwest::Client {
        if url.scheme() == "https" { self.https.clone() } else { self.loopback.clone() }
    }
}

/// What one fetch may do, and what went wrong with it.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) cancel: CancellationToken,
    pub(crate) deadline: Instant,
    /// What the deadline was made from.
    pub(crate) limit: Duration,
    /// Bytes that may arrive.
    pub(crate) download_bytes: u64,
    /// Bytes that did, in all conversations under these terms.
    pub(crate) received: Arc<AtomicU64>,
    pub(crate) runtime: Handle,
}

/// gix wraps what goes wrong in layers of its own; the first cause is kept here.
pub(crate) type Failure = Arc<Mutex<Option<Error>>>;

/// One conversation with one host.
pub(crate) struct Wire {
    shared: Arc<Shared>,
    /// Where the host said the repository has moved to.
    moved: Arc<Mutex<Option<String>>>,
}

struct Shared {
    client: reqwest::Client,
    origin: Url,
    authorization: Option<HeaderValue>,
    terms: Terms,
    failure: Failure,
}

impl Wire {
    pub(crate) fn new(
        clients: &Clients,
        url: &Url,
        token: Option<&SecretString>,
        terms: Terms,
    ) -> Result<(Self, Failure), Error> {
        let authorization = token.map(basic).transpose()?;
        let failure = Failure::default();
        let shared = Shared {
            client: clients.of(url),
            origin: url.clone(),
            authorization,
            terms,
            failure: failure.clone(),
        };
        Ok((Self { shared: Arc::new(shared), moved: Arc::default() }, failure))
    }

    fn exchange(
        &self,
        method: Method,
        url: &str,
        base: &str,
        headers: HeaderMap,
    ) -> Arc<Mutex<Exchange>> {
        let tail = url.strip_prefix(base).unwrap_or_default().to_owned();
        Arc::new(Mutex::new(Exchange {
            shared: self.shared.clone(),
            moved: self.moved.clone(),
            method,
            url: url.to_owned(),
            tail,
            headers,
            body: Vec::new(),
            state: State::Unsent,
        }))
    }
}

fn basic(token: &SecretString) -> Result<HeaderValue, Error> {
    let credentials = STANDARD.encode(format!("x-access-token:{}", token.expose_secret()));
    let mut value = HeaderValue::from_str(&format!("Basic {credentials}"))
        .map_err(|_| Error::invalid("the token can't be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Shared {
    /// Waits for `work`, for the deadline and for the job's end, whichever comes first.
    fn wait<T>(&self, work: impl Future<Output = Result<T, reqwest::Error>>) -> Result<T, Error> {
        let terms = &self.terms;
        terms.runtime.block_on(async {
            tokio::select! {
                biased;
                () = terms.cancel.cancelled() => Err(Error::Cancelled),
                () = tokio::time::sleep_until(terms.deadline) => {
                    Err(Error::TimedOut { limit: terms.limit })
                }
                result = work => result.map_err(|error| Error::Network {
                    what: "no answer".into(),
                    // Addresses may hold what is nobody's business.
                    source: Some(Box::new(error.without_url())),
                }),
            }
        })
    }

    /// Keeps the first cause, and gives gix something to carry.
    fn fail(&self, error: Error) -> io::Error {
        let text = error.to_string();
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
        io::Error::other(text)
    }

    fn count(&self, bytes: usize) -> Result<(), Error> {
        let before = self.terms.received.fetch_add(bytes as u64, Ordering::Relaxed);
        let (received, limit) = (before.saturating_add(bytes as u64), self.terms.download_bytes);
        if received > limit {
            return Err(Error::too_large("bytes received from the remote", limit, received));
        }
        Ok(())
    }
}

/// A request that is sent when its answer is first read, since its body is written after gix asked for it.
struct Exchange {
    shared: Arc<Shared>,
    moved: Arc<Mutex<Option<String>>>,
    method: Method,
    url: String,
    tail: String,
    headers: HeaderMap,
    body: Vec<u8>,
    state: State,
}

enum State {
    Unsent,
    /// With the piece of the body that arrived last.
    Answered {
        response: reqwest::Response,
        chunk: Cursor<Vec<u8>>,
    },
    Ended,
    Failed,
}

impl Exchange {
    fn send(&mut self) -> io::Result<Vec<u8>> {
        match self.try_send() {
            Ok(response) => {
                let mut head = Vec::new();
                for (name, value) in response.headers() {
                    head.extend_from_slice(name.as_str().as_bytes());
                    head.push(b':');
                    head.extend_from_slice(value.as_bytes());
                    head.push(b'\n');
                }
                self.state = State::Answered { response, chunk: Cursor::default() };
                Ok(head)
            }
            Err(error) => {
                self.state = State::Failed;
                Err(self.shared.fail(error))
            }
        }
    }

    fn try_send(&mut self) -> Result<reqwest::Response, Error> {
        let mut url = Url::parse(&self.url)
            .map_err(|error| Error::invalid(format!("a bad address: {error}")))?;
        let body = std::mem::take(&mut self.body);
        for _ in 0..=MAX_REDIRECTS {
            same_host(&self.shared.origin, &url)?;
            let mut request = self
                .shared
                .client
                .request(self.method.clone(), url.clone())
                .headers(self.headers.clone());
            if let Some(authorization) = &self.shared.authorization {
                request = request.header(header::AUTHORIZATION, authorization.clone());
            }
            if self.method == Method::POST {
                request = request.body(body.clone());
            }
            let response = self.shared.wait(request.send())?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if !status.is_redirection() {
                return Err(refusal(status, response.headers()));
            }
            url = target(&url, response.headers())?;
            same_host(&self.shared.origin, &url)?;
            let base = url.as_str().strip_suffix(&self.tail).filter(|_| !self.tail.is_empty());
            let base = base.ok_or_else(|| Error::Redirected { to: place(&url) })?;
            *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Some(base.to_owned());
        }
        Err(Error::Redirected { to: place(&url) })
    }

    fn fill(&mut self) -> io::Result<&[u8]> {
        if matches!(self.state, State::Unsent) {
            self.send()?;
        }
        let Self { shared, state, .. } = self;
        if let State::Answered { response, chunk } = state
            && chunk.position() >= chunk.get_ref().len() as u64
        {
            let next = shared.wait(response.chunk()).and_then(|next| {
                let next = next.unwrap_or_default();
                shared.count(next.len()).map(|()| next)
            });
            match next {
                Ok(next) if next.is_empty() => *state = State::Ended,
                Ok(next) => *chunk = Cursor::new(next.to_vec()),
                Err(error) => {
                    *state = State::Failed;
                    return Err(shared.fail(error));
                }
            }
        }
        match &mut self.state {
            State::Answered { chunk, .. } => chunk.fill_buf(),
            State::Failed => Err(io::Error::other("the exchange failed before")),
            State::Unsent | State::Ended => Ok(&[]),
        }
    }
}

fn target(from: &Url, headers: &HeaderMap) -> Result<Url, Error> {
    let to = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    to.and_then(|to| from.join(to).ok())
        .ok_or_else(|| Error::Network { what: "a redirect to nowhere".into(), source: None })
}

/// The token, and trust, end where the host does.
fn same_host(origin: &Url, url: &Url) -> Result<(), Error> {
    let same = |a: &Url, b: &Url| {
        a.scheme() == b.scheme()
            && a.host() == b.host()
            && a.port_or_known_default() == b.port_or_known_default()
    };
    if same(origin, url) { Ok(()) } else { Err(Error::Redirected { to: place(url) }) }
}

fn place(url: &Url) -> String {
    url.host_str().unwrap_or("nowhere").to_owned()
}

fn refusal(status: StatusCode, headers: &HeaderMap) -> Error {
    match status {
        // Secondary rate limits are a 403 with a time to wait.
        StatusCode::FORBIDDEN if headers.contains_key(header::RETRY_AFTER) => {
            Error::Network { what: "rate limited (HTTP 403)".into(), source: None }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Error::Unauthorized { status: status.as_u16() }
        }
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => {
            Error::NotFound { what: "the repository".into() }
        }
        _ => Error::Network { what: format!("HTTP {}", status.as_u16()), source: None },
    }
}

/// The head of an answer, line by line.
pub(crate) struct Head {
    exchange: Arc<Mutex<Exchange>>,
    lines: Option<Cursor<Vec<u8>>>,
}

/// The body of an answer.
pub(crate) struct Body {
    exchange: Arc<Mutex<Exchange>>,
    /// A copy, as a borrow can't leave the lock.
    chunk: Cursor<Vec<u8>>,
}

/// The body of a request. Negotiations are short, so it is kept in memory.
pub(crate) struct Upload(Arc<Mutex<Exchange>>);

impl BufRead for Head {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.lines.is_none() {
            let head = self.exchange.lock().unwrap_or_else(PoisonError::into_inner).send()?;
            self.lines = Some(Cursor::new(head));
        }
        self.lines.get_or_insert_default().fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.lines.get_or_insert_default().consume(amount);
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.position() >= self.chunk.get_ref().len() as u64 {
            let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
            let next = exchange.fill()?.to_vec();
            if let State::Answered { chunk, .. } = &mut exchange.state {
                chunk.consume(next.len());
            }
            self.chunk = Cursor::new(next);
        }
        self.chunk.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.consume(amount);
    }
}

fn read_from(source: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    let count = source.fill_buf()?.read(buffer)?;
    source.consume(count);
    Ok(count)
}

impl Read for Head {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_from(self, buffer)
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_from(self, buffer)
    }
}

impl Write for Upload {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).body.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Http for Wire {
    type Headers = Head;
    type ResponseBody = Body;
    type PostBody = Upload;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Head, Body>> {
        let exchange = self.exchange(Method::GET, url, base_url, parse(headers));
        // Now, as gix asks right after it where the repository has moved to.
        let head = exchange
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send()
            .map_err(gix::Error::from_error)?;
        Ok(GetResponse {
            headers: Head { exchange: exchange.clone(), lines: Some(Cursor::new(head)) },
            body: Body { exchange, chunk: Cursor::default() },
        })
    }

    fn post(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Head, Body, Upload>> {
        let exchange = self.exchange(Method::POST, url, base_url, parse(headers));
        Ok(PostResponse {
            post_body: Upload(exchange.clone()),
            headers: Head { exchange: exchange.clone(), lines: None },
            body: Body { exchange, chunk: Cursor::default() },
        })
    }

    /// Nothing that a configuration says is taken.
    fn configure(&mut self, _config: &dyn Any) -> gix::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn parse(lines: impl IntoIterator<Item = impl AsRef<str>>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some((name, value)) = line.as_ref().split_once(':') else { continue };
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name), HeaderValue::try_from(value.trim()))
        {
            headers.append(name, value);
        }
    }
    headers
}
