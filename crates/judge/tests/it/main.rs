//! Integration tests: real sandboxes, real tools. Needs bubblewrap.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod imports_go;
mod imports_node;
mod imports_python;
mod imports_rust;
mod imports_world;
