//! What to run in a repository that has no `.booty.yml`.

use crate::config::{CommandSpec, Language};

/// A tree to look at: a checkout, a commit, or a list in a test.
pub trait TreeView {
    /// Paths of files, relative, `/` between components. The first 20,000 are looked at.
    fn paths(&self) -> Box<dyn Iterator<Item = String> + '_>;
    /// The content of a small file; `None` when it is not there, not text, or too large (above 256 KiB).
    fn read(&self, path: &str) -> Option<String>;
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// The language.
    pub language: Language,
    /// Finds what does not compile.
    pub check: Option<CommandSpec>,
    /// Runs the tests.
    pub test: Option<CommandSpec>,
    /// Which file said so.
    pub why: String,
}

/// Finds language and commands. `None`: nothing that Booty knows.
pub fn detect(tree: &impl TreeView) -> Option<Detected> {
    let _ = tree.read("Cargo.toml");
    None
}
