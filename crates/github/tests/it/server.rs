//! Servers of a test's own, on free ports.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use booty_github::{Client, ClientSettings, StaticToken};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

pub const TOKEN: &str = "ghp_canaryCANARYcanary";

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Answers the n-th request with the n-th answer, and the last one for ever.
pub struct Scripted {
    pub url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

pub type Answer = (u16, Vec<(&'static str, String)>, String);

pub fn answer(status: u16, body: &str) -> Answer {
    (status, Vec::new(), body.to_owned())
}

pub fn answer_with(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
    (status, headers.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(), body.to_owned())
}

impl Scripted {
    pub async fn start(answers: Vec<Answer>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let app = Router::new().fallback(move |request: Request| {
            let (answers, record) = (answers.clone(), Arc::clone(&record));
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let n = {
                    let mut seen = record.lock().unwrap();
                    seen.push(Seen {
                        method: parts.method.to_string(),
                        path: parts.uri.to_string(),
                        headers: parts.headers,
                        body,
                    });
                    seen.len() - 1
                };
                let (status, headers, body) = answers[n.min(answers.len() - 1)].clone();
                let mut response: Response =
                    (StatusCode::from_u16(status).unwrap(), body).into_response();
                for (name, value) in headers {
                    response.headers_mut().append(name, value.parse().unwrap());
                }
                response
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub fn settings(url: &Url) -> ClientSettings {
    ClientSettings {
        timeout: Duration::from_millis(500),
        read_retry_delays: vec![Duration::from_millis(1); 2],
        ..ClientSettings::new(url.clone())
    }
}

pub fn client(url: &Url) -> Client {
    Client::new(settings(url), Arc::new(StaticToken::new(TOKEN.into()))).unwrap()
}

/// What a server does once it has a whole request.
#[derive(Debug, Clone, Copy)]
pub enum Rude {
    /// Closes the connection.
    HangUp,
    /// Says nothing.
    Stall,
    /// Sends a head that promises more than follows.
    CutBody,
}

/// Reads a request and does not answer it. Counts the requests.
pub async fn rude(how: Rude) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        let mut stalled = Vec::<TcpStream>::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            assert!(read > 0);
            counted.fetch_add(1, Ordering::SeqCst);
            match how {
                Rude::HangUp => {}
                Rude::Stall => stalled.push(stream),
                Rude::CutBody => stream
                    .write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{\"id\":")
                    .await
                    .unwrap(),
            }
        }
    });
    (url, requests)
}
