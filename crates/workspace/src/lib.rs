#![doc = include_str!("../README.md")]

mod base;
mod change;
mod checkout;
mod deepen;
mod error;
mod history;
mod ignore;
mod job;
mod local;
mod merge;
mod mirror;
mod overlay;
mod path;
mod policy;
mod proposal;
mod remote;
mod remove;
mod scan;
mod scratch;
pub mod settings;
mod transport;
mod watched;
mod workspaces;
mod write;

pub use change::{Change, ChangeKind, ChangeSet, Mode};
pub use checkout::{BaseFile, Checkout};
pub use error::Error;
pub use overlay::FileContent;
pub use proposal::{Merge, Proposal, Side};
pub use remote::{Head, Remote, Want};
pub use settings::{MirrorLimits, TreeLimits, WorkspaceSettings};
pub use workspaces::Workspaces;
