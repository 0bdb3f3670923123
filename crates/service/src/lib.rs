#![doc = include_str!("../README.md")]

pub mod admin;
pub mod allow;
pub mod common;
pub mod env;
pub mod exit;
pub mod jobs;
pub mod outbox;
pub mod pause;
pub mod readers;
pub mod signals;
pub mod supervisor;
pub mod variables;

pub use allow::{AllowList, BadGlob};
pub use env::{Env, SettingsErrors};
pub use exit::Exit;
pub use jobs::JobStore;
pub use outbox::{Outbox, effect_kind};
pub use pause::{Pause, chain};
pub use readers::{BusTokens, ReadAccess};
