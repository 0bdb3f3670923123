#![doc = include_str!("../README.md")]

mod host;
mod kind;
mod proxy;
mod registries;

pub use host::{Host, NoHost};
pub use kind::Kind;
pub use proxy::{Proxy, ProxyLimits, Reach, Reached, Record, Refused, Upstream, Why};
pub use registries::{Operator, Registries, Registry};
