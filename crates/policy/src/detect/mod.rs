//! What to run in a repository that has no `.booty.yml`.
//!
//! A guess must be right or absent: a command that fails on a sound repository costs every job there
//! its rounds. So only what files say counts, and none of it is run to find out.

mod cargo;
mod go;
mod manifests;
mod node;
mod pip;
mod poetry;
mod python;
mod runner;

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

pub use manifests::manifests_and_locks;
pub use runner::runner_of;

use crate::config::{CommandSpec, Language};

/// Paths that are looked at; a larger repository is known by its first files as well.
pub const MAX_PATHS: usize = 20_000;
/// Folders that are not looked into: they hold other people's code or nothing of interest.
pub const SKIPPED: [&str; 9] = [
    "node_modules",
    "vendor",
    "third_party",
    "target",
    "venv",
    ".venv",
    "site-packages",
    "testdata",
    "fixtures",
];

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
    /// Installs what the repository depends on; none when it depends on nothing. It may reach the
    /// registry of the language; `check` and `test` run offline after it.
    pub setup: Option<CommandSpec>,
    /// Finds what does not compile.
    pub check: Option<CommandSpec>,
    /// Runs the tests.
    pub test: Option<CommandSpec>,
    /// What runs them in the end.
    pub runner: Runner,
    /// Which file said so.
    pub why: String,
    /// All of it in one sentence for people.
    pub what: String,
}

/// A program that runs tests and tells of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Runner {
    /// pytest
    Pytest,
    /// Python's own
    Unittest,
    /// `cargo test`
    CargoTest,
    /// `cargo nextest run`
    Nextest,
    /// Jest
    Jest,
    /// Vitest
    Vitest,
    /// `node --test`
    NodeTest,
    /// Mocha
    Mocha,
    /// `go test`
    GoTest,
    /// One that Booty does not know: its exit code is all there is.
    Other,
}

impl Runner {
    /// How people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pytest => "pytest",
            Self::Unittest => "unittest",
            Self::CargoTest => "cargo test",
            Self::Nextest => "cargo nextest",
            Self::Jest => "jest",
            Self::Vitest => "vitest",
            Self::NodeTest => "node:test",
            Self::Mocha => "mocha",
            Self::GoTest => "go test",
            Self::Other => "a runner that is not known",
        }
    }

    /// The language whose tests it runs.
    pub fn language(self) -> Option<Language> {
        match self {
            Self::Pytest | Self::Unittest => Some(Language::Python),
            Self::CargoTest | Self::Nextest => Some(Language::Rust),
            Self::Jest | Self::Vitest | Self::NodeTest | Self::Mocha => Some(Language::Node),
            Self::GoTest => Some(Language::Go),
            Self::Other => None,
        }
    }
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Finds language and commands. `None`: nothing that Booty knows.
pub fn detect(tree: &dyn TreeView) -> Option<Detected> {
    find(tree, true)
}

/// The same where no setup can run: the commands use what the machine has.
pub fn detect_without_setup(tree: &dyn TreeView) -> Option<Detected> {
    find(tree, false)
}

fn find(tree: &dyn TreeView, with_setup: bool) -> Option<Detected> {
    let paths = Paths::of(tree);
    let mut candidates: Vec<(usize, Found)> = Vec::new();
    let found: [(&[&str], Option<Found>); 4] = [
        (&["rs"], cargo::detect(tree, &paths)),
        (&["go"], go::detect(tree, &paths)),
        (&["js", "mjs", "cjs", "ts", "mts", "jsx", "tsx"], node::detect(tree, &paths, with_setup)),
        (&["py"], python::detect(tree, &paths, with_setup)),
    ];
    for (extensions, found) in found {
        candidates.extend(found.map(|found| (paths.count(extensions), found)));
    }
    // The first of equals wins, so that the answer does not change with the order of files.
    let most = candidates.iter().map(|(count, _)| *count).max()?;
    let found = candidates.into_iter().find(|(count, _)| *count == most).map(|(_, found)| found)?;
    Some(found.told(with_setup))
}

/// What a language's own detection says.
struct Found {
    language: Language,
    setup: Option<Setup>,
    check: Option<CommandSpec>,
    test: Option<CommandSpec>,
    runner: Runner,
    why: String,
}

/// A setup command and the file that its packages are named in.
struct Setup {
    command: CommandSpec,
    from: String,
}

impl Found {
    fn told(self, with_setup: bool) -> Detected {
        let setup = self.setup.filter(|_| with_setup);
        let language = match self.language {
            Language::Python => "Python",
            Language::Rust => "Rust",
            Language::Node => "Node",
            Language::Go => "Go",
        };
        let runner = match (&self.test, self.runner) {
            (None, _) => "no test command".to_owned(),
            (Some(test), Runner::Other) => format!("`{}`", test.command),
            (Some(_), runner) => runner.name().to_owned(),
        };
        let from = setup.as_ref().map(|setup| format!(", setup from {}", setup.from));
        let what = format!("{language}: {runner} ({}){}", self.why, from.unwrap_or_default());
        Detected {
            language: self.language,
            setup: setup.map(|setup| setup.command),
            check: self.check,
            test: self.test,
            runner: self.runner,
            why: self.why,
            what,
        }
    }
}

/// The paths of a tree that are its own.
pub(crate) struct Paths(BTreeSet<String>);

impl Paths {
    fn of(tree: &dyn TreeView) -> Self {
        let own = |path: &String| !path.split('/').any(|part| SKIPPED.contains(&part));
        Self(tree.paths().take(MAX_PATHS).filter(own).collect())
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    fn count(&self, extensions: &[&str]) -> usize {
        let is_one =
            |path: &&str| path.rsplit_once('.').is_some_and(|(_, end)| extensions.contains(&end));
        self.iter().filter(is_one).count()
    }
}

/// The folder and the name of a path; the root is the empty folder.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A command with variables.
pub(crate) fn command(script: impl Into<String>, env: &[(&str, &str)]) -> CommandSpec {
    let mut spec = CommandSpec::new(script);
    spec.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    spec
}

/// A text as one word for a shell.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Whether a file's name is one that can be said, and be given to a shell, as it is.
fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

#[cfg(test)]
mod tests;
