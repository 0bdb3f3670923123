#![doc = include_str!("../README.md")]

mod backlog;
mod bucket;
mod clock;
mod connect;
mod consumer;
mod durables;
mod ensure;
mod error;
mod headers;
mod journal;
mod lease;
pub mod local;
mod monitor;
mod publish;
mod reading;
mod rpc;
mod spool;
mod stored;
pub mod trace;

pub use backlog::{Backlog, Delivered};
pub use bucket::{Bucket, BucketError, Entry};
pub use clock::Clock;
pub use connect::{Bus, BusSettings};
pub use consumer::{ConsumerSettings, Delivery, Handler, Verdict, consume, ensure_consumer};
pub use durables::{Durable, matches};
pub use error::{BoxError, Difference, Error};
pub use headers::Headers;
pub use journal::{Journal, JournalError};
pub use lease::{Acquire, Lease, LeaseLost, LeaseState, Leases, MessageState, Outcome, Progress};
pub use monitor::SyncAlways;
pub use publish::{Outgoing, PublishError, Published};
pub use reading::{Content, Reading};
pub use spool::Spooled;
pub use stored::Stored;
