//! Integration tests: what judges, looked at from outside, with real sandboxes and real tools.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod cheats;
mod evidence;
mod honest;
mod imports_go;
mod imports_node;
mod imports_python;
mod imports_rust;
mod imports_world;
mod results;
mod whole;
