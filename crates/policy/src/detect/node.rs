//! Node: the package's own test script, else node's test runner.

use serde_json::Value;

use super::{Detected, Paths, TreeView, command, split};
use crate::config::{CommandSpec, Language};

/// npm asks the network whether there is a newer npm.
const ENV: [(&str, &str); 3] = [
    ("NO_UPDATE_NOTIFIER", "1"),
    ("npm_config_offline", "true"),
    ("npm_config_update_notifier", "false"),
];
/// `npm init` writes a test script that always fails.
const PLACEHOLDER: &str = "no test specified";

pub(super) fn detect(tree: &impl TreeView, paths: &Paths) -> Option<Detected> {
    if !paths.has("package.json") {
        return None;
    }
    let package: Value =
        tree.read("package.json").and_then(|text| serde_json::from_str(&text).ok())?;
    let script = |name: &str| {
        let script = package.get("scripts")?.get(name)?.as_str()?;
        (!script.trim().is_empty() && !script.contains(PLACEHOLDER)).then_some(())
    };
    let manager = manager(&package, paths);
    let (test, why) = match script("test") {
        Some(()) => {
            (Some(command(format!("{manager} test"), &ENV)), "package.json has a test script")
        }
        None => (own_runner(paths), "package.json has no test script"),
    };
    let check = ["typecheck", "type-check"]
        .into_iter()
        .find(|name| script(name).is_some())
        .map(|name| command(format!("{manager} run {name}"), &ENV))
        .or_else(|| syntax(paths));
    Some(Detected { language: Language::Node, check, test, why: why.to_owned() })
}

fn manager(package: &Value, paths: &Paths) -> &'static str {
    let named = package.get("packageManager").and_then(Value::as_str).unwrap_or_default();
    match named.split('@').next() {
        Some("pnpm") => "pnpm",
        Some("yarn") => "yarn",
        Some("npm") => "npm",
        _ if paths.has("pnpm-lock.yaml") => "pnpm",
        _ if paths.has("yarn.lock") => "yarn",
        _ => "npm",
    }
}

/// What `node --test` finds by itself.
fn own_runner(paths: &Paths) -> Option<CommandSpec> {
    let is_test = |path: &str| {
        let (folder, name) = split(path);
        let Some((stem, "js" | "mjs" | "cjs")) = name.rsplit_once('.') else { return false };
        let marked = [".test", "-test", "_test"].iter().any(|end| stem.ends_with(end));
        marked
            || stem == "test"
            || stem.starts_with("test-")
            || folder.split('/').any(|part| part == "test")
    };
    paths.iter().any(is_test).then(|| command("node --test", &ENV))
}

/// The syntax of plain JavaScript. TypeScript and JSX need the repository's own tools.
fn syntax(paths: &Paths) -> Option<CommandSpec> {
    let has = |ends: &[&str]| paths.iter().any(|path| ends.iter().any(|end| path.ends_with(end)));
    let find = "find . -name node_modules -prune -o -name '.?*' -prune -o -type f \
        '(' -name '*.js' -o -name '*.mjs' -o -name '*.cjs' ')' -print0 | xargs -0 -r -n 1 node --check";
    (has(&[".js", ".mjs", ".cjs"]) && !has(&[".jsx", ".tsx", ".ts", ".flow"]))
        .then(|| command(find, &ENV))
}
