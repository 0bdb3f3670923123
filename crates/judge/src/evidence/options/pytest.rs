//! pytest's options, wherever they stand.

use std::collections::{BTreeMap, BTreeSet};

use booty_policy::TreeView;
use toml_edit::Item;

use super::{Change, Setting, dropper, finding};
use crate::{
    evidence::{Study, files, ini},
    report::Level,
};
use booty_policy::Language;

/// In the order in which pytest looks; the first that speaks of pytest wins.
const FILES: [&str; 7] = [
    "pytest.toml",
    ".pytest.toml",
    "pytest.ini",
    ".pytest.ini",
    "pyproject.toml",
    "tox.ini",
    "setup.cfg",
];

pub(super) fn say(change: &Change<'_>, out: &mut Study) {
    let folders: BTreeSet<&str> = change
        .files
        .iter()
        .map(|file| file.path.rsplit_once('/').unwrap_or(("", &file.path)))
        .filter(|(_, name)| FILES.contains(name))
        .map(|(folder, _)| folder)
        .collect();
    for folder in folders {
        let (base, head) = (effective(change.base, folder), effective(change.head, folder));
        let file =
            head.as_ref().or(base.as_ref()).map(|(file, _)| file.clone()).unwrap_or_default();
        let (base, head) = (
            base.map(|(_, map)| map).unwrap_or_default(),
            head.map(|(_, map)| map).unwrap_or_default(),
        );
        let keys: BTreeSet<&String> = base.keys().chain(head.keys()).collect();
        for key in keys {
            let (was, is) = (base.get(key), head.get(key));
            let same = was.map(|setting| normal(&setting.value))
                == is.map(|setting| normal(&setting.value));
            if same {
                continue;
            }
            let line = is.map_or(1, |setting| setting.line);
            let (was, is) =
                (was.map_or("", |setting| &setting.value), is.map_or("", |setting| &setting.value));
            let level = level(change.head, key, was, is);
            let message = format!("pytest's `{key}` changed from `{was}` to `{is}`");
            out.findings.push(finding(level, &file, line, message));
        }
    }
}

fn normal(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn level(head: &dyn TreeView, key: &str, was: &str, is: &str) -> Level {
    let loses = |default: &str| {
        let list = |text: &str| -> BTreeSet<String> {
            let text = if text.is_empty() { default } else { text };
            text.split([' ', ',', '\n', '"', '\'', '[', ']'])
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let (was, is) = (list(was), list(is));
        was.difference(&is).next().is_some()
    };
    let is_lost = match key {
        "addopts" => {
            dropper(was, is).is_some() || (was.contains("--doctest") && !is.contains("--doctest"))
        }
        "python_files" => loses("test_*.py *_test.py"),
        "python_classes" => loses("Test"),
        "python_functions" => loses("test"),
        "testpaths" if was.is_empty() => leaves_out(head, is),
        "testpaths" => !is.is_empty() && loses(""),
        "norecursedirs" | "collect_ignore" | "collect_ignore_glob" => !is.is_empty(),
        "xfail_strict" => was.eq_ignore_ascii_case("true") && !is.eq_ignore_ascii_case("true"),
        "doctest_plus" | "doctest_optionflags" => false,
        _ => return Level::Notice,
    };
    match (is_lost, key) {
        (true, _) => Level::Failure,
        (false, "addopts") => Level::Warning,
        (false, _) => Level::Notice,
    }
}

/// Whether a test file is in none of the paths.
fn leaves_out(head: &dyn TreeView, paths: &str) -> bool {
    let paths: Vec<&str> = paths
        .split([' ', ',', '\n', '"', '\'', '[', ']'])
        .filter(|path| !path.is_empty())
        .collect();
    let is_in = |file: &str| {
        paths.iter().any(|path| {
            let path = path.trim_start_matches("./").trim_end_matches('/');
            path == "."
                || file == path
                || file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
        })
    };
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    head.paths().any(|path| {
        let is_test =
            path.ends_with(".py") && files::kind(Language::Python, &path) == files::FileKind::Test;
        let name = name(&path);
        is_test && (name.starts_with("test_") || name.ends_with("_test.py")) && !is_in(&path)
    })
}

fn effective(tree: &dyn TreeView, folder: &str) -> Option<(String, BTreeMap<String, Setting>)> {
    FILES.iter().find_map(|name| {
        let path = if folder.is_empty() { (*name).to_owned() } else { format!("{folder}/{name}") };
        let text = tree.read(&path)?;
        let found = match *name {
            "pytest.ini" | ".pytest.ini" => Some(ini::section(&text, "pytest").unwrap_or_default()),
            "tox.ini" => ini::section(&text, "pytest"),
            "setup.cfg" => ini::section(&text, "tool:pytest"),
            "pyproject.toml" => toml(&text, &["tool", "pytest", "ini_options"])
                .or_else(|| toml(&text, &["tool", "pytest"])),
            _ => toml(&text, &["pytest"]),
        };
        found.map(|found| (path, found))
    })
}

fn toml(text: &str, keys: &[&str]) -> Option<BTreeMap<String, Setting>> {
    let document = super::read_toml(text)?;
    let mut item: &Item = document.as_item();
    for key in keys {
        item = item.get(key)?;
    }
    let table = item.as_table_like()?;
    let setting = |item: &Item| {
        let start = item.span().map_or(0, |span| span.start);
        let line = text.get(..start).unwrap_or_default().matches('\n').count();
        let value = match item.as_value() {
            Some(toml_edit::Value::String(text)) => text.value().clone(),
            Some(toml_edit::Value::Array(list)) => list
                .iter()
                .map(|value| {
                    value
                        .as_str()
                        .map_or_else(|| value.to_string().trim().to_owned(), str::to_owned)
                })
                .collect::<Vec<_>>()
                .join(" "),
            _ => item.to_string().trim().to_owned(),
        };
        Setting { value, line: u32::try_from(line).unwrap_or(u32::MAX).saturating_add(1) }
    };
    Some(table.iter().map(|(key, item)| (key.to_owned(), setting(item))).collect())
}
