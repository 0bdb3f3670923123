//! Reads a request's body within bounds of size, time and memory, and hashes it on the way.
//!
//! Memory is a budget in two parts. Small bodies take what has arrived, piece by piece. A large one
//! takes its whole size before it is read, so that two can't wait for each other half read; until
//! then it stays in the peer's and the kernel's buffers. Peers that dribble large bodies can hold up
//! other large ones only, and only until their time is over.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use crate::{answer::Refusal, settings::BodyLimits, source::SignatureCheck};

/// A body that was read to its end, and the share of memory that it holds.
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) sha256: [u8; 32],
    /// When its last byte was here.
    pub(crate) complete: Instant,
    /// Held for as long as the bytes are.
    pub(crate) memory: Memory,
}

/// A share of the memory for bodies; given back when dropped.
#[derive(Default)]
pub(crate) struct Memory(Option<OwnedSemaphorePermit>);

/// Reads bodies under one budget.
pub(crate) struct BodyReader {
    limits: BodyLimits,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl BodyReader {
    pub(crate) fn new(limits: BodyLimits) -> Self {
        Self {
            limits,
            small: Arc::new(Semaphore::new(pages(limits.small_budget) as usize)),
            // At least one of the largest must fit, or it would wait for ever.
            large: Arc::new(Semaphore::new(
                pages(limits.large_budget.max(limits.max_bytes)) as usize
            )),
        }
    }

    /// Refuses a body that says itself that it is too large.
    pub(crate) fn check_size(&self, body: &Incoming) -> Result<(), Refusal> {
        match body.size_hint().exact() {
            Some(length) if length > self.limits.max_bytes as u64 => Err(self.too_large()),
            _ => Ok(()),
        }
    }

    /// Reads a body to its end.
    pub(crate) async fn read(
        &self,
        mut body: Incoming,
        signature: &mut SignatureCheck,
    ) -> Result<Body, Refusal> {
        let declared = body.size_hint().exact().and_then(|n| usize::try_from(n).ok());
        let mut memory = Memory::default();
        let mut is_large = declared.is_some_and(|n| n > self.limits.large_from);
        if is_large {
            memory = self.take(&self.large, declared.unwrap_or(self.limits.max_bytes)).await?;
        }
        let mut deadline = Instant::now() + self.limits.total;
        let mut whole = Collected::Nothing;
        // On the way, while there is time: after the last byte the sender waits.
        let mut hash = Sha256::new();
        loop {
            let until = deadline.min(Instant::now() + self.limits.idle);
            let frame = match timeout_at(until, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) => return Err(cut_off()),
                Ok(None) => break,
                Err(_) => return Err(too_slow()),
            };
            let Ok(data) = frame.into_data() else { continue };
            let length = whole.len() + data.len();
            if length > self.limits.max_bytes {
                return Err(self.too_large());
            }
            if !is_large {
                let waiting = Instant::now();
                if length > self.limits.large_from {
                    is_large = true;
                    // What it held as a small one goes back once it has its place as a large one.
                    memory = self.take(&self.large, self.limits.max_bytes).await?;
                } else {
                    memory.join(self.take(&self.small, data.len()).await?);
                }
                deadline += waiting.elapsed();
            }
            signature.update(&data);
            hash.update(&data);
            whole.push(data, declared);
        }
        let complete = Instant::now();
        Ok(Body { bytes: whole.freeze(), sha256: hash.finalize().into(), complete, memory })
    }

    async fn take(&self, budget: &Arc<Semaphore>, bytes: usize) -> Result<Memory, Refusal> {
        let acquire = Arc::clone(budget).acquire_many_owned(pages(bytes));
        match timeout(self.limits.wait, acquire).await {
            Ok(Ok(permit)) => Ok(Memory(Some(permit))),
            Ok(Err(_)) | Err(_) => Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many large deliveries at once; send it again later",
            )),
        }
    }

    fn too_large(&self) -> Refusal {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body is larger than {} bytes", self.limits.max_bytes),
        )
    }
}

impl Memory {
    fn join(&mut self, other: Self) {
        match (&mut self.0, other.0) {
            (Some(ours), Some(theirs)) => ours.merge(theirs),
            (ours @ None, theirs) => *ours = theirs,
            (Some(_), None) => {}
        }
    }
}

/// The body so far. The usual one comes in a single piece, which is then not copied.
enum Collected {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Collected {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(bytes) => bytes.len(),
            Self::Many(bytes) => bytes.len(),
        }
    }

    fn push(&mut self, data: Bytes, declared: Option<usize>) {
        match self {
            Self::Nothing if declared == Some(data.len()) => *self = Self::One(data),
            Self::Nothing => {
                // Capacity is not memory until it is written to.
                let mut bytes = BytesMut::with_capacity(declared.unwrap_or(data.len()));
                bytes.extend_from_slice(&data);
                *self = Self::Many(bytes);
            }
            Self::One(first) => {
                let mut bytes = BytesMut::from(&first[..]);
                bytes.extend_from_slice(&data);
                *self = Self::Many(bytes);
            }
            Self::Many(bytes) => bytes.extend_from_slice(&data),
        }
    }

    fn freeze(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.freeze(),
        }
    }
}

/// Permits are counted in KiB: a semaphore has too few of them to count bytes.
fn pages(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

fn too_slow() -> Refusal {
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not arrive in time")
}

fn cut_off() -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        "incomplete",
        "the body ended early or its chunks are malformed",
    )
}
