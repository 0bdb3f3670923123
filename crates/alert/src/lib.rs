#![doc = include_str!("../README.md")]

mod alert;
mod auto_build;
mod breadcrumb;
mod fingerprint;
mod parse;
mod raw;
mod severity;
mod stack;
mod time;

pub use alert::Alert;
pub use auto_build::AutoBuild;
pub use breadcrumb::Breadcrumb;
pub use parse::ParseError;
pub use severity::Severity;
pub use stack::{Frame, Location};
