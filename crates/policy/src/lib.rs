#![doc = include_str!("../README.md")]

pub mod change;
pub mod config;
pub mod detect;
pub mod markdown;
pub mod redact;
pub mod untrusted;

pub use change::{Change, ChangedPath, DiffLimits, FileMode, Protected, Rule, Violation, check_change};
pub use config::{CommandSpec, Config, ConfigErrors, Language};
pub use detect::{Detected, TreeView, detect};
pub use redact::{Redact, redact};
pub use untrusted::{Fenced, Untrusted, fence, strip_hidden};
