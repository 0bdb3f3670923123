//! One side's tests over the other side's code.

use std::collections::HashMap;

use booty_policy::{CommandSpec, Language};
use toml_edit::{DocumentMut, Item};

use super::{
    Study,
    files::FileKind,
    ini,
    options::{self, SECTIONS, Used},
    study::File,
};
use crate::{
    change::ChangeKind,
    report::{Finding, Rule},
};

/// Fills both overlays.
pub(super) fn fill(
    language: Language,
    files: &[File],
    command: Option<&CommandSpec>,
    used: &Used,
    out: &mut Study,
) {
    let mut orphaned: HashMap<&str, usize> = HashMap::new();
    let tests = out.orphaned.clone();
    for test in &tests {
        *orphaned.entry(&test.file).or_default() += 1;
    }
    for file in files {
        let (base, head) = (file.base_text.as_deref(), file.head_text.as_deref());
        let is_known = (base.is_some() || file.change == ChangeKind::Added)
            && (head.is_some() || file.change == ChangeKind::Deleted);
        let is_used =
            command.is_some_and(|command| options::is_used_by_command(command, used, &file.path));
        match file.kind {
            FileKind::Test | FileKind::TestConfig | FileKind::Shadow if is_known => {
                if !is_orphaned(file, &orphaned) {
                    out.base_tests_on_head.push((file.path.clone(), file.base_text.clone()));
                }
                out.head_tests_on_base.push((file.path.clone(), file.head_text.clone()));
            }
            FileKind::Test | FileKind::TestConfig | FileKind::Shadow => {
                let message = format!(
                    "{} is too large or no text: it stays as it is when tests change places",
                    file.path
                );
                out.findings.push(Finding::notice(Rule::CutShort, message).at(&file.path, 1));
            }
            _ if is_used && is_known && file.kind != FileKind::Mixed => {
                out.base_tests_on_head.push((file.path.clone(), file.base_text.clone()));
            }
            FileKind::Mixed | FileKind::Code => {
                let (Some(base), Some(head)) = (base, head) else { continue };
                let mixed = |code: &str, tests: &str| compose(language, file, code, tests);
                if let Some(text) = mixed(head, base).filter(|text| text != head) {
                    out.base_tests_on_head.push((file.path.clone(), Some(text)));
                }
                if let Some(text) = mixed(base, head).filter(|text| text != base) {
                    out.head_tests_on_base.push((file.path.clone(), Some(text)));
                }
            }
            FileKind::Docs => {}
        }
    }
}

/// A deleted file whose tests are all about code that is gone could only stop the others.
fn is_orphaned(file: &File, orphaned: &HashMap<&str, usize>) -> bool {
    let tests = file.base.units.iter().filter(|unit| unit.is_test).count();
    file.change == ChangeKind::Deleted
        && tests > 0
        && orphaned.get(file.path.as_str()) == Some(&tests)
}

/// The code of one side with the tests of the other; `None` when the file has no such parts, or can't
/// be read.
fn compose(language: Language, file: &File, code: &str, tests: &str) -> Option<String> {
    if file.path.ends_with(".toml") && code.len().max(tests.len()) > options::MAX_TOML_BYTES {
        return None;
    }
    match file.path.rsplit('/').next().unwrap_or_default() {
        "package.json" => package(code, tests),
        "pyproject.toml" => pyproject(code, tests),
        "setup.cfg" => Some(ini::with_sections(code, tests, &["tool:pytest"])),
        "tox.ini" => Some(ini::with_sections(code, tests, &["pytest"])),
        "Cargo.toml" => manifest(code, tests),
        name if language == Language::Rust && name.ends_with(".rs") => regions(file, code, tests),
        _ => None,
    }
}

/// The code of one side with the modules of tests of the other.
fn regions(file: &File, code: &str, tests: &str) -> Option<String> {
    let is_base = file.base_text.as_deref() == Some(code);
    let (own, other) = if is_base { (&file.base, &file.head) } else { (&file.head, &file.base) };
    if own.regions.is_empty() && other.regions.is_empty() {
        return None;
    }
    let mut out = String::new();
    let mut at = 0;
    let mut used: Vec<&str> = Vec::new();
    for region in &own.regions {
        out.push_str(code.get(at..region.bytes.start)?);
        at = region.bytes.end;
        if let Some(theirs) = other.regions.iter().find(|other| other.path == region.path) {
            out.push_str(tests.get(theirs.bytes.clone())?);
            used.push(&theirs.path);
        }
    }
    out.push_str(code.get(at..)?);
    for theirs in other
        .regions
        .iter()
        .filter(|theirs| !theirs.path.contains("::") && !used.contains(&theirs.path.as_str()))
    {
        out.push('\n');
        out.push_str(tests.get(theirs.bytes.clone())?);
        out.push('\n');
    }
    Some(out)
}

fn package(code: &str, tests: &str) -> Option<String> {
    let mut made: serde_json::Value = serde_json::from_str(code).ok()?;
    let from: serde_json::Value = serde_json::from_str(tests).ok()?;
    let before = made.clone();
    let map = made.as_object_mut()?;
    for key in SECTIONS.into_iter().chain(["scripts"]) {
        match from.get(key) {
            Some(value) => map.insert(key.to_owned(), value.clone()),
            None => map.remove(key),
        };
    }
    if made == before { None } else { serde_json::to_string_pretty(&made).ok() }
}

fn pyproject(code: &str, tests: &str) -> Option<String> {
    let mut made: DocumentMut = code.parse().ok()?;
    let from: DocumentMut = tests.parse().ok()?;
    let wanted = from.get("tool").and_then(|tool| tool.get("pytest")).cloned();
    let before = made.to_string();
    if wanted.is_some() && made.get("tool").is_none() {
        let mut tool = toml_edit::Table::new();
        tool.set_implicit(true);
        made.insert("tool", Item::Table(tool));
    }
    let tool = made.get_mut("tool")?.as_table_like_mut()?;
    put(tool, "pytest", wanted);
    let after = made.to_string();
    (after != before).then_some(after)
}

fn put(table: &mut dyn toml_edit::TableLike, key: &str, item: Option<Item>) {
    match item {
        Some(item) => table.insert(key, item),
        None => table.remove(key),
    };
}

/// Which tests there are, and whether they run.
fn manifest(code: &str, tests: &str) -> Option<String> {
    let mut made: DocumentMut = code.parse().ok()?;
    let from: DocumentMut = tests.parse().ok()?;
    let before = made.to_string();
    put(made.as_table_mut(), "test", from.get("test").cloned());
    for (section, keys) in
        [("lib", &["test", "harness", "doctest"][..]), ("package", &["autotests"][..])]
    {
        let Some(table) = made.get_mut(section).and_then(Item::as_table_like_mut) else { continue };
        for key in keys {
            put(table, key, from.get(section).and_then(|table| table.get(key)).cloned());
        }
    }
    let after = made.to_string();
    (after != before).then_some(after)
}
