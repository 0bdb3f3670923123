//! What an analyser of ours is asked, and what it may answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Checked, Subject, count, has_extension,
    tool::{MAX_REQUEST_BYTES, block, one_line},
};
use crate::{
    change::{ChangeKind, ChangedFile},
    report::{Finding, Level, Rule},
};

/// A change with more files is refused by policy long before.
const MAX_FILES: usize = 2_000;

/// What concerns an analyser.
pub(super) struct Scope {
    /// What its language is called.
    pub(super) name: &'static str,
    /// Of its sources.
    pub(super) extensions: &'static [&'static str],
    /// Names of files that list packages.
    pub(super) manifests: &'static [&'static str],
}

impl Scope {
    /// Whether there is anything to look at.
    pub(super) fn is_touched(&self, subject: &Subject<'_>) -> bool {
        subject.changed.iter().any(|file| self.has(file))
    }

    fn has(&self, file: &ChangedFile) -> bool {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        has_extension(&file.path, self.extensions) || self.manifests.contains(&name)
    }

    /// The question: which files changed, which are gone, and what the modified ones were.
    pub(super) fn request(&self, subject: &Subject<'_>, checked: &mut Checked) -> Value {
        let mut present: Vec<&ChangedFile> = subject
            .changed
            .iter()
            .filter(|file| file.kind != ChangeKind::Deleted && self.has(file))
            .collect();
        if present.len() > MAX_FILES {
            let what = format!("changed {} files beyond the first {MAX_FILES}", self.name);
            checked.unchecked.push(what);
            present.truncate(MAX_FILES);
        }
        let gone = subject.changed.iter().filter(|file| file.kind == ChangeKind::Deleted);
        let deleted: Vec<&str> = gone.map(|file| file.path.as_str()).take(MAX_FILES).collect();
        let named: usize = present.iter().map(|file| file.path.as_str()).map(cost).sum();
        let named = named + deleted.iter().map(|path| cost(path)).sum::<usize>();
        let mut room = MAX_REQUEST_BYTES.saturating_sub(named);
        let (mut base, mut without) = (BTreeMap::new(), 0);
        for file in present.iter().filter(|file| file.kind == ChangeKind::Modified) {
            match subject.base.read(&file.path) {
                Some(text) if cost(&text) + cost(&file.path) < room => {
                    room -= cost(&text) + cost(&file.path);
                    base.insert(file.path.as_str(), text);
                }
                _ => without += 1,
            }
        }
        if without > 0 {
            let files = count(without, "file was", "files were");
            checked.unchecked.push(format!(
                "what the change took away: {files} too large, or no text, before it"
            ));
        }
        let changed: Vec<Value> = present.iter().map(|file| json!({ "path": file.path })).collect();
        json!({ "changed": changed, "deleted": deleted, "base": base })
    }

    /// A tree that stops the analyser is not a tree without findings.
    pub(super) fn nothing(&self, checked: &mut Checked, how: &str) {
        let what =
            format!("the analysis of the {} files ended without an answer: {how}", self.name);
        checked.findings.push(Finding::failure(Rule::CheckFailed, what.clone()));
        checked.unchecked.push(what);
    }
}

/// What a text takes in the request, at most.
fn cost(text: &str) -> usize {
    let in_json = |c: char| match c {
        '"' | '\\' => 2,
        c if c.is_ascii_graphic() || c == ' ' => 1,
        '\n' | '\t' | '\r' => 2,
        c => c.len_utf16() * 6,
    };
    text.chars().map(in_json).sum::<usize>() + 32
}

/// A finding as an analyser writes it. Every field may be anything.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    rule: Rule,
    level: Level,
    path: String,
    line: u32,
    message: String,
    detail: Option<String>,
}

/// Takes what an analyser said, in bounds, with places in the tree alone.
pub(super) fn take(
    subject: &Subject<'_>,
    checked: &mut Checked,
    findings: Vec<Seen>,
    not_installed: &[String],
    unchecked: &[String],
) {
    let paths: BTreeSet<String> = subject.tree.paths().collect();
    for seen in findings {
        let mut finding = Finding {
            rule: seen.rule,
            level: seen.level,
            place: None,
            message: one_line(&seen.message, 500),
            detail: seen.detail.map(|text| block(&text, 2_000)),
        };
        if paths.contains(&seen.path) {
            finding = finding.at(seen.path, seen.line);
        }
        checked.findings.push(finding);
    }
    checked.not_installed.extend(not_installed.iter().map(|name| one_line(name, 100)));
    checked.unchecked.extend(unchecked.iter().map(|text| one_line(text, 300)));
}
