//! What a test runner said, made into cases.
