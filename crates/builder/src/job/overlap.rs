//! Open pull requests that change the same files as a proposal: whoever reviews it should know.

use std::{collections::BTreeSet, fmt::Write as _};

use booty_github::{Client, Error};
use booty_policy::{Untrusted, markdown};

use crate::{
    order::{Order, is_pull_for},
    shared::chain,
};

/// Open pull requests that are looked at, the newest first: each costs at least one read.
const MAX_PULLS: usize = 30;
/// Pages of a pull request's files that are looked at, of 100 files each.
const MAX_FILE_PAGES: u32 = 3;
/// Paths that are named of one pull request.
const MAX_NAMED: usize = 10;
/// Characters of a path that are shown.
const MAX_PATH_CHARS: usize = 200;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Overlaps {
    found: Vec<Overlap>,
    /// Whether there are more open pull requests than were looked at.
    has_more: bool,
    /// Whether GitHub did not answer.
    is_unknown: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Overlap {
    number: u64,
    /// Of the proposal's own paths.
    paths: Vec<String>,
}

impl Overlaps {
    /// Looks for them. That GitHub does not answer is no reason to lose a proposal, and is said.
    pub(crate) async fn find(github: &Client, order: &Order, changed: &[String]) -> Self {
        match look(github, order, changed).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(event = "overlaps_unknown", error = chain(&error));
                Self { is_unknown: true, ..Self::default() }
            }
        }
    }

    /// What is said of them in a pull request's body; empty when there is nothing to say.
    pub(crate) fn text(&self) -> String {
        if self.is_unknown {
            return "Whether other open pull requests change the same files could not be looked up.\n\n"
                .to_owned();
        }
        let mut text = String::new();
        for Overlap { number, paths } in &self.found {
            let named: Vec<String> = paths
                .iter()
                .take(MAX_NAMED)
                .map(|path| markdown::name(&Untrusted::new(path.clone()), MAX_PATH_CHARS))
                .collect();
            // Writing to a String can't fail.
            let _ = write!(text, "- also changes {}", named.join(", "));
            if paths.len() > MAX_NAMED {
                let _ = write!(text, " and {} more", paths.len() - MAX_NAMED);
            }
            let _ = writeln!(text, ": #{number}");
        }
        if text.is_empty() {
            return text;
        }
        let looked_at = if self.has_more {
            format!(" (the newest {MAX_PULLS} were looked at)")
        } else {
            String::new()
        };
        format!("Other open pull requests{looked_at} change some of the same files:\n\n{text}\n")
    }
}

async fn look(github: &Client, order: &Order, changed: &[String]) -> Result<Overlaps, Error> {
    let changed: BTreeSet<&str> = changed.iter().map(String::as_str).collect();
    let own = order.follow_up.as_ref().map(|follow_up| follow_up.pull_request);
    let page = github.newest_pulls(&order.repository, 1).await?;
    let has_more = page.has_next || page.items.len() > MAX_PULLS;
    let mut found = Vec::new();
    for pull in page.items.iter().take(MAX_PULLS) {
        if Some(pull.number) == own || is_pull_for(pull, order) {
            continue;
        }
        let mut paths: BTreeSet<&str> = BTreeSet::new();
        for number in 1..=MAX_FILE_PAGES {
            let files = github.pull_files(&order.repository, pull.number, number).await?;
            let Some(files) = files else { break };
            for file in &files.items {
                let names = [Some(file.filename.as_str()), file.previous_filename.as_deref()];
                paths.extend(
                    names.into_iter().flatten().filter_map(|name| changed.get(name).copied()),
                );
            }
            if !files.has_next {
                break;
            }
        }
        if !paths.is_empty() {
            let paths = paths.into_iter().map(str::to_owned).collect();
            found.push(Overlap { number: pull.number, paths });
        }
    }
    Ok(Overlaps { found, has_more, is_unknown: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_named_and_bounded() {
        assert_eq!(Overlaps::default().text(), "");
        let many: Vec<String> = (0..12).map(|n| format!("src/{n}.py")).collect();
        let found = vec![
            Overlap { number: 12, paths: vec!["calc.py".to_owned()] },
            Overlap { number: 9, paths: many },
        ];
        let overlaps = Overlaps { found, has_more: true, is_unknown: false };
        let text = overlaps.text();
        assert!(text.contains("- also changes `calc.py`: #12\n"), "{text}");
        assert!(text.contains("`src/9.py` and 2 more: #9\n"), "{text}");
        assert!(text.contains("the newest 30"), "{text}");
        let unknown = Overlaps { is_unknown: true, ..Overlaps::default() };
        assert!(unknown.text().contains("could not be looked up"));
    }
}
