//! A provider of the tests: plays what it is given, and keeps what it was asked.

use std::{
    collections::VecDeque,
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use booty_model::{Message, Model, Options, Request as Question, ToolSpec, open};
use futures_util::{Stream, StreamExt as _, future, stream};
use serde_json::{Value, json};
use tokio::net::{TcpListener, UnixListener};

/// What is answered once.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    before: Duration,
    body: Body,
}

impl Reply {
    /// A stream of events, to its end.
    pub(crate) fn events(events: impl Into<String>) -> Self {
        Self::stream(stream::iter([Ok::<_, Infallible>(Bytes::from(events.into()))]))
    }

    /// A stream of events that goes on as it likes.
    pub(crate) fn stream<E>(bytes: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Self
    where
        E: Into<axum::BoxError> + 'static,
    {
        Self {
            status: 200,
            headers: vec![("content-type", "text/event-stream".to_owned())],
            before: Duration::ZERO,
            body: Body::from_stream(bytes),
        }
    }

    /// A stream that says this much, and then neither more nor that it is over.
    pub(crate) fn silent_after(events: impl Into<String>) -> Self {
        let said = stream::iter([Ok::<_, Infallible>(Bytes::from(events.into()))]);
        Self::stream(said.chain(stream::once(future::pending())))
    }

    /// A stream whose connection breaks.
    pub(crate) fn cut_after(events: impl Into<String>) -> Self {
        let said = stream::iter([Ok(Bytes::from(events.into()))]);
        // Pending once, so that what was said is on its way before the connection breaks.
        let cut = stream::once(async {
            tokio::task::yield_now().await;
            Err(std::io::Error::other("cut"))
        });
        Self::stream(said.chain(cut))
    }

    /// A refusal.
    pub(crate) fn refusal(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            before: Duration::ZERO,
            body: Body::from(body.into()),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn after(self, before: Duration) -> Self {
        Self { before, ..self }
    }
}

/// What was asked once.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

#[derive(Clone, Default)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

pub(crate) struct Provider {
    pub(crate) url: String,
    script: Script,
}

impl Provider {
    /// Plays these, in order; a further question gets 418.
    pub(crate) async fn playing(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/", listener.local_addr().unwrap());
        let script = Script::of(replies);
        let app = Router::new().fallback(play).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, script }
    }

    /// The same behind a Unix socket.
    pub(crate) fn behind(socket: &Path, replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let script = Script::of(replies);
        let app = Router::new().fallback(play).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url: "http://models.example/v1/".to_owned(), script }
    }

    pub(crate) fn model(&self, spec: &str) -> Box<dyn Model> {
        open(spec, &self.options()).unwrap()
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            api_key: Some(KEY.into()),
            base_url: Some(self.url.clone()),
            silence: Duration::from_secs(20),
            ..Options::default()
        }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }
}

impl Script {
    fn of(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies = Arc::new(Mutex::new(replies.into_iter().collect()));
        Self { replies, asked: Arc::default() }
    }
}

async fn play(State(script): State<Script>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    script.asked.lock().unwrap().push(Asked {
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap(),
    });
    let reply = script.replies.lock().unwrap().pop_front();
    let reply = reply.unwrap_or_else(|| Reply::refusal(418, "asked too often"));
    if !reply.before.is_zero() {
        tokio::time::sleep(reply.before).await;
    }
    let mut response = Response::new(reply.body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// Long enough to be one, and nowhere else.
pub(crate) const KEY: &str = "canary-key-0123456789abcdef";

/// A file of `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The shortest question there is, with two tools on offer.
pub(crate) fn question() -> Question {
    Question {
        system: "You repair programs.".to_owned(),
        messages: vec![Message::User { content: "add() subtracts".to_owned() }],
        tools: ["list", "read"].map(tool).to_vec(),
        max_output_tokens: 4096,
    }
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: format!("What {name} does."),
        parameters: json!({"type": "object", "properties": {"path": {"type": "string"}}}),
    }
}
