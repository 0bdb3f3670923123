//! Webhooks: signed, sent once, never again by themselves.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use crate::record::Recorder;
use crate::settings::Clock;
use crate::view::{Changed, DeliveryView};
use crate::world::Hook;

/// Deliveries waiting to be sent; what comes above it fails at once, and says so in the log.
const QUEUE: usize = 10_000;
/// Deliveries on their way at the same time.
const AT_ONCE: usize = 16;
/// Deliveries remembered; the oldest go first.
const KEPT: usize = 20_000;
/// Bytes kept of a receiver's answer.
const ANSWER_KEPT: usize = 64 * 1024;

/// One webhook on its way.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) id: u64,
    /// Stays the same when it is sent again.
    pub(crate) guid: Uuid,
    pub(crate) event: &'static str,
    pub(crate) action: Option<String>,
    /// Key of the repository.
    pub(crate) repo: String,
    pub(crate) repo_id: u64,
    /// The installation that it is for, and its App, where there is one.
    pub(crate) installation: Option<(u64, u64)>,
    pub(crate) hook: Hook,
    pub(crate) body: Bytes,
    pub(crate) redelivery: bool,
    /// It will not arrive: a fault.
    pub(crate) lost: bool,
}

/// What became of it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) delivery: Delivery,
    pub(crate) at: DateTime<Utc>,
    pub(crate) duration: Duration,
    /// GitHub's own 502 for "failed to connect to host", 504 for "timed out".
    pub(crate) status: u16,
    pub(crate) status_text: String,
    pub(crate) request_headers: Map<String, Value>,
    pub(crate) response_headers: Map<String, Value>,
    pub(crate) response_body: String,
}

impl Sent {
    pub(crate) fn view(&self) -> DeliveryView {
        DeliveryView {
            id: self.delivery.id,
            guid: self.delivery.guid.to_string(),
            repo: self.delivery.repo.clone(),
            event: self.delivery.event.to_owned(),
            action: self.delivery.action.clone(),
            redelivery: self.delivery.redelivery,
            at: self.at,
            status: self.status,
            status_text: self.status_text.clone(),
        }
    }
}

type Log = Arc<Mutex<VecDeque<Sent>>>;

/// What every delivery is sent with.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) client: reqwest::Client,
    pub(crate) timeout: Duration,
    pub(crate) clock: Clock,
    pub(crate) changed: Changed,
    pub(crate) recorder: Option<Arc<Recorder>>,
}

/// Takes deliveries and remembers them.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    queue: mpsc::Sender<Delivery>,
    log: Log,
    clock: Clock,
}

impl Outbox {
    /// The outbox, and the task that empties it.
    pub(crate) fn new(post: Post) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let outbox = Self { queue, log: Log::default(), clock: post.clock.clone() };
        let task = send_all(waiting, Arc::clone(&outbox.log), post);
        (outbox, task)
    }

    pub(crate) fn send(&self, delivery: Delivery) {
        if let Err(refused) = self.queue.try_send(delivery) {
            let delivery = match refused {
                mpsc::error::TrySendError::Full(delivery)
                | mpsc::error::TrySendError::Closed(delivery) => delivery,
            };
            let failed = failed(delivery, self.clock.now(), Duration::ZERO, 502, "queue is full");
            remember(&self.log, failed);
        }
    }

    /// Of one repository, newest first.
    pub(crate) fn sent(&self, repo: &str) -> Vec<Sent> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().rev().filter(|sent| sent.delivery.repo == repo).cloned().collect()
    }

    /// Oldest first.
    pub(crate) fn views(&self) -> Vec<DeliveryView> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().map(Sent::view).collect()
    }

    pub(crate) fn original(&self, repo: &str, id: u64) -> Option<Delivery> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter()
            .find(|sent| sent.delivery.id == id && sent.delivery.repo.eq_ignore_ascii_case(repo))
            .map(|sent| sent.delivery.clone())
    }
}

async fn send_all(mut waiting: mpsc::Receiver<Delivery>, log: Log, post: Post) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(delivery) = waiting.recv().await {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let (log, post) = (Arc::clone(&log), post.clone());
        tokio::spawn(async move {
            let sent = send_one(delivery, &post).await;
            remember(&log, sent);
            post.changed.tell();
            drop(permit);
        });
    }
}

async fn send_one(delivery: Delivery, post: &Post) -> Sent {
    let Post { client, timeout, clock, recorder, .. } = post;
    let (at, started) = (clock.now(), Instant::now());
    if delivery.lost {
        return failed(delivery, at, Duration::ZERO, 502, "failed to connect to host");
    }
    let headers = headers(&delivery);
    if let Some(recorder) = recorder {
        recorder.webhook(delivery.event, &shown(&headers), &delivery.body);
    }
    let mut request = client.post(&delivery.hook.url).timeout(*timeout).body(delivery.body.clone());
    for (name, value) in &headers {
        request = request.header(*name, value);
    }
    let answer = async {
        let response = request.send().await?;
        let status = response.status();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())
            })
            .collect::<Map<String, Value>>();
        let body = response.bytes().await?;
        Ok::<_, reqwest::Error>((status, headers, body))
    };
    match answer.await {
        Ok((status, response_headers, body)) => Sent {
            request_headers: shown(&headers),
            status: status.as_u16(),
            status_text: if status.is_success() {
                "OK".to_owned()
            } else {
                format!("Invalid HTTP Response: {}", status.as_u16())
            },
            response_headers,
            response_body: String::from_utf8_lossy(body.get(..ANSWER_KEPT).unwrap_or(&body))
                .into_owned(),
            delivery,
            at,
            duration: started.elapsed(),
        },
        Err(error) => {
            let (status, text) = if error.is_timeout() {
                (504, "timed out")
            } else {
                (502, "failed to connect to host")
            };
            let mut sent = failed(delivery, at, started.elapsed(), status, text);
            sent.request_headers = shown(&headers);
            sent
        }
    }
}

/// The headers that GitHub sends, in its own spelling.
fn headers(delivery: &Delivery) -> Vec<(&'static str, String)> {
    let signature = sign(&delivery.hook.secret, &delivery.body);
    let (target, target_type) = match delivery.installation {
        Some((_, app)) => (app, "integration"),
        None => (delivery.repo_id, "repository"),
    };
    vec![
        ("Accept", "*/*".to_owned()),
        ("Content-Type", "application/json".to_owned()),
        ("User-Agent", "GitHub-Hookshot/5171c8f".to_owned()),
        ("X-GitHub-Delivery", delivery.guid.to_string()),
        ("X-GitHub-Event", delivery.event.to_owned()),
        ("X-GitHub-Hook-ID", delivery.hook.id.to_string()),
        ("X-GitHub-Hook-Installation-Target-ID", target.to_string()),
        ("X-GitHub-Hook-Installation-Target-Type", target_type.to_owned()),
        ("X-Hub-Signature-256", signature),
    ]
}

/// `sha256=` and the HMAC of the exact bytes.
fn sign(secret: &SecretString, body: &[u8]) -> String {
    match Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) {
        Ok(mut mac) => {
            mac.update(body);
            format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
        }
        Err(_) => String::new(),
    }
}

fn shown(headers: &[(&'static str, String)]) -> Map<String, Value> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
}

fn failed(
    delivery: Delivery,
    at: DateTime<Utc>,
    duration: Duration,
    status: u16,
    text: &str,
) -> Sent {
    Sent {
        delivery,
        at,
        duration,
        status,
        status_text: text.to_owned(),
        request_headers: Map::new(),
        response_headers: Map::new(),
        response_body: String::new(),
    }
}

fn remember(log: &Log, sent: Sent) {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    if log.len() == KEPT {
        log.pop_front();
    }
    log.push_back(sent);
}
