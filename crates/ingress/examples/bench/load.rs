//! Senders that keep their connections and wait for each answer. The body is the same each time, so
//! it is signed once; the delivery id is new each time.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use booty_github::signature::Signature;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::SECRET;

const BODY_BYTES: usize = 12 * 1024;
const ID: &str = "00000000-0000-0000-0000-000000000000";

/// What a round showed.
pub(crate) struct Outcome {
    pub(crate) answered: usize,
    pub(crate) per_second: f64,
    pub(crate) p99_ms: f64,
}

pub(crate) async fn run(to: SocketAddr, connections: usize, length: Duration) -> Result<Outcome> {
    let began = Instant::now();
    let until = began + length;
    let senders: Vec<_> = (0..connections).map(|_| tokio::spawn(send(to, until))).collect();
    let mut took = Vec::new();
    for sender in senders {
        took.extend(sender.await??);
    }
    let elapsed = began.elapsed();
    took.sort();
    let p99 = took.get(took.len() * 99 / 100).context("nothing was answered")?;
    let per_second = took.len() as f64 / elapsed.as_secs_f64();
    Ok(Outcome { answered: took.len(), per_second, p99_ms: p99.as_secs_f64() * 1000.0 })
}

async fn send(to: SocketAddr, until: Instant) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (mut request, at) = request();
    let mut answer = vec![0; 4096];
    let mut took = Vec::new();
    while Instant::now() < until {
        let id = uuid::Uuid::new_v4().to_string();
        request[at..at + id.len()].copy_from_slice(id.as_bytes());
        let began = Instant::now();
        stream.write_all(&request).await?;
        let mut read = 0;
        while !is_whole(&answer[..read])? {
            let n = stream.read(&mut answer[read..]).await?;
            ensure!(n > 0, "the connection was closed");
            read += n;
        }
        ensure!(
            answer.starts_with(b"HTTP/1.1 202"),
            "{}",
            String::from_utf8_lossy(&answer[..read])
        );
        took.push(began.elapsed());
    }
    Ok(took)
}

fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(false) };
    let head = std::str::from_utf8(&answer[..end])?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("an answer without a length")?.parse()?;
    Ok(answer.len() >= end + 4 + length)
}

/// The request's bytes, and where the delivery id stands in them.
fn request() -> (Vec<u8>, usize) {
    let user = json!({"login": "octocat", "id": 1, "type": "User", "site_admin": false});
    let mut body = json!({
        "action": "labeled",
        "issue": {
            "number": 7, "title": "It breaks", "body": "", "state": "open", "user": user,
            "labels": [{"name": "agent:builder"}], "updated_at": "2026-01-01T00:00:00Z",
        },
        "label": {"name": "agent:builder"},
        "repository": {"id": 1, "full_name": "octo/hello", "default_branch": "main"},
        "sender": user,
    });
    // Like GitHub's own: many short fields with addresses.
    let mut n = 0;
    while body.to_string().len() < BODY_BYTES {
        let url = format!("https://api.github.com/repos/octo/hello/things{{/thing_{n}}}");
        body["repository"][format!("things_{n}_url")] = url.into();
        n += 1;
    }
    let body = body.to_string();
    let signature = Signature::sign(&SECRET.into(), body.as_bytes()).to_header();
    let request = format!(
        "POST /webhooks/github HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         user-agent: GitHub-Hookshot/044aadd\r\naccept: */*\r\nx-github-event: issues\r\n\
         x-github-hook-id: 292430182\r\nx-github-delivery: {ID}\r\n\
         x-hub-signature-256: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len(),
    );
    let at = request.find(ID).unwrap_or_default();
    (request.into_bytes(), at)
}
