//! `.booty.yml`, version 1.

mod bounds;
mod error;
mod file_command;
mod node;
mod read;
mod reader;
mod schema;
mod words;

use std::{collections::BTreeMap, time::Duration};

use serde_saphyr::Location;

use crate::change::{DiffLimits, Protected};
use reader::Reader;

pub use error::{ConfigError, ConfigErrors};
pub use file_command::{FileCommand, FilePatterns};
pub use schema::schema;
pub use words::{Evidence, Language, ProtectPolicy, RegistryName};

/// A configuration is a page, not a book.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

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
        Self {
            command: command.into(),
            timeout: None,
            directory: String::new(),
            env: BTreeMap::new(),
        }
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
    /// Rewrites the files that a change of the builder's touches.
    pub format: Option<FileCommand>,
    /// Judges the files that a change of the builder's touches.
    pub lint: Option<FileCommand>,
    /// How large a change may be.
    pub limits: DiffLimits,
    /// Paths that no change may touch, besides Booty's own list.
    pub protect: Protect,
    /// What the setup command may reach.
    pub network: Network,
    /// How the builder works here.
    pub builder: BuilderConfig,
    /// How pull requests are judged here.
    pub verifier: VerifierConfig,
}

/// A repository's own protected paths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Protect {
    /// Written as in a `.gitignore`.
    pub patterns: Vec<String>,
    /// What becomes of a change that touches one. It rules these patterns only, never Booty's own.
    pub policy: ProtectPolicy,
}

/// What the setup command may reach. All other commands reach nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Network {
    /// The file says nothing: the registry of the repository's language.
    #[default]
    OfLanguage,
    /// Nothing.
    None,
    /// These kinds of registries.
    Registries(Vec<RegistryName>),
}

impl Network {
    /// The kinds of registries that setup may reach, where the language, named or detected, is this.
    pub fn registries(&self, language: Option<Language>) -> Vec<RegistryName> {
        match self {
            Self::OfLanguage => language.map(RegistryName::of).into_iter().collect(),
            Self::None => Vec::new(),
            Self::Registries(names) => names.clone(),
        }
    }
}

/// How the builder works in a repository.
#[derive(Debug, Clone, PartialEq)]
pub struct BuilderConfig {
    /// Attempts of the model, the first one included.
    pub rounds: u32,
    /// What one job may cost.
    pub budget: BuilderBudget,
    /// Whether the model is asked for tests of what it changes.
    pub generate_tests: bool,
    /// Whether a draft of Booty's own is marked ready when its check succeeds.
    pub promote: bool,
}

impl BuilderConfig {
    /// A first attempt and two repairs; what three cannot do, more seldom do.
    pub const ROUNDS: u32 = 3;
}

impl Default for BuilderConfig {
    fn default() -> Self {
        Self {
            rounds: Self::ROUNDS,
            budget: BuilderBudget::default(),
            generate_tests: true,
            promote: true,
        }
    }
}

/// What one job of the builder may cost; the operator's limits when none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BuilderBudget {
    /// Tokens read and written together.
    pub tokens: Option<u64>,
    /// US dollars.
    pub cost_usd: Option<f64>,
    /// Time that is worked on it; waiting does not count.
    pub wall: Option<Duration>,
}

/// How pull requests are judged in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierConfig {
    /// How often a failed test is run again before it counts as failed.
    pub flaky_retries: u32,
    /// How much is asked of the tests themselves.
    pub evidence: Evidence,
    /// How long the gathering of evidence may take.
    pub evidence_budget: Duration,
    /// The label by which someone with write access waives limits and protected paths.
    pub waiver_label: String,
}

impl VerifierConfig {
    /// Most flaky tests pass within two more runs.
    pub const FLAKY_RETRIES: u32 = 2;
    /// As long again as most test suites take.
    pub const EVIDENCE_BUDGET: Duration = Duration::from_secs(600);
    /// A label of Booty's own, so that none of the repository's gets a meaning by accident.
    pub const WAIVER_LABEL: &str = "booty:waiver";
}

impl Default for VerifierConfig {
    fn default() -> Self {
        Self {
            flaky_retries: Self::FLAKY_RETRIES,
            evidence: Evidence::default(),
            evidence_budget: Self::EVIDENCE_BUDGET,
            waiver_label: Self::WAIVER_LABEL.to_owned(),
        }
    }
}

impl Config {
    /// The name of the file, at the root of the repository.
    pub const FILE_NAME: &str = ".booty.yml";

    /// Reads the file. All that is wrong with it is reported at once, unless it is no YAML at all.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigErrors> {
        let whole = |message: String| ConfigErrors {
            errors: vec![ConfigError::at(Location::UNKNOWN, message)],
        };
        if bytes.len() > MAX_FILE_BYTES {
            return Err(whole(format!(
                "the file has {} bytes; at most {MAX_FILE_BYTES} are read",
                bytes.len()
            )));
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Err(whole("the file is not UTF-8".to_owned()));
        };
        if text.trim().is_empty() {
            return Err(whole("the file is empty; write `version: 1`".to_owned()));
        }
        let root = node::read(text).map_err(|error| ConfigErrors { errors: vec![error] })?;
        let mut reader = Reader::default();
        let config = read::config(&mut reader, &root);
        let mut errors = reader.errors;
        errors.sort_by_key(|error| (error.line, error.column));
        if errors.is_empty() { Ok(config) } else { Err(ConfigErrors { errors }) }
    }

    /// Booty's protected paths and the repository's own.
    pub fn protected(&self) -> Protected {
        // They were compiled once when they were read. Made by hand and wrong, our own list remains.
        Protected::with(&self.protect.patterns)
            .map_or_else(|_| Protected::always(), |protected| protected.policy(self.protect.policy))
    }
}

#[cfg(test)]
mod tests;
