#![doc = include_str!("../README.md")]

pub mod change;
pub mod config;
pub mod detect;
pub mod markdown;
pub mod redact;
mod unicode;
pub mod untrusted;

pub use change::{
    ALWAYS_PROTECTED, Change, ChangedPath, DiffLimits, FileMode, InvalidPattern, PatternList,
    Protected, Rule, Violation, check_change,
};
pub use config::{
    BuilderBudget, BuilderConfig, CommandSpec, Config, ConfigError, ConfigErrors, Evidence,
    FileCommand, FilePatterns, Language, Network, Protect, ProtectPolicy, RegistryName,
    VerifierConfig,
};
pub use detect::{
    Detected, Runner, TreeView, detect, detect_without_setup, manifests_and_locks, runner_of,
};
pub use redact::{FoundSecret, Redact, new_secrets, redact, redacted};
pub use untrusted::{Fenced, Untrusted, fence, prose, strip_hidden};
