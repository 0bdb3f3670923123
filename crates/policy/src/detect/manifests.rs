//! The files that decide what setup installs.

use std::collections::BTreeSet;

use super::{Paths, TreeView, pip, split};
use crate::config::Language;

/// The paths, sorted, whose content decides what is installed: the key of a cache of dependencies is
/// made of them, and of the commands.
pub fn manifests_and_locks(language: Language, tree: &dyn TreeView) -> Vec<String> {
    let paths = Paths::of(tree);
    let mut found: BTreeSet<String> =
        paths.iter().filter(|path| decides(language, path)).map(str::to_owned).collect();
    if language == Language::Python {
        found.extend(pip::included(tree, &paths, &found));
    }
    found.into_iter().collect()
}

fn decides(language: Language, path: &str) -> bool {
    let (folder, name) = split(path);
    match language {
        Language::Python => {
            matches!(
                name,
                "pyproject.toml"
                    | "setup.py"
                    | "setup.cfg"
                    | "MANIFEST.in"
                    | "Pipfile"
                    | "Pipfile.lock"
                    | "poetry.lock"
                    | "pdm.lock"
                    | "uv.lock"
                    | "pylock.toml"
                    | ".python-version"
            ) || pip::is_requirements(folder, name)
                // What is compiled at installation.
                || [".c", ".cc", ".cpp", ".pyx", ".pxd"].iter().any(|end| name.ends_with(end))
        }
        Language::Rust => {
            matches!(name, "Cargo.toml" | "Cargo.lock" | "rust-toolchain" | "rust-toolchain.toml")
                || (matches!(name, "config" | "config.toml") && split(folder).1 == ".cargo")
        }
        Language::Node => {
            matches!(
                name,
                "package.json"
                    | "package-lock.json"
                    | "npm-shrinkwrap.json"
                    | "pnpm-lock.yaml"
                    | "pnpm-workspace.yaml"
                    | "yarn.lock"
                    | ".npmrc"
                    | ".yarnrc"
                    | ".yarnrc.yml"
                    | ".pnpmfile.cjs"
                    | ".nvmrc"
                    | ".node-version"
            ) || ["patches/", ".yarn/"].iter().any(|start| path.starts_with(start))
        }
        Language::Go => matches!(name, "go.mod" | "go.sum" | "go.work" | "go.work.sum"),
    }
}
