#![doc = include_str!("../README.md")]

pub mod case;
pub mod change;
pub mod evidence;
pub mod imports;
pub mod report;
pub mod results;
pub mod shell;
