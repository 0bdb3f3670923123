//! Reasons to refuse a change, and how they read.

use std::fmt;

use super::{FileMode, PatternList};
use crate::unicode::is_hidden;

/// Which rule a path breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// It matches this protected pattern.
    Protected {
        /// As it was written.
        pattern: String,
        /// Whose it is.
        list: PatternList,
    },
    /// No tree may have it: why, as the rest of a sentence.
    Unsafe(&'static str),
    /// It is a link to what no change may touch.
    LinkTo {
        /// Why, as the rest of a sentence.
        why: String,
        /// Whose pattern it is, when one protects the target.
        list: Option<PatternList>,
    },
    /// It is or was something that Booty does not change.
    Kind(FileMode),
    /// Its mode changes.
    Mode,
    /// It is not text.
    Binary,
    /// The whole change is too large.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
}

/// One reason to refuse a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path, made printable and short; none when the whole change is meant.
    pub path: Option<String>,
    /// The same path byte for byte, for whoever has to find the file.
    pub raw_path: Option<Vec<u8>>,
    /// Which rule it breaks.
    pub rule: Rule,
    /// Whether the repository wants this to be said and no more (`protect.policy: warn`).
    pub only_warns: bool,
}

impl Violation {
    pub(crate) fn at(path: &[u8], rule: Rule, only_warns: bool) -> Self {
        Self { path: Some(printable(path)), raw_path: Some(path.to_vec()), rule, only_warns }
    }

    pub(crate) fn whole(rule: Rule) -> Self {
        Self { path: None, raw_path: None, rule, only_warns: false }
    }

    /// The rule in one word, which stays the same when its text is made better.
    pub fn word(&self) -> &'static str {
        match &self.rule {
            Rule::Protected { .. } => "protected",
            Rule::Unsafe(_) => "unsafe_path",
            Rule::LinkTo { .. } => "link",
            Rule::Kind(FileMode::Submodule) => "submodule",
            Rule::Kind(_) => "special_file",
            Rule::Mode => "mode",
            Rule::Binary => "binary",
            Rule::TooMany { what, .. } => match *what {
                "files" => "too_many_files",
                "lines" => "too_many_lines",
                _ => "too_many_bytes",
            },
        }
    }

    /// Whose pattern protects the path, or what the link leads to, when that is the rule.
    pub fn pattern_list(&self) -> Option<PatternList> {
        match &self.rule {
            Rule::Protected { list, .. } => Some(*list),
            Rule::LinkTo { list, .. } => *list,
            _ => None,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{path} ")?;
        }
        match &self.rule {
            Rule::Protected { pattern, .. } => write!(f, "is protected by `{pattern}`"),
            Rule::Unsafe(why) => f.write_str(why),
            Rule::LinkTo { why, .. } => write!(f, "is a link to what {why}"),
            Rule::Kind(FileMode::Submodule) => {
                f.write_str("is a submodule, which no change may touch")
            }
            Rule::Kind(_) => f.write_str("is neither a file nor a link"),
            Rule::Mode => f.write_str("changes its mode; `limits.modes: true` allows that"),
            Rule::Binary => f.write_str("is binary; `limits.binaries: true` allows that"),
            Rule::TooMany { what, found, limit } => {
                write!(f, "the change has {found} {what}; `limits.{what}` is {limit}")
            }
        }
    }
}

/// Enough to recognise a path by.
const MAX_SHOWN_CHARS: usize = 200;

/// A path as text in which nothing is hidden and no line ends.
fn printable(path: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c.is_control() || is_hidden(c) || c == '\\' {
                true => shown.extend(c.escape_default()),
                false => shown.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| shown.push_str(&format!("\\x{byte:02x}")));
        if shown.chars().count() > MAX_SHOWN_CHARS {
            break;
        }
    }
    if shown.is_empty() {
        return "a path".to_owned();
    }
    match shown.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}
