//! All traffic as JSON lines, for the check against GitHub's published OpenAPI.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Map, Value, json};

/// Request headers that are kept; tokens never are.
const KEPT: [&str; 5] =
    ["accept", "content-type", "user-agent", "if-none-match", "x-github-api-version"];

/// Appends to one file.
#[derive(Debug)]
pub(crate) struct Recorder(Mutex<File>);

impl Recorder {
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Self(Mutex::new(OpenOptions::new().create(true).append(true).open(path)?)))
    }

    pub(crate) fn exchange(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &Bytes,
        reply: &Response<Full<Bytes>>,
    ) {
        let shown = |headers: &HeaderMap, keep: &dyn Fn(&str) -> bool| {
            headers
                .iter()
                .filter(|(name, _)| keep(name.as_str()))
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())
                })
                .collect::<Map<String, Value>>()
        };
        let answer = now_or_never(reply.body().clone());
        let line = json!({
            "method": method.as_str(),
            "path": path,
            "query": query,
            "request_headers": shown(headers, &|name| KEPT.contains(&name)),
            "request_body": String::from_utf8_lossy(body),
            "status": reply.status().as_u16(),
            "response_headers": shown(reply.headers(), &|_| true),
            "response_body": String::from_utf8_lossy(&answer),
        });
        self.append(&line);
    }

    /// A webhook as it is sent.
    pub(crate) fn webhook(&self, event: &str, headers: &Map<String, Value>, body: &Bytes) {
        self.append(&json!({
            "webhook": event,
            "request_headers": headers,
            "request_body": String::from_utf8_lossy(body),
        }));
    }

    fn append(&self, line: &Value) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One write a line: several simulators may append to one file.
        if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
            tracing::warn!(%error, "traffic can't be recorded");
        }
    }
}

/// A full body has its bytes at once.
fn now_or_never(body: Full<Bytes>) -> Bytes {
    let mut body = std::pin::pin!(body.collect());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match body.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Ok(collected)) => collected.to_bytes(),
        _ => Bytes::new(),
    }
}
