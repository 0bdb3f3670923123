//! How tests are run: which of them, and what counts as a failure.

mod cargo;
mod command;
mod node;
mod pytest;
mod used;

use booty_policy::{CommandSpec, Language, TreeView};

use super::{Study, study::File};
use crate::report::{Finding, Level, Rule};

/// One setting and its line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) line: u32,
}

/// Both trees, and what changed between them.
pub(super) struct Change<'a> {
    pub(super) base: &'a dyn TreeView,
    pub(super) head: &'a dyn TreeView,
    pub(super) files: &'a [File],
}

/// Names what a change does to the options of the runner.
pub(super) fn say(
    language: Language,
    change: &Change<'_>,
    command: Option<&CommandSpec>,
    used: &Used,
    out: &mut Study,
) {
    for file in change.files.iter().filter(|file| file.path.ends_with(".toml")) {
        let is_large =
            |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > MAX_TOML_BYTES);
        if is_large(&file.base_text) || is_large(&file.head_text) {
            let message =
                format!("{} is too large: what it says about tests is not known", file.path);
            out.findings.push(finding(Level::Warning, &file.path, 1, message));
        }
    }
    match language {
        Language::Python => pytest::say(change, out),
        Language::Node => node::say(change, command, out),
        Language::Rust => cargo::say(change, out),
        Language::Go => {}
    }
    if let Some(command) = command {
        command::say(change, command, used, out);
    }
}

pub(super) use node::SECTIONS;
pub(super) use used::Used;

/// Whether the test command runs or reads that file.
pub(super) fn is_used_by_command(command: &CommandSpec, used: &Used, path: &str) -> bool {
    command::is_used(command, path) || used.has(path)
}

/// A longer manifest is not read: each of its errors would cost as much as the file is long.
pub(super) const MAX_TOML_BYTES: usize = 64 * 1024;

fn read_toml(text: &str) -> Option<toml_edit::Document<&str>> {
    (text.len() <= MAX_TOML_BYTES).then(|| toml_edit::Document::parse(text).ok()).flatten()
}

fn finding(level: Level, file: &str, line: u32, message: impl Into<String>) -> Finding {
    Finding { level, ..Finding::failure(Rule::RunnerOptionsChanged, message) }.at(file, line)
}

/// Words in a command line that leave tests out, or hide that some failed.
const DROPPERS: [&str; 58] = [
    "||",
    "true",
    ":",
    "exit",
    "echo",
    "-k",
    "-m",
    "--deselect",
    "--ignore",
    "--ignore-glob",
    "-p",
    "--co",
    "--collect-only",
    "-x",
    "--exitfirst",
    "--maxfail",
    "--lf",
    "--last-failed",
    "--sw",
    "--stepwise",
    "-c",
    "--config-file",
    "--rootdir",
    "-o",
    "--override-ini",
    "--noconftest",
    "--setup-only",
    "--setup-plan",
    "--suppress-no-test-exit-code",
    "--junitxml",
    "--junit-xml",
    "-t",
    "--testNamePattern",
    "--testPathIgnorePatterns",
    "--testPathPattern",
    "--testPathPatterns",
    "--passWithNoTests",
    "--bail",
    "-b",
    "--exclude",
    "--grep",
    "-g",
    "--fgrep",
    "-f",
    "--invert",
    "-i",
    "--onlyChanged",
    "--changed",
    "--shard",
    "--test-name-pattern",
    "--test-skip-pattern",
    "--test-only",
    "--skip",
    "-run",
    "-skip",
    "-short",
    "--no-run",
    "--lib",
];

/// The first word that a command line has and had not, and that leaves tests out.
fn dropper(before: &str, after: &str) -> Option<String> {
    let words = |text: &str| -> Vec<String> {
        text.split([' ', '\t', '\n', ';', '&'])
            .filter(|word| !word.is_empty())
            .map(|word| word.trim_matches(['"', '\'', '@']).to_owned())
            .collect()
    };
    let old = words(before);
    words(after).into_iter().find(|word| {
        let name = word.split('=').next().unwrap_or(word);
        let is_path = !word.starts_with('-') && (word.contains("::") || word.ends_with(".py"));
        let is_glued = ["-k", "-m", "-p"]
            .iter()
            .any(|short| word.starts_with(short) && !word.starts_with("--"));
        (DROPPERS.contains(&name) || is_path || is_glued) && !old.contains(word)
    })
}
