#![doc = include_str!("../README.md")]

mod cache;
mod host;
mod inputs;
mod kind;
mod outcome;
mod places;
mod proxy;
mod registries;
mod settings;
mod setup;

pub use cache::{Cache, CacheError, CacheFolder, CacheKey, Caches, Filling};
pub use host::{Host, NoHost};
pub use kind::Kind;
pub use outcome::{After, Installed, NotInstalled, NotInstalledWhy, SetupOutcome};
pub use proxy::{Proxy, ProxyLimits, Reach, Reached, Record, Refused, Upstream, Why};
pub use registries::{Operator, Registries, Registry};
pub use settings::{SetupNetwork, SetupSettings, parse_hosts};
pub use setup::{Setup, SetupError, SetupStep};
