//! A command that is run on changed files alone.

use super::CommandSpec;
use crate::change::{InvalidPattern, Protected};

/// A command that is given the changed files, as `"$@"` of its shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCommand {
    /// The command.
    pub command: CommandSpec,
    /// Which files it is given, written as in a `.gitignore`; all when empty.
    pub files: Vec<String>,
}

/// The files that a command is for.
#[derive(Debug, Clone)]
pub struct FilePatterns(Option<Protected>);

impl FilePatterns {
    /// Reads patterns, written as in a `.gitignore` without exceptions; none of them stands for all files.
    ///
    /// # Errors
    /// Says which pattern can't be read, and why.
    pub fn new(patterns: &[String]) -> Result<Self, InvalidPattern> {
        match patterns {
            [] => Ok(Self(None)),
            patterns => Protected::only(patterns).map(|set| Self(Some(set))),
        }
    }

    /// Whether a path is one of them.
    pub fn has(&self, path: &str) -> bool {
        self.0.as_ref().is_none_or(|set| set.has(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_gitignore_and_none_are_all() {
        let patterns = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            FilePatterns::new(&texts).unwrap()
        };
        assert!(patterns(&[]).has("a/b.py"));
        let some = patterns(&["*.py", "/web/**/*.ts"]);
        for (path, expected) in [
            ("a.py", true),
            ("a/b.py", true),
            ("web/x/y.ts", true),
            ("x/web/y.ts", false),
            // What is protected for everybody is not meant by that.
            (".github/x.yml", false),
            ("a.pyc", false),
        ] {
            assert_eq!(some.has(path), expected, "{path}");
        }
        FilePatterns::new(&["!a".to_owned()]).unwrap_err();
    }
}
