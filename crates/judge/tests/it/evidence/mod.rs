//! What a change does to tests, as a table of cheats and a table of honest changes.

mod compare;
mod go;
mod hostile;
mod node;
mod options;
mod python;
mod rust;
mod world;
