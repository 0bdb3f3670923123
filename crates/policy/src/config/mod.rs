//! `.booty.yml`, version 1.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::change::{DiffLimits, Protected};

/// A language that Booty knows the tools of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// One command of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSpec {
    /// Given to a shell in the sandbox.
    pub command: String,
    /// How long it may take; the sandbox's own limit when none.
    pub timeout: Option<Duration>,
    /// Where to start, relative to the repository; empty is its root.
    pub directory: String,
    /// Added to the sandbox's own environment.
    pub env: BTreeMap<String, String>,
}

impl CommandSpec {
    /// A command at the root, with no limits of its own.
    pub fn new(command: impl Into<String>) -> Self {
        Self { command: command.into(), timeout: None, directory: String::new(), env: BTreeMap::new() }
    }
}

/// What a repository asks for.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Its language, when it says so.
    pub language: Option<Language>,
    /// Makes the checkout ready.
    pub setup: Option<CommandSpec>,
    /// Finds what does not compile or import, in seconds.
    pub check: Option<CommandSpec>,
    /// Runs the tests.
    pub test: Option<CommandSpec>,
    /// How large a change may be.
    pub limits: DiffLimits,
    /// Paths that no change may touch, besides Booty's own list.
    pub protect: Vec<String>,
    /// How the builder works here.
    pub builder: BuilderConfig,
}

/// How the builder works in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuilderConfig {
    /// Attempts of the model, the first one included.
    pub rounds: u32,
}

impl Default for BuilderConfig {
    fn default() -> Self {
        Self { rounds: 3 }
    }
}

impl Config {
    /// The name of the file, at the root of the repository.
    pub const FILE_NAME: &str = ".booty.yml";

    /// Reads the file. All that is wrong with it is reported at once.
    pub fn parse(_bytes: &[u8]) -> Result<Self, ConfigErrors> {
        Ok(Self::default())
    }

    /// Booty's protected paths and the repository's own.
    pub fn protected(&self) -> Protected {
        Protected::default()
    }
}

/// All that is wrong with a `.booty.yml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// In the order of the file.
    pub errors: Vec<ConfigError>,
}

/// One thing that is wrong with a `.booty.yml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// From 1; 0 when the whole file is meant.
    pub line: u64,
    /// From 1; 0 when the whole line is meant.
    pub column: u64,
    /// What is wrong and what to write.
    pub message: String,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} errors in {}", self.errors.len(), Config::FILE_NAME)
    }
}

impl std::error::Error for ConfigErrors {}
