#![doc = include_str!("../README.md")]

mod alert;
mod auto_build;
mod severity;

pub use alert::{Alert, Breadcrumb, Frame, ParseError};
pub use auto_build::AutoBuild;
pub use severity::Severity;
