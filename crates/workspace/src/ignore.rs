//! What a test run leaves behind and nobody wants in a pull request.

use gix::{
    bstr::ByteSlice,
    glob::pattern::Case,
    ignore::{Kind, Search, search::Ignore},
};
use std::path::Path;

/// Leftovers that a repository often does not list, because its people list them in their own configuration.
/// A repository can take one back with `!target/` in its own `.gitignore`.
const BUILT_IN: &[u8] = b"\
__pycache__/
*.pyc
*.pyo
.pytest_cache/
.mypy_cache/
.ruff_cache/
.hypothesis/
.tox/
.nox/
.venv/
.eggs/
*.egg-info/
.coverage
.coverage.*
node_modules/
.npm/
.nyc_output/
target/
.gradle/
.DS_Store
";

/// The base commit's `.gitignore` files over the built-in list. For untracked paths only.
#[derive(Debug)]
pub(crate) struct IgnoreRules {
    search: Search,
}

impl IgnoreRules {
    /// Only the built-in list.
    pub(crate) fn built_in() -> Self {
        let mut this = Self { search: Search::default() };
        this.push(b"", BUILT_IN);
        this
    }

    /// Adds a `.gitignore` that lies in `folder`; those of inner folders come later, and win.
    pub(crate) fn push(&mut self, folder: &[u8], content: &[u8]) {
        let root = Path::new("/");
        let Ok(folder) = folder.to_path() else { return };
        let source = root.join(folder).join(".gitignore");
        if let Err(error) =
            self.search.add_patterns_buffer(content, source, Some(root), Ignore::default())
        {
            tracing::warn!(%error, "a .gitignore of the base is left out");
        }
    }

    /// Whether an untracked path is left out. A path in an ignored folder is ignored with it, which is the caller's to know.
    pub(crate) fn is_ignored(&self, path: &[u8], is_folder: bool) -> bool {
        self.search
            .pattern_matching_relative_path(path.as_bstr(), Some(is_folder), Case::Sensitive)
            .is_some_and(|found| found.kind == Kind::Expendable && !found.pattern.is_negative())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("pkg/__pycache__", true, true)]
    #[case("pkg/__pycache__", false, false)]
    #[case("a.pyc", false, true)]
    #[case("web/node_modules", true, true)]
    #[case("target", true, false)] // taken back by the root
    #[case("sub/target", true, true)] // and again by sub
    #[case("out.log", false, true)]
    #[case("keep.log", false, false)]
    #[case("deep/keep.log", false, true)] // "/keep.log" is anchored
    #[case("sub/only", false, true)]
    #[case("only", false, false)]
    #[case("src/main.rs", false, false)]
    fn the_innermost_rule_wins(#[case] path: &str, #[case] is_folder: bool, #[case] ignored: bool) {
        let mut rules = IgnoreRules::built_in();
        rules.push(b"", b"# comment\n!target/\n*.log\n!/keep.log\n");
        rules.push(b"sub", b"/target\nonly\n");
        assert_eq!(rules.is_ignored(path.as_bytes(), is_folder), ignored);
    }
}
