//! What does not compile, import or exist, found before tests run.
