#![doc = include_str!("../README.md")]

mod drain;
mod error;
mod folder;
mod line;
mod lines;
mod segment;
mod watch;
mod writer;

pub use drain::Drain;
pub use error::{OpenError, SpoolError};
pub use folder::{Settings, Spool};
pub use line::{BadLine, Key, Line};
pub use lines::{FileLines, Found, read_file};
pub use watch::{NotWatched, Watch};
