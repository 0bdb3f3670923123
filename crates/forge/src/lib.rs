//! Applies effects to GitHub, once; the only writer.
