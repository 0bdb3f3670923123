#![doc = include_str!("../README.md")]

mod base;
mod change;
mod checkout;
mod error;
mod ignore;
mod job;
mod mirror;
mod path;
mod remote;
mod remove;
mod scan;
pub mod settings;
mod transport;
mod workspaces;
mod write;

pub use change::{Change, ChangeKind, ChangeSet, Mode};
pub use checkout::{BaseFile, Checkout};
pub use error::Error;
pub use remote::{Remote, Want};
pub use settings::{MirrorLimits, TreeLimits, WorkspaceSettings};
pub use workspaces::Workspaces;
