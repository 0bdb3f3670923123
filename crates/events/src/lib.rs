#![doc = include_str!("../README.md")]

pub mod bucket;
pub mod fact;
pub mod header;
pub mod id;
pub mod label;
mod secret;
pub mod stream;
pub mod subject;
mod token;

/// The generated messages of `proto/booty/v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, unreachable_pub)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/booty.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/booty.v1.serde.rs"));
}

pub use id::{
    CommitSha, DeliveryId, EffectId, Fingerprint, InvalidId, IssueNumber, JobId, RepoName, TraceId,
};
pub use pbjson_types::Timestamp;
pub use prost::Message;
pub use subject::{Lane, Service};
