//! What a change does to tests, as a table of cheats and a table of honest changes.

mod go;
mod node;
mod python;
mod rust;
mod world;
