//! The crate against a real git server over HTTP, real folders and real processes.

mod changes;
mod child;
mod crash;
mod fetch;
mod hostile;
mod secrets;
mod server;
mod world;
