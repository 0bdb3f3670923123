#![doc = include_str!("../README.md")]

mod command;
mod error;
mod result;
mod sandbox;
mod settings;

pub use command::{Command, Limits};
pub use error::{Error, Unavailable};
pub use result::{End, Limit, RunResult};
pub use sandbox::Sandbox;
pub use settings::{Backend, NOBODY, SandboxSettings};
