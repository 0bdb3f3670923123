//! Rust: cargo, or nextest where it is configured.

use toml::{Table, Value};

use super::{Found, Paths, Runner, Setup, TreeView, command, split};
use crate::config::Language;

const ENV: [(&str, &str); 1] = [("CARGO_NET_OFFLINE", "true")];
/// A workspace of more is known by its first ones.
const MAX_MANIFESTS: usize = 500;

pub(super) fn detect(tree: &dyn TreeView, paths: &Paths) -> Option<Found> {
    if !paths.has("Cargo.toml") {
        return None;
    }
    let manifest = tree.read("Cargo.toml").unwrap_or_default();
    let is_workspace = manifest.lines().any(|line| line.trim_start().starts_with("[workspace"));
    let all = if is_workspace { " --workspace" } else { "" };
    let (runner, test, why) = match paths.has(".config/nextest.toml") {
        true => (
            Runner::Nextest,
            "cargo nextest run --no-fail-fast",
            "Cargo.toml and .config/nextest.toml",
        ),
        // Else what comes after the first failing binary does not run.
        false => (Runner::CargoTest, "cargo test --no-fail-fast", "Cargo.toml at the root"),
    };
    Some(Found {
        language: Language::Rust,
        setup: setup(tree, paths),
        check: Some(command(format!("cargo check --offline{all} --all-targets"), &ENV)),
        test: Some(command(format!("{test} --offline{all}"), &ENV)),
        runner,
        why: why.to_owned(),
    })
}

fn setup(tree: &dyn TreeView, paths: &Paths) -> Option<Setup> {
    // The lock can be behind the manifests: then cargo must be asked, so that it can say so.
    let is_locked = paths.has("Cargo.lock");
    let lock = tree.read("Cargo.lock").unwrap_or_default();
    let in_lock = lock.lines().any(|line| line.trim_start().starts_with("source = "))
        // One that is too large to be read has dependencies.
        || (is_locked && lock.is_empty());
    let manifests = || paths.iter().filter(|path| split(path).1 == "Cargo.toml");
    let in_manifests = || {
        manifests()
            .take(MAX_MANIFESTS)
            .filter_map(|path| tree.read(path)?.parse().ok())
            .any(|manifest: Table| has_dependencies(&manifest))
    };
    if !in_lock && !in_manifests() {
        return None;
    }
    let (fetch, from) = match is_locked {
        true => ("cargo fetch --locked", "Cargo.lock"),
        false => ("cargo fetch", "Cargo.toml"),
    };
    Some(Setup { command: command(fetch, &[]), from: from.to_owned() })
}

/// Whether a manifest, or a part of it, names a package that is not in the tree.
fn has_dependencies(table: &Table) -> bool {
    const LISTS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let is_elsewhere = |dependency: &Value| match dependency {
        Value::String(_) => true,
        Value::Table(keys) => keys.contains_key("git") || !keys.contains_key("path"),
        _ => false,
    };
    let tables = |value: Option<&Value>| value.and_then(Value::as_table).cloned();
    LISTS
        .iter()
        .filter_map(|list| table.get(*list)?.as_table())
        .flat_map(Table::values)
        // What a member takes over is in the workspace's own manifest.
        .filter(|dependency| dependency.get("workspace").and_then(Value::as_bool) != Some(true))
        .any(is_elsewhere)
        || tables(table.get("workspace")).is_some_and(|workspace| has_dependencies(&workspace))
        || tables(table.get("target")).is_some_and(|targets| {
            targets.values().filter_map(Value::as_table).any(has_dependencies)
        })
}
