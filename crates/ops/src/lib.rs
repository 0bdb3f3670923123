#![doc = include_str!("../README.md")]

pub mod audit;
mod body;
mod entry;
mod error;
mod filter;
mod line;
mod service;
mod spool;
mod transfer;

pub use body::Body;
pub use entry::{Entry, State};
pub use error::Error;
pub use filter::{Filter, Id, Moment};
pub use line::Line;
pub use service::{App, NAME};
pub use spool::{Handled, List, One, Page, Shown, Spool};
