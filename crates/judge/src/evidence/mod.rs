//! Whether the tests still mean what they meant, and whether any test proves the change.
