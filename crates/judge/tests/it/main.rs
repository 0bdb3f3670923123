//! Integration tests: real sandboxes, real tools.

mod imports_go;
mod imports_node;
mod imports_python;
mod imports_rust;
mod imports_world;
