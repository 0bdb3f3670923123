//! Tests of the whole.

mod arrows;
