//! Which program runs the tests.

/// Which program runs the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Runner {
    Pytest,
    Unittest,
    CargoTest,
    Nextest,
    Jest,
    Vitest,
    NodeTest,
    Mocha,
    GoTest,
    Other,
}
