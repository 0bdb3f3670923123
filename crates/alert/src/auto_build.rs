//! What an issue that was made from an alert may start.

use std::{fmt, str::FromStr};

/// `OBSV_AUTO_BUILD`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AutoBuild {
    /// Nothing: the issue gets the label `triage` instead of the trigger label.
    Off,
    /// A build that is told no word of the event, only machine fields that were checked against the
    /// tree.
    #[default]
    Restricted,
    /// A build as of any other issue.
    Full,
}

impl AutoBuild {
    /// The word in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Restricted => "restricted",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for AutoBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AutoBuild {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Off, Self::Restricted, Self::Full]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| format!("{text:?} is none of off, restricted, full"))
    }
}
