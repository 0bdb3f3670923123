//! `Cargo.toml`, `.config/nextest.toml` and `.cargo/config.toml`.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::Item;

use super::{Change, Setting, finding};
use crate::{
    evidence::{Study, study::File},
    report::Level,
};

/// Deeper tables say nothing about tests.
const MAX_DEPTH: usize = 6;

pub(super) fn say(change: &Change<'_>, out: &mut Study) {
    for file in change.files {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let is_cargo_config =
            file.path.ends_with(".cargo/config.toml") || file.path.ends_with(".cargo/config");
        let level: fn(&str, &str, &str) -> Option<Level> = match name {
            "Cargo.toml" => manifest,
            "nextest.toml" => nextest,
            _ if is_cargo_config => cargo_config,
            _ => continue,
        };
        let (was, is) = (settings(file.base_text.as_deref()), settings(file.head_text.as_deref()));
        // A program that is new had no tests.
        let had = |key: &str| {
            let target = key.rsplit_once('.').map_or(key, |(target, _)| target);
            !target.starts_with("bin.") && !target.starts_with("example.")
                || was.keys().any(|other| other.starts_with(target))
        };
        for key in was.keys().chain(is.keys()).collect::<BTreeSet<_>>() {
            let (was, is) = (was.get(key), is.get(key));
            if was.map(|setting| &setting.value) == is.map(|setting| &setting.value) {
                continue;
            }
            let line = is.map_or(1, |setting| setting.line);
            let (was, is) =
                (was.map_or("", |setting| &setting.value), is.map_or("", |setting| &setting.value));
            let Some(level) = level(key, was, is).filter(|_| had(key)) else { continue };
            if key == "workspace.members" && !loses_member(change, file, was, is) {
                continue;
            }
            let message = format!("`{key}` changed from `{was}` to `{is}`");
            out.findings.push(finding(level, &file.path, line, message));
        }
    }
}

fn manifest(key: &str, was: &str, is: &str) -> Option<Level> {
    let last = key.rsplit('.').next().unwrap_or(key);
    let is_target =
        ["lib.", "bin.", "test.", "example."].iter().any(|start| key.starts_with(start));
    match last {
        "test" | "harness" | "doctest" if is_target => {
            Some(if is == "false" { Level::Failure } else { Level::Notice })
        }
        "path" | "required-features" if key.starts_with("test.") => {
            Some(if is.is_empty() || !was.is_empty() || last == "required-features" {
                Level::Failure
            } else {
                Level::Notice
            })
        }
        "name" if key.starts_with("test.") && is.is_empty() => Some(Level::Warning),
        "autotests" => Some(if is == "false" { Level::Failure } else { Level::Notice }),
        "members" if key == "workspace.members" => Some(Level::Failure),
        "exclude" | "default-members" if key.starts_with("workspace.") => Some(Level::Failure),
        "debug-assertions" | "overflow-checks" | "panic" if key.starts_with("profile.") => {
            Some(Level::Warning)
        }
        _ => None,
    }
}

fn nextest(key: &str, _: &str, is: &str) -> Option<Level> {
    Some(if key.contains("filter") && !is.is_empty() {
        Level::Failure
    } else if key.contains("retries")
        || key.contains("fail-fast")
        || key.contains("script")
        || key.contains("timeout")
    {
        Level::Warning
    } else {
        Level::Notice
    })
}

fn cargo_config(key: &str, _: &str, _: &str) -> Option<Level> {
    let decides =
        ["runner", "alias", "rustc", "wrapper", "build.target", "env", "include", "patch"];
    Some(if decides.iter().any(|word| key.contains(word)) {
        Level::Failure
    } else {
        Level::Warning
    })
}

/// Whether a member is out of the workspace whose folder is there still.
fn loses_member(change: &Change<'_>, file: &File, was: &str, is: &str) -> bool {
    let list = |text: &str| -> BTreeSet<String> {
        text.split([',', '"', '\'', '[', ']', ' ', '\n'])
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let folder = file.path.strip_suffix("Cargo.toml").unwrap_or_default();
    let (was, is) = (list(was), list(is));
    was.difference(&is).any(|member| {
        member.contains('*') || change.head.read(&format!("{folder}{member}/Cargo.toml")).is_some()
    })
}

/// All settings by their path; entries of a list of tables by their name.
fn settings(text: Option<&str>) -> BTreeMap<String, Setting> {
    let mut out = BTreeMap::new();
    let text = text.unwrap_or_default();
    if let Some(document) = super::read_toml(text) {
        // Lines are counted once: a position is found among the starts of lines.
        let starts: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        walk(&starts, document.as_item(), String::new(), MAX_DEPTH, &mut out);
    }
    out
}

fn walk(
    starts: &[usize],
    item: &Item,
    path: String,
    depth: usize,
    out: &mut BTreeMap<String, Setting>,
) {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    if let Some(table) = item.as_table_like().filter(|_| depth > 0) {
        for (key, item) in table.iter() {
            walk(starts, item, join(key), depth - 1, out);
        }
    } else if let Some(tables) = item.as_array_of_tables().filter(|_| depth > 0) {
        for (n, table) in tables.iter().enumerate() {
            let name = table
                .get("name")
                .and_then(Item::as_str)
                .map_or_else(|| n.to_string(), str::to_owned);
            for (key, item) in table.iter() {
                walk(starts, item, format!("{path}.{name}.{key}"), depth - 1, out);
            }
        }
    } else {
        let start = item.span().map_or(0, |span| span.start);
        let line = starts.partition_point(|line| *line <= start);
        let value = item.as_value().map_or_else(|| item.to_string(), ToString::to_string);
        out.insert(
            path,
            Setting { value: value.trim().to_owned(), line: u32::try_from(line).unwrap_or(1) },
        );
    }
}
