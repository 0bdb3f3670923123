//! What a change does to tests, as a table of cheats and a table of honest changes.

mod python;
mod rust;
mod world;
