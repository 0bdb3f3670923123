//! Python: compiles the changed files and resolves their imports, with the sandbox's interpreter.
//!
//! The analyser is Python too, because only the interpreter knows its grammar. It runs isolated
//! (`-I -S`), so that neither the tree nor an installed package is imported in the place of the
//! standard library, and it runs none of what it reads.

use std::collections::{BTreeMap, BTreeSet};

use booty_sandbox::Error;
use serde::Deserialize;
use serde_json::json;

use super::{
    Checked, Subject, count, has_extension,
    tool::{self, Answer, MAX_REQUEST_BYTES, block, one_line},
};
use crate::{
    change::{ChangeKind, ChangedFile},
    report::{Finding, Level, Rule},
};

const ANALYSER: &str = include_str!("analyse.py");
const COMMAND: &str = r#"exec "$tool" -I -S -B -W ignore -c "$BOOTY_PROGRAM""#;
/// A change with more files is refused by policy long before.
const MAX_FILES: usize = 2_000;
const MANIFESTS: [&str; 2] = ["pyproject.toml", "Pipfile"];

/// As the analyser writes it. Every field may be anything.
#[derive(Debug, Deserialize)]
struct Said {
    version: String,
    findings: Vec<Seen>,
    files: usize,
    imports: usize,
    not_installed: Vec<String>,
    unchecked: Vec<String>,
    environments: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Seen {
    rule: Rule,
    level: Level,
    path: String,
    line: u32,
    message: String,
    detail: Option<String>,
}

pub(super) async fn check(subject: &Subject<'_>) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    let concerns =
        |file: &&ChangedFile| has_extension(&file.path, &["py", "pyi"]) || is_manifest(&file.path);
    if !subject.changed.iter().any(|file| concerns(&file)) {
        checked.said.push("No Python file is changed.".to_owned());
        return Ok(checked);
    }
    let mut request = request(subject, &mut checked);
    match tool::analyse(subject.shell, "python3", COMMAND, ANALYSER, &mut request).await? {
        Answer::Json(json) => match serde_json::from_str::<Said>(&json) {
            Ok(said) => read(subject, said, &mut checked),
            Err(_) => nothing(&mut checked, "its answer makes no sense"),
        },
        Answer::NoTool => {
            checked.unchecked.push("Python files: there is no python3 in the sandbox".to_owned());
        }
        Answer::Nothing { how } => nothing(&mut checked, &how),
    }
    Ok(checked)
}

/// A tree that stops the analyser is not a tree without findings.
fn nothing(checked: &mut Checked, how: &str) {
    let message = format!("the analysis of the Python files ended without an answer: {how}");
    checked.findings.push(Finding::failure(Rule::CheckFailed, message));
    checked.unchecked.push(format!("Python files: the analysis gave no answer: {how}"));
}

fn request(subject: &Subject<'_>, checked: &mut Checked) -> serde_json::Value {
    let mut changed: Vec<_> = subject
        .present(&["py", "pyi"])
        .chain(
            subject
                .changed
                .iter()
                .filter(|file| file.kind != ChangeKind::Deleted && is_manifest(&file.path)),
        )
        .map(|file| json!({ "path": file.path }))
        .collect();
    if changed.len() > MAX_FILES {
        checked.unchecked.push(format!("changed Python files beyond the first {MAX_FILES}"));
        changed.truncate(MAX_FILES);
    }
    let gone = |file: &&ChangedFile| file.kind == ChangeKind::Deleted;
    let deleted: Vec<&str> = subject
        .changed
        .iter()
        .filter(gone)
        .map(|file| file.path.as_str())
        .take(MAX_FILES)
        .collect();
    let mut room = MAX_REQUEST_BYTES - changed.len().min(MAX_FILES) * 200;
    let (mut base, mut without) = (BTreeMap::new(), 0);
    let modified = subject.changed.iter().filter(|file| file.kind == ChangeKind::Modified);
    for file in modified
        .filter(|file| has_extension(&file.path, &["py"]) || is_manifest(&file.path))
        .take(MAX_FILES)
    {
        // As JSON escapes it in the worst usual case.
        match subject.base.read(&file.path) {
            Some(text) if cost(&text) < room => {
                room -= cost(&text);
                base.insert(file.path.as_str(), text);
            }
            _ => without += 1,
        }
    }
    if without > 0 {
        let files = count(without, "file", "files");
        checked.unchecked.push(format!("which names {files} had before the change: too large"));
    }
    json!({
        "changed": changed, "deleted": deleted, "base": base, "is_installed": subject.is_installed,
    })
}

fn cost(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { 1 } else { 6 }).sum::<usize>() + 200
}

fn is_manifest(path: &str) -> bool {
    MANIFESTS.contains(&path.rsplit('/').next().unwrap_or(path))
}

fn read(subject: &Subject<'_>, said: Said, checked: &mut Checked) {
    let paths: BTreeSet<String> = subject.tree.paths().collect();
    for seen in said.findings {
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
    let environment = match said.environments.first() {
        Some(folder) => format!(", packages of {}", one_line(folder, 100)),
        None => String::new(),
    };
    checked.said.push(format!(
        "Python {}: {} compiled, {} resolved{environment}.",
        one_line(&said.version, 20),
        count(said.files, "changed file", "changed files"),
        count(said.imports, "import", "imports"),
    ));
    checked.not_installed.extend(said.not_installed.iter().map(|name| one_line(name, 100)));
    checked.unchecked.extend(said.unchecked.iter().map(|text| one_line(text, 300)));
}
