//! Rust: `cargo check` of the whole workspace.
//!
//! Build scripts and procedural macros run here, and can write what they like to cargo's output.
//! Hence the order: whether dependencies are there is asked before any of them runs, and afterwards
//! cargo's exit code decides; messages are read only to say where.

mod manifest;
mod message;

use std::collections::BTreeSet;

use booty_sandbox::{End, Error, RunResult};

use self::manifest::Manifests;
use super::{
    Checked, Subject, count,
    tool::{self, NO_TOOL, block, one_line},
};
use crate::{
    change::ChangeKind,
    report::{Finding, Rule},
    shell::Script,
};

/// Resolves dependencies. Runs nothing of the repository.
const RESOLVE: &str = r#"RUSTC=$(booty_find rustc) || exit 127
export RUSTC
"$tool" --version
exec "$tool" metadata --offline --format-version 1 $BOOTY_LOCKED >/dev/null"#;
/// Cargo's own words go behind the messages, or they would be torn apart in one pipe.
const CHECK: &str = r#"RUSTC=$(booty_find rustc) || exit 127
export RUSTC
words=$(mktemp) || exit 1
"$tool" check --offline $BOOTY_LOCKED --workspace --all-targets --message-format=json 2>"$words"
code=$?
echo
tail -c 32768 "$words"
exit $code"#;
/// A message with its rendered text takes some KiB.
const MAX_OUTPUT_BYTES: usize = 8 * 1024 * 1024;
/// `.cargo/config.toml` of the tree can name a program in rustc's place; the environment wins.
const NO_WRAPPER: [&str; 2] = ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"];

pub(super) async fn check(subject: &Subject<'_>) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    if subject.changed.is_empty() {
        checked.said.push("Nothing is changed.".to_owned());
        return Ok(checked);
    }
    let manifests = Manifests::of(subject.tree);
    if !manifests.has_root() {
        checked.unchecked.push("Rust: there is no Cargo.toml at the root".to_owned());
        return Ok(checked);
    }
    lock(subject, &manifests, &mut checked);
    let mut is_locked = subject.tree.read("Cargo.lock").is_some();
    let mut resolved = resolve(subject, is_locked).await?;
    if is_locked && !resolved.succeeded() && is_stale(&resolved.output) {
        if checked.findings.is_empty() {
            checked.findings.push(
                Finding::warning(Rule::CheckFailed, "Cargo.lock does not fit Cargo.toml")
                    .at("Cargo.lock", 1),
            );
        }
        is_locked = false;
        resolved = resolve(subject, is_locked).await?;
    }
    if resolved.end == End::Exited(NO_TOOL) {
        checked.unchecked.push("Rust: there is no cargo in the sandbox".to_owned());
        return Ok(checked);
    }
    if !resolved.succeeded() {
        unresolved(&resolved, &mut checked);
        return Ok(checked);
    }
    let version = resolved.output.lines().find_map(|line| line.strip_prefix("cargo "));
    let version = one_line(version.unwrap_or_default(), 40);
    let mut script = script(CHECK, is_locked);
    script.output_bytes = Some(MAX_OUTPUT_BYTES);
    let result = subject.shell.run(&script).await?;
    if result.succeeded() {
        checked.said.push(format!("cargo {version}: the workspace and its tests compile."));
        return Ok(checked);
    }
    let before = checked.findings.len();
    let paths: BTreeSet<String> = subject.tree.paths().collect();
    message::read(&result.output, &manifests, &paths, &mut checked.findings);
    let errors = checked.findings.len() - before;
    checked.said.push(format!(
        "cargo {version}: `cargo check` ended with {}, {}.",
        result.end,
        count(errors, "error", "errors")
    ));
    if errors == 0 {
        let message = format!("`cargo check --workspace --all-targets` ended with {}", result.end);
        let finding = Finding::failure(Rule::CheckFailed, message);
        checked.findings.push(finding.with_detail(words(&result.output)));
    }
    Ok(checked)
}

fn script(command: &str, is_locked: bool) -> Script {
    let mut script = tool::script("cargo", command);
    for name in NO_WRAPPER {
        script.env.insert(name.to_owned(), String::new());
    }
    let locked = if is_locked { "--locked" } else { "" };
    script.env.insert("BOOTY_LOCKED".to_owned(), locked.to_owned());
    script.env.insert("CARGO_TERM_COLOR".to_owned(), "never".to_owned());
    script
}

async fn resolve(subject: &Subject<'_>, is_locked: bool) -> Result<RunResult, Error> {
    subject.shell.run(&script(RESOLVE, is_locked)).await
}

fn is_stale(output: &str) -> bool {
    output.contains("--locked was passed") || output.contains("because --locked")
}

/// Packages that a manifest newly names and the lock does not.
fn lock(subject: &Subject<'_>, manifests: &Manifests, checked: &mut Checked) {
    let Some(lock) = subject.tree.read("Cargo.lock") else { return };
    let locked = manifest::locked(&lock);
    let touched = subject.changed.iter().filter(|file| file.kind != ChangeKind::Deleted);
    for file in touched.filter(|file| manifest::is_one(&file.path)) {
        let Some(text) = subject.tree.read(&file.path) else { continue };
        let before = subject.base.read(&file.path).unwrap_or_default();
        let before = manifest::declared(&before);
        for package in manifest::declared(&text).difference(&before) {
            if !locked.contains(package) && !manifests.is_member(package) {
                let message = format!(
                    "`{}` is named in {} and not in Cargo.lock",
                    one_line(package, 100),
                    one_line(&file.path, 200)
                );
                checked.findings.push(
                    Finding::failure(Rule::HallucinatedDependency, message)
                        .at(file.path.clone(), manifest::line_of(&text, package)),
                );
            }
        }
    }
}

/// Nothing of the repository ran yet: what cargo says here is its own.
fn unresolved(result: &RunResult, checked: &mut Checked) {
    let output = &result.output;
    let offline =
        ["offline", "no matching package named", "failed to download", "Unable to update"];
    let is_broken = output.contains("failed to parse manifest")
        || output.contains("failed to load manifest for workspace member");
    if matches!(result.end, End::Exited(_))
        && !is_broken
        && offline.iter().any(|o| output.contains(o))
    {
        for name in wanted(output) {
            if !checked.not_installed.contains(&name) {
                checked.not_installed.push(name);
            }
        }
        let what = "Rust: cargo check, as dependencies are not downloaded";
        checked.unchecked.push(what.to_owned());
        return;
    }
    let place = place(output);
    let rule = if is_broken || place.is_some() { Rule::SyntaxError } else { Rule::CheckFailed };
    let message = output.lines().find_map(|line| line.strip_prefix("error: "));
    let message = one_line(message.unwrap_or("cargo cannot read the workspace"), 300);
    let mut finding = Finding::failure(rule, format!("{message} ({})", result.end));
    if let Some((path, line)) = place {
        finding = finding.at(path, line);
    }
    checked.findings.push(finding.with_detail(words(output)));
}

/// Names of packages that cargo has not.
fn wanted(output: &str) -> Vec<String> {
    let starts = [
        "no matching package named `",
        "failed to download `",
        "failed to get `",
        "no matching package found for `",
    ];
    let mut names = Vec::new();
    for line in output.lines() {
        let found = starts.iter().find_map(|start| line.split_once(start));
        let name = found.and_then(|(_, rest)| rest.split(['`', ' ']).next());
        if let Some(name) = name.map(|name| one_line(name, 100))
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    if names.is_empty() {
        names.push("crates of Cargo.toml".to_owned());
    }
    names
}

/// ` --> Cargo.toml:3:5` of a manifest that is no TOML.
fn place(output: &str) -> Option<(String, u32)> {
    let place = output.lines().find_map(|line| line.trim_start().strip_prefix("--> "))?;
    let mut parts = place.rsplitn(3, ':');
    let (_, line, path) = (parts.next()?, parts.next()?, parts.next()?);
    let path = path.strip_prefix("/workspace/").unwrap_or(path);
    manifest::is_one(path).then(|| Some((path.to_owned(), line.parse().ok()?)))?
}

/// The last lines that are no JSON.
fn words(output: &str) -> String {
    let lines: Vec<&str> = output.lines().filter(|line| !line.starts_with('{')).collect();
    block(lines[lines.len().saturating_sub(40)..].join("\n").trim_start(), 4_000)
}
