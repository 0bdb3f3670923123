//! `package.json`, and the files of jest, vitest, mocha and ava.

use std::collections::{BTreeMap, BTreeSet};

use booty_policy::{CommandSpec, Language};
use serde_json::Value;

use super::{Change, dropper, finding};
use crate::{
    evidence::{Study, files::FileKind, lex::Tokens, study::File},
    report::Level,
};

/// Keys of `package.json` that a runner reads.
pub(in crate::evidence) const SECTIONS: [&str; 6] = ["jest", "vitest", "mocha", "ava", "tap", "c8"];
const RUNNERS: [&str; 12] = [
    "jest",
    "vitest",
    "mocha",
    "ava",
    "node",
    "tap",
    "tape",
    "tsx",
    "ts-node",
    "uvu",
    "playwright",
    "jasmine",
];
/// Options that say which tests there are, or what runs them.
const SELECTORS: [&str; 27] = [
    "testPathIgnorePatterns",
    "modulePathIgnorePatterns",
    "testMatch",
    "testRegex",
    "testNamePattern",
    "roots",
    "projects",
    "exclude",
    "include",
    "grep",
    "fgrep",
    "invert",
    "ignore",
    "spec",
    "files",
    "bail",
    "passWithNoTests",
    "testRunner",
    "runner",
    "globalSetup",
    "globalTeardown",
    "setupFiles",
    "setupFilesAfterEnv",
    "reporters",
    "reporter",
    "require",
    "dir",
];

pub(super) fn say(change: &Change<'_>, command: Option<&CommandSpec>, out: &mut Study) {
    for file in change.files {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if name == "package.json" {
            package(file, command, out);
        } else if name == ".npmrc" {
            npmrc(file, out);
        } else if file.kind == FileKind::TestConfig {
            config(file, out);
        }
    }
}

/// Settings with which npm runs scripts in another way.
const NPM: [&str; 6] =
    ["script-shell", "shell", "node-options", "ignore-scripts", "prefix", "userconfig"];

fn npmrc(file: &File, out: &mut Study) {
    let was: BTreeSet<&str> = text(&file.base_text).lines().collect();
    for (line, setting) in (1..).zip(text(&file.head_text).lines()) {
        let key = setting.split('=').next().unwrap_or_default().trim();
        if NPM.contains(&key) && !was.contains(setting) {
            let message = format!("npm's `{key}` changed to `{}`", setting.trim());
            out.findings.push(finding(Level::Failure, &file.path, line, message));
        }
    }
}

fn package(file: &File, command: Option<&CommandSpec>, out: &mut Study) {
    let read = |text: &Option<String>| -> Value {
        text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
    };
    let (base, head) = (read(&file.base_text), read(&file.head_text));
    let text = file.head_text.as_deref().unwrap_or_default();
    let command = command.map_or("", |command| &command.command);
    let scripts = |value: &Value| -> BTreeMap<String, String> {
        let map = value.get("scripts").and_then(Value::as_object);
        map.into_iter()
            .flatten()
            .filter_map(|(name, script)| Some((name.clone(), script.as_str()?.to_owned())))
            .collect()
    };
    let (was, is) = (scripts(&base), scripts(&head));
    // Scripts that the base's test script runs count as well.
    let test = was.get("test").cloned().unwrap_or_default();
    let is_used = |name: &str| {
        let runs = |text: &str| text.split_whitespace().any(|word| word == name);
        name.trim_start_matches("pre").trim_start_matches("post").starts_with("test")
            || runs(command)
            || runs(&test)
    };
    for name in was.keys().chain(is.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (was.get(name), is.get(name));
        if was == is || !is_used(name) || was.is_none() && !is_hook(name) {
            continue;
        }
        let (was, is) = (was.map_or("", |script| script), is.map_or("", |script| script));
        let runner = |script: &str| {
            script
                .split_whitespace()
                .find_map(|word| RUNNERS.iter().find(|runner| **runner == word))
        };
        let lost = runner(was).is_some() && runner(is).is_none();
        let level = if lost || is.is_empty() || dropper(was, is).is_some() {
            Level::Failure
        } else {
            Level::Warning
        };
        let message = format!("the script `{name}` changed from `{was}` to `{is}`");
        out.findings.push(finding(level, &file.path, line_of(text, name), message));
    }
    for section in SECTIONS {
        let (was, is) = (base.get(section), head.get(section));
        if was == is {
            continue;
        }
        let keys =
            |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
        let (was, is) = (keys(was), keys(is));
        for key in was.keys().chain(is.keys()).collect::<BTreeSet<_>>() {
            if was.get(key) == is.get(key) {
                continue;
            }
            let level =
                if SELECTORS.contains(&key.as_str()) { Level::Failure } else { Level::Notice };
            let show = |value: Option<&Value>| value.map(Value::to_string).unwrap_or_default();
            let message = format!(
                "{section}'s `{key}` changed from `{}` to `{}`",
                show(was.get(key)),
                show(is.get(key))
            );
            out.findings.push(finding(level, &file.path, line_of(text, key), message));
        }
    }
}

/// Run before or after by itself.
fn is_hook(name: &str) -> bool {
    matches!(name, "pretest" | "posttest")
}

fn line_of(text: &str, key: &str) -> u32 {
    let wanted = format!("\"{key}\"");
    let line = text.lines().position(|line| line.contains(&wanted)).unwrap_or(0);
    u32::try_from(line).unwrap_or(u32::MAX).saturating_add(1)
}

/// A configuration in JavaScript or JSON: what its selectors are set to.
fn config(file: &File, out: &mut Study) {
    let (was, is) = (text(&file.base_text), text(&file.head_text));
    let (base, head) = (Tokens::of(Language::Node, was), Tokens::of(Language::Node, is));
    let is_vite = file.path.rsplit('/').next().is_some_and(|name| name.starts_with("vite.config"));
    let speaks = |tokens: &Tokens<'_>| (0..tokens.len()).any(|at| tokens.text(at) == "test");
    let same = base.normal(0, base.len()) == head.normal(0, head.len());
    if same || is_vite && !speaks(&base) && !speaks(&head) {
        return;
    }
    let (was, is) = (selectors(&base), selectors(&head));
    let mut is_named = false;
    for key in was.keys().chain(is.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (was.get(key), is.get(key));
        if was.map(|(value, _)| value) == is.map(|(value, _)| value) {
            continue;
        }
        is_named = true;
        let line = is.map_or(1, |(_, line)| *line);
        let show = |value: Option<&(String, u32)>| {
            value.map(|(value, _)| value.clone()).unwrap_or_default()
        };
        let message = format!("`{key}` changed from `{}` to `{}`", show(was), show(is));
        out.findings.push(finding(Level::Failure, &file.path, line, message));
    }
    if !is_named {
        let message = format!("{}, which says how tests are run, changed", file.path);
        out.findings.push(finding(Level::Warning, &file.path, 1, message));
    }
}

fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

/// At most so many tokens of a value are compared.
const MAX_VALUE: usize = 400;

fn selectors(tokens: &Tokens<'_>) -> BTreeMap<String, (String, u32)> {
    let mut out: BTreeMap<String, (String, u32)> = BTreeMap::new();
    for at in 0..tokens.len() {
        let key = crate::evidence::lex::content(tokens.text(at));
        if tokens.text(at + 1) != ":" || !SELECTORS.contains(&key) {
            continue;
        }
        let limit = (at + 2 + MAX_VALUE).min(tokens.len());
        let end = tokens.find(at + 2, limit, &[",", "}"]).unwrap_or(limit);
        let value = tokens.normal(at + 2, end);
        let entry = out.entry(key.to_owned()).or_insert_with(|| (String::new(), tokens.line(at)));
        entry.0.push_str(&value);
    }
    out
}
