#![doc = include_str!("../README.md")]

pub mod case;
pub mod change;
mod error;
pub mod evidence;
pub mod imports;
mod judge;
pub mod report;
pub mod results;
mod rewritten;
mod rules;
pub mod shell;
mod stage;
mod stand;
mod view;

pub use error::Error;
pub use judge::{Judge, LONGEST, Order, Waiver, conflict};
pub use report::{Conclusion, Report, Stage};
