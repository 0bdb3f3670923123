//! Integration tests: real sandboxes, real tools.

mod imports_node;
mod imports_python;
mod imports_world;
