//! Words that `.booty.yml` knows, each with what it stands for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A closed set of words. Its reader, its schema and its documentation go through `ALL`.
pub(crate) trait Word: Copy + PartialEq + 'static {
    const ALL: &'static [(&'static str, Self)];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, one)| *one == self).map_or("", |(word, _)| *word)
    }
}

macro_rules! words {
    ($kind:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl Word for $kind {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];
        }

        impl $kind {
            /// As it is written in `.booty.yml`.
            pub fn name(self) -> &'static str {
                self.word()
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

/// A language that Booty knows the tools of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// `python`
    Python,
    /// `rust`
    Rust,
    /// `node`
    Node,
    /// `go`
    Go,
}
words!(Language { Python = "python", Rust = "rust", Node = "node", Go = "go" });

/// What becomes of a change that touches one of the repository's own protected paths. Booty's own
/// list always refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProtectPolicy {
    /// `refuse`: the change is not proposed, and a pull request with it fails.
    #[default]
    Refuse,
    /// `warn`: it is said, and no more.
    Warn,
}
words!(ProtectPolicy { Refuse = "refuse", Warn = "warn" });

/// A kind of package registry. Which hosts that are is told by the clients' own configuration and by
/// the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegistryName {
    /// `pypi`: what pip installs from.
    Pypi,
    /// `npm`: what npm, pnpm and yarn install from.
    Npm,
    /// `crates`: what cargo fetches from.
    Crates,
    /// `go`: the module proxy and its checksum database.
    Go,
}
words!(RegistryName { Pypi = "pypi", Npm = "npm", Crates = "crates", Go = "go" });

impl RegistryName {
    /// Where a language's packages come from.
    pub fn of(language: Language) -> Self {
        match language {
            Language::Python => Self::Pypi,
            Language::Rust => Self::Crates,
            Language::Node => Self::Npm,
            Language::Go => Self::Go,
        }
    }
}

/// How much the verifier asks of the tests themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Evidence {
    /// `off`: none is gathered.
    Off,
    /// `report`: it is gathered. Tests that were deleted, skipped, weakened or tampered with fail the
    /// check; where no test proves the change, it is neutral.
    #[default]
    Report,
    /// `required`: a change that no test proves fails the check as well.
    Required,
}
words!(Evidence { Off = "off", Report = "report", Required = "required" });
