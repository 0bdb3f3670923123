//! Tests of the whole.

mod arrows;
mod line;
