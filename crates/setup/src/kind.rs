//! The clients whose registries setup steps may reach.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A client, or a family of clients that share a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// pip, and uv where it reads the same settings.
    Python,
    /// npm, pnpm and yarn.
    Node,
    /// cargo.
    Rust,
    /// go.
    Go,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Python, Self::Node, Self::Rust, Self::Go];

    /// Whether a file says which packages a project of this kind wants.
    pub(crate) fn names_packages(self, file: &str) -> bool {
        match self {
            Self::Python => {
                let named = ["pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "Pipfile.lock"];
                named.contains(&file)
                    || ["poetry.lock", "uv.lock", "pdm.lock", "tox.ini"].contains(&file)
                    // They name pytest where nothing names anything.
                    || ["pytest.ini", "conftest.py"].contains(&file)
                    || (file.ends_with(".txt")
                        && (file.contains("requirements") || file.contains("constraints")))
            }
            Self::Node => [
                "package.json",
                "package-lock.json",
                "npm-shrinkwrap.json",
                "pnpm-lock.yaml",
                "pnpm-workspace.yaml",
                "yarn.lock",
                ".npmrc",
                ".yarnrc",
                ".yarnrc.yml",
            ]
            .contains(&file),
            Self::Rust => ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "rust-toolchain"]
                .contains(&file),
            Self::Go => ["go.mod", "go.sum", "go.work", "go.work.sum"].contains(&file),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Python => "pip",
            Self::Node => "npm",
            Self::Rust => "cargo",
            Self::Go => "go",
        })
    }
}
