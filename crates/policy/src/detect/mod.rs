//! What to run in a repository that has no `.booty.yml`.
//!
//! A guess must be right or absent: a command that fails on a sound repository costs every job there
//! its rounds. So only what files say counts, and none of it is run to find out.

mod node;
mod python;

use std::collections::BTreeSet;

use crate::config::{CommandSpec, Language};

/// A larger repository is known by its first files as well.
const MAX_PATHS: usize = 20_000;
/// Folders that hold other people's code or nothing of interest.
const SKIPPED: [&str; 9] = [
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
    /// Finds what does not compile.
    pub check: Option<CommandSpec>,
    /// Runs the tests.
    pub test: Option<CommandSpec>,
    /// Which file said so.
    pub why: String,
}

/// Finds language and commands. `None`: nothing that Booty knows.
pub fn detect(tree: &impl TreeView) -> Option<Detected> {
    let paths = Paths::of(tree);
    let mut candidates: Vec<(usize, Detected)> = Vec::new();
    let rust = || paths.has("Cargo.toml").then(|| rust(tree));
    let go = || paths.has("go.mod").then(go);
    let node = || node::detect(tree, &paths);
    let python = || python::detect(tree, &paths);
    let found: [(&[&str], Option<Detected>); 4] = [
        (&["rs"], rust()),
        (&["go"], go()),
        (&["js", "mjs", "cjs", "ts", "mts", "jsx", "tsx"], node()),
        (&["py"], python()),
    ];
    for (extensions, detected) in found {
        candidates.extend(detected.map(|detected| (paths.count(extensions), detected)));
    }
    // The first of equals wins, so that the answer does not change with the order of files.
    let most = candidates.iter().map(|(count, _)| *count).max()?;
    candidates.into_iter().find(|(count, _)| *count == most).map(|(_, detected)| detected)
}

/// The paths of a tree that are its own.
pub(crate) struct Paths(BTreeSet<String>);

impl Paths {
    fn of(tree: &impl TreeView) -> Self {
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

fn rust(tree: &impl TreeView) -> Detected {
    let manifest = tree.read("Cargo.toml").unwrap_or_default();
    let is_workspace = manifest.lines().any(|line| line.trim_start().starts_with("[workspace"));
    let all = if is_workspace { " --workspace" } else { "" };
    let env = [("CARGO_NET_OFFLINE", "true")];
    Detected {
        language: Language::Rust,
        check: Some(command(format!("cargo check --offline{all} --all-targets"), &env)),
        test: Some(command(format!("cargo test --offline{all}"), &env)),
        why: "Cargo.toml at the root".to_owned(),
    }
}

fn go() -> Detected {
    // Neither a newer toolchain nor a module can be fetched: say so at once instead of after a timeout.
    let env = [("GOTOOLCHAIN", "local"), ("GOPROXY", "off")];
    Detected {
        language: Language::Go,
        check: Some(command("go vet ./...", &env)),
        test: Some(command("go test ./...", &env)),
        why: "go.mod at the root".to_owned(),
    }
}

#[cfg(test)]
mod tests;
