//! `.booty.yml`, version 1.

mod node;
mod reader;

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, time::Duration};

use serde_saphyr::Location;

use crate::change::{DiffLimits, Protected};
use node::{Node, Placed};
use reader::{Reader, quoted};

/// A configuration is a page, not a book.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

/// A command below a second is no command; one above an hour holds a worker too long.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
const COMMAND_BYTES: RangeInclusive<usize> = 1..=4_096;
const MAX_VARIABLES: usize = 50;
const MAX_PATTERNS: usize = 200;
const FILES: RangeInclusive<u64> = 1..=500;
const LINES: RangeInclusive<u64> = 1..=50_000;
/// What forge can put into one effect.
const BYTES: RangeInclusive<u64> = 1_024..=16 * 1024 * 1024;
const ROUNDS: RangeInclusive<u64> = 1..=10;

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

impl Language {
    const ALL: [(&str, Self); 4] =
        [("python", Self::Python), ("rust", Self::Rust), ("node", Self::Node), ("go", Self::Go)];

    /// As it is written in `.booty.yml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Rust => "rust",
            Self::Node => "node",
            Self::Go => "go",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
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

impl BuilderConfig {
    /// A first attempt and two repairs; what three cannot do, more seldom do.
    pub const ROUNDS: u32 = 3;
}

impl Default for BuilderConfig {
    fn default() -> Self {
        Self { rounds: Self::ROUNDS }
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
        let config = read_config(&mut reader, &root);
        let mut errors = reader.errors;
        errors.sort_by_key(|error| (error.line, error.column));
        if errors.is_empty() { Ok(config) } else { Err(ConfigErrors { errors }) }
    }

    /// Booty's protected paths and the repository's own.
    pub fn protected(&self) -> Protected {
        // They were compiled once when they were read. Made by hand and wrong, our own list remains.
        Protected::with(&self.protect).unwrap_or_else(|_| Protected::always())
    }
}

fn read_config(reader: &mut Reader, root: &Placed) -> Config {
    let mut config = Config::default();
    let Some(mut map) = reader.map("", root) else { return config };
    match map.take("version") {
        Some(at) if at.value == Node::Integer(1) => {}
        Some(at) => reader.error(at, "`version` must be 1, the only one there is"),
        None => reader.error(root, "`version` is missing; write `version: 1`"),
    }
    if let Some(at) = map.take("language") {
        config.language = read_language(reader, at);
    }
    for (key, command) in
        [("setup", &mut config.setup), ("check", &mut config.check), ("test", &mut config.test)]
    {
        *command = map.take(key).and_then(|at| read_command(reader, key, at));
    }
    if let Some(at) = map.take("limits") {
        read_limits(reader, at, &mut config.limits);
    }
    if let Some(at) = map.take("protect") {
        for (pattern, place) in reader.texts("protect", at, MAX_PATTERNS) {
            match Protected::with(std::slice::from_ref(&pattern)) {
                Ok(_) => config.protect.push(pattern),
                Err(error) => reader.error(place, format!("`protect`: {error}")),
            }
        }
    }
    if let Some(mut builder) = map.take("builder").and_then(|at| reader.map("builder", at)) {
        if let Some(rounds) =
            builder.take("rounds").and_then(|at| reader.number("builder.rounds", at, ROUNDS))
        {
            config.builder.rounds = u32::try_from(rounds).unwrap_or(BuilderConfig::ROUNDS);
        }
        reader.finish(builder);
    }
    reader.finish(map);
    config
}

fn read_language(reader: &mut Reader, at: &Placed) -> Option<Language> {
    let name = reader.text("language", at, 1..=40)?;
    let found = Language::ALL.into_iter().find(|(known, _)| *known == name);
    if found.is_none() {
        let known = Language::ALL.map(|(known, _)| known);
        reader.error(at, format!("`language` must be one of {}", quoted(&known)));
    }
    found.map(|(_, language)| language)
}

/// A command is a text, or a mapping with `command` in it.
fn read_command(reader: &mut Reader, name: &str, at: &Placed) -> Option<CommandSpec> {
    if !matches!(at.value, Node::Map(_)) {
        return reader.text(name, at, COMMAND_BYTES).map(CommandSpec::new);
    }
    let mut map = reader.map(name, at)?;
    let mut spec = CommandSpec::new("");
    let command_name = map.name("command");
    match map.take("command") {
        Some(at) => {
            spec.command = reader.text(&command_name, at, COMMAND_BYTES).unwrap_or_default()
        }
        None => reader.error(at, format!("`{command_name}` is missing")),
    }
    if let Some(at) = map.take("timeout") {
        spec.timeout = reader.duration(&map.name("timeout"), at, TIMEOUT);
    }
    if let Some(at) = map.take("directory") {
        spec.directory = read_directory(reader, &map.name("directory"), at).unwrap_or_default();
    }
    if let Some(at) = map.take("env") {
        spec.env = reader.variables(&map.name("env"), at, MAX_VARIABLES);
    }
    reader.finish(map);
    Some(spec)
}

fn read_directory(reader: &mut Reader, name: &str, at: &Placed) -> Option<String> {
    let text = reader.text(name, at, 1..=1_000)?;
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if text.starts_with('/') || text.contains('\\') || parts.contains(&"..") {
        reader
            .error(at, format!("`{name}` must be a path in the repository, relative to its root"));
        return None;
    }
    Some(parts.join("/"))
}

fn read_limits(reader: &mut Reader, at: &Placed, limits: &mut DiffLimits) {
    let Some(mut map) = reader.map("limits", at) else { return };
    let numbers = [
        ("files", FILES, &mut limits.files),
        ("lines", LINES, &mut limits.lines),
        ("bytes", BYTES, &mut limits.bytes),
    ];
    for (key, range, limit) in numbers {
        let name = map.name(key);
        if let Some(number) = map.take(key).and_then(|at| reader.number(&name, at, range)) {
            *limit = number;
        }
    }
    for (key, allowed) in [("binaries", &mut limits.binaries), ("modes", &mut limits.modes)] {
        let name = map.name(key);
        if let Some(value) = map.take(key).and_then(|at| reader.boolean(&name, at)) {
            *allowed = value;
        }
    }
    reader.finish(map);
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
    /// From 1; 0 when the whole file is meant.
    pub column: u64,
    /// What is wrong and what to write.
    pub message: String,
}

impl ConfigError {
    pub(crate) fn at(place: Location, message: String) -> Self {
        Self { line: place.line(), column: place.column(), message }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.errors.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", Config::FILE_NAME, self.message),
            line => write!(f, "{}:{line}:{}: {}", Config::FILE_NAME, self.column, self.message),
        }
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests;
