//! A GitHub App as a source of tokens.
//!
//! The App proves itself with a JWT that its private key signs, and gets from GitHub tokens of an
//! installation for an hour. Only forge has the key; readers ask forge for tokens that can only read.

mod key;
mod tokens;

pub use key::{AppKey, BadAppKey};
pub use tokens::{AppTokens, Granted};
