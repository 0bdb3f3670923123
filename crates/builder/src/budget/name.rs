//! Names of models as labels. They come from outside: a server behind an address of the operator's says
//! what it likes.

use std::collections::BTreeSet;

/// Longer names are cut.
const MAX_CHARS: usize = 64;
/// Different names that are told apart; nobody asks more models. The rest is [`OTHER`].
pub(crate) const MAX_NAMES: usize = 20;
pub(crate) const OTHER: &str = "other";
/// An answer that names no model.
const UNNAMED: &str = "unnamed";

/// A name of harmless characters.
pub(crate) fn clean(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@".contains(c);
    let plain = |c: char| if is_plain(c) { c } else { '_' };
    match name.trim() {
        "" => UNNAMED.to_owned(),
        name => name.chars().take(MAX_CHARS).map(plain).collect(),
    }
}

/// The names that were seen.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// The label for a name: itself, cleaned, or [`OTHER`] once there are too many.
    pub(crate) fn label(&mut self, name: &str) -> String {
        let name = clean(name);
        if self.0.contains(&name) {
            return name;
        }
        if self.0.len() >= MAX_NAMES {
            return OTHER.to_owned();
        }
        self.0.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_plain_and_never_empty() {
        assert_eq!(clean("claude-x-4.5@20260101"), "claude-x-4.5@20260101");
        assert_eq!(clean("a\"} 1\nevil{x=\"\u{202e}"), "a___1_evil_x___");
        assert_eq!(clean(&"x".repeat(1_000)).len(), MAX_CHARS);
        assert_eq!(clean("  "), UNNAMED);
    }

    #[test]
    fn a_server_that_invents_names_makes_no_more_than_so_many() {
        let mut names = Names::default();
        let labels: BTreeSet<String> = (0..1_000).map(|n| names.label(&format!("m-{n}"))).collect();
        assert_eq!(labels.len(), MAX_NAMES + 1);
        assert_eq!(names.label("m-3"), "m-3");
        assert_eq!(names.label("m-999"), OTHER);
    }
}
