//! Integration tests: real sandboxes, real tools.

mod imports_python;
mod imports_world;
//! What judges, looked at from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod evidence;
