#![doc = include_str!("../README.md")]

mod bwrap;
mod cage;
mod cgroup;
mod command;
mod error;
pub mod forward;
mod mount;
mod network;
mod output;
mod prepare;
mod result;
mod running;
mod sandbox;
mod seccomp;
mod settings;
mod spawn;
mod tree;
mod watch;

pub use cage::{Cage, CageEnd, CageHandle, Caged};
pub use command::{Command, Limits};
pub use error::{Error, Unavailable};
pub use mount::Mount;
pub use network::{Network, ProxyExit};
pub use result::{End, Limit, RunResult};
pub use sandbox::Sandbox;
pub use settings::{Backend, NOBODY, SandboxSettings};
