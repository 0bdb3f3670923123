//! What does not compile, import or exist, found before tests run.
//!
//! Everything that reads repository code runs in the sandbox, and what it prints is a stranger's
//! text: an exit code decides, text only explains. What could not be looked at is said, never
//! passed over.

mod analysis;
mod go;
mod node;
mod python;
mod rust;
mod tool;

use booty_policy::{Language, TreeView};
use booty_sandbox::Error;

use crate::{change::ChangedFile, report::Finding, shell::Shell};

/// More are counted, not listed: a check run shows a few dozen, and a broken `tsconfig.json` makes
/// thousands.
pub const MAX_FINDINGS: usize = 200;

/// What to look at.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Of the repository.
    pub language: Language,
    /// The merged tree.
    pub tree: &'a (dyn TreeView + Sync),
    /// The base's tree.
    pub base: &'a (dyn TreeView + Sync),
    /// What differs between them.
    pub changed: &'a [ChangedFile],
    /// Runs scripts in the merged tree, without network.
    pub shell: &'a Shell,
    /// Whether setup installed the dependencies, or there were none to install.
    pub is_installed: bool,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// The first [`MAX_FINDINGS`], the worst first.
    pub findings: Vec<Finding>,
    /// Sentences for the report: what was checked, with which tool and version, how many files.
    pub said: Vec<String>,
    /// Declared packages that an import needs and that are not installed: they make the verdict
    /// neutral, never a failure.
    pub not_installed: Vec<String>,
    /// What could not be checked, and why.
    pub unchecked: Vec<String>,
}

/// Compiles what changed and resolves its imports.
///
/// # Errors
/// When the sandbox could not be set up.
pub async fn check(subject: &Subject<'_>) -> Result<Checked, Error> {
    let mut checked = match subject.language {
        Language::Python => python::check(subject).await?,
        Language::Node => node::check(subject).await?,
        Language::Rust => rust::check(subject).await?,
        Language::Go => go::check(subject).await?,
    };
    checked.bound();
    Ok(checked)
}

impl Checked {
    fn bound(&mut self) {
        // Stable: within one level the analyser's order stays.
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        let more = self.findings.len().saturating_sub(MAX_FINDINGS);
        if more > 0 {
            self.findings.truncate(MAX_FINDINGS);
            self.said.push(format!("{more} more findings are not listed."));
        }
    }
}

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').is_some_and(|(_, end)| extensions.contains(&end))
}

/// A count with its noun.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
