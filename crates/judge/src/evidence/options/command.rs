//! Files that the test command itself runs: scripts, make, tox.

use std::collections::HashSet;

use booty_policy::CommandSpec;

use super::{Change, Used, dropper, finding};
use crate::{
    change::ChangeKind,
    evidence::{Study, study::File},
    report::Level,
};

pub(super) fn say(change: &Change<'_>, command: &CommandSpec, used: &Used, out: &mut Study) {
    let is_run = |file: &&File| {
        // What has tests in it is looked at as a test.
        let has_tests = || file.base.units.iter().any(|unit| unit.is_test);
        is_used(command, &file.path) || used.has(&file.path) && !has_tests()
    };
    for file in change.files.iter().filter(is_run) {
        let (was, is) = (text(&file.base_text), text(&file.head_text));
        if file.change == ChangeKind::Added && !is_tool_file(&file.path) {
            continue;
        }
        let (mut was, mut is) = (was.to_owned(), is.to_owned());
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if is_makefile(name) {
            (was, is) = (recipes(&was, &command.command), recipes(&is, &command.command));
        } else if name == "tox.ini" {
            // pytest's own section is looked at elsewhere.
            let only = |text: &str| crate::evidence::ini::with_sections(text, "", &["pytest"]);
            (was, is) = (only(&was), only(&is));
        }
        if was.trim() == is.trim() {
            continue;
        }
        let line = first_difference(file);
        match dropper(&was, &is) {
            Some(word) => {
                let message =
                    format!("{}, which the test command runs, now has `{word}`", file.path);
                out.findings.push(finding(Level::Failure, &file.path, line, message));
            }
            None => {
                let message = format!("{}, which the test command runs, changed", file.path);
                out.findings.push(finding(Level::Warning, &file.path, line, message));
            }
        }
    }
}

fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

/// Whether the command runs or reads that file.
pub(super) fn is_used(command: &CommandSpec, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let words = command.command.split([' ', '\t', '\n', ';', '&', '|', '(', ')']);
    words.map(|word| word.trim_matches(['"', '\''])).filter(|word| !word.is_empty()).any(|word| {
        let by_tool = match word {
            "make" | "gmake" => matches!(name, "Makefile" | "makefile" | "GNUmakefile"),
            "just" => matches!(name, "justfile" | "Justfile" | ".justfile"),
            "tox" => name == "tox.ini",
            "nox" => name == "noxfile.py",
            "task" => matches!(name, "Taskfile.yml" | "Taskfile.yaml"),
            _ => false,
        };
        let word = word.trim_start_matches("./");
        let in_folder = if command.directory.is_empty() {
            word.to_owned()
        } else {
            format!("{}/{word}", command.directory)
        };
        // A test file that the command names is a test.
        let is_script =
            !name.starts_with("test_") && path.contains('.') && (path == word || path == in_folder);
        by_tool || is_script || (path == word && !path.contains('.'))
    })
}

/// A part of what make reads.
pub(super) fn is_makefile(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("makefile") || name.ends_with(".mk")
}

fn is_tool_file(path: &str) -> bool {
    matches!(path, "GNUmakefile" | "makefile")
}

/// The rules that the command names, what those need in turn, and what all of them share.
pub(super) fn recipes(text: &str, command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let is_any = words.last() == Some(&"make");
    let mut named: HashSet<&str> = words.into_iter().collect();
    let lines = || text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    // A rule may stand before the one that needs it.
    loop {
        let before = named.len();
        let mut is_inside = false;
        for line in lines() {
            if line.starts_with(['\t', ' ']) {
                let calls_itself = line.contains("$(MAKE)") || line.contains("${MAKE}");
                if is_inside && calls_itself {
                    named.extend(line.split_whitespace());
                }
            } else if let Some((names, needs)) = rule(line) {
                is_inside = names.split_whitespace().any(|name| named.contains(name));
                if is_inside {
                    named.extend(needs.split_whitespace());
                }
            }
        }
        if named.len() == before {
            break;
        }
    }
    let mut out = String::new();
    let mut is_inside = false;
    for line in lines() {
        if line.starts_with(['\t', ' ']) {
            if is_inside {
                // A leading `-` makes make go on after a failure.
                let recipe = line.trim_start();
                out.push_str(
                    &recipe
                        .strip_prefix('-')
                        .map_or_else(|| recipe.to_owned(), |rest| format!("|| {rest}")),
                );
                out.push('\n');
            }
            continue;
        }
        is_inside = match rule(line) {
            Some((names, _)) => {
                let is_named = names.split_whitespace().any(|name| named.contains(name));
                let is_shared = names.starts_with('.') && !names.starts_with(".PHONY");
                is_named || is_shared || is_any
            }
            // A variable counts in every rule, and so does what is included.
            None => true,
        };
        if is_inside {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// The targets of a rule, and what they need.
fn rule(line: &str) -> Option<(&str, &str)> {
    line.split_once(':').filter(|(_, rest)| !rest.starts_with('='))
}

/// The first line of the head's version that is another.
fn first_difference(file: &File) -> u32 {
    let (was, is) = (text(&file.base_text), text(&file.head_text));
    let same = was.lines().zip(is.lines()).take_while(|(a, b)| a == b).count();
    u32::try_from(same).unwrap_or(u32::MAX).saturating_add(1)
}
