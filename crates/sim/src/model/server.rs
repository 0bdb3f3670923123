//! The listener: every request passes key, form, limits, trouble, the script, and the record.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use super::{
    api::{Api, Event, is_key},
    cache::Cache,
    fault::Fault,
    flow::{Flow, Plan},
    paces::Window,
    question::Question,
    record::{Asked, Outcome, Record, Told},
    refusal::Refusal,
    reply::Reply,
    settings::ModelSettings,
};
use crate::{error::Error, view::Changed};

/// How much more than the largest request is read, so that the client gets to hear that it is too large.
const MAX_DRAINED_BYTES: usize = 256 * 1024 * 1024;

/// A running endpoint; it ends when this is dropped.
#[derive(Debug)]
pub struct ModelServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Shared {
    settings: ModelSettings,
    state: Mutex<State>,
    changed: Changed,
}

#[derive(Debug, Default)]
struct State {
    /// What goes wrong next, whoever asks.
    faults: VecDeque<Fault>,
    /// How many of a script's faults a turn of a conversation has had.
    struck: HashMap<(String, usize), usize>,
    cache: Cache,
    window: Window,
    record: Record,
}

impl ModelServer {
    /// Listens at once.
    ///
    /// # Errors
    /// When the address is taken, or the script has faults that there are not.
    pub async fn start(settings: ModelSettings) -> Result<Self, Error> {
        Fault::check(&settings.script).map_err(|why| Error::Script { why })?;
        let listen = |source| Error::Listen { addr: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let shared =
            Arc::new(Shared { settings, state: Mutex::default(), changed: Changed::new() });
        let stop = CancellationToken::new();
        let accept = accept(listener, Arc::clone(&shared), stop.clone());
        Ok(Self { addr, shared, stop, _task: AbortOnDropHandle::new(tokio::spawn(accept)) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Without `/v1`, as Anthropic's clients take it.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// With `/v1`, as OpenAI's clients take it.
    pub fn v1_url(&self) -> String {
        format!("{}/v1", self.url())
    }

    /// The key that it takes.
    pub fn api_key(&self) -> Option<&SecretString> {
        self.shared.settings.api_key.as_ref()
    }

    /// What goes wrong at the next request that is in order, and at those after it.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.state().faults.extend(faults);
    }

    /// Faults that nobody has met yet.
    pub fn faults_left(&self) -> usize {
        self.shared.state().faults.len()
    }

    /// What was asked so far.
    pub fn told(&self) -> Told {
        self.shared.state().record.tell()
    }

    /// Waits until `found` gives something, or for `patience` at most; looks at every request.
    pub async fn wait_for<T>(
        &self,
        patience: Duration,
        mut found: impl FnMut(&Told) -> Option<T>,
    ) -> Option<T> {
        let deadline = tokio::time::Instant::now() + patience;
        let mut changes = self.shared.changed.watch();
        loop {
            changes.mark_unchanged();
            if let Some(found) = found(&self.told()) {
                return Some(found);
            }
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                return found(&self.told());
            }
        }
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> DateTime<Utc> {
        self.settings.clock.now()
    }
}

type Sent = Response<Either<Full<Bytes>, Flow>>;

/// The connection is closed without a byte of answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer is dropped on purpose")]
struct Dropped;

async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let taken = tokio::select! {
            () = stop.cancelled() => return,
            taken = listener.accept() => taken,
        };
        match taken {
            Ok((stream, _peer)) => {
                tokio::spawn(converse(stream, Arc::clone(&shared), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>, stop: CancellationToken) {
    let service = service_fn(move |request| serve(Arc::clone(&shared), request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => {}
        // Ends in an error whenever an answer is cut: nothing to tell anybody.
        _ = connection => {}
    }
}

async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Sent, Dropped> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if let Some(verb) = path.strip_prefix("/__booty/model/") {
        return Ok(control(&shared, &parts.method, verb, &parts.headers, body).await);
    }
    let Some(api) = Api::of_path(path) else {
        let message = format!("Invalid URL ({} {path})", parts.method);
        return Ok(plain(
            404,
            &json!({"error": {
                "message": message, "type": "invalid_request_error", "param": null, "code": null,
            }}),
        ));
    };
    let request = Received { shared, api, id: request_id(api) };
    if parts.method != Method::POST {
        let message = format!("Not allowed to {} on {path}", parts.method);
        return Ok(request.refuse(&Refusal::new(405, "invalid_request_error", message)));
    }
    let mut asked = Asked {
        at: request.shared.now(),
        api,
        model: String::new(),
        conversation: String::new(),
        turn: 0,
        stream: false,
        bytes: 0,
        tokens: 0,
        outcome: Outcome::Answered,
        usage: None,
        body: Value::Null,
    };
    let answer = match request.read(&parts.headers, body, &mut asked).await {
        Ok(question) => request.decide(&question, &mut asked),
        Err(refusal) => Decision::Refuse(refusal),
    };
    if let Decision::Refuse(refusal) = &answer
        && asked.outcome == Outcome::Answered
    {
        let (status, message) = (refusal.status.as_u16(), refusal.message.clone());
        asked.outcome = Outcome::Refused { status, message };
    }
    {
        request.shared.state().record.add(asked);
        request.shared.changed.tell();
    }
    request.carry_out(answer).await
}

fn request_id(api: Api) -> String {
    let id = Uuid::new_v4().simple().to_string();
    match api {
        Api::Messages => format!("req_01{}", id.chars().take(22).collect::<String>()),
        Api::Chat | Api::Responses => format!("req_{id}"),
    }
}

/// What is to be answered.
enum Decision {
    Refuse(Refusal),
    Gateway(u16),
    Drop,
    Mute,
    Answer { wait: Duration, plan: Plan, is_stream: bool },
}

/// A request to one of the APIs.
struct Received {
    shared: Arc<Shared>,
    api: Api,
    id: String,
}

impl Received {
    /// The question, once it is found in order.
    async fn read(
        &self,
        headers: &HeaderMap,
        body: Incoming,
        asked: &mut Asked,
    ) -> Result<Question, Refusal> {
        let settings = &self.shared.settings;
        let most = settings.max_request_bytes;
        let body = read_body(body, most).await;
        let body = body.map_err(|()| self.api.too_large(most))?;
        asked.bytes = body.len();
        asked.tokens = (body.len() as u64).div_ceil(4);
        let parsed = serde_json::from_slice::<Map<String, Value>>(&body);
        if let Ok(fields) = &parsed {
            asked.body = Value::Object(fields.clone());
            let model = fields.get("model").and_then(Value::as_str);
            asked.model = model.unwrap_or_default().to_owned();
        }
        self.api.check_headers(headers, settings.api_key.as_ref())?;
        let fields = parsed.map_err(|error| self.api.not_json(&error))?;
        let question = self.api.read(headers, &fields, settings)?;
        asked.conversation = question.conversation();
        asked.turn = question.turn;
        asked.stream = question.stream;
        Ok(question)
    }

    fn decide(&self, question: &Question, asked: &mut Asked) -> Decision {
        let settings = &self.shared.settings;
        let state = &mut *self.shared.state();
        let now = self.shared.now();
        if let Err(refusal) = state.window.take(self.api, question.tokens(), settings, now) {
            return Decision::Refuse(refusal);
        }
        let fault = match state.fault(question, &settings.script) {
            Ok(fault) => fault,
            Err(why) => return Decision::Refuse(Refusal::invalid(why)),
        };
        if let Some(fault) = &fault {
            asked.outcome = Outcome::Fault { fault: fault.kind() };
        }
        match &fault {
            Some(Fault::Gateway { status }) => return Decision::Gateway(*status),
            Some(Fault::Dropped) => return Decision::Drop,
            Some(Fault::Mute) => return Decision::Mute,
            // In a stream it is an event, later.
            Some(Fault::ErrorEvent { .. }) if question.stream => {}
            Some(fault) => {
                if let Some(refusal) = self.api.refusal(fault) {
                    return Decision::Refuse(refusal);
                }
            }
            None => {}
        }
        let scenario = settings.script.scenario_for(&question.task).map(|(_, scenario)| scenario);
        let Some(turn) = scenario.and_then(|scenario| scenario.turns.get(question.turn)) else {
            return Decision::Refuse(Refusal::invalid(no_turn(question)));
        };
        if let Some(why) = &turn.fail {
            return Decision::Refuse(Refusal::invalid(why.clone()));
        }
        let usage = state.cache.read(self.api, question, now);
        let mut reply = Reply::new(turn, question, usage);
        if let Some(fault) = &fault {
            reply.spoil(fault, question.max_tokens);
        }
        asked.usage = Some(reply.usage);
        Decision::Answer {
            wait: Duration::from_millis(turn.wait_ms),
            plan: self.plan(&reply, question, fault.as_ref(), now),
            is_stream: question.stream,
        }
    }

    fn plan(
        &self,
        reply: &Reply,
        question: &Question,
        fault: Option<&Fault>,
        now: DateTime<Utc>,
    ) -> Plan {
        let now = now.timestamp();
        if !question.stream {
            let body = self.api.whole(reply, now).to_string().into_bytes();
            return Plan::whole(body, fault);
        }
        let events = self.api.events(reply, question, now);
        // The second piece of the text: what comes before it opens the stream.
        let again: Option<&Event> = events
            .iter()
            .filter(|event| self.api.is_text(event))
            .find(|event| reply.is_endless && !event.data.contains("\"role\""));
        let after = match fault {
            Some(Fault::ErrorEvent { after_events }) => *after_events,
            _ => 0,
        };
        Plan::stream(&events, again, &self.api.error_event(after), fault)
    }

    async fn carry_out(&self, decision: Decision) -> Result<Sent, Dropped> {
        match decision {
            Decision::Refuse(refusal) => Ok(self.refuse(&refusal)),
            Decision::Gateway(status) => Ok(gateway(status)),
            Decision::Drop => Err(Dropped),
            Decision::Mute => std::future::pending().await,
            Decision::Answer { wait, plan, is_stream } => {
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                let mut reply = self.dress(StatusCode::OK);
                let headers = reply.headers_mut();
                let kind = if is_stream {
                    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
                    "text/event-stream; charset=utf-8"
                } else {
                    "application/json"
                };
                headers.insert("content-type", HeaderValue::from_static(kind));
                if let Some(length) = plan.length {
                    headers.insert("content-length", HeaderValue::from(length));
                }
                *reply.body_mut() = Either::Right(plan.start());
                Ok(reply)
            }
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Sent {
        let mut reply = self.dress(refusal.status);
        let headers = reply.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in &refusal.headers {
            put(headers, name, value);
        }
        let body = refusal.body(self.api, &self.id).to_string();
        *reply.body_mut() = Either::Left(Full::new(Bytes::from(body)));
        reply
    }

    /// An empty answer with the headers that every answer has.
    fn dress(&self, status: StatusCode) -> Sent {
        let mut reply = Response::new(Either::Left(Full::default()));
        *reply.status_mut() = status;
        let headers = reply.headers_mut();
        put(headers, self.api.request_id_header(), &self.id);
        let settings = &self.shared.settings;
        let limits = self.shared.state().window.headers(self.api, settings, self.shared.now());
        for (name, value) in limits {
            put(headers, name, &value);
        }
        match self.api {
            Api::Messages => put(headers, "anthropic-organization-id", "org-sim"),
            Api::Chat | Api::Responses => {
                put(headers, "openai-organization", "org-sim");
                put(headers, "openai-processing-ms", "1");
                put(headers, "openai-version", "2020-10-01");
            }
        }
        reply
    }
}

impl State {
    /// What goes wrong with this request: what was queued, else what the script has for its turn.
    fn fault(
        &mut self,
        question: &Question,
        script: &booty_model::scripted::Script,
    ) -> Result<Option<Fault>, String> {
        if let Some(fault) = self.faults.pop_front() {
            return Ok(Some(fault));
        }
        let Some((scenario, _)) = script.scenario_for(&question.task) else { return Ok(None) };
        let faults = Fault::of_turn(script, scenario, question.turn)?;
        let struck = self.struck.entry((question.conversation(), question.turn)).or_default();
        let fault = faults.get(*struck).cloned();
        *struck += usize::from(fault.is_some());
        Ok(fault)
    }
}

/// No model is without an answer; a script may be.
fn no_turn(question: &Question) -> String {
    format!(
        "the simulator's script has no turn {} (counted from 0) for this conversation",
        question.turn
    )
}

/// At most so many bytes. What comes after them is read and thrown away.
async fn read_body(mut body: Incoming, most: usize) -> Result<Bytes, ()> {
    let mut read = Vec::new();
    let mut drained = 0;
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        if drained == 0 && read.len() + data.len() <= most {
            read.extend_from_slice(&data);
        } else {
            drained += data.len();
            if drained > MAX_DRAINED_BYTES {
                break;
            }
        }
    }
    if drained > 0 { Err(()) } else { Ok(read.into()) }
}

/// `GET /__booty/model/requests` tells what was asked, `POST /__booty/model/faults` takes a list of
/// faults; both with the key, in either provider's header.
async fn control(
    shared: &Shared,
    method: &Method,
    verb: &str,
    headers: &HeaderMap,
    body: Incoming,
) -> Sent {
    let given = |name: &str| headers.get(name).map(|value| value.as_bytes()).unwrap_or_default();
    let bearer = given("authorization").strip_prefix(b"Bearer ").unwrap_or_default();
    let is_allowed = |key| is_key(bearer, key) || is_key(given("x-api-key"), key);
    if !shared.settings.api_key.as_ref().is_none_or(is_allowed) {
        return plain(401, &json!({"error": "send the endpoint's API key as a bearer token"}));
    }
    match (method.as_str(), verb) {
        ("GET", "requests") => {
            let told = shared.state().record.tell();
            plain(200, &serde_json::to_value(told).unwrap_or_default())
        }
        ("POST", "faults") => {
            let Ok(body) = read_body(body, shared.settings.max_request_bytes).await else {
                return plain(413, &json!({"error": "the list is too large"}));
            };
            match serde_json::from_slice::<Vec<Fault>>(&body) {
                Ok(faults) => {
                    let queue = &mut shared.state().faults;
                    queue.extend(faults);
                    plain(200, &json!({"queued": queue.len()}))
                }
                Err(error) => plain(422, &json!({"error": error.to_string()})),
            }
        }
        _ => plain(404, &json!({"error": "there is GET requests and POST faults"})),
    }
}

fn plain(status: u16, body: &Value) -> Sent {
    page(status, "application/json", body.to_string())
}

fn gateway(status: u16) -> Sent {
    let body = format!(
        "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1>\
         </center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
    );
    page(status, "text/html", body)
}

fn page(status: u16, kind: &'static str, body: String) -> Sent {
    let mut reply = Response::new(Either::Left(Full::new(Bytes::from(body))));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    reply.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    reply
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
