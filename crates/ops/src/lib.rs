#![doc = include_str!("../README.md")]

pub mod audit;
mod body;
mod entry;
mod error;
mod filter;
mod service;
mod spool;
mod transfer;

pub use body::Body;
pub use entry::{Entry, State};
pub use error::Error;
pub use filter::{Filter, Id, Moment};
pub use service::{App, NAME};
pub use spool::{Handled, List, One, Page, Shown, Spool};
