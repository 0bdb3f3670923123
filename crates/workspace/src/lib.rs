#![doc = include_str!("../README.md")]

mod change;
mod checkout;
mod error;
mod remote;
pub mod settings;
mod workspaces;

pub use change::{Change, ChangeKind, ChangeSet, Mode};
pub use checkout::{BaseFile, Checkout};
pub use error::Error;
pub use remote::{Remote, Want};
pub use settings::{MirrorLimits, TreeLimits, WorkspaceSettings};
pub use workspaces::Workspaces;
