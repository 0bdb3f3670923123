//! What is wrong with a `.booty.yml`, and where.

use std::fmt;

use serde_saphyr::Location;

use super::Config;

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
