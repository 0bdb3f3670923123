//! The paths that no change may touch.

use std::sync::LazyLock;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::path::{NormalPath, normal_path};
use crate::{config::ProtectPolicy, unicode::fold};

/// Booty's own list; a repository can add to it, not take from it. What is in it is either run by
/// someone with more rights than the change's author, or tells people, GitHub or agents what to do.
pub const ALWAYS_PROTECTED: &[&str] = &[
    // run or obeyed by GitHub
    "/.github/",
    "CODEOWNERS",
    // obeyed by Booty
    "/.booty.yml",
    "/.booty.yaml",
    // obeyed by git on the machine of whoever checks it out
    ".gitmodules",
    ".gitattributes",
    // run on the machines of production
    "/deploy/",
    // obeyed by coding agents, which read them in any folder
    "AGENT.md",
    "AGENTS.md",
    "AGENTS.override.md",
    "CLAUDE.md",
    "CLAUDE.local.md",
    "GEMINI.md",
    "QWEN.md",
    "WARP.md",
    "copilot-instructions.md",
    ".agent",
    ".agents",
    ".aider.conf.yml",
    ".amazonq",
    ".augment",
    ".claude",
    ".clinerules",
    ".codex",
    ".continue",
    ".cursor",
    ".cursorignore",
    ".cursorrules",
    ".gemini",
    ".goosehints",
    ".junie",
    ".kiro",
    ".mcp.json",
    ".openhands",
    ".openhands_instructions",
    ".opencode",
    ".roo",
    ".roomodes",
    ".roorules",
    ".rules",
    ".windsurf",
    ".windsurfrules",
];

static ALWAYS: LazyLock<Protected> = LazyLock::new(|| {
    // A test holds that each of them is a valid pattern.
    let patterns: Vec<String> =
        ALWAYS_PROTECTED.iter().map(|pattern| (*pattern).to_owned()).collect();
    compile(&patterns).unwrap_or_default()
});

/// The paths that no change may touch: Booty's own list and the repository's.
#[derive(Debug, Clone, Default)]
pub struct Protected {
    set: GlobSet,
    /// The pattern, as it was written, of each glob in the set.
    written: Vec<String>,
    with_always: bool,
    /// What becomes of a change that touches one of the set.
    policy: ProtectPolicy,
}

/// A pattern that protects a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match<'a> {
    pub(crate) pattern: &'a str,
    pub(crate) list: PatternList,
    /// Whether touching it is only said.
    pub(crate) only_warns: bool,
}

/// Whose pattern it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternList {
    /// Of Booty's own list, which always refuses.
    Booty,
    /// Of the repository's `protect`.
    Repository,
}

impl Protected {
    /// Booty's own list alone.
    pub fn always() -> Self {
        Self { with_always: true, ..Self::default() }
    }

    /// Booty's own list and these patterns, written as in a `.gitignore`: without a slash a name in
    /// any folder, with one a path from the root; what is below a match is protected as well.
    /// The error says which pattern cannot be read, and why.
    pub fn with(patterns: &[String]) -> Result<Self, InvalidPattern> {
        compile(patterns).map(|set| Self { with_always: true, ..set })
    }

    /// These patterns alone: for sets of paths that protect nothing.
    pub(crate) fn only(patterns: &[String]) -> Result<Self, InvalidPattern> {
        compile(patterns)
    }

    /// Whether a path is one of these, or one that no tree may have.
    pub fn has(&self, path: &str) -> bool {
        normal_path(path.as_bytes()).map_or(true, |path| self.pattern_for(&path).is_some())
    }

    /// The same paths, with what becomes of a change that touches one of the repository's own.
    pub fn policy(self, policy: ProtectPolicy) -> Self {
        Self { policy, ..self }
    }

    /// The pattern that protects a path. Booty's own list comes first: what it refuses, the
    /// repository cannot turn into a warning.
    pub(crate) fn pattern_for(&self, path: &NormalPath) -> Option<Match<'_>> {
        let always = if self.with_always { ALWAYS.first(path) } else { None };
        if let Some(pattern) = always {
            return Some(Match { pattern, list: PatternList::Booty, only_warns: false });
        }
        let only_warns = self.policy == ProtectPolicy::Warn;
        self.first(path).map(|pattern| Match { pattern, list: PatternList::Repository, only_warns })
    }

    /// The first pattern of this set alone.
    fn first(&self, path: &NormalPath) -> Option<&str> {
        [&path.normal, &path.folded].into_iter().find_map(|form| {
            let first = self.set.matches(form).into_iter().next()?;
            self.written.get(first).map(String::as_str)
        })
    }
}

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a valid pattern: {why}")]
pub struct InvalidPattern {
    /// As it was written.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

fn compile(patterns: &[String]) -> Result<Protected, InvalidPattern> {
    let mut set = GlobSetBuilder::new();
    let mut written = Vec::new();
    for pattern in patterns {
        for glob in globs(pattern)? {
            set.add(glob);
            written.push(pattern.clone());
        }
    }
    let set = set.build().map_err(|error| InvalidPattern {
        pattern: patterns.join("`, `"),
        why: error.kind().to_string(),
    })?;
    Ok(Protected { set, written, ..Protected::default() })
}

/// What one pattern protects: itself and all below it.
fn globs(pattern: &str) -> Result<Vec<Glob>, InvalidPattern> {
    let invalid = |why: &str| InvalidPattern { pattern: pattern.to_owned(), why: why.to_owned() };
    let trimmed = pattern.trim_end_matches("/**").trim_end_matches('/');
    let trimmed = trimmed.strip_prefix("./").unwrap_or(trimmed);
    let rooted = trimmed.strip_prefix('/').unwrap_or(trimmed);
    if pattern.starts_with('!') {
        return Err(invalid("exceptions (`!`) are not known"));
    }
    if rooted.is_empty() {
        return Err(invalid("it would protect everything or nothing"));
    }
    if rooted.split('/').any(|part| part == ".." || part == "." || part.is_empty()) {
        return Err(invalid("it has an empty, `.` or `..` component"));
    }
    let base = if trimmed.contains('/') { rooted.to_owned() } else { format!("**/{rooted}") };
    let base = fold(&base);
    [base.clone(), format!("{base}/**")]
        .iter()
        .map(|glob| {
            GlobBuilder::new(glob)
                .literal_separator(true)
                .backslash_escape(true)
                .build()
                .map_err(|error| invalid(&error.kind().to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn protects(pattern: &str, path: &str) -> bool {
        let protected = compile(&[pattern.to_owned()]).unwrap();
        protected.pattern_for(&normal_path(path.as_bytes()).unwrap()).is_some()
    }

    #[test]
    fn every_pattern_of_our_own_counts() {
        let patterns: Vec<String> =
            ALWAYS_PROTECTED.iter().map(|pattern| (*pattern).to_owned()).collect();
        assert_eq!(compile(&patterns).unwrap().written.len(), 2 * ALWAYS_PROTECTED.len());
        assert_eq!(ALWAYS.written.len(), 2 * ALWAYS_PROTECTED.len());
    }

    #[rstest]
    #[case("migrations", "db/migrations/1.sql", true)]
    #[case("migrations/", "migrations/1.sql", true)]
    #[case("/migrations", "db/migrations/1.sql", false)]
    #[case("/migrations", "migrations", true)]
    #[case("db/migrations/**", "db/migrations", true)]
    #[case("db/migrations/**", "DB/Migrations/1.sql", true)]
    #[case("db/*.sql", "db/x/1.sql", false)]
    #[case("**/*.sql", "db/x/1.sql", true)]
    #[case("*.{pem,key}", "a/b/SERVER.KEY", true)]
    #[case("Secrets", "my-secrets", false)]
    #[case("a.", "a.", true)]
    fn patterns_are_those_of_gitignore(
        #[case] pattern: &str,
        #[case] path: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(protects(pattern, path), expected);
    }

    #[rstest]
    #[case("")]
    #[case("/")]
    #[case("/**")]
    #[case("!keep")]
    #[case("a/../b")]
    #[case("[a")]
    #[case("{a")]
    fn nonsense_is_refused(#[case] pattern: &str) {
        compile(&[pattern.to_owned()]).unwrap_err();
    }
}
