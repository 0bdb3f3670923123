//! Judging, against real tools.

mod results;
