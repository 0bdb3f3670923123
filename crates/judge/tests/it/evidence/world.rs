//! Two trees made of text, and what the study says about them.

use std::collections::BTreeMap;

use booty_judge::{
    change::{ChangeKind, ChangedFile},
    evidence::{Study, study},
    report::{Finding, Level},
};
use booty_policy::{CommandSpec, Language, TreeView};

pub(crate) struct Tree(pub(crate) BTreeMap<String, String>);

impl TreeView for Tree {
    fn paths(&self) -> Box<dyn Iterator<Item = String> + '_> {
        Box::new(self.0.keys().cloned())
    }

    fn read(&self, path: &str) -> Option<String> {
        self.0.get(path).cloned()
    }
}

/// Files from one text: `== path` starts each.
pub(crate) fn tree(text: &str) -> Tree {
    let mut files = BTreeMap::new();
    for part in format!("\n{text}").split("\n== ").skip(1) {
        let (path, content) = part.split_once('\n').unwrap_or((part, ""));
        files.insert(path.trim().to_owned(), format!("{}\n", content.trim_end()));
    }
    Tree(files)
}

pub(crate) fn changes(base: &Tree, head: &Tree) -> Vec<ChangedFile> {
    let paths = base.0.keys().chain(head.0.keys().filter(|path| !base.0.contains_key(*path)));
    let kind = |path: &String| match (base.0.get(path), head.0.get(path)) {
        (None, _) => Some(ChangeKind::Added),
        (_, None) => Some(ChangeKind::Deleted),
        (was, is) => (was != is).then_some(ChangeKind::Modified),
    };
    paths
        .filter_map(|path| kind(path).map(|kind| ChangedFile { path: path.clone(), kind }))
        .collect()
}

pub(crate) fn studied(language: Language, base: &str, head: &str, command: &str) -> Study {
    let (base, head) = (tree(base), tree(head));
    let command = CommandSpec::new(command);
    study(language, &base, &head, &changes(&base, &head), Some(&command))
}

/// `rule path:line message`.
pub(crate) fn said(finding: &Finding) -> String {
    let place = finding
        .place
        .as_ref()
        .map_or(String::new(), |place| format!("{}:{}", place.path, place.line));
    format!("{} {place} {}", finding.rule, finding.message)
}

/// What speaks against a change.
pub(crate) fn failures(study: &Study) -> Vec<String> {
    study.findings.iter().filter(|finding| finding.level == Level::Failure).map(said).collect()
}

/// That there is a finding of this level which starts with this rule and place, and holds this name.
#[track_caller]
pub(crate) fn assert_named(study: &Study, level: Level, start: &str, name: &str) {
    let fits = |finding: &&Finding| {
        let said = said(finding);
        finding.level == level && said.starts_with(start) && said.contains(name)
    };
    let all: Vec<String> =
        study.findings.iter().map(|f| format!("{:?} {}", f.level, said(f))).collect();
    assert!(study.findings.iter().any(|f| fits(&f)), "no {level:?} `{start} … {name}` in {all:#?}");
}
